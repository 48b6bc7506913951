//! Days, minutes and workouts.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::columns::{Row, minutes, number, unknown, word};
use super::devices::named;
use super::measures::attribution;
use super::workout_kinds::category;
use super::{named_day, period, time_of};
use crate::fields::key;
use crate::{json, time};

#[derive(Deserialize)]
struct Days<'a> {
    #[serde(borrow)]
    activities: Vec<&'a RawValue>,
}

/// Columns of a day, what they are, and whether they come in seconds.
static COLUMNS: &[(&str, &Measure, bool)] = &[
    ("steps", &STEPS_DAY, false),
    ("distance", &DISTANCE_DAY, false),
    ("calories", &ENERGY_ACTIVE, false),
    ("totalcalories", &ENERGY_DAY, false),
    // Floors, by the provider's own words, whatever the name says.
    ("elevation", &FLOORS, false),
    ("soft", &LIGHT_ACTIVITY, true),
    ("moderate", &MODERATE_ACTIVITY, true),
    ("intense", &VIGOROUS_ACTIVITY, true),
    ("hr_average", &HEART_RATE_DAY_AVERAGE, false),
    // The lowest of the day, which is not a resting heart rate.
    ("hr_min", &HEART_RATE_MIN, false),
    ("hr_max", &HEART_RATE_DAY_MAX, false),
    ("hr_zone_0", &HEART_RATE_ZONE_LIGHT, true),
    ("hr_zone_1", &HEART_RATE_ZONE_MODERATE, true),
    ("hr_zone_2", &HEART_RATE_ZONE_INTENSE, true),
    ("hr_zone_3", &HEART_RATE_ZONE_PEAK, true),
];

/// Columns that say nothing of the person, or repeat others (`active` is moderate and intense together).
const PASSED_OVER: &[&str] =
    &["active", "brand", "is_tracker", "model", "modelid", "id", "date", "timezone", "modified", "deviceid", "hash_deviceid"];

pub(super) fn days<'a>(body: &'a [u8], profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Days<'a> = json::parse(body).map_err(|r| r.under("body"))?;
    json::each::<Row<'a>>(&parsed.activities, "body.activities", out, |row, out| {
        let date = named_day(word(&row, "date"))?;
        let date = date.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected a date as text").at("date"))?;
        let own = word(&row, "timezone").map(|name| time::zone(&name)).transpose().map_err(|r| r.at("timezone"))?;
        let origin = if own.is_some() { OffsetOrigin::Zone } else { OffsetOrigin::Profile };
        let effective = time::day(time::date(&date)?, own.as_ref().or(profile), origin)?;
        let device = named(word(&row, "deviceid"), word(&row, "hash_deviceid"));
        let modified = number(row.get("modified").copied())
            .map_err(|r| r.at("modified"))?
            .and_then(|s| i64::try_from(s.trunc().mantissa()).ok());
        for (name, measure, seconds) in COLUMNS {
            let Some(number) = number(row.get(name).copied()).map_err(|r| r.at(*name))? else { continue };
            // A pulse of nought is no reading.
            if matches!(*name, "hr_average" | "hr_min" | "hr_max") && number.is_zero() {
                continue;
            }
            let number = if *seconds { minutes(number) } else { number };
            out.push(Reading {
                local_date: Some(date.clone()),
                method: Method::Device,
                device: device.clone(),
                modified: modified.and_then(|s| s.checked_mul(1_000_000)),
                ..Reading::new(measure, date.clone(), effective, Value::Quantity(number))
            });
        }
        unknown(row.keys(), |name| COLUMNS.iter().any(|c| c.0 == name) || PASSED_OVER.contains(&name), "activity", out);
        Ok(())
    });
    Ok(())
}

#[derive(Deserialize)]
struct Intraday<'a> {
    #[serde(borrow)]
    series: &'a RawValue,
}

static MINUTE_COLUMNS: &[(&str, &Measure)] = &[
    ("steps", &STEPS_INTERVAL),
    ("distance", &DISTANCE),
    ("calories", &ENERGY_ACTIVE),
    ("elevation", &FLOORS),
    ("stroke", &SWIM_STROKES),
    ("pool_lap", &POOL_LAPS),
];

static MOMENT_COLUMNS: &[(&str, &Measure)] =
    &[("heart_rate", &HEART_RATE), ("spo2_auto", &SPO2), ("sdnn1", &HRV_SDNN), ("rmssd", &HRV_RMSSD)];

pub(super) fn intraday<'a>(body: &'a [u8], profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Intraday<'a> = json::parse(body).map_err(|r| r.under("body"))?;
    if parsed.series.get().starts_with('[') {
        return Ok(()); // an empty series is an empty list, not an empty object
    }
    let series: Row<'a> = json::parse(parsed.series.get().as_bytes()).map_err(|r| r.under("body.series"))?;
    for (epoch, row) in series {
        let before = out.readings.len();
        if let Err(reject) = minute(epoch, row, profile, out) {
            out.readings.truncate(before);
            out.problems.push(Reject { line: None, column: None, ..reject }.under(&format!("body.series.{}", key(epoch))));
        }
    }
    Ok(())
}

fn minute<'a>(epoch: &'a str, row: &'a RawValue, profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let columns: Row<'a> = json::parse(row.get().as_bytes())?;
    let at = epoch.parse().map_err(|_| Reject::new(code::BAD_TIME, "expected epoch seconds as key"))?;
    let start = time_of(at, None, profile)?;
    let device = named(word(&columns, "deviceid"), word(&columns, "hash_deviceid"));
    let of = |value| (device.clone(), Method::Device, value);
    let sums = |name: &&str| MINUTE_COLUMNS.iter().any(|c| c.0 == *name);
    if let Some(during) = number(columns.get("duration").copied())?.map(|d| lasting(at, d, profile)).transpose()? {
        for (name, measure) in MINUTE_COLUMNS {
            if let Some(value) = number(columns.get(name).copied()).map_err(|r| r.at(*name))? {
                let (device, method, value) = of(value);
                out.push(Reading { device, method, ..Reading::new(measure, epoch, during, Value::Quantity(value)) });
            }
        }
    } else if let Some(name) = columns.keys().copied().find(sums) {
        let reject = Reject::new(code::UNEXPECTED_SHAPE, "expected a duration beside a sum");
        out.problems.push(reject.at(format!("body.series.{}.{name}", key(epoch))));
    }
    for (name, measure) in MOMENT_COLUMNS {
        if let Some(value) = number(columns.get(name).copied()).map_err(|r| r.at(*name))?.filter(|v| !v.is_zero()) {
            let (device, method, value) = of(value);
            out.push(Reading { device, method, ..Reading::new(measure, epoch, Effective::At(start), Value::Quantity(value)) });
        }
    }
    let known = |name: &str| {
        MINUTE_COLUMNS.iter().chain(MOMENT_COLUMNS).any(|c| c.0 == name)
            || matches!(name, "deviceid" | "hash_deviceid" | "model" | "model_id" | "duration" | "hrv_quality")
    };
    unknown(columns.keys(), known, "intraday", out);
    Ok(())
}

/// The API gives at most a day, so no entry lasts longer.
fn lasting(start: i64, duration: Decimal, profile: Option<&TimeZone>) -> Result<Effective, Reject> {
    let implausible = || Reject::new(code::IMPLAUSIBLE, "expected a duration from 0 to 86400 seconds").at("duration");
    let seconds = i64::try_from(duration.trunc().mantissa()).ok().filter(|s| (0..=86_400).contains(s)).ok_or_else(implausible)?;
    Ok(Effective::During(time_of(start, None, profile)?, time_of(start + seconds, None, profile)?))
}

#[derive(Deserialize)]
struct Workouts<'a> {
    #[serde(borrow)]
    series: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Workout<'a> {
    id: Option<i64>,
    category: i64,
    #[serde(borrow)]
    timezone: Option<Cow<'a, str>>,
    attrib: Option<i64>,
    startdate: i64,
    enddate: i64,
    #[serde(borrow)]
    date: Option<Cow<'a, str>>,
    modified: Option<i64>,
    #[serde(borrow)]
    deviceid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hash_deviceid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Row<'a>,
}

static WORKOUT_COLUMNS: &[(&str, &Measure)] = &[
    ("calories", &ENERGY),
    ("manual_calories", &ENERGY),
    ("distance", &DISTANCE),
    ("manual_distance", &DISTANCE),
    ("steps", &STEPS_INTERVAL),
    ("elevation", &FLOORS),
    ("hr_average", &WORKOUT_HEART_RATE_AVERAGE),
    ("hr_min", &WORKOUT_HEART_RATE_MIN),
    ("hr_max", &WORKOUT_HEART_RATE_MAX),
    ("pool_laps", &POOL_LAPS),
    ("strokes", &SWIM_STROKES),
];

/// Seconds in each zone of the pulse.
static ZONE_COLUMNS: &[(&str, &Measure)] = &[
    ("hr_zone_0", &HEART_RATE_ZONE_LIGHT),
    ("hr_zone_1", &HEART_RATE_ZONE_MODERATE),
    ("hr_zone_2", &HEART_RATE_ZONE_INTENSE),
    ("hr_zone_3", &HEART_RATE_ZONE_PEAK),
];

pub(super) fn workouts<'a>(body: &'a [u8], profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Workouts<'a> = json::parse(body).map_err(|r| r.under("body"))?;
    json::each::<Workout<'a>>(&parsed.series, "body.series", out, |row, out| {
        let zone = row.timezone.as_deref().map(time::zone).transpose().map_err(|r| r.at("timezone"))?;
        let during = period(row.startdate, row.enddate, zone.as_ref(), profile)?;
        let local_date = named_day(row.date)?;
        let duration = Decimal::from(row.enddate - row.startdate);
        let mut components = vec![Component { measure: &EXERCISE_DURATION, value: Value::Quantity(minutes(duration)) }];
        for (name, measure) in WORKOUT_COLUMNS {
            let value = number(row.data.get(name).copied()).map_err(|r| r.at(format!("data.{name}")))?;
            // What was entered by hand stands only where it is not nought, and does not stand beside what was measured.
            let given = value.filter(|v| !v.is_zero() && !components.iter().any(|c: &Component<'_>| c.measure == *measure));
            components.extend(given.map(|v| Component { measure, value: Value::Quantity(v) }));
        }
        for (name, measure) in ZONE_COLUMNS {
            let value = number(row.data.get(name).copied()).map_err(|r| r.at(format!("data.{name}")))?;
            components.extend(value.map(|v| Component { measure, value: Value::Quantity(minutes(v)) }));
        }
        let (status, method, known) = row.attrib.map_or((Status::Final, Method::Device, true), attribution);
        if let Some(attrib) = row.attrib.filter(|_| !known) {
            out.unknown(format!("attrib {attrib}"));
        }
        let id = row.id.map_or_else(|| format!("{}-{}", row.startdate, row.category), |id| id.to_string());
        let kind = category(row.category).map_or_else(|| Cow::Owned(format!("workout category {}", row.category)), Cow::Borrowed);
        let known = |name: &str| WORKOUT_COLUMNS.iter().chain(ZONE_COLUMNS).any(|c| c.0 == name) || OTHER.contains(&name);
        unknown(row.data.keys(), known, "workout", out);
        out.push(Reading {
            components,
            local_date,
            status,
            method,
            device: named(row.deviceid, row.hash_deviceid),
            modified: row.modified.and_then(|s| s.checked_mul(1_000_000)),
            ..Reading::new(&EXERCISE, id, during, Value::Text(kind))
        });
        Ok(())
    });
    Ok(())
}

/// Columns of a workout that are about how it was measured, or have no place yet; kept in raw.
const OTHER: &[&str] = &["intensity", "pause_duration", "algo_pause_duration", "spo2_average", "pool_length"];
