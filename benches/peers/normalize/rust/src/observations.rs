//! From one raw record to its observations: columns and FHIR.

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::prelude::ToPrimitive as _;

use crate::fhir::{self, LOINC, Told};
use crate::getmeas::{Body, Group};
use crate::ids;
use crate::records::{Observation, OffsetOrigin, Origin, Raw};

const MAPPER_VERSION: i32 = 2;
const MICROS: i64 = 1_000_000;

/// Where a raw record stands.
pub struct Place<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

pub fn observations<'a>(raw: &'a Raw, place: &Place<'a>) -> anyhow::Result<Vec<Observation<'a>>> {
    let first = raw.origin != Origin::Reconcile && raw.amended.is_empty();
    anyhow::ensure!(
        raw.provider == "withings" && raw.stream == "getmeas" && first,
        "expected a first answer of Withings' getmeas"
    );
    anyhow::ensure!(raw.encryption.is_none(), "expected a body that is not sealed");
    let body = Body::parse(&raw.body)?;
    let mut out = Vec::new();
    // A goal (category 2) is a wish, not a measurement.
    for group in body.measuregrps.iter().filter(|group| group.category.is_none_or(|category| category == 1)) {
        of_group(raw, place, body.timezone.as_deref(), group, &mut out)?;
    }
    Ok(out)
}

fn of_group<'a>(
    raw: &'a Raw,
    place: &Place<'a>,
    timezone: Option<&str>,
    group: &Group,
    out: &mut Vec<Observation<'a>>,
) -> anyhow::Result<()> {
    let (status, method) = group.attribution();
    let moment = Moment::of(group.date, timezone, raw.time_zone.as_deref())?;
    let connection = raw.connection_id.to_string();
    let device_id = group.device().map(|device| ids::device(&connection, &raw.subject_id, device));
    let modified = group.modified.map(|seconds| seconds * MICROS);
    let version = modified.unwrap_or(raw.fetched_at).max(raw.version_floor.unwrap_or(i64::MIN));
    let issued = Timestamp::from_microsecond(version)?.to_string();
    for entry in &group.measures {
        let Some(measure) = entry.measure() else { continue };
        let (record_id, value) = (format!("{}:{}", group.grpid, entry.kind), entry.decimal()?);
        let digits = value.to_string();
        let number = digits.parse().context("expected a number")?;
        let mut observation = Observation {
            id: ids::observation(&connection, &raw.subject_id, measure.slug, &record_id),
            record_id,
            subject_id: &raw.subject_id,
            connection_id: raw.connection_id,
            provider: &raw.provider,
            stream: &raw.stream,
            lane: raw.lane,
            data_type: measure.slug,
            code: measure.code,
            code_system: LOINC,
            category: "vital-signs",
            status,
            start: group.date * MICROS,
            end: None,
            utc_offset: moment.offset,
            offset_origin: moment.origin,
            local_date: None,
            value: value.to_f64(),
            value_text: Some(digits),
            unit: Some(measure.unit),
            comparator: None,
            value_code: None,
            absent_reason: None,
            components: Vec::new(),
            samples: None,
            device_id,
            method,
            source_modified: modified,
            version,
            previous_start: None,
            raw_topic: place.topic,
            raw_partition: place.partition,
            raw_offset: place.offset,
            mapper_version: MAPPER_VERSION,
            fhir: String::new(),
        };
        observation.fhir = fhir::render(&observation, Told { measure, effective: &moment.text, issued: &issued, value: number });
        out.push(observation);
    }
    Ok(())
}

/// When, with the offset of the zone that the answer names, else of the person's profile; that offset; and whose it is.
struct Moment {
    text: String,
    offset: Option<i32>,
    origin: OffsetOrigin,
}

impl Moment {
    fn of(seconds: i64, own: Option<&str>, profile: Option<&str>) -> anyhow::Result<Self> {
        let at = Timestamp::from_second(seconds)?;
        let (name, origin) = match (own, profile) {
            (Some(own), _) => (own, OffsetOrigin::Zone),
            (None, Some(profile)) => (profile, OffsetOrigin::Profile),
            (None, None) => return Ok(Self { text: at.to_string(), offset: None, origin: OffsetOrigin::None }),
        };
        // Zones that were asked for before are kept by the library.
        let offset = TimeZone::get(name).context("expected an IANA zone")?.to_offset(at);
        Ok(Self { text: at.display_with_offset(offset).to_string(), offset: Some(offset.seconds()), origin })
    }
}
