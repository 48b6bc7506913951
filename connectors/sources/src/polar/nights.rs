//! Nights with their stages, and the pulse of a day by the clock.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin};
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::fields::{Fields, Part, Scale};
use crate::{json, time};

static STAGES: &[Part] = &[
    ("deep_sleep", &SLEEP_DEEP, Scale::Seconds),
    ("light_sleep", &SLEEP_LIGHT, Scale::Seconds),
    ("rem_sleep", &SLEEP_REM, Scale::Seconds),
];
static PARTS: &[Part] = &[
    ("total_interruption_duration", &WAKE_AFTER_ONSET, Scale::Seconds),
    ("sleep_score", &SLEEP_SCORE, Scale::As),
    ("sleep_cycles", &SLEEP_CYCLES, Scale::As),
];

const LEFT: &[&str] = &[
    "polar_user",
    "device_id",
    "continuity",
    "continuity_class",
    "unrecognized_sleep_stage",
    "sleep_charge",
    "sleep_goal",
    "sleep_rating",
    "short_interruption_duration",
    "long_interruption_duration",
    "group_duration_score",
    "group_solidity_score",
    "group_regeneration_score",
];

pub(super) fn sleep<'a>(mut row: Fields<'a>, _: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let date: Cow<'a, str> = row.need("date")?;
    time::date(&date).map_err(|r| r.at("date"))?;
    let start = time::rfc3339(&row.need::<Cow<'a, str>>("sleep_start_time")?).map_err(|r| r.at("sleep_start_time"))?;
    let end = time::rfc3339(&row.need::<Cow<'a, str>>("sleep_end_time")?).map_err(|r| r.at("sleep_end_time"))?;
    let during = time::between(start, end).map_err(|r| r.at("sleep_end_time"))?;
    let mut components = row.components(STAGES)?;
    let number = |c: &Component<'_>| if let Value::Quantity(v) = &c.value { Some(*v) } else { None };
    let asleep = components.iter().filter_map(number).map(Some).reduce(|a, b| a?.checked_add(b?)).flatten();
    components.extend(row.components(PARTS)?);
    if let Some(map) = row.read::<Fields<'a>>("hypnogram")? {
        stages(map, &date, start, end, out).map_err(|r| r.under("hypnogram"))?;
    }
    if let Some(mut map) = row.read::<Fields<'a>>("heart_rate_samples")? {
        for (key, at) in clock(&map, start).map_err(|r| r.under("heart_rate_samples"))? {
            if let Some(bpm) = map.decimal(&key)?.filter(|v| *v > Decimal::ZERO) {
                out.push(beat(at, bpm));
            }
        }
    }
    row.tell("sleep", LEFT, out);
    let value = asleep.map_or(Value::Absent(Absent::Unknown), Value::Quantity);
    out.push(Reading {
        components,
        local_date: Some(date.clone()),
        method: Method::Device,
        ..Reading::new(&SLEEP, date, during, value)
    });
    Ok(())
}

/// Times of a night by the clock, in order: what is earlier than what went before is of the next day.
fn clock(map: &Fields<'_>, start: Stamp) -> Result<Vec<(String, Stamp)>, Reject> {
    const DAY: i64 = 86_400;
    let seconds = |text: &str| -> Result<i64, Reject> {
        let time: Time = text.parse().map_err(|_| Reject::new(code::BAD_TIME, "expected a time of the day as key"))?;
        Ok(i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second()))
    };
    let local = start.micros.div_euclid(1_000_000) + i64::from(start.offset.unwrap_or(0));
    let (midnight, begin) = (local.div_euclid(DAY) * DAY, local.rem_euclid(DAY));
    let mut times = Vec::new();
    for key in map.names() {
        let of_day = seconds(key)?;
        // A minute before the start is the start's own minute.
        let at = midnight + of_day + if of_day + 60 < begin { DAY } else { 0 };
        let micros = (at - i64::from(start.offset.unwrap_or(0))) * 1_000_000;
        times.push((key.to_owned(), Stamp { micros, ..start }));
    }
    times.sort_by_key(|(_, at)| at.micros);
    Ok(times)
}

fn stages<'a>(mut map: Fields<'a>, date: &str, start: Stamp, end: Stamp, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let times = clock(&map, start)?;
    for (index, (key, from)) in times.iter().enumerate() {
        let to = times.get(index + 1).map_or(end, |next| Stamp { micros: next.1.micros, ..start });
        let stage = match map.read::<i64>(key)? {
            Some(0) => &STAGE_AWAKE,
            Some(1) => &STAGE_REM,
            Some(2 | 3) => &STAGE_LIGHT,
            Some(4) => &STAGE_DEEP,
            Some(5) => &STAGE_UNKNOWN,
            _ => {
                out.unknown("hypnogram stage");
                &STAGE_UNKNOWN
            }
        };
        if to.micros > from.micros {
            let id = format!("{date}:{index}");
            let during = Effective::During(*from, to);
            out.push(Reading { method: Method::Device, ..Reading::new(&SLEEP_STAGE, id, during, Value::Code(stage)) });
        }
    }
    Ok(())
}

fn beat(at: Stamp, bpm: Decimal) -> Reading<'static> {
    let id = at.micros.div_euclid(1_000_000).to_string();
    Reading { method: Method::Device, ..Reading::new(&HEART_RATE, id, Effective::At(at), Value::Quantity(bpm)) }
}

static RECHARGE: &[(&str, &Measure)] = &[
    ("heart_rate_avg", &HEART_RATE_SLEEP_AVERAGE),
    ("heart_rate_variability_avg", &HRV_RMSSD),
    ("breathing_rate_avg", &RESPIRATORY_RATE),
];

/// Of a night by its date: no times are told.
pub(super) fn recharge<'a>(mut row: Fields<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let date: Cow<'a, str> = row.need("date")?;
    let day = time::day(time::date(&date).map_err(|r| r.at("date"))?, zone, OffsetOrigin::Profile)?;
    for (name, measure) in RECHARGE {
        if let Some(value) = row.decimal(name)?.filter(|v| *v > Decimal::ZERO) {
            out.push(Reading {
                local_date: Some(date.clone()),
                method: Method::Device,
                ..Reading::new(measure, date.clone(), day, Value::Quantity(value))
            });
        }
    }
    let left = [
        "polar_user",
        "beat_to_beat_avg",
        "nightly_recharge_status",
        "ans_charge",
        "ans_charge_status",
        "hrv_samples",
        "breathing_samples",
    ];
    row.tell("nightly-recharge", &left, out);
    Ok(())
}

/// Local times without an offset. The hour that exists twice is told apart by the order of its samples.
pub(super) fn pulse<'a>(mut row: Fields<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let date: Cow<'a, str> = row.need("date")?;
    time::date(&date).map_err(|r| r.at("date"))?;
    let rows: Vec<&'a RawValue> = row.read("heart_rate_samples")?.unwrap_or_default();
    let mut last = i64::MIN;
    for (index, raw) in rows.iter().enumerate() {
        let under = |r: Reject| Reject { line: None, column: None, ..r }.under(&format!("heart_rate_samples[{index}]"));
        let mut sample: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(under)?;
        let clock: Cow<'a, str> = sample.need("sample_time").map_err(under)?;
        let mut at = time::civil(&format!("{date}T{clock}"), zone).map_err(|r| under(r.at("sample_time")))?;
        if let Some(zone) = zone.filter(|_| at.micros <= last) {
            // The second time round.
            let later = time::in_zone(at.micros + 3_600_000_000, zone, at.origin).map_err(under)?;
            if at.offset.zip(later.offset).is_some_and(|(first, second)| second == first - 3600) {
                at = later;
            }
        }
        last = last.max(at.micros);
        if let Some(bpm) = sample.decimal("heart_rate").map_err(under)?.filter(|v| *v > Decimal::ZERO) {
            out.push(beat(at, bpm));
        }
    }
    row.tell("continuous-heart-rate", &["polar_user"], out);
    Ok(())
}
