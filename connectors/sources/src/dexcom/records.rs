//! Glucose values, events, calibrations and devices.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Absent, Comparator, Component, Device, Dose, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::when;
use crate::fields::{Fields, label};

/// The sensor's range. What lies beyond is reported as the number next to it.
const LOW: Decimal = Decimal::from_parts(39, 0, 0, false, 0);
const HIGH: Decimal = Decimal::from_parts(401, 0, 0, false, 0);

/// Which of two measures a unit means; a unit decides the code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Mass,
    Molar,
}

fn unit(row: &mut Fields<'_>, name: &str) -> Result<Unit, Reject> {
    match row.text(name)?.as_deref() {
        Some("mg/dL") => Ok(Unit::Mass),
        Some("mmol/L") => Ok(Unit::Molar),
        _ => Err(Reject::new(code::UNEXPECTED_SHAPE, "expected mg/dL or mmol/L").at(name)),
    }
}

/// What every record says about itself.
struct Head<'a> {
    id: Cow<'a, str>,
    at: Stamp,
}

impl<'a> Head<'a> {
    fn read(row: &mut Fields<'a>) -> Result<Self, Reject> {
        let system: Cow<'a, str> = row.need("systemTime")?;
        let display = row.text("displayTime")?;
        let at = when::stamp(&system, display.as_deref())?;
        let id = match row.text("recordId")? {
            Some(id) => id,
            // Older records have none: a transmitter counts its own ticks, whatever its clock says.
            None => match (row.text("transmitterId")?, row.decimal("transmitterTicks")?) {
                (Some(transmitter), Some(ticks)) => format!("{}:{ticks}", short(&transmitter)).into(),
                _ => at.micros.div_euclid(1_000_000).to_string().into(),
            },
        };
        Ok(Self { id, at })
    }
}

/// A transmitter's id stays out of record ids.
fn short(text: &str) -> String {
    crate::source::digest([text.as_bytes()])[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

const COMMON: &[&str] = &["displayApp", "transmitterTicks", "transmitterId"];

pub(super) fn glucose<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let device = worn(&mut row, out)?;
    let head = Head::read(&mut row)?;
    let unit = unit(&mut row, "unit")?;
    let measure = if unit == Unit::Mass { &GLUCOSE_INTERSTITIAL_MASS } else { &GLUCOSE_INTERSTITIAL_MOLAR };
    let number = row.decimal("value")?;
    let status = row.text("status")?;
    let value = match (number, status.as_deref()) {
        (None, _) => Value::Absent(Absent::Unknown),
        // 39 and 401 are no measurements: they say "below 40" and "above 400".
        (Some(number), _) if unit == Unit::Mass && number == LOW => Value::Limit(Comparator::Less, LOW + Decimal::ONE),
        (Some(number), _) if unit == Unit::Mass && number == HIGH => Value::Limit(Comparator::Greater, HIGH - Decimal::ONE),
        (Some(number), Some("low")) => Value::Limit(Comparator::Less, number),
        (Some(number), Some("high")) => Value::Limit(Comparator::Greater, number),
        (Some(number), Some("ok" | "unknown") | None) => Value::Quantity(number),
        (Some(number), Some(other)) => {
            out.unknown(format!("egv status {}", label(other)));
            Value::Quantity(number)
        }
    };
    let mut components = Vec::new();
    if let Some(trend) = row.text("trend")?.filter(|trend| !matches!(&**trend, "none" | "unknown" | "notComputable")) {
        components.push(Component { measure: &GLUCOSE_TREND, value: Value::Text(trend) });
    }
    let rate = row.decimal("trendRate")?;
    let per_minute = match row.text("rateUnit")?.as_deref() {
        Some("mg/dL/min") => Some(&GLUCOSE_RATE_MASS),
        Some("mmol/L/min") => Some(&GLUCOSE_RATE_MOLAR),
        _ => None,
    };
    components.extend(rate.zip(per_minute).map(|(rate, measure)| Component { measure, value: Value::Quantity(rate) }));
    row.tell("egv", COMMON, out);
    out.push(Reading {
        components,
        device,
        method: Method::Device,
        ..Reading::new(measure, head.id, Effective::At(head.at), value)
    });
    Ok(())
}

pub(super) fn calibration<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row)?;
    let measure = meter(unit(&mut row, "unit")?);
    let value = row.decimal("value")?.map_or(Value::Absent(Absent::Unknown), Value::Quantity);
    // Typed in from the meter's display: the transmitter took no part in it.
    row.tell("calibration", &["transmitterId", "transmitterTicks", "transmitterGeneration", "displayDevice", "displayApp"], out);
    out.push(Reading { method: Method::Manual, ..Reading::new(measure, head.id, Effective::At(head.at), value) });
    Ok(())
}

/// A drop from the finger. No term of its own is held for the molar one.
fn meter(unit: Unit) -> &'static Measure {
    if unit == Unit::Mass { &GLUCOSE_CAPILLARY_MASS } else { &GLUCOSE_BLOOD_MOLAR }
}

pub(super) fn event<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row)?;
    let status = match row.text("eventStatus")?.as_deref() {
        Some("deleted") => Status::EnteredInError,
        Some("created" | "updated") | None => Status::Final,
        Some(other) => {
            out.unknown(format!("event status {}", label(other)));
            Status::Final
        }
    };
    let (kind, subtype) = (row.text("eventType")?, row.text("eventSubType")?);
    let number = row.decimal("value").unwrap_or_default();
    let at = Effective::At(head.at);
    let gone = status == Status::EnteredInError;
    let given = |number: Option<Decimal>| match number {
        Some(number) if !gone => Value::Quantity(number),
        _ => Value::Absent(Absent::Unknown),
    };
    let entered = |measure, effective, value| Reading {
        status,
        method: Method::Manual,
        ..Reading::new(measure, head.id.clone(), effective, value)
    };
    match kind.as_deref() {
        Some("carbs") => out.push(entered(&CARBOHYDRATES, at, given(number))),
        Some("bloodGlucose") => out.push(entered(meter(unit(&mut row, "unit")?), at, given(number))),
        Some("exercise") => {
            let minutes = number.and_then(|m| m.to_i64()).filter(|m| (0..=7 * 1440).contains(m));
            let length = minutes.map_or(0, |m| m * 60_000_000);
            let end = Stamp { micros: head.at.micros + length, ..head.at };
            let mut components = Vec::new();
            if let Some(minutes) = minutes.filter(|_| !gone) {
                let value = Value::Quantity(Decimal::from(minutes));
                components.push(Component { measure: &EXERCISE_DURATION, value });
            }
            let value = if gone { Value::Absent(Absent::Unknown) } else { Value::Text(subtype.unwrap_or("exercise".into())) };
            out.push(Reading { components, ..entered(&EXERCISE, Effective::During(head.at, end), value) });
        }
        Some("insulin") => out.doses.push(Dose {
            status,
            dose: number.filter(|_| !gone),
            product: subtype,
            method: Method::Manual,
            ..Dose::new(INSULIN_BOLUS, head.id.clone(), at)
        }),
        // How somebody feels, and what they wrote down: words, kept in raw.
        other => out.unknown(format!("event {}", label(other.unwrap_or("without type")))),
    }
    row.tell(
        "event",
        &["unit", "displayDevice", "transmitterGeneration", "displayApp", "transmitterId", "transmitterTicks"],
        out,
    );
    Ok(())
}

/// The transmitter that a record names.
fn worn<'a>(row: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<Option<Cow<'a, str>>, Reject> {
    let (display, generation) = (row.text("displayDevice")?, row.text("transmitterGeneration")?);
    let id: Cow<'a, str> = match (&generation, &display) {
        (None, None) => return Ok(None),
        (Some(generation), _) => Cow::Owned(format!("Dexcom {generation}")),
        (None, Some(display)) => Cow::Owned(format!("Dexcom {display}")),
    };
    out.device(Device {
        provider_id: id.clone(),
        kind: Some("Continuous glucose monitor".into()),
        manufacturer: Some("Dexcom".into()),
        model: generation,
        ..Device::default()
    });
    Ok(Some(id))
}

pub(super) fn device<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let (generation, display) = (row.text("transmitterGeneration")?, row.text("displayDevice")?);
    let uploaded = row.text("lastUploadDate")?.map(|text| when::stamp(&text, None)).transpose();
    let uploaded = uploaded.map_err(|r| Reject { path: None, ..r }.at("lastUploadDate"))?;
    let id = row.text("transmitterId")?;
    let known = generation.as_deref().or(display.as_deref()).map(|word| format!("Dexcom {word}"));
    let Some(id) = known.or_else(|| id.map(|id| short(&id))) else {
        out.unknown("device without id and model");
        return Ok(());
    };
    out.device(Device {
        provider_id: id.into(),
        kind: Some("Continuous glucose monitor".into()),
        manufacturer: Some("Dexcom".into()),
        model: generation,
        last_sync: uploaded.map(|stamp| stamp.micros),
        ..Device::default()
    });
    row.tell("device", &["alertSchedules", "alertScheduleList", "displayApp"], out);
    Ok(())
}
