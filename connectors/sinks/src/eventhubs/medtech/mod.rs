//! Device messages for the MedTech service of Azure Health Data Services, or its open version (microsoft/iomt-fhir), which reads an event hub,
//! finds device, person, time and values in each message by a device mapping, and writes FHIR Observations by a FHIR destination mapping.
//! Both mappings are made from our code table by [`mapping`] and published in `docs/medtech`.
//!
//! What it does with a message decides what ours look like:
//!
//! - A number in JSON becomes a double on its way, and a small one then fails in its exponent form. So digits are text, which it parses as a
//!   decimal.
//! - A time with an offset is turned to UTC, so ours are UTC at once. An Observation begins and ends at the one time of the message; the end
//!   of what lasted (`endedAt`) has no place in it.
//! - Observations are told apart by device, type and time to the second, which five limbs on one scale have in common. Grouped by correlation id
//!   they are told apart by our record id and its start, so that a correction replaces the value. The start is part of it because a group of
//!   two times has its period stretched over both, and two quantities in one group are an error.
//! - Both of its ways to find the person need a device id, and a device is of one person. What names no device has the id of its person's
//!   connection instead, and says so (`deviceIs`).
//! - A CodeableConcept is a constant of the mapping and not a value, so coded values are said as strings of our own codes.
//! - It writes every Observation as final, or amended where it changes one. It knows neither withdrawal, other status, comparator, range nor
//!   reason for a missing value; a series is one message per sample; and where a time moves, the Observation of the old one stays.
//! - A required value that is missing is an error, which a service without an error store tries again for ever.
//!
//! Nothing false may come of that and nothing may be dropped, so a record that it cannot say whole is sent under a `type` that no mapping
//! matches, the data type and the reason (`Unsaid`), with the FHIR resource and without values of its own. MedTech counts it as a dropped
//! event; whoever keeps the FHIR server reads these from the same hub. Insulin is among them: MedTech writes Observations only.

pub mod mapping;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use headwater_schemas::codes::{self, Measure};
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::{Component, Observation, Status};
use headwater_schemas::reject::code;
use headwater_schemas::{Reject, ids};
use jiff::Timestamp;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::time::time;

/// Appends the message of an observation.
///
/// # Errors
/// When a time cannot be written, or what cannot be said otherwise has no FHIR resource.
pub(super) fn observation(o: &Observation<'_>, out: &mut Vec<u8>) -> Result<(), Reject> {
    let unsaid = unsaid(o);
    let said = unsaid.is_none();
    let message = Message {
        r#type: Type { data_type: o.data_type, unsaid },
        device: Device::of(o.device_id, o.connection_id, o.subject_id),
        patient_id: o.subject_id,
        measured_at: time(o.start, "start")?,
        ended_at: o.end.map(|end| time(end, "end")).transpose()?,
        value: o.value_text.filter(|_| said),
        unit: o.unit.filter(|_| said),
        code: o.value_code.filter(|_| said),
        components: Components(if said { &o.components } else { &[] }),
        status: o.status.as_str(),
        method: o.method.as_str(),
        provider: o.provider,
        id: o.id,
        correlation_id: Correlation { id: o.id, start: o.start },
        version: o.version,
        resource: if said { None } else { Some(resource(o.fhir)?) },
    };
    append(&message, out);
    Ok(())
}

/// Appends the message of a dose.
///
/// # Errors
/// When a time cannot be written, or there is no FHIR resource.
pub(super) fn medication(m: &Medication<'_>, out: &mut Vec<u8>) -> Result<(), Reject> {
    let message = Message {
        r#type: Type { data_type: m.data_type, unsaid: Some(Unsaid::of(m.status).unwrap_or(Unsaid::Medication)) },
        device: Device::of(m.device_id, m.connection_id, m.subject_id),
        patient_id: m.subject_id,
        measured_at: time(m.start, "start")?,
        ended_at: m.end.map(|end| time(end, "end")).transpose()?,
        value: None,
        unit: None,
        code: None,
        components: Components(&[]),
        status: m.status.as_str(),
        method: m.method.as_str(),
        provider: m.provider,
        id: m.id,
        correlation_id: Correlation { id: m.id, start: m.start },
        version: m.version,
        resource: Some(resource(m.fhir)?),
    };
    append(&message, out);
    Ok(())
}

fn append(message: &Message<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(out, message).expect("text, ids and times have a JSON form");
}

fn resource(fhir: &str) -> Result<&RawValue, Reject> {
    serde_json::from_str(fhir).map_err(|_| Reject::new(code::MALFORMED_JSON, "expected the FHIR resource as JSON").at("fhir"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    r#type: Type<'a>,
    #[serde(flatten)]
    device: Device,
    patient_id: &'a str,
    measured_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Components::is_empty")]
    components: Components<'a>,
    status: &'static str,
    method: &'static str,
    provider: &'a str,
    id: Uuid,
    correlation_id: Correlation,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    device_id: Uuid,
    device_is: &'static str,
}

impl Device {
    /// No device of a provider has an empty id, so the connection's is nobody else's.
    fn of(device: Option<Uuid>, connection: Uuid, subject: &str) -> Self {
        match device {
            Some(device_id) => Self { device_id, device_is: "device" },
            None => Self { device_id: ids::device(connection, subject, ""), device_is: "connection" },
        }
    }
}

/// The data type, and after a dot why the record is not for MedTech.
struct Type<'a> {
    data_type: &'a str,
    unsaid: Option<Unsaid>,
}

impl fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.data_type)?;
        self.unsaid.map_or(Ok(()), |unsaid| write!(f, ".{}", unsaid.as_str()))
    }
}

impl Serialize for Type<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What becomes one Observation.
struct Correlation {
    id: Uuid,
    start: i64,
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.start)
    }
}

impl Serialize for Correlation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// By data type, so that an expression can name them.
struct Components<'a>(&'a [Component<'a>]);

#[derive(Serialize)]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<&'a str>,
}

impl Components<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Components<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for c in self.0 {
            map.serialize_entry(
                c.data_type,
                &Part { value: c.value_text, unit: c.unit, code: c.value_code, absent: c.absent_reason },
            )?;
        }
        map.end()
    }
}

/// Why MedTech cannot say a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsaid {
    /// A status beside final and amended.
    Status(Status),
    /// Its start is another than before.
    Moved,
    /// There is no value.
    Absent,
    /// The value is a limit of what the device can tell.
    Limit,
    /// A series.
    Samples,
    /// A value or component of another form or unit than the mappings have for the data type: ranges, curves, what a source of one's own puts
    /// together.
    Form,
    /// No observation.
    Medication,
}

impl Unsaid {
    fn of(status: Status) -> Option<Self> {
        match status {
            Status::Final | Status::Amended => None,
            other => Some(Self::Status(other)),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Status(status) => status.as_str(),
            Self::Moved => "moved",
            Self::Absent => "absent",
            Self::Limit => "limit",
            Self::Samples => "samples",
            Self::Form => "form",
            Self::Medication => "medication",
        }
    }
}

fn unsaid(o: &Observation<'_>) -> Option<Unsaid> {
    if let Some(status) = Unsaid::of(o.status) {
        return Some(status);
    }
    if o.previous_start.is_some_and(|previous| previous != o.start) {
        return Some(Unsaid::Moved);
    }
    if o.absent_reason.is_some() {
        return Some(Unsaid::Absent);
    }
    if o.comparator.is_some() {
        return Some(Unsaid::Limit);
    }
    if o.samples.is_some() {
        return Some(Unsaid::Samples);
    }
    let Some(measure) = codes::by_slug(o.data_type) else { return Some(Unsaid::Form) };
    let whole = match mapping::Form::of(measure) {
        mapping::Form::Panel if o.value_text.is_some() || o.value_code.is_some() => false,
        mapping::Form::Panel if o.components.iter().all(|c| c.absent_reason.is_some()) => return Some(Unsaid::Absent),
        mapping::Form::Panel => true,
        form => fits(form, measure, o.value_text, o.unit, o.value_code),
    };
    (!whole || !components_fit(measure, &o.components)).then_some(Unsaid::Form)
}

fn components_fit(measure: &Measure, components: &[Component<'_>]) -> bool {
    let parts = mapping::parts(measure);
    components.iter().enumerate().all(|(index, c)| {
        let once = components[..index].iter().all(|other| other.data_type != c.data_type);
        once && parts.iter().find(|part| part.slug == c.data_type).is_some_and(|part| {
            c.absent_reason.is_some() || fits(mapping::Form::of(part), part, c.value_text, c.unit, c.value_code)
        })
    })
}

fn fits(form: mapping::Form, measure: &Measure, value: Option<&str>, unit: Option<&str>, word: Option<&str>) -> bool {
    match form {
        mapping::Form::Quantity(_) => value.is_some() && word.is_none() && unit == measure.unit.map(|u| u.ucum),
        mapping::Form::Word => value.is_none() && word.is_some_and(|word| !word.trim().is_empty()),
        mapping::Form::Panel => false,
    }
}
