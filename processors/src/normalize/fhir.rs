//! FHIR R4 Observation, written once. A profile is claimed only where the resource conforms to it.

use headwater_schemas::codes::{self, Coding, Concept, Measure};
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Cgm, Component, Effective, Reading, Stamp, Value};
use headwater_schemas::{Position, extensions};
use jiff::Timestamp;
use jiff::tz::Offset;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::json::{Json, Plain};
use super::{Identity, NOTHING, told};

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
            i.plain("system", ["urn:headwater:record:", raw.provider]).plain("value", identity.id);
        });
        o.plain("status", identity.status.as_str());
        o.only("category", |c| {
            c.only("coding", |x| {
                x.plain("system", CATEGORY).plain("code", measure.category.as_str());
            });
        });
        let conforms = conforms(reading);
        o.nested("code", |c| code(c, measure, |coding| conforms || !RESERVED.contains(&coding.code)));
        o.nested("subject", |s| {
            s.plain("reference", ["Patient/", raw.subject_id]);
        });
        effective(o, reading.effective, whole_day(reading));
        if let Ok(at) = Timestamp::from_microsecond(identity.version) {
            o.plain("issued", at);
        }
        value(o, measure, told(&reading.value));
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

/// Which of its states a resource is, where R4 has no element for it as Observation has.
pub(super) fn version(o: &mut Json<'_>, version: i64) {
    if let Ok(at) = Timestamp::from_microsecond(version) {
        o.only("extension", |e| {
            e.plain("url", extensions::VERSION).plain("valueInstant", at);
        });
    }
}

fn code(c: &mut Json<'_>, measure: &Measure, may: impl Fn(&Coding) -> bool) {
    if measure.coding.iter().any(&may) {
        c.list("coding", |list| {
            for coding in measure.coding.iter().filter(|coding| may(coding)) {
                list.item(|x| {
                    x.plain("system", coding.system).plain("code", coding.code);
                });
            }
        });
    }
    c.text("text", measure.text);
}

fn components(o: &mut Json<'_>, reading: &Reading<'_>) {
    // The blood pressure profile wants both halves, also where one was not measured or the panel was withdrawn.
    let missing = [&codes::SYSTOLIC, &codes::DIASTOLIC]
        .into_iter()
        .filter(|half| reading.measure == &codes::BLOOD_PRESSURE && !reading.components.iter().any(|c| c.measure == *half))
        .map(|measure| (measure, &NOTHING));
    let mut components = reading.components.iter().map(|c| (c.measure, told(&c.value))).chain(missing).peekable();
    if components.peek().is_none() {
        return;
    }
    o.list("component", |list| {
        for (measure, part) in components {
            list.item(|c| {
                // FHIR (obs-7): what has the code of the whole would be its value once more.
                c.nested("code", |x| code(x, measure, |coding| !reading.measure.coding.contains(coding)));
                value(c, measure, part);
            });
        }
    });
}

/// The vital-signs profile the resource conforms to and has a value for.
fn profile(reading: &Reading<'_>, status: Status) -> Option<&'static str> {
    let fits = matches!(reading.value, Value::Quantity(_) | Value::Limit(..) | Value::Panel) && conforms(reading);
    let name = reading.measure.profile.filter(|_| fits && status != Status::EnteredInError)?;
    PROFILES.iter().copied().find(|url| url.strip_prefix(PROFILE) == Some(name))
}

/// Whether the resource is what R4 demands of its term. R4 holds everything with a vital sign's term to the profile, claimed or not: a single
/// quantity, or a stated reason for none, and beside it quantities in units of vital signs. What is otherwise goes without the term.
fn conforms(reading: &Reading<'_>) -> bool {
    let of_vitals = |c: &Component<'_>| match told(&c.value) {
        Value::Quantity(_) | Value::Limit(..) => c.measure.unit.is_some_and(|u| VITAL_UNITS.contains(&u.ucum)),
        Value::Absent(_) => true,
        _ => false,
    };
    let fits = match (reading.measure.profile, told(&reading.value)) {
        (Some("bp"), value) => matches!(value, Value::Panel | Value::Absent(_)),
        // Alone among them it has no room for a reason.
        (Some("bmi"), value) => matches!(value, Value::Quantity(_) | Value::Limit(..)),
        (Some(_), Value::Panel) => !reading.components.is_empty(),
        (Some(_), value) => matches!(value, Value::Quantity(_) | Value::Limit(..) | Value::Absent(_)),
        (None, _) => return ![&codes::SYSTOLIC, &codes::DIASTOLIC].contains(&reading.measure),
    };
    fits && reading.components.iter().all(of_vitals)
}

/// The terms that R4 ties to a profile. The halves of a blood pressure are tied to that of the whole.
const RESERVED: &[&str] = &[
    "8867-4", "40443-4", "9279-1", "2708-6", "59408-5", "8310-5", "8302-2", "29463-7", "39156-5", "85354-9", "8480-6", "8462-4",
];

/// Of R4's value set `ucum-vitals-common`, those that measures have.
const VITAL_UNITS: &[&str] = &["%", "cm", "kg", "g", "Cel", "mm[Hg]", "/min", "kg/m2"];

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

impl Plain for DateTime {
    fn put(self, out: &mut String) {
        let Ok(instant) = Timestamp::from_microsecond(self.0.micros) else { return };
        let Some(offset) = self.0.offset.and_then(livable) else { return instant.put(out) };
        offset.to_datetime(instant).put(out);
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        format_args!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60).put(out);
    }
}

/// The offset as FHIR can write it: up to 14 hours, which is as far as any zone lies. A clock beyond that is read in UTC.
fn livable(seconds: i32) -> Option<Offset> {
    const FAR: i32 = 14 * 3600;
    let seconds = (-FAR..=FAR).contains(&seconds).then(|| quarter(seconds))?;
    Offset::from_seconds(seconds).ok()
}

/// Offsets with odd seconds come from drifting device clocks; no zone of today has any.
fn quarter(seconds: i32) -> i32 {
    if seconds % 60 == 0 { seconds } else { (f64::from(seconds) / 900.0).round() as i32 * 900 }
}

#[cfg(test)]
pub(super) mod tests;
