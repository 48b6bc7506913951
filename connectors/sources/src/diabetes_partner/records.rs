//! Glucose, doses, carbohydrates and activity, each with the device that recorded it and the clock it went by.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin};
use headwater_schemas::reading::{
    Absent, Cgm, Comparator, Component, Delivery, Device, Dose, Effective, Normalized, Parts, Reading, Stamp, Value,
};
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
    let per_minute = match row.text("trendRateUnits")?.as_deref() {
        Some("mg/dL/minute") => Some(&GLUCOSE_RATE_MASS),
        Some("mmol/L/minute") => Some(&GLUCOSE_RATE_MOLAR),
        Some(other) => {
            out.unknown(format!("trendRateUnits {}", label(other)));
            None
        }
        None => Some(if measure == mass { &GLUCOSE_RATE_MASS } else { &GLUCOSE_RATE_MOLAR }),
    };
    let rate = row.decimal("trendRate")?.zip(per_minute);
    components.extend(rate.map(|(rate, measure)| Component { measure, value: Value::Quantity(rate) }));
    let cgm = cgm(row)?;
    let manual = row.text("subType")?.as_deref() == Some("manual");
    let method = if manual { Method::Manual } else { head.method };
    out.push(Reading { components, method, cgm, ..head.reading(measure, Effective::At(at), value) });
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

/// Only what the record says of itself: how often a sensor measures is not guessed from its maker.
fn cgm(row: &mut Fields<'_>) -> Result<Option<Cgm>, Reject> {
    let interval_ms = match row.decimal("sampleInterval")? {
        Some(millis) => Some(
            millis
                .to_u32()
                .filter(|m| (1..=86_400_000).contains(m))
                .ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected milliseconds within a day").at("sampleInterval"))?,
        ),
        None => None,
    };
    let backfilled = row.read::<bool>("backfilled")?;
    Ok((interval_ms.is_some() || backfilled.is_some()).then_some(Cgm { interval_ms, backfilled }))
}

fn dose<'a>(data_type: &'static str, head: &Head<'a>, effective: Effective) -> Dose<'a> {
    Dose { device: head.device.clone(), method: head.method, ..Dose::new(data_type, head.id.clone(), effective) }
}

/// Milliseconds that something took or was to take.
fn millis(row: &mut Fields<'_>, name: &'static str) -> Result<Option<i64>, Reject> {
    let Some(millis) = row.decimal(name)? else { return Ok(None) };
    let millis = millis.to_i64().filter(|m| (0..=7 * 86_400_000).contains(m));
    millis.map(Some).ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected milliseconds within a week").at(name))
}

fn span(row: &mut Fields<'_>, at: Stamp) -> Result<Option<Stamp>, Reject> {
    Ok(millis(row, "duration")?.map(|millis| Stamp { micros: at.micros + millis * 1000, ..at }))
}

fn product<'a>(row: &mut Fields<'a>) -> Result<Option<Cow<'a, str>>, Reject> {
    let mut formulation = row.inner("insulinFormulation")?;
    let simple = formulation.inner("simple")?.text("brand")?;
    Ok(formulation.text("name")?.or(simple))
}

fn units(row: &mut Fields<'_>, name: &'static str) -> Result<Option<Decimal>, Reject> {
    match row.decimal(name)? {
        Some(units) if units.is_sign_negative() => Err(no_units(name)),
        units => Ok(units),
    }
}

fn no_units(name: &'static str) -> Reject {
    Reject::new(code::BAD_NUMBER, "expected units of insulin").at(name)
}

/// All of it, and the parts where there are two.
fn amount(normal: Option<Decimal>, extended: Option<Decimal>) -> Option<(Decimal, Option<Parts>)> {
    match (normal, extended) {
        (Some(normal), Some(extended)) => Some((normal.checked_add(extended)?, Some(Parts { normal, extended }))),
        (one, other) => one.or(other).map(|units| (units, None)),
    }
}

fn bolus<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let (normal, extended) = (units(row, "normal")?, units(row, "extended")?);
    let (given, parts) = amount(normal, extended).ok_or_else(|| no_units("normal"))?;
    // A part that came to its end has no expected beside it: what was given of it is what was programmed.
    let (more_normal, more_extended) = (units(row, "expectedNormal")?, units(row, "expectedExtended")?);
    let expected = if more_normal.is_some() || more_extended.is_some() {
        Some(amount(more_normal.or(normal), more_extended.or(extended)).ok_or_else(|| no_units("expectedNormal"))?)
    } else {
        None
    };
    let (delivery, note) = match row.text("subType")?.as_deref() {
        Some("normal") => (Some(Delivery::BolusNormal), None),
        Some("square") => (Some(Delivery::BolusExtended), Some("spread over the whole time")),
        Some("dual/square" | "dual") => (Some(Delivery::BolusDual), Some("part at once, part spread over the time")),
        Some("automated") => (Some(Delivery::Automated), Some(LOOP)),
        Some(other) => {
            out.unknown(format!("bolus subType {}", label(other)));
            (None, None)
        }
        None => (None, None),
    };
    let effective = crate::phone::effective(at, span(row, at)?)?;
    out.doses.push(Dose {
        dose: Some(given),
        parts,
        delivery,
        expected: expected.map(|(units, _)| units),
        expected_parts: expected.and_then(|(_, parts)| parts),
        expected_duration_ms: millis(row, "expectedDuration")?,
        note,
        product: product(row)?,
        ..dose(INSULIN_BOLUS, head, effective)
    });
    Ok(())
}

const LOOP: &str = "set by the device's own loop";

fn basal<'a>(row: &mut Fields<'a>, head: &Head<'a>, at: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let end = span(row, at)?.ok_or_else(|| missing("duration"))?;
    let rate = row.decimal("rate")?.filter(|rate| !rate.is_sign_negative());
    let (delivery, rate, note) = match row.text("deliveryType")?.as_deref() {
        // A pump that is stopped gives nothing: that is a fact, not a gap.
        Some("suspend") => (Some(Delivery::Suspended), Some(Decimal::ZERO), Some("delivery was suspended")),
        Some("temp") => (Some(Delivery::BasalTemporary), rate, Some("a temporary rate")),
        Some("automated") => (Some(Delivery::Automated), rate, Some(LOOP)),
        Some("scheduled") => (Some(Delivery::BasalScheduled), rate, None),
        other => {
            out.unknown(format!("deliveryType {}", label(other.unwrap_or("absent"))));
            (None, rate, None)
        }
    };
    let rate = rate.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected units of insulin an hour").at("rate"))?;
    out.doses.push(Dose {
        rate: Some(rate),
        delivery,
        expected_duration_ms: millis(row, "expectedDuration")?,
        note,
        product: product(row)?,
        ..dose(INSULIN_BASAL, head, Effective::During(at, end))
    });
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
