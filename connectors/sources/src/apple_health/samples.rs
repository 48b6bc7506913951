//! Samples: quantities, categories, and the correlation that a blood pressure is.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Dose, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;

use super::types::{self, Kind};
use crate::fields::{Fields, Scale, blood_pressure, key, label};
use crate::phone::{self, Head, positive};
use crate::units::convert;

/// Known, and not of the body.
const LEFT: &[&str] = &["creationDate", "metadata"];

/// Times, source and device: the same for samples and workouts.
pub(super) fn head<'a>(row: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<(Head<'a>, Stamp, Option<Stamp>), Reject> {
    let start = phone::stamp(row, "start", "")?.ok_or_else(|| crate::fields::missing("start"))?;
    let end = phone::stamp(row, "end", "")?;
    let source = row.text("source")?.unwrap_or_default();
    let mut gear = row.inner("device")?;
    let (manufacturer, model) = (gear.text("manufacturer")?, gear.text("model")?);
    let (name, firmware) = (gear.text("name")?, gear.text("software")?);
    gear.tell("device", &["hardware"], out);
    let device = phone::device(name, manufacturer, model, firmware, out);
    let method = match row.read::<bool>("userEntered")? {
        Some(true) => Method::Manual,
        _ if device.is_some() => Method::Device,
        _ => Method::Unknown,
    };
    let id = phone::identity(row.text("id")?, &source, start, end);
    Ok((Head { id, device, method, modified: None }, start, end))
}

pub(super) fn sample<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let kind: Cow<'a, str> = row.need("type")?;
    let (head, start, end) = head(&mut row, out)?;
    let at = phone::effective(start, end)?;
    match &*kind {
        types::SLEEP_ANALYSIS => sleep(&mut row, &head, at, out)?,
        types::MINDFUL => out.push(head.reading(&MINDFULNESS, at, Value::Quantity(minutes(at)))),
        types::PRESSURE => pressure(&mut row, &head, start, out)?,
        types::INSULIN => insulin(&mut row, &head, at, out)?,
        half if types::half(half) => {}
        _ => quantity(&kind, &mut row, &head, at, out)?,
    }
    row.tell("record", if types::half(&kind) { HALF } else { LEFT }, out);
    Ok(())
}

const HALF: &[&str] = &["creationDate", "metadata", "value", "unit"];

fn quantity<'a>(
    kind: &str,
    row: &mut Fields<'a>,
    head: &Head<'a>,
    at: Effective,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let name = kind.strip_prefix(types::QUANTITY).unwrap_or("");
    let Some((_, measure, how)) = types::QUANTITIES.iter().find(|t| t.0 == name) else {
        let _ = (row.take("value"), row.take("unit"));
        out.unknown(format!("type {}", label(kind)));
        return Ok(());
    };
    let number = row.decimal("value")?.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected a number").at("value"))?;
    let unit: Cow<'a, str> = row.need("unit")?;
    let (measure, value): (&'static Measure, Decimal) = match how {
        Kind::Plain => (measure, convert(number, &unit, measure)?),
        Kind::Fraction if unit != "%" => return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected %").at("unit")),
        Kind::Fraction if number <= Decimal::ONE => (measure, Scale::Fraction.of(number)?),
        Kind::Fraction => (measure, number),
        Kind::Glucose if unit.starts_with("mmol") => (&GLUCOSE_BLOOD_MOLAR, number),
        Kind::Glucose => (measure, convert(number, &unit, measure)?),
    };
    if alive(measure) && positive(Some(value)).is_none() {
        out.unknown(format!("type {} of nought", label(kind)));
        return Ok(());
    }
    let note = (measure == &VO2_MAX).then_some("estimated by the provider");
    // A value of a span that is one moment of a body is said of its beginning.
    let at = if point(measure) { Effective::At(at.start()) } else { at };
    out.push(Reading { note, ..head.reading(measure, at, Value::Quantity(value)) });
    Ok(())
}

/// What is never nought in anybody alive.
fn alive(measure: &'static Measure) -> bool {
    measure.category == Category::VitalSigns || measure == &VO2_MAX
}

fn point(measure: &'static Measure) -> bool {
    [&HEART_RATE, &SPO2, &RESPIRATORY_RATE, &WEIGHT, &HEIGHT, &BMI, &BODY_FAT, &LEAN_MASS, &BODY_TEMPERATURE, &WAIST]
        .contains(&measure)
}

fn minutes(at: Effective) -> Decimal {
    let micros = at.end().map_or(0, |end| end.micros - at.start().micros);
    Scale::Seconds.apply(Decimal::from(micros / 1_000_000))
}

/// Each sample by itself: which night it is of, nobody says. In bed lies over the rest and is no stage.
fn sleep<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Effective, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let word: Cow<'a, str> = row.need("value")?;
    let during = Effective::During(at.start(), at.end().unwrap_or(at.start()));
    let stage = match word.strip_prefix("HKCategoryValueSleepAnalysis").unwrap_or(&word) {
        "InBed" => {
            out.push(head.reading(&TIME_IN_BED, during, Value::Quantity(minutes(during))));
            return Ok(());
        }
        "Awake" => &STAGE_AWAKE,
        "AsleepCore" => &STAGE_LIGHT,
        "AsleepDeep" => &STAGE_DEEP,
        "AsleepREM" => &STAGE_REM,
        "Asleep" | "AsleepUnspecified" => &STAGE_ASLEEP,
        other => {
            out.unknown(format!("sleep value {}", label(other)));
            &STAGE_UNKNOWN
        }
    };
    out.push(head.reading(&SLEEP_STAGE, during, Value::Code(stage)));
    Ok(())
}

fn pressure<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let unit = row.text("unit")?.unwrap_or(Cow::Borrowed("mmHg"));
    let mut half = |name, measure| row.decimal(name)?.map(|v| convert(v, &unit, measure)).transpose();
    let (systolic, diastolic) = (half("systolic", &SYSTOLIC)?, half("diastolic", &DIASTOLIC)?);
    let components = blood_pressure(systolic, diastolic)?;
    out.push(Reading { components, ..head.reading(&BLOOD_PRESSURE, Effective::At(at), Value::Panel) });
    Ok(())
}

fn insulin<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Effective, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let dose = row.decimal("value")?;
    if row.text("unit")?.as_deref() != Some("IU") {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected IU").at("unit"));
    }
    let mut metadata = row.inner("metadata")?;
    let data_type = match metadata.text("HKInsulinDeliveryReason")?.as_deref() {
        Some("1" | "basal") => INSULIN_BASAL,
        Some("2" | "bolus") => INSULIN_BOLUS,
        other => {
            out.unknown(format!("HKInsulinDeliveryReason {}", key(other.unwrap_or("absent"))));
            INSULIN_BOLUS
        }
    };
    let (device, method) = (head.device.clone(), head.method);
    out.doses.push(Dose { dose, device, method, ..Dose::new(data_type, head.id.clone(), at) });
    Ok(())
}
