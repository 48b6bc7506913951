//! Glucose, doses, carbohydrates and activity, each with the device that recorded it and the clock it went by.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::reading::{Absent, Comparator, Component, Device, Dose, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use crate::fields::{Fields, label, missing};
use crate::phone::{Became, Head, identity};
use crate::time;

/// Known, and without a place of their own.
const LEFT: &[&str] = &[
    "deviceTime",
    "uploadId",
    "deviceTags",
    "clockDriftOffset",
    "conversionOffset",
    "payload",
    "guid",
    "createdTime",
    "annotations",
    "scheduleName",
    "suppressed",
    "expectedNormal",
    "expectedExtended",
    "expectedDuration",
    "percent",
    "notes",
    "name",
];

pub(super) fn became(kind: &str) -> Became {
    match kind {
        "cbg" => vec![&GLUCOSE_INTERSTITIAL_MASS, &GLUCOSE_INTERSTITIAL_MOLAR].into(),
        "smbg" => vec![&GLUCOSE_CAPILLARY_MASS, &GLUCOSE_BLOOD_MOLAR].into(),
        "food" => vec![&CARBOHYDRATES].into(),
        "physicalActivity" => vec![&EXERCISE].into(),
        "bolus" => Became { measures: vec![], doses: &[INSULIN_BOLUS] },
        "basal" => Became { measures: vec![], doses: &[INSULIN_BASAL] },
        _ => Became::default(),
    }
}

pub(super) fn record<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let kind: Cow<'a, str> = row.need("type")?;
    let at = when(&mut row)?;
    let head = head(&mut row, at, out)?;
    match &*kind {
        "cbg" => glucose(&mut row, &head, at, [&GLUCOSE_INTERSTITIAL_MASS, &GLUCOSE_INTERSTITIAL_MOLAR], out)?,
        "smbg" => glucose(&mut row, &head, at, [&GLUCOSE_CAPILLARY_MASS, &GLUCOSE_BLOOD_MOLAR], out)?,
        "bolus" => bolus(&mut row, &head, at, out)?,
        "basal" => basal(&mut row, &head, at, out)?,
        "food" => food(&mut row, &head, at, out)?,
        "physicalActivity" => activity(&mut row, &head, at, out)?,
        other => {
            out.unknown(format!("type {}", label(other)));
            return Ok(());
        }
    }
    row.tell(label(&kind), LEFT, out);
    Ok(())
}

/// The instant is `time`; the person's offset is `timezoneOffset` in minutes, else that of `timezone` at the instant.
fn when(row: &mut Fields<'_>) -> Result<Stamp, Reject> {
    let stamp = time::rfc3339(&row.need::<Cow<'_, str>>("time")?).map_err(|r| r.at("time"))?;
    let minutes = row.decimal("timezoneOffset")?.map(|m| m.to_i32().and_then(|m| m.checked_mul(60)));
    let zone = row.text("timezone")?;
    match (minutes, zone) {
        (Some(Some(seconds)), _) => time::with_offset(stamp.micros, Some(seconds)).map_err(|r| r.at("timezoneOffset")),
        (Some(None), _) => Err(Reject::new(code::BAD_TIME, "expected minutes east of UTC").at("timezoneOffset")),
        (None, Some(name)) => {
            let zone = time::zone(&name).map_err(|r| r.at("timezone"))?;
            time::in_zone(stamp.micros, &zone, OffsetOrigin::Zone)
        }
        (None, None) => Ok(stamp),
    }
}

fn head<'a>(row: &mut Fields<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<Head<'a>, Reject> {
    let serial = row.text("deviceSerialNumber")?;
    let id = row.text("deviceId")?;
    let maker = row
        .read::<Vec<Cow<'a, str>>>("deviceManufacturers")?
        .and_then(|mut list| (!list.is_empty()).then(|| list.swap_remove(0)));
    let (model, firmware) = (row.text("deviceModel")?, row.text("deviceVersion")?);
    let known = id.or(serial).or_else(|| model.clone());
    if let Some(id) = &known {
        out.device(Device { provider_id: id.clone(), manufacturer: maker, model, firmware, ..Device::default() });
    }
    let mut origin = row.inner("origin")?;
    let manual = origin.text("type")?.as_deref() == Some("manual");
    let of_origin = origin.text("id")?;
    let source = known.as_deref().unwrap_or_default();
    let id = identity(row.text("id")?.or(of_origin), source, at, None);
    let method = match (manual, known.is_some()) {
        (true, _) => Method::Manual,
        (false, true) => Method::Device,
        (false, false) => Method::Unknown,
    };
    Ok(Head { id, device: known, method, modified: None })
}

/// The unit decides the code. A value beyond the meter's range says so in `annotations`.
fn glucose<'a>(
    row: &mut Fields<'a>,
    head: &Head<'a>,
    at: Stamp,
    [mass, molar]: [&'static Measure; 2],
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let measure = match row.text("units")?.as_deref() {
        Some("mg/dL" | "mg/dl") => mass,
        Some("mmol/L" | "mmol/l") => molar,
        _ => return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected mg/dL or mmol/L").at("units")),
    };
    let limit = limit(row)?;
    let value = match (row.decimal("value")?, limit) {
        (None, _) => Value::Absent(Absent::Unknown),
        (Some(value), Some(comparator)) => Value::Limit(comparator, value),
        (Some(value), None) => Value::Quantity(value),
    };
    let mut components = Vec::new();
    if let Some(trend) = row.text("trend")? {
        components.push(Component { measure: &GLUCOSE_TREND, value: Value::Text(trend) });
    }
    let rate = if measure == mass { &GLUCOSE_RATE_MASS } else { &GLUCOSE_RATE_MOLAR };
    components.extend(row.decimal("trendRate")?.map(|v| Component { measure: rate, value: Value::Quantity(v) }));
    let manual = row.text("subType")?.as_deref() == Some("manual");
    let method = if manual { Method::Manual } else { head.method };
    out.push(Reading { components, method, ..head.reading(measure, Effective::At(at), value) });
    Ok(())
}

fn limit(row: &mut Fields<'_>) -> Result<Option<Comparator>, Reject> {
    let Some(list) = row.read::<Vec<Fields<'_>>>("annotations")? else { return Ok(None) };
    for mut annotation in list {
        if annotation.text("code")?.as_deref() == Some("bg/out-of-range") {
            return Ok(match annotation.text("value")?.as_deref() {
                Some("low") => Some(Comparator::Less),
                Some("high") => Some(Comparator::Greater),
                _ => None,
            });
        }
    }
    Ok(None)
}

fn dose<'a>(data_type: &'static str, head: &Head<'a>, effective: Effective) -> Dose<'a> {
    Dose {
        data_type,
        record_id: head.id.clone(),
        status: Status::Final,
        effective,
        dose: None,
        rate: None,
        product: None,
        device: head.device.clone(),
        method: head.method,
        note: None,
        modified: None,
    }
}

/// Milliseconds from a moment on.
fn span(row: &mut Fields<'_>, at: Stamp) -> Result<Option<Stamp>, Reject> {
    let Some(millis) = row.decimal("duration")? else { return Ok(None) };
    let micros = millis.to_i64().filter(|m| (0..=7 * 86_400_000).contains(m)).map(|m| m * 1000);
    let micros =
        micros.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected milliseconds within a week").at("duration"))?;
    Ok(Some(Stamp { micros: at.micros + micros, ..at }))
}

fn product<'a>(row: &mut Fields<'a>) -> Result<Option<Cow<'a, str>>, Reject> {
    let mut formulation = row.inner("insulinFormulation")?;
    let simple = formulation.inner("simple")?.text("brand")?;
    Ok(formulation.text("name")?.or(simple))
}

fn bolus<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let (normal, extended) = (row.decimal("normal")?, row.decimal("extended")?);
    let given = match (normal, extended) {
        (Some(a), Some(b)) => a.checked_add(b),
        (one, other) => one.or(other),
    };
    let given = given.filter(|units| !units.is_sign_negative());
    let given = given.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected units of insulin").at("normal"))?;
    let note = match row.text("subType")?.as_deref() {
        Some("square") => Some("spread over the whole time"),
        Some("dual/square" | "dual") => Some("part at once, part spread over the time"),
        Some("normal" | "automated") | None => None,
        Some(other) => {
            out.unknown(format!("bolus subType {}", label(other)));
            None
        }
    };
    let effective = crate::phone::effective(at, span(row, at)?)?;
    let product = product(row)?;
    out.doses.push(Dose { dose: Some(given), note, product, ..dose(INSULIN_BOLUS, head, effective) });
    Ok(())
}

fn basal<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let end = span(row, at)?.ok_or_else(|| missing("duration"))?;
    let rate = row.decimal("rate")?.filter(|rate| !rate.is_sign_negative());
    let (rate, note) = match row.text("deliveryType")?.as_deref() {
        // A pump that is stopped gives nothing: that is a fact, not a gap.
        Some("suspend") => (Some(Decimal::ZERO), Some("delivery was suspended")),
        Some("temp") => (rate, Some("a temporary rate")),
        Some("automated") => (rate, Some("set by the device's own loop")),
        Some("scheduled") => (rate, None),
        other => {
            out.unknown(format!("deliveryType {}", label(other.unwrap_or("absent"))));
            (rate, None)
        }
    };
    let rate = rate.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected units of insulin an hour").at("rate"))?;
    let product = product(row)?;
    out.doses.push(Dose { rate: Some(rate), note, product, ..dose(INSULIN_BASAL, head, Effective::During(at, end)) });
    Ok(())
}

fn food<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let mut carbohydrate = row.inner("nutrition")?.inner("carbohydrate")?;
    if carbohydrate.text("units")?.as_deref() != Some("grams") {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected grams").at("nutrition.carbohydrate.units"));
    }
    let grams = carbohydrate.decimal("net")?;
    let grams = grams.ok_or_else(|| missing("net").under("nutrition.carbohydrate"))?;
    out.push(head.reading(&CARBOHYDRATES, Effective::At(at), Value::Quantity(grams)));
    Ok(())
}

fn activity<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let mut length = row.inner("duration")?;
    let unit = length.text("units")?.unwrap_or_default();
    let value = length.decimal("value")?.ok_or_else(|| missing("duration"))?;
    let minutes = match &*unit {
        "hours" => value.checked_mul(60.into()),
        "minutes" => Some(value),
        "seconds" => value.checked_div(60.into()),
        _ => return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected hours, minutes or seconds").at("duration.units")),
    };
    let minutes = minutes.map(|m| m.round_dp(4).normalize()).filter(|m| !m.is_sign_negative() && *m <= Decimal::from(7 * 1440));
    let minutes = minutes.ok_or_else(|| Reject::new(code::IMPLAUSIBLE, "expected a time within a week").at("duration.value"))?;
    let micros = (minutes * Decimal::from(60_000_000)).to_i64().unwrap_or(0);
    let mut components = vec![Component { measure: &EXERCISE_DURATION, value: Value::Quantity(minutes) }];
    let mut energy = row.inner("energy")?;
    let kilocalories = energy.text("units")?.is_some_and(|unit| unit == "kilocalories");
    components.extend(
        energy.decimal("value")?.filter(|_| kilocalories).map(|v| Component { measure: &ENERGY, value: Value::Quantity(v) }),
    );
    let kind = row.text("name")?.unwrap_or(Cow::Borrowed("physical activity"));
    let during = Effective::During(at, Stamp { micros: at.micros + micros, ..at });
    out.push(Reading { components, ..head.reading(&EXERCISE, during, Value::Text(kind)) });
    Ok(())
}
