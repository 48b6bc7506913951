//! `getmeas`: groups of measurements taken together.

use std::borrow::Cow;
use std::collections::HashSet;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::devices::named;
use super::time_of;
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
    let mut seen = HashSet::new();
    json::each::<Group<'a>>(&parsed.measuregrps, "body.measuregrps", out, |group, out| {
        let at = || time_of(group.date, own.as_ref(), profile);
        take(&group, at, seen.contains(&group.grpid), out)?;
        seen.insert(group.grpid);
        Ok(())
    });
    Ok(())
}

/// How a group came about. Attribution 1 may be somebody else who stood on the scale.
pub(super) fn attribution(attrib: i64) -> (Status, Method, bool) {
    match attrib {
        0 | 5 | 7 | 8 | 15 => (Status::Final, Method::Device, true),
        1 => (Status::Preliminary, Method::Device, true),
        2 | 4 => (Status::Final, Method::Manual, true),
        _ => (Status::Final, Method::Unknown, false),
    }
}

/// `again`: a group of this id stood in the page before.
fn take<'a>(
    group: &Group<'a>,
    at: impl FnOnce() -> Result<Stamp, Reject>,
    again: bool,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    if group.category.is_some_and(|category| category != 1) {
        // A goal is a wish, not a measurement.
        out.unknown("goal");
        return Ok(());
    }
    let (status, method, known) = attribution(group.attrib);
    if !known {
        out.unknown(format!("attrib {}", group.attrib));
    }
    // A group is taken whole or not at all: nothing below fails, so a bad group leaves its twin as it was.
    for (index, entry) in group.measures.iter().enumerate() {
        entry.decimal().map_err(|r| r.at(format!("measures[{index}]")))?;
    }
    let effective = Effective::At(at()?);
    let twins = if again { 0 } else { out.readings.len() };
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
        // One group can stand in a page twice, once as the device sent it and once confirmed: it is one measurement, and the one changed last
        // counts, in whichever order they come.
        match out.readings[twins..].iter_mut().find(|r| r.measure == measure && r.record_id == reading.record_id) {
            Some(twin) if twin.modified <= reading.modified => *twin = reading,
            Some(_) => {}
            None => out.push(reading),
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
        } else if let Some((measure, value)) = coded(kind, entry.value, out) {
            put(measure, &part, value, &mut |_| {}, out);
        } else if let Some((measure, note)) = plain(kind) {
            if kind == 6 && method == Method::Manual && number.is_zero() {
                out.unknown("fat ratio placeholder");
                continue;
            }
            if kind == 11 && number <= Decimal::ZERO {
                out.unknown("pulse of nought");
                continue;
            }
            let number = if kind == 4 {
                number.checked_mul(Decimal::ONE_HUNDRED).ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected metres"))?
            } else {
                number
            };
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
fn coded(kind: i64, value: i64, out: &mut Normalized<'_>) -> Option<(&'static Measure, Value<'static>)> {
    let measure = match kind {
        130 => &ECG_CLASSIFICATION,
        139 => &AFIB_PPG,
        _ => return None,
    };
    Some((measure, Value::Code(rhythm(value, out))))
}

/// 0 no sign of atrial fibrillation, 1 a sign of it, 2 inconclusive. Any other number decides nothing either, and is counted.
pub(super) fn rhythm(value: i64, out: &mut Normalized<'_>) -> &'static Concept {
    match value {
        0 => return &RHYTHM_NORMAL,
        1 => return &RHYTHM_AFIB,
        2 => {}
        other => out.unknown(format!("rhythm {other}")),
    }
    &RHYTHM_INCONCLUSIVE
}
