//! Raw provider payloads become observations and devices with their FHIR R4 resources.
//!
//! The provider's own `normalize` says what the payload means; here it gets its identity, its version and its FHIR form, the same for all.

mod columns;
mod device;
mod dose;
mod fhir;
mod json;

use headwater_schemas::consent::Terms;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::{Gone, Origin, Raw};
use headwater_schemas::reading::{Absent, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Position, Topic, codes, ids};
use uuid::Uuid;

use crate::{Input, Processor, Report};

/// Raised whenever the same payload comes to another record than before.
pub const MAPPER_VERSION: i32 = 2;

pub struct Normalize;

impl Processor for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn inputs(&self) -> Vec<(&'static Topic, Option<&'static str>)> {
        headwater_sources::ALL.iter().map(|source| (&topics::RAW, Some(source.profile().id))).collect()
    }

    fn process(&self, input: &Input<'_>, out: &mut Outbox) -> Result<Report, Reject> {
        let mut raw = Raw::decode(input.body).map_err(|e| Reject::new(code::BAD_AVRO, e.to_string()))?;
        if raw.encryption.take().is_some() {
            raw.body = input.payload.ok_or_else(|| Reject::new(code::SEALED, "expected a body opened before it comes here"))?;
        }
        normalize_within(&raw, input.terms, input.position, out)
    }
}

/// Normalizes one raw record whose body is not sealed.
///
/// # Errors
/// [`Reject`] when the provider or stream is unknown or nothing of the payload can be understood.
pub fn normalize(raw: &Raw<'_>, position: Position<'_>, out: &mut Outbox) -> Result<Report, Reject> {
    normalize_within(raw, None, position, out)
}

/// The same, less what the person did not agree to.
fn normalize_within(raw: &Raw<'_>, terms: Option<&Terms>, position: Position<'_>, out: &mut Outbox) -> Result<Report, Reject> {
    let mut said = Normalized::default();
    match raw.origin {
        Origin::Reconcile => gone(raw, &mut said)?,
        Origin::Fetch | Origin::Webhook | Origin::Upload => {
            let source = headwater_sources::by_id(raw.provider)
                .ok_or_else(|| Reject::new(code::UNKNOWN_STREAM, "expected a provider of this build"))?;
            source.normalize(raw, &mut said)?;
        }
    }
    let withheld = records(raw, &said, terms, position, out);
    Ok(Report { unknown: said.unknown.len(), problems: said.problems, withheld })
}

/// Appends what a source said of a raw record, each with its FHIR form, and gives how many were withheld because the person did not agree.
pub fn records(raw: &Raw<'_>, said: &Normalized<'_>, terms: Option<&Terms>, position: Position<'_>, out: &mut Outbox) -> usize {
    let mut scratch = columns::Scratch::default();
    let mut withheld = 0;
    for reading in &said.readings {
        if terms.is_some_and(|terms| !terms.covers(reading.measure.slug)) {
            withheld += 1;
            continue;
        }
        let identity = identify(raw, reading);
        scratch.observation(raw, position, reading, &identity, out);
    }
    for dose in &said.doses {
        if terms.is_some_and(|terms| !terms.covers(dose.data_type)) {
            withheld += 1;
            continue;
        }
        dose::put(raw, position, dose, &mut scratch, out);
    }
    for device in &said.devices {
        device::put(raw, device, &mut scratch, out);
    }
    withheld
}

/// Writes the FHIR resource of one reading into `out`, as it stands in its observation.
pub fn resource(raw: &Raw<'_>, position: Position<'_>, reading: &Reading<'_>, out: &mut String) {
    fhir::render(raw, position, reading, &identify(raw, reading), measured_by(raw, reading), out);
}

/// The id of the Device resource that measured, where one is known.
fn measured_by(raw: &Raw<'_>, reading: &Reading<'_>) -> Option<Uuid> {
    reading.device.as_ref().map(|device| ids::device(raw.connection_id, raw.subject_id, device))
}

static NOTHING: Value<'static> = Value::Absent(Absent::Unknown);

/// A value as it can be told: a blank word says nothing, and FHIR has no empty strings.
fn told<'v>(value: &'v Value<'_>) -> &'v Value<'v> {
    match value {
        Value::Text(text) if blank(text) => &NOTHING,
        value => value,
    }
}

/// Nothing but blanks, or a byte order mark that was left over.
fn blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == '\u{feff}')
}

/// Which observation a reading is, and which of its states.
pub(crate) struct Identity {
    id: Uuid,
    status: Status,
    version: i64,
    previous_start: Option<i64>,
}

fn identify(raw: &Raw<'_>, reading: &Reading<'_>) -> Identity {
    // A reconcile row names the observation itself.
    let id = match raw.origin {
        Origin::Reconcile => Uuid::try_parse(&reading.record_id).unwrap_or_default(),
        _ => ids::observation(raw.connection_id, raw.subject_id, reading.measure.slug, &reading.record_id),
    };
    let amended = raw.amended.iter().find(|a| a.id == id);
    let status = match (amended, reading.status) {
        (Some(_), Status::Final) => Status::Amended,
        (_, status) => status,
    };
    // The source's own time of change orders its states. Content that changed without that time moving is ordered by when we saw it, and so
    // is what reappears after it was reported gone.
    let mut version = reading.modified.unwrap_or(raw.fetched_at);
    if amended.is_some() {
        version = version.max(raw.fetched_at);
    }
    version = version.max(raw.version_floor.unwrap_or(i64::MIN));
    let previous_start = amended.map(|a| a.previous_start).filter(|start| *start != reading.effective.start().micros);
    Identity { id, status, version, previous_start }
}

/// Observations that a complete re-read no longer contained: entered in error, without a value.
fn gone(raw: &Raw<'_>, said: &mut Normalized<'_>) -> Result<(), Reject> {
    let rows: Vec<Gone> = serde_json::from_slice(raw.body)
        .map_err(|e| Reject::new(code::MALFORMED_JSON, "expected a list of observations").position(e.line(), e.column()))?;
    for row in rows {
        let measure = codes::by_slug(&row.data_type)
            .ok_or_else(|| Reject::new(code::UNKNOWN_STREAM, "expected a data type of this build"))?;
        let stamp = |micros| Stamp { micros, offset: None, origin: OffsetOrigin::None };
        let effective = match row.end {
            Some(end) => Effective::During(stamp(row.start), stamp(end)),
            None => Effective::At(stamp(row.start)),
        };
        said.push(Reading {
            status: Status::EnteredInError,
            method: Method::Unknown,
            ..Reading::new(measure, row.id.to_string(), effective, Value::Absent(Absent::Unknown))
        });
    }
    Ok(())
}
