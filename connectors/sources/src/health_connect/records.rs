//! Records by type: one value at a moment, a sum over a span, or a series.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::sessions;
use crate::fields::{Fields, Scale, blood_pressure, label, missing};
use crate::json;
use crate::phone::{self, Head, positive};

/// Type without `Record`, path of the number, measure, scale.
static VALUES: &[(&str, &str, &Measure, Scale)] = &[
    ("RestingHeartRate", "beatsPerMinute", &RESTING_HEART_RATE, Scale::As),
    ("HeartRateVariabilityRmssd", "heartRateVariabilityMillis", &HRV_RMSSD, Scale::As),
    ("OxygenSaturation", "percentage", &SPO2, Scale::As),
    ("RespiratoryRate", "rate", &RESPIRATORY_RATE, Scale::As),
    ("BodyTemperature", "temperature.inCelsius", &BODY_TEMPERATURE, Scale::As),
    ("Weight", "weight.inKilograms", &WEIGHT, Scale::As),
    ("Height", "height.inMeters", &HEIGHT, Scale::Hundred),
    ("BodyFat", "percentage", &BODY_FAT, Scale::As),
    ("LeanBodyMass", "mass.inKilograms", &LEAN_MASS, Scale::As),
    ("BoneMass", "mass.inKilograms", &BONE_MASS, Scale::As),
    ("BodyWaterMass", "mass.inKilograms", &BODY_WATER, Scale::As),
    ("BasalMetabolicRate", "basalMetabolicRate.inKilocaloriesPerDay", &BASAL_METABOLIC_RATE, Scale::As),
    ("Vo2Max", "vo2MillilitersPerMinuteKilogram", &VO2_MAX, Scale::As),
    ("Steps", "count", &STEPS_INTERVAL, Scale::As),
    ("Distance", "distance.inMeters", &DISTANCE, Scale::As),
    ("TotalCaloriesBurned", "energy.inKilocalories", &ENERGY, Scale::As),
    ("ActiveCaloriesBurned", "energy.inKilocalories", &ENERGY_ACTIVE, Scale::As),
    ("FloorsClimbed", "floors", &FLOORS, Scale::As),
    ("ElevationGained", "elevation.inMeters", &ELEVATION_GAIN, Scale::As),
    ("Hydration", "volume.inLiters", &HYDRATION, Scale::As),
];

/// Type without `Record`, list, time and number within it, measure.
static SERIES: &[(&str, &str, &str, &str, &Measure)] = &[
    ("HeartRate", "samples", "time", "beatsPerMinute", &HEART_RATE),
    ("Speed", "samples", "time", "speed.inMetersPerSecond", &SPEED),
    ("Power", "samples", "time", "power.inWatts", &POWER),
];

/// What a type may have become.
pub(super) fn measures(kind: &str) -> Vec<&'static Measure> {
    let name = kind.strip_suffix("Record").unwrap_or(kind);
    let mut found: Vec<&'static Measure> = VALUES.iter().filter(|row| row.0 == name).map(|row| row.2).collect();
    match name {
        "BloodPressure" => found.push(&BLOOD_PRESSURE),
        "BloodGlucose" => found.extend([&GLUCOSE_BLOOD_MOLAR, &GLUCOSE_INTERSTITIAL_MOLAR]),
        "SleepSession" => found.push(&SLEEP),
        "ExerciseSession" => found.push(&EXERCISE),
        _ => {}
    }
    found
}

pub(super) fn record<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let kind: Cow<'a, str> = row.need("type")?;
    let name = kind.strip_suffix("Record").unwrap_or(&kind);
    let (head, start, end) = head(&mut row, out)?;
    match name {
        "SleepSession" => sessions::sleep(&mut row, &head, (start, end), out)?,
        "ExerciseSession" => sessions::exercise(&mut row, &head, (start, end), out)?,
        "BloodPressure" => pressure(&mut row, &head, start, out)?,
        "BloodGlucose" => glucose(&mut row, &head, start, out)?,
        "SkinTemperature" => deviations(&mut row, &head, start, out)?,
        _ if SERIES.iter().any(|s| s.0 == name) => series(name, &mut row, &head, start, out)?,
        _ => {
            let Some((_, path, measure, scale)) = VALUES.iter().find(|v| v.0 == name) else {
                out.unknown(format!("type {}", label(&kind)));
                return Ok(());
            };
            let value = row.scaled(path, *scale)?.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected a number").at(*path))?;
            value_of(measure, value, &head, phone::effective(start, end)?, out);
        }
    }
    row.tell(name, &["measurementLocation", "measurementMethod", "bodyPosition", "relationToMeal", "mealType"], out);
    Ok(())
}

fn value_of<'a>(measure: &'static Measure, value: Decimal, head: &Head<'a>, at: Effective, out: &mut Normalized<'a>) {
    let body = measure.category == Category::VitalSigns || measure == &VO2_MAX;
    if body && positive(Some(value)).is_none() {
        out.unknown(format!("{} of nought", measure.slug));
        return;
    }
    let note = (measure == &VO2_MAX).then_some("estimated by the provider");
    out.push(Reading { note, ..head.reading(measure, at, Value::Quantity(value)) });
}

fn head<'a>(row: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<(Head<'a>, Stamp, Option<Stamp>), Reject> {
    let start = match phone::stamp(row, "startTime", "startZoneOffset")? {
        Some(start) => Some(start),
        None => phone::stamp(row, "time", "zoneOffset")?,
    };
    let start = start.ok_or_else(|| missing("startTime"))?;
    let end = phone::stamp(row, "endTime", "endZoneOffset")?;
    let mut metadata = row.inner("metadata")?;
    let origin = match metadata.take("dataOrigin") {
        Some(raw) if raw.get().starts_with('{') => json::parse::<Fields<'a>>(raw.get().as_bytes())?.text("packageName")?,
        Some(raw) => Some(json::parse(raw.get().as_bytes())?),
        None => None,
    };
    let mut gear = metadata.inner("device")?;
    let (kind, maker, model) = (gear.text("type")?, gear.text("manufacturer")?, gear.text("model")?);
    let kind = kind.map(|kind| match &*kind {
        "1" | "WATCH" => "Watch".into(),
        "2" | "PHONE" => "Phone".into(),
        "3" | "SCALE" => "Scale".into(),
        "4" | "RING" => "Ring".into(),
        "6" | "FITNESS_BAND" => "Fitness band".into(),
        "7" | "CHEST_STRAP" => "Chest strap".into(),
        _ => kind,
    });
    let device = phone::device(kind, maker, model, None, out);
    let method = match metadata.text("recordingMethod")?.as_deref() {
        Some("RECORDING_METHOD_MANUAL_ENTRY" | "MANUAL_ENTRY") => Method::Manual,
        Some(
            "RECORDING_METHOD_ACTIVELY_RECORDED"
            | "RECORDING_METHOD_AUTOMATICALLY_RECORDED"
            | "ACTIVELY_RECORDED"
            | "AUTOMATICALLY_RECORDED",
        ) => Method::Device,
        Some("RECORDING_METHOD_UNKNOWN" | "UNKNOWN") | None => Method::Unknown,
        Some(other) => {
            out.unknown(format!("recordingMethod {}", label(other)));
            Method::Unknown
        }
    };
    let modified = metadata.text("lastModifiedTime")?.map(|text| crate::time::rfc3339(&text)).transpose();
    let modified = modified.map_err(|r| r.at("metadata.lastModifiedTime"))?.map(|stamp| stamp.micros);
    let id = phone::identity(metadata.text("id")?, origin.as_deref().unwrap_or_default(), start, end);
    metadata.tell("metadata", &["clientRecordId", "clientRecordVersion"], out);
    Ok((Head { id, device, method, modified }, start, end))
}

/// Samples within one record: known by the record and their moment.
fn series<'a>(name: &str, row: &mut Fields<'a>, head: &Head<'a>, start: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let Some((_, list, time, number, measure)) = SERIES.iter().find(|s| s.0 == name) else { return Ok(()) };
    let samples: Vec<&'a RawValue> = row.need(list)?;
    for (index, raw) in samples.iter().enumerate() {
        let under = |r: Reject| Reject { line: None, column: None, ..r }.under(&format!("{list}[{index}]"));
        let mut sample: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(under)?;
        let at = phone::stamp(&mut sample, time, "").map_err(under)?.ok_or_else(|| under(missing(time)))?;
        let at = if at.offset.is_none() { Stamp { micros: at.micros, ..start } } else { at };
        if let Some(value) = positive(sample.decimal(number).map_err(under)?) {
            let id = format!("{}:{}", head.id, at.micros.div_euclid(1000));
            let reading = head.reading(measure, Effective::At(at), Value::Quantity(value));
            out.push(Reading { record_id: id.into(), ..reading });
        }
    }
    Ok(())
}

/// Differences to the person's own baseline: never temperatures.
fn deviations<'a>(row: &mut Fields<'a>, head: &Head<'a>, start: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let deltas: Vec<&'a RawValue> = row.need("deltas")?;
    let _ = row.take("baseline");
    for (index, raw) in deltas.iter().enumerate() {
        let under = |r: Reject| Reject { line: None, column: None, ..r }.under(&format!("deltas[{index}]"));
        let mut delta: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(under)?;
        let at = phone::stamp(&mut delta, "time", "").map_err(under)?.ok_or_else(|| under(missing("time")))?;
        let at = if at.offset.is_none() { Stamp { micros: at.micros, ..start } } else { at };
        if let Some(value) = delta.decimal("delta.inCelsius").map_err(under)? {
            let id = format!("{}:{}", head.id, at.micros.div_euclid(1000));
            let reading = head.reading(&TEMPERATURE_DEVIATION, Effective::At(at), Value::Quantity(value));
            out.push(Reading { record_id: id.into(), ..reading });
        }
    }
    Ok(())
}

fn pressure<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let (systolic, diastolic) =
        (row.decimal("systolic.inMillimetersOfMercury")?, row.decimal("diastolic.inMillimetersOfMercury")?);
    let components = blood_pressure(systolic, diastolic)?;
    out.push(Reading { components, ..head.reading(&BLOOD_PRESSURE, Effective::At(at), Value::Panel) });
    Ok(())
}

/// Where the sample was taken decides the code.
fn glucose<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let value = positive(row.decimal("level.inMillimolesPerLiter")?);
    let value = value.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected a number").at("level.inMillimolesPerLiter"))?;
    let measure = match row.text("specimenSource")?.as_deref() {
        Some("SPECIMEN_SOURCE_INTERSTITIAL_FLUID" | "INTERSTITIAL_FLUID" | "1") => &GLUCOSE_INTERSTITIAL_MOLAR,
        Some("SPECIMEN_SOURCE_TEARS" | "TEARS" | "5") => {
            out.unknown("specimenSource TEARS");
            return Ok(());
        }
        _ => &GLUCOSE_BLOOD_MOLAR,
    };
    out.push(head.reading(measure, Effective::At(at), Value::Quantity(value)));
    Ok(())
}
