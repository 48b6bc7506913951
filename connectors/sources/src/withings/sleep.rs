//! Nights and their segments.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::columns::{Row, minutes, number, unknown};
use super::devices::named;
use super::{named_day, period, time_of};
use crate::{json, time};

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    series: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Segment<'a> {
    startdate: i64,
    enddate: i64,
    state: i64,
    #[serde(borrow)]
    hash_deviceid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    deviceid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hr: Option<&'a RawValue>,
    #[serde(borrow)]
    rr: Option<&'a RawValue>,
    #[serde(borrow)]
    sdnn_1: Option<&'a RawValue>,
    #[serde(borrow)]
    rmssd: Option<&'a RawValue>,
    #[serde(borrow)]
    snoring: Option<&'a RawValue>,
}

/// Each segment by itself: the answer does not say to which night it belongs.
pub(super) fn segments<'a>(body: &'a [u8], profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Series<'a> = json::parse(body).map_err(|r| r.under("body"))?;
    json::each::<Segment<'a>>(&parsed.series, "body.series", out, |row, out| {
        let during = period(row.startdate, row.enddate, None, profile)?;
        let device = named(row.deviceid, row.hash_deviceid);
        let stage = match row.state {
            0 => &STAGE_AWAKE,
            1 => &STAGE_LIGHT,
            2 => &STAGE_DEEP,
            3 => &STAGE_REM,
            // Entered by hand, or asleep without a stage.
            4 | 5 => &STAGE_ASLEEP,
            other => {
                out.unknown(format!("sleep state {other}"));
                &STAGE_UNKNOWN
            }
        };
        let method = if row.state == 4 { Method::Manual } else { Method::Device };
        out.push(Reading {
            device: device.clone(),
            method,
            ..Reading::new(&SLEEP_STAGE, row.startdate.to_string(), during, Value::Code(stage))
        });
        if row.snoring.is_some_and(snores) {
            // Kept in raw: what its numbers count is not documented.
            out.unknown("sleep snoring");
        }
        for (name, series, measure) in [
            ("hr", row.hr, &HEART_RATE),
            ("rr", row.rr, &RESPIRATORY_RATE),
            ("sdnn_1", row.sdnn_1, &HRV_SDNN),
            ("rmssd", row.rmssd, &HRV_RMSSD),
        ] {
            let Some(series) = series.filter(|s| s.get().starts_with('{')) else { continue };
            let points: Row<'a> = json::parse(series.get().as_bytes()).map_err(|r| r.under(name))?;
            for (epoch, value) in points {
                let wrong = || Reject::new(code::BAD_TIME, "expected epoch seconds as key").at(name);
                let at = time_of(epoch.parse().map_err(|_| wrong())?, None, profile)?;
                // Nought is no reading.
                if let Some(value) = number(Some(value)).map_err(|r| r.at(name))?.filter(|v| !v.is_zero()) {
                    out.push(Reading {
                        device: device.clone(),
                        method: Method::Device,
                        ..Reading::new(measure, epoch, Effective::At(at), Value::Quantity(value))
                    });
                }
            }
        }
        Ok(())
    });
    Ok(())
}

/// Whether any value of a series is other than nought.
fn snores(series: &RawValue) -> bool {
    let points = json::parse::<Row<'_>>(series.get().as_bytes()).unwrap_or_default();
    points.values().any(|value| !matches!(value.get(), "0" | "null"))
}

#[derive(Deserialize)]
struct Night<'a> {
    id: Option<i64>,
    #[serde(borrow)]
    timezone: Option<Cow<'a, str>>,
    startdate: i64,
    enddate: i64,
    #[serde(borrow)]
    date: Option<Cow<'a, str>>,
    modified: Option<i64>,
    completed: Option<bool>,
    #[serde(borrow)]
    hash_deviceid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Row<'a>,
}

/// Parts of a night, and whether they come in seconds.
static PARTS: &[(&str, &Measure, bool)] = &[
    ("deepsleepduration", &SLEEP_DEEP, true),
    ("lightsleepduration", &SLEEP_LIGHT, true),
    ("remsleepduration", &SLEEP_REM, true),
    ("wakeupduration", &AWAKE, true),
    ("waso", &WAKE_AFTER_ONSET, true),
    ("sleep_latency", &SLEEP_LATENCY, true),
    ("total_timeinbed", &TIME_IN_BED, true),
    ("wakeupcount", &AWAKENINGS, false),
    ("sleep_score", &SLEEP_SCORE, false),
    ("snoring", &SNORING, true),
    ("breathing_disturbances_intensity", &BREATHING_DISTURBANCES, false),
];

/// Figures of a night that are observations of their own.
static FIGURES: &[(&str, &Measure)] = &[
    ("hr_average", &HEART_RATE_SLEEP_AVERAGE),
    ("hr_min", &HEART_RATE_MIN),
    ("hr_max", &HEART_RATE_SLEEP_MAX),
    ("rr_average", &RESPIRATORY_RATE),
    ("rr_min", &RESPIRATORY_RATE_MIN),
    ("rr_max", &RESPIRATORY_RATE_MAX),
    ("apnea_hypopnea_index", &APNEA_HYPOPNEA_INDEX),
];

const OTHER: &[&str] = &[
    "asleepduration",
    "total_sleep_time",
    "sleep_efficiency",
    "wakeup_latency",
    "nb_rem_episodes",
    "night_events",
    "out_of_bed_count",
    "snoringepisodecount",
];

pub(super) fn summaries<'a>(body: &'a [u8], profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Series<'a> = json::parse(body).map_err(|r| r.under("body"))?;
    json::each::<Night<'a>>(&parsed.series, "body.series", out, |row, out| {
        let zone = row.timezone.as_deref().map(time::zone).transpose().map_err(|r| r.at("timezone"))?;
        let during = period(row.startdate, row.enddate, zone.as_ref(), profile)?;
        let date = named_day(row.date)?;
        let get = |name: &str| number(row.data.get(name).copied()).map_err(|r| r.at(format!("data.{name}")));
        let stages = ["deepsleepduration", "lightsleepduration", "remsleepduration"].map(get);
        let stages: Vec<Option<Decimal>> = stages.into_iter().collect::<Result<_, _>>()?;
        let sum = stages.into_iter().flatten().map(Some).reduce(|a, b| a?.checked_add(b?)).flatten();
        let asleep = get("total_sleep_time")?.or(get("asleepduration")?).or(sum);
        let mut components = Vec::new();
        for (name, measure, seconds) in PARTS {
            let value = get(name)?.map(|v| if *seconds { minutes(v) } else { v });
            components.extend(value.map(|v| Component { measure, value: Value::Quantity(v) }));
        }
        // A fraction here, percent everywhere else.
        let efficiency =
            get("sleep_efficiency")?.map(|e| if e.abs() <= Decimal::ONE { (e * Decimal::ONE_HUNDRED).normalize() } else { e });
        components.extend(efficiency.map(|e| Component { measure: &SLEEP_EFFICIENCY, value: Value::Quantity(e) }));
        let known =
            |name: &str| PARTS.iter().any(|p| p.0 == name) || FIGURES.iter().any(|f| f.0 == name) || OTHER.contains(&name);
        unknown(row.data.keys(), known, "night", out);
        let id = row.id.map_or_else(|| row.startdate.to_string(), |id| id.to_string());
        let night = |measure, value| Reading {
            status: if row.completed == Some(false) { Status::Preliminary } else { Status::Final },
            local_date: date.clone(),
            method: Method::Device,
            device: named(None, row.hash_deviceid.clone()),
            modified: row.modified.and_then(|s| s.checked_mul(1_000_000)),
            ..Reading::new(measure, id.clone(), during, value)
        };
        let value = asleep.map_or(Value::Absent(headwater_schemas::reading::Absent::Unknown), |s| Value::Quantity(minutes(s)));
        for (name, measure) in FIGURES {
            if let Some(value) = get(name)?.filter(|v| !v.is_zero() || *measure == &APNEA_HYPOPNEA_INDEX) {
                out.push(night(measure, Value::Quantity(value)));
            }
        }
        out.push(Reading { components, ..night(&SLEEP, value) });
        Ok(())
    });
    Ok(())
}
