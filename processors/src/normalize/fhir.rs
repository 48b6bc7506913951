//! FHIR R4 Observation, written once. A profile is claimed only where the resource conforms to it.

use std::fmt::{self, Display};

use headwater_schemas::codes::{self, Concept, Measure};
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Absent, Cgm, Component, Effective, Reading, Stamp, Value};
use headwater_schemas::{Position, extensions};
use jiff::Timestamp;
use jiff::tz::Offset;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::Identity;
use super::json::Json;

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
const PROFILE: &str = "http://hl7.org/fhir/StructureDefinition/";
const TAG: &str = codes::TAGS;

/// Renders the observation into `out`. `device` is the id of the Device resource that measured, where one is known.
pub(super) fn render(
    raw: &Raw<'_>,
    position: Position<'_>,
    reading: &Reading<'_>,
    identity: &Identity,
    device: Option<Uuid>,
    out: &mut String,
) {
    let measure = reading.measure;
    Json::object(out, |o| {
        o.plain("resourceType", "Observation").plain("id", identity.id);
        meta(o, raw, position, profile(reading, identity.status), reading.effective.start().origin);
        if let Some(cgm) = reading.cgm {
            sensor(o, cgm);
        }
        o.only("identifier", |i| {
            i.plain("system", format_args!("urn:headwater:record:{}", raw.provider)).plain("value", identity.id);
        });
        o.plain("status", identity.status);
        o.only("category", |c| {
            c.only("coding", |x| {
                x.plain("system", CATEGORY).plain("code", measure.category.as_str());
            });
        });
        o.nested("code", |c| code(c, measure));
        o.nested("subject", |s| {
            s.plain("reference", format_args!("Patient/{}", raw.subject_id));
        });
        effective(o, reading.effective, whole_day(reading));
        value(o, measure, &reading.value);
        if let Some(text) = method(reading) {
            o.nested("method", |m| {
                m.plain("text", text);
            });
        }
        if let Some(device) = device {
            o.nested("device", |d| {
                d.plain("reference", format_args!("Device/{device}"));
            });
        }
        components(o, reading);
    });
}

/// What is known of how a sensor came to its value.
fn sensor(o: &mut Json<'_>, cgm: Cgm) {
    if cgm.interval_ms.is_none() && cgm.backfilled.is_none() {
        return;
    }
    o.list("extension", |list| {
        if let Some(millis) = cgm.interval_ms {
            list.item(|e| {
                e.plain("url", extensions::SAMPLE_INTERVAL).nested("valueDuration", |q| seconds(q, millis.into()));
            });
        }
        if let Some(backfilled) = cgm.backfilled {
            list.item(|e| {
                e.plain("url", extensions::BACKFILLED).number("valueBoolean", backfilled);
            });
        }
    });
}

/// A FHIR Duration.
pub(super) fn seconds(q: &mut Json<'_>, millis: i64) {
    let seconds = Decimal::new(millis, 3).normalize();
    q.number("value", seconds).plain("unit", "s").plain("system", codes::UCUM).plain("code", "s");
}

/// Where the resource came from, what it conforms to, and what is to be known of its time.
pub(super) fn meta(o: &mut Json<'_>, raw: &Raw<'_>, position: Position<'_>, profile: Option<&'static str>, origin: OffsetOrigin) {
    o.nested("meta", |meta| {
        if position.partition >= 0 {
            meta.plain("source", format_args!("urn:headwater:{}:{}:{}", position.topic, position.partition, position.offset));
        }
        if let Some(profile) = profile {
            meta.list("profile", |l| l.text(profile));
        }
        meta.list("tag", |tags| {
            for tag in [Some(raw.provider), zone_tag(origin)].into_iter().flatten() {
                tags.item(|t| {
                    t.plain("system", TAG).plain("code", tag);
                });
            }
        });
    });
}

fn code(c: &mut Json<'_>, measure: &Measure) {
    c.list("coding", |list| {
        for coding in measure.coding {
            list.item(|x| {
                x.plain("system", coding.system).plain("code", coding.code);
            });
        }
    });
    c.text("text", measure.text);
}

fn components(o: &mut Json<'_>, reading: &Reading<'_>) {
    // The blood pressure profile wants both halves, also of a panel that was withdrawn.
    let withdrawn =
        [&codes::SYSTOLIC, &codes::DIASTOLIC].map(|measure| Component { measure, value: Value::Absent(Absent::Unknown) });
    let components = if reading.components.is_empty() && reading.measure == &codes::BLOOD_PRESSURE {
        &withdrawn[..]
    } else {
        &reading.components
    };
    if components.is_empty() {
        return;
    }
    o.list("component", |list| {
        for component in components {
            list.item(|c| {
                c.nested("code", |x| code(x, component.measure));
                value(c, component.measure, &component.value);
            });
        }
    });
}

/// The vital-signs profile the resource conforms to. The named profiles want a single quantity, or none for a stated reason.
fn profile(reading: &Reading<'_>, status: Status) -> Option<&'static str> {
    let fits = matches!(reading.value, Value::Quantity(_) | Value::Limit(..) | Value::Panel);
    let name = reading.measure.profile.filter(|_| fits && status != Status::EnteredInError)?;
    PROFILES.iter().copied().find(|url| url.strip_prefix(PROFILE) == Some(name))
}

static PROFILES: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/heartrate",
    "http://hl7.org/fhir/StructureDefinition/resprate",
    "http://hl7.org/fhir/StructureDefinition/oxygensat",
    "http://hl7.org/fhir/StructureDefinition/bodytemp",
    "http://hl7.org/fhir/StructureDefinition/bodyheight",
    "http://hl7.org/fhir/StructureDefinition/bodyweight",
    "http://hl7.org/fhir/StructureDefinition/bmi",
    "http://hl7.org/fhir/StructureDefinition/bp",
];

/// Says when an offset is missing or only inferred, so that nobody takes it for a fact.
fn zone_tag(origin: OffsetOrigin) -> Option<&'static str> {
    match origin {
        OffsetOrigin::None => Some("time-zone-unknown"),
        OffsetOrigin::Profile => Some("time-zone-from-profile"),
        OffsetOrigin::Source | OffsetOrigin::Zone => None,
    }
}

pub(super) fn effective(o: &mut Json<'_>, effective: Effective, whole_day: Option<&str>) {
    match (effective, whole_day) {
        (_, Some(day)) => o.nested("effectivePeriod", |p| {
            p.plain("start", day).plain("end", day);
        }),
        (Effective::At(at), None) => o.plain("effectiveDateTime", DateTime(at)),
        (Effective::During(start, end), None) => o.nested("effectivePeriod", |p| {
            p.plain("start", DateTime(start)).plain("end", DateTime(end));
        }),
    };
}

/// A calendar day of a person whose offset is not known: said as a day, because its midnights would be false.
fn whole_day<'r>(reading: &'r Reading<'_>) -> Option<&'r str> {
    const DAY: i64 = 86_400_000_000;
    let Effective::During(start, end) = reading.effective else { return None };
    let unknown = start.offset.is_none() && start.micros % DAY == 0 && end.micros - start.micros == DAY;
    reading.local_date.as_deref().filter(|_| unknown)
}

fn value(o: &mut Json<'_>, measure: &Measure, value: &Value<'_>) {
    match value {
        Value::Quantity(number) => {
            o.nested("valueQuantity", |q| quantity(q, measure, number, None));
        }
        Value::Limit(comparator, number) => {
            o.nested("valueQuantity", |q| quantity(q, measure, number, Some(comparator.as_str())));
        }
        Value::Range(low, high) => {
            o.nested("valueRange", |r| {
                r.nested("low", |q| quantity(q, measure, low, None));
                r.nested("high", |q| quantity(q, measure, high, None));
            });
        }
        Value::Code(concept) => {
            o.nested("valueCodeableConcept", |c| coded(c, concept));
        }
        Value::Text(text) => {
            o.nested("valueCodeableConcept", |c| {
                c.text("text", text);
            });
        }
        Value::Samples(samples) => {
            o.nested("valueSampledData", |s| {
                s.nested("origin", |q| quantity(q, measure, &Decimal::ZERO, None));
                s.number("period", samples.period_ms).number("dimensions", 1).text("data", &samples.data);
            });
        }
        Value::Absent(reason) => {
            o.nested("dataAbsentReason", |c| {
                c.only("coding", |x| {
                    x.plain("system", ABSENT).plain("code", reason.as_str());
                });
            });
        }
        Value::Panel => {}
    }
}

fn quantity(q: &mut Json<'_>, measure: &Measure, number: &Decimal, comparator: Option<&str>) {
    q.number("value", number);
    if let Some(comparator) = comparator {
        q.plain("comparator", comparator);
    }
    if let Some(unit) = measure.unit {
        q.plain("unit", unit.text).plain("system", codes::UCUM).plain("code", unit.ucum);
    }
}

pub(super) fn coded(c: &mut Json<'_>, concept: &Concept) {
    c.only("coding", |x| {
        x.plain("system", codes::LOCAL_VALUES).plain("code", concept.code);
    });
    c.plain("text", concept.text);
}

fn method(reading: &Reading<'_>) -> Option<&'static str> {
    reading.note.or(match reading.method {
        Method::Manual => Some("entered by hand"),
        Method::Derived => Some("derived by the provider"),
        Method::Device | Method::Unknown => None,
    })
}

/// A FHIR dateTime: with the person's offset where it is known, else in UTC; fractions only where there are any.
struct DateTime(Stamp);

impl Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = Timestamp::from_microsecond(self.0.micros).map_err(|_| fmt::Error)?;
        match self.0.offset.and_then(|seconds| Offset::from_seconds(quarter(seconds)).ok()) {
            None => write!(f, "{instant}"),
            Some(offset) => {
                write!(f, "{}", offset.to_datetime(instant))?;
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

/// Offsets with odd seconds come from drifting device clocks; no zone of today has any.
fn quarter(seconds: i32) -> i32 {
    if seconds % 60 == 0 { seconds } else { (f64::from(seconds) / 900.0).round() as i32 * 900 }
}

#[cfg(test)]
pub(super) mod tests;
