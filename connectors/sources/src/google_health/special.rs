//! Points that a table of numbers does not describe: where another field says what the number is.

use std::borrow::Cow;

use headwater_schemas::codes as c;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Normalized, Value};
use headwater_schemas::reject::{Reject, code};

use super::points::{At, count, heart_rate_zone, levels, measured};
use super::row::Row;
use super::types::{DataType, Rows};
use crate::fields::{Fields, label, missing};

const ESTIMATE: &str = "Estimated by a wearable device, not measured in a laboratory";

/// A row of a type with rules of its own, between its times and the fields nobody takes.
///
/// # Errors
/// `unexpected_shape`, `bad_number`, `implausible`.
pub fn values<'a>(
    data: &mut Fields<'a>,
    kind: &'static DataType,
    row: &Row<'a>,
    at: &At,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    match &kind.rows {
        Rows::ActiveZoneMinutes => {
            let zone = data.word("heartRateZone")?.unwrap_or(Cow::Borrowed("UNSPECIFIED"));
            let minutes = count(data.decimal("activeZoneMinutes")?.unwrap_or_default(), "activeZoneMinutes")?;
            // One interval may have a row for each zone.
            out.push(row.reading(&c::ACTIVE_ZONE_MINUTES, &format!("{}|{}", at.id, label(&zone)), at, minutes));
        }
        Rows::ActiveMinutes => {
            for (measure, minutes) in levels(data, "activeMinutesByActivityLevel", "activeMinutes", out)? {
                out.push(row.reading(measure, &at.id, at, Value::Quantity(minutes)));
            }
        }
        Rows::Sedentary => out.push(row.reading(&c::SEDENTARY, &at.id, at, Value::Quantity(at.minutes()))),
        Rows::ZoneTime => {
            let word = data.word("heartRateZoneType")?.ok_or_else(|| missing("heartRateZoneType"))?;
            match heart_rate_zone(&word) {
                Some(measure) => out.push(row.reading(measure, &at.id, at, Value::Quantity(at.minutes()))),
                None => out.unknown(format!("heartRateZoneType {}", label(&word))),
            }
        }
        Rows::SleepTemperature => sleep_temperature(data, row, at, out)?,
        Rows::CoreTemperature => core_temperature(data, row, at, out)?,
        Rows::Glucose => glucose(data, row, at, out)?,
        Rows::Vo2Max => vo2_max(data, kind, row, at, out)?,
        Rows::Numbers(_) | Rows::Sleep | Rows::Exercise | Rows::None => {
            return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected a roll-up: the type has no points"));
        }
    }
    Ok(())
}

/// The skin of a night, and how far it is from the person's usual one: a difference, in kelvin. Neither is a body temperature.
fn sleep_temperature<'a>(data: &mut Fields<'a>, row: &Row<'a>, at: &At, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let nightly = measured(data, "nightlyTemperatureCelsius", &c::SKIN_TEMPERATURE)?;
    out.push(row.reading(&c::SKIN_TEMPERATURE, &at.id, at, Value::Quantity(nightly)));
    let Some(baseline) = data.decimal("baselineTemperatureCelsius")? else { return Ok(()) };
    let difference = nightly.checked_sub(baseline).ok_or_else(|| {
        Reject::new(code::BAD_NUMBER, "expected a temperature of fewer digits").at("baselineTemperatureCelsius")
    })?;
    let mut reading = row.reading(&c::TEMPERATURE_DEVIATION, &at.id, at, Value::Quantity(difference));
    reading.method = Method::Derived;
    out.push(reading);
    Ok(())
}

/// What is measured at the end of a limb is the skin, whatever the type is called.
fn core_temperature<'a>(data: &mut Fields<'a>, row: &Row<'a>, at: &At, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let degrees = measured(data, "temperatureCelsius", &c::BODY_TEMPERATURE)?;
    let skin = matches!(data.word("measurementLocation")?.as_deref(), Some("WRIST" | "FINGER" | "TOE"));
    let measure = if skin { &c::SKIN_TEMPERATURE } else { &c::BODY_TEMPERATURE };
    out.push(row.reading(measure, &at.id, at, Value::Quantity(degrees)));
    Ok(())
}

/// Glucose in tissue and in blood are different things; what is neither has no measure here.
fn glucose<'a>(data: &mut Fields<'a>, row: &Row<'a>, at: &At, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let value = measured(data, "bloodGlucoseMilligramsPerDeciliter", &c::GLUCOSE_BLOOD_MASS)?;
    let source = data.word("measurementSource")?;
    let measure = match data.word("specimen")?.as_deref() {
        Some("INTERSTITIAL_FLUID") => &c::GLUCOSE_INTERSTITIAL_MASS,
        None if source.as_deref() == Some("CONTINUOUS_GLUCOSE_MONITORING") => &c::GLUCOSE_INTERSTITIAL_MASS,
        None | Some("CAPILLARY_BLOOD" | "WHOLE_BLOOD") => &c::GLUCOSE_BLOOD_MASS,
        Some(other) => {
            out.unknown(format!("blood-glucose specimen {}", label(other)));
            return Ok(());
        }
    };
    out.push(row.reading(measure, &at.id, at, Value::Quantity(value)));
    Ok(())
}

/// Three types tell the same measure, so the id says which, and by what method.
fn vo2_max<'a>(
    data: &mut Fields<'a>,
    kind: &'static DataType,
    row: &Row<'a>,
    at: &At,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let run = kind.name == "run-vo2-max";
    let value = measured(data, if run { "runVo2Max" } else { "vo2Max" }, &c::VO2_MAX)?;
    let method = data.word("measurementMethod")?;
    data.take("estimated");
    let id = match method.as_deref() {
        Some(method) => format!("{}|{}", at.id, label(method)),
        None if run => format!("{}|run", at.id),
        None => at.id.clone(),
    };
    let mut reading = row.reading(&c::VO2_MAX, &id, at, Value::Quantity(value));
    reading.note = (method.as_deref() != Some("METABOLIC_CART")).then_some(ESTIMATE);
    out.push(reading);
    Ok(())
}
