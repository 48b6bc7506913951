//! Data points by type, with their values by name.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::fields::{Fields, Part, Scale, blood_pressure, label, missing};
use crate::phone::{self, Head, positive};
use crate::{json, time};

/// Type, name of the value, measure, scale.
static VALUES: &[(&str, &str, &Measure, Scale)] = &[
    ("HEART_RATE", "heartRate", &HEART_RATE, Scale::As),
    ("BLOOD_OXYGEN", "oxygenSaturation", &SPO2, Scale::As),
    ("BODY_TEMPERATURE", "bodyTemperature", &BODY_TEMPERATURE, Scale::As),
    ("SKIN_TEMPERATURE", "skinTemperature", &SKIN_TEMPERATURE, Scale::As),
    ("BODY_COMPOSITION", "weight", &WEIGHT, Scale::As),
    ("BODY_COMPOSITION", "height", &HEIGHT, Scale::As),
    ("BODY_COMPOSITION", "bodyFat", &BODY_FAT, Scale::As),
    ("BODY_COMPOSITION", "bodyFatMass", &FAT_MASS, Scale::As),
    ("BODY_COMPOSITION", "muscleMass", &MUSCLE_MASS, Scale::As),
    ("BODY_COMPOSITION", "totalBodyWater", &BODY_WATER, Scale::As),
    ("BODY_COMPOSITION", "basalMetabolicRate", &BASAL_METABOLIC_RATE, Scale::As),
    ("BLOOD_GLUCOSE", "glucoseLevel", &GLUCOSE_BLOOD_MOLAR, Scale::As),
    ("STEPS", "count", &STEPS_INTERVAL, Scale::As),
    ("FLOORS_CLIMBED", "floor", &FLOORS, Scale::As),
    ("WATER_INTAKE", "amount", &HYDRATION, Scale::Thousandth),
];

const EXERCISES: &[Part] = &[
    ("calories", &ENERGY, Scale::As),
    ("distance", &DISTANCE, Scale::As),
    ("meanHeartRate", &WORKOUT_HEART_RATE_AVERAGE, Scale::As),
    ("maxHeartRate", &WORKOUT_HEART_RATE_MAX, Scale::As),
    ("minHeartRate", &WORKOUT_HEART_RATE_MIN, Scale::As),
];

/// What a type may have become.
pub(super) fn measures(kind: &str) -> Vec<&'static Measure> {
    match kind {
        "BLOOD_PRESSURE" => vec![&BLOOD_PRESSURE, &HEART_RATE],
        "SLEEP" => vec![&SLEEP],
        "EXERCISE" => vec![&EXERCISE],
        _ => VALUES.iter().filter(|row| row.0 == kind).map(|row| row.2).collect(),
    }
}

pub(super) fn record<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let kind: Cow<'a, str> = row.need("type")?;
    let offset = row.text("zoneOffset")?;
    let start = stamp(&mut row, "startTime", offset.as_deref())?.ok_or_else(|| missing("startTime"))?;
    let end = stamp(&mut row, "endTime", offset.as_deref())?;
    let mut gear = row.inner("device")?;
    let (name, maker, model) = (gear.text("type")?, gear.text("manufacturer")?, gear.text("model")?);
    let device = phone::device(name, maker, model, None, out);
    let source = row.text("appId")?.unwrap_or_default();
    let modified = row.text("updateTime")?.map(|text| time::rfc3339(&text)).transpose().map_err(|r| r.at("updateTime"))?;
    let method = match row.read::<bool>("manual")? {
        Some(true) => Method::Manual,
        _ if device.is_some() => Method::Device,
        _ => Method::Unknown,
    };
    let id = phone::identity(row.text("id")?, &source, start, end);
    let head = Head { id, device, method, modified: modified.map(|stamp| stamp.micros) };
    let mut values: Fields<'a> = row.need("values")?;
    row.tell("record", &["clientDataId"], out);
    match &*kind {
        "SLEEP" => sleep(&mut values, &head, start, end, out),
        "EXERCISE" => exercise(&mut values, &head, start, end, out),
        "BLOOD_PRESSURE" => pressure(&mut values, &head, start, out),
        _ => plain(&kind, &mut values, &head, (start, end), out),
    }
    .map_err(|r| r.under("values"))?;
    values.tell(label(&kind), &["comment", "title"], out);
    Ok(())
}

fn stamp(row: &mut Fields<'_>, name: &'static str, offset: Option<&str>) -> Result<Option<Stamp>, Reject> {
    let Some(text) = row.text(name)? else { return Ok(None) };
    let stamp = time::rfc3339(&text).map_err(|r| r.at(name))?;
    Ok(Some(match offset {
        Some(offset) if stamp.offset.is_none() => time::with_offset(stamp.micros, Some(time::offset(offset)?))?,
        _ => stamp,
    }))
}

fn plain<'a>(
    kind: &str,
    values: &mut Fields<'a>,
    head: &Head<'a>,
    (start, end): (Stamp, Option<Stamp>),
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    if !VALUES.iter().any(|row| row.0 == kind) {
        out.unknown(format!("type {}", label(kind)));
        return Ok(());
    }
    let span = phone::effective(start, end)?;
    let mut found = false;
    for (_, name, measure, scale) in VALUES.iter().filter(|row| row.0 == kind) {
        let Some(value) = values.scaled(name, *scale)? else { continue };
        found = true;
        let body = matches!(measure.category, Category::VitalSigns | Category::Laboratory);
        if body && positive(Some(value)).is_none() {
            out.unknown(format!("{kind} of nought"));
            continue;
        }
        let at = if body { Effective::At(start) } else { span };
        out.push(head.reading(measure, at, Value::Quantity(value)));
    }
    if found { Ok(()) } else { Err(Reject::new(code::UNEXPECTED_SHAPE, "expected a value of this type")) }
}

fn pressure<'a>(values: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let components = blood_pressure(values.decimal("systolic")?, values.decimal("diastolic")?)?;
    if let Some(pulse) = positive(values.decimal("pulseRate")?) {
        out.push(head.reading(&HEART_RATE, Effective::At(at), Value::Quantity(pulse)));
    }
    let _ = (values.take("mean"), values.take("medicationTaken"));
    out.push(Reading { components, ..head.reading(&BLOOD_PRESSURE, Effective::At(at), Value::Panel) });
    Ok(())
}

fn minutes(micros: i64) -> Value<'static> {
    Value::Quantity(Scale::Seconds.apply(Decimal::from(micros / 1_000_000)))
}

/// The night is the sum of its stages, where it has any: the session itself is time in bed.
fn sleep<'a>(
    values: &mut Fields<'a>,
    head: &Head<'a>,
    start: Stamp,
    end: Option<Stamp>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let whole = time::between(start, end.ok_or_else(|| missing("endTime"))?)?;
    let stages: Vec<&'a RawValue> = values.read("stages")?.unwrap_or_default();
    let score = values.decimal("sleepScore")?;
    let (mut asleep, mut parts) = (0, [(&SLEEP_DEEP, 0), (&SLEEP_LIGHT, 0), (&SLEEP_REM, 0), (&AWAKE, 0)]);
    for (index, raw) in stages.iter().enumerate() {
        let under = |r: Reject| Reject { line: None, column: None, ..r }.under(&format!("stages[{index}]"));
        let mut part: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(under)?;
        let from = stamp(&mut part, "startTime", None).map_err(under)?.ok_or_else(|| under(missing("startTime")))?;
        let to = stamp(&mut part, "endTime", None).map_err(under)?.ok_or_else(|| under(missing("endTime")))?;
        let zoned = |at: Stamp| if at.offset.is_none() { Stamp { micros: at.micros, ..start } } else { at };
        let segment = time::between(zoned(from), zoned(to)).map_err(under)?;
        let word: Cow<'a, str> = part.need("stage").map_err(under)?;
        let (stage, place) = match &*word {
            "DEEP" => (&STAGE_DEEP, Some(0)),
            "LIGHT" => (&STAGE_LIGHT, Some(1)),
            "REM" => (&STAGE_REM, Some(2)),
            "AWAKE" => (&STAGE_AWAKE, Some(3)),
            other => {
                out.unknown(format!("sleep stage {}", label(other)));
                (&STAGE_UNKNOWN, None)
            }
        };
        let length = to.micros - from.micros;
        if let Some(place) = place {
            parts[place].1 += length;
            asleep += if place < 3 { length } else { 0 };
        }
        let reading = head.reading(&SLEEP_STAGE, segment, Value::Code(stage));
        out.push(Reading { record_id: format!("{}:{index}", head.id).into(), ..reading });
    }
    let bed = whole.end().map_or(0, |end| end.micros - start.micros);
    let mut components = vec![Component { measure: &TIME_IN_BED, value: minutes(bed) }];
    components.extend(parts.iter().filter(|p| p.1 > 0).map(|p| Component { measure: p.0, value: minutes(p.1) }));
    components.extend(score.map(|score| Component { measure: &SLEEP_SCORE, value: Value::Quantity(score) }));
    let value = if asleep > 0 { minutes(asleep) } else { Value::Absent(Absent::Unknown) };
    out.push(Reading { components, ..head.reading(&SLEEP, whole, value) });
    Ok(())
}

fn exercise<'a>(
    values: &mut Fields<'a>,
    head: &Head<'a>,
    start: Stamp,
    end: Option<Stamp>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let whole = time::between(start, end.ok_or_else(|| missing("endTime"))?)?;
    let kind = values.text("exerciseType")?.unwrap_or(Cow::Borrowed("exercise"));
    let millis = values.scaled("duration", Scale::Millis)?;
    let length = millis.map_or_else(|| minutes(whole.end().map_or(0, |end| end.micros - start.micros)), Value::Quantity);
    let mut components = vec![Component { measure: &EXERCISE_DURATION, value: length }];
    components.extend(values.components(EXERCISES)?);
    let _ = (values.take("sessions"), values.take("route"), values.take("log"));
    out.push(Reading { components, ..head.reading(&EXERCISE, whole, Value::Text(kind)) });
    Ok(())
}
