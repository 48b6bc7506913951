//! `getmeas`: groups of measurements taken together.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::devices::named;
use crate::{json, time};

const ESTIMATE: &str = "estimated by the device";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    measuregrps: Vec<&'a RawValue>,
    #[serde(borrow)]
    timezone: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Group<'a> {
    grpid: i64,
    attrib: i64,
    date: i64,
    modified: Option<i64>,
    category: Option<i64>,
    #[serde(borrow)]
    deviceid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hash_deviceid: Option<Cow<'a, str>>,
    measures: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    value: i64,
    #[serde(rename = "type")]
    kind: i64,
    unit: i32,
    position: Option<i64>,
}

impl Entry {
    /// `value × 10^unit`, with exactly the digits that this says: never through a float.
    fn decimal(&self) -> Result<Decimal, Reject> {
        let far = || Reject::new(code::BAD_NUMBER, "expected value and unit of at most 28 digits");
        match u32::try_from(-i64::from(self.unit)) {
            Ok(scale) => Decimal::try_from_i128_with_scale(self.value.into(), scale).map_err(|_| far()),
            Err(_) => 10i64
                .checked_pow(self.unit.unsigned_abs())
                .and_then(|p| self.value.checked_mul(p))
                .map(Decimal::from)
                .ok_or_else(far),
        }
    }
}

pub(super) fn normalize<'a>(body: &'a [u8], profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Body<'a> = json::parse(body).map_err(|r| r.under("body"))?;
    let own = parsed.timezone.as_deref().map(time::zone).transpose().map_err(|r| r.at("body.timezone"))?;
    let zone = own.as_ref().or(profile);
    json::each::<Group<'a>>(&parsed.measuregrps, "body.measuregrps", out, |group, out| take(&group, zone, out));
    Ok(())
}

/// How a group came about. Attribution 1 may be somebody else who stood on the scale.
fn attribution(attrib: i64) -> (Status, Method, bool) {
    match attrib {
        0 | 5 | 7 | 8 | 15 => (Status::Final, Method::Device, true),
        1 => (Status::Preliminary, Method::Device, true),
        2 | 4 => (Status::Final, Method::Manual, true),
        _ => (Status::Final, Method::Unknown, false),
    }
}

fn take<'a>(group: &Group<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    if group.category.is_some_and(|category| category != 1) {
        // A goal is a wish, not a measurement.
        out.unknown("goal");
        return Ok(());
    }
    let (status, method, known) = attribution(group.attrib);
    if !known {
        out.unknown(format!("attrib {}", group.attrib));
    }
    let effective = Effective::At(time::epoch_in_zone(group.date, zone)?);
    let device = named(group.deviceid.clone(), group.hash_deviceid.clone());
    let modified = group.modified.and_then(|s| s.checked_mul(1_000_000));
    let mut put = |measure: &'static Measure,
                   part: &str,
                   value: Value<'a>,
                   fill: &mut dyn FnMut(&mut Reading<'a>),
                   out: &mut Normalized<'a>| {
        let mut reading = Reading::new(measure, format!("{}:{part}", group.grpid), effective, value);
        (reading.status, reading.method, reading.modified) = (status, method, modified);
        reading.device.clone_from(&device);
        fill(&mut reading);
        // One group can stand in a page twice, once as the device sent it and once confirmed: it is one measurement, and the later says more.
        if let Some(twin) = out.readings.iter_mut().find(|r| r.measure == measure && r.record_id == reading.record_id) {
            *twin = reading;
        } else {
            out.push(reading);
        }
    };
    blood_pressure(group, &mut put, out)?;
    for (index, entry) in group.measures.iter().enumerate().filter(|(_, e)| !matches!(e.kind, 9 | 10)) {
        let number = entry.decimal().map_err(|r| r.at(format!("measures[{index}]")))?;
        let (kind, part) = (entry.kind, entry.kind.to_string());
        if let Some(whole) = segmental(kind) {
            let place = segment(entry.position);
            let part = format!("{kind}:{}", entry.position.unwrap_or(-1));
            let mut fill =
                |r: &mut Reading<'a>| r.components.push(Component { measure: &BODY_SEGMENT, value: Value::Code(place) });
            put(whole, &part, Value::Quantity(number), &mut fill, out);
        } else if let Some((measure, value)) = coded(kind, entry.value) {
            put(measure, &part, value, &mut |_| {}, out);
        } else if let Some((measure, note)) = plain(kind) {
            if kind == 6 && method == Method::Manual && number.is_zero() {
                out.unknown("fat ratio placeholder");
                continue;
            }
            let number = if kind == 4 { number * Decimal::ONE_HUNDRED } else { number };
            put(measure, &part, Value::Quantity(number), &mut |r| r.note = note, out);
        } else {
            out.unknown(format!("meastype {kind}"));
        }
    }
    Ok(())
}

type Put<'p, 'a> = dyn FnMut(&'static Measure, &str, Value<'a>, &mut dyn FnMut(&mut Reading<'a>), &mut Normalized<'a>) + 'p;

/// Types 10 and 9 of one group are one blood pressure; a half that is missing is said to be.
fn blood_pressure<'a>(group: &Group<'a>, put: &mut Put<'_, 'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let half = |kind: i64| -> Result<Option<Value<'a>>, Reject> {
        let entry = group.measures.iter().enumerate().find(|(_, e)| e.kind == kind);
        entry.map(|(index, e)| e.decimal().map(Value::Quantity).map_err(|r| r.at(format!("measures[{index}]")))).transpose()
    };
    let (systolic, diastolic) = (half(10)?, half(9)?);
    if systolic.is_none() && diastolic.is_none() {
        return Ok(());
    }
    let mut components = vec![
        Component { measure: &SYSTOLIC, value: systolic.unwrap_or(Value::Absent(Absent::Unknown)) },
        Component { measure: &DIASTOLIC, value: diastolic.unwrap_or(Value::Absent(Absent::Unknown)) },
    ];
    put(&BLOOD_PRESSURE, "bp", Value::Panel, &mut |r| r.components.append(&mut components), out);
    Ok(())
}

/// Types that are one number. 12 is the thermometer's reading of the body's temperature, 71 the same type under its newer number.
fn plain(kind: i64) -> Option<(&'static Measure, Option<&'static str>)> {
    Some(match kind {
        1 => (&WEIGHT, None),
        4 => (&HEIGHT, None),
        5 => (&LEAN_MASS, None),
        6 => (&BODY_FAT, None),
        8 => (&FAT_MASS, None),
        11 => (&HEART_RATE, None),
        12 | 71 => (&BODY_TEMPERATURE, None),
        54 => (&SPO2, None),
        73 => (&SKIN_TEMPERATURE, None),
        76 => (&MUSCLE_MASS, None),
        77 => (&BODY_WATER, None),
        88 => (&BONE_MASS, None),
        91 => (&PULSE_WAVE_VELOCITY, None),
        123 => (&VO2_MAX, Some(ESTIMATE)),
        135 => (&QRS_INTERVAL, None),
        136 => (&PR_INTERVAL, None),
        137 => (&QT_INTERVAL, None),
        138 => (&QTC_INTERVAL, None),
        155 => (&VASCULAR_AGE, Some(ESTIMATE)),
        167 => (&NERVE_HEALTH, None),
        168 => (&EXTRACELLULAR_WATER, None),
        169 => (&INTRACELLULAR_WATER, None),
        170 => (&VISCERAL_FAT, None),
        196 => (&ELECTRODERMAL_ACTIVITY, None),
        226 => (&BASAL_METABOLIC_RATE, Some(ESTIMATE)),
        227 => (&METABOLIC_AGE, Some(ESTIMATE)),
        229 => (&SKIN_CONDUCTANCE, None),
        _ => return None,
    })
}

/// Types of one limb or the trunk: never the body's.
fn segmental(kind: i64) -> Option<&'static Measure> {
    match kind {
        173 => Some(&SEGMENTAL_LEAN_MASS),
        174 => Some(&SEGMENTAL_FAT_MASS),
        175 => Some(&SEGMENTAL_MUSCLE_MASS),
        _ => None,
    }
}

fn segment(position: Option<i64>) -> &'static Concept {
    match position {
        Some(2) => &SEGMENT_RIGHT_ARM,
        Some(3) => &SEGMENT_LEFT_ARM,
        Some(10) => &SEGMENT_LEFT_LEG,
        Some(11) => &SEGMENT_RIGHT_LEG,
        Some(12) => &SEGMENT_TRUNK,
        _ => &SEGMENT_OTHER,
    }
}

/// Types whose number is a code: what the device makes of a rhythm.
fn coded(kind: i64, value: i64) -> Option<(&'static Measure, Value<'static>)> {
    let rhythm = match value {
        0 => &RHYTHM_NORMAL,
        1 => &RHYTHM_AFIB,
        _ => &RHYTHM_INCONCLUSIVE,
    };
    match kind {
        130 => Some((&ECG_CLASSIFICATION, Value::Code(rhythm))),
        139 => Some((&AFIB_PPG, Value::Code(rhythm))),
        _ => None,
    }
}
