//! Activity logs. Their start carries an offset, unlike nearly everything else here.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Number;
use crate::{json, time, units};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    activities: Option<Vec<&'a RawValue>>,
    #[serde(rename = "logId")]
    log_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    log_id: i64,
    #[serde(borrow)]
    activity_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    start_time: Cow<'a, str>,
    /// Milliseconds, pauses left out.
    duration: i64,
    active_duration: Option<i64>,
    #[serde(borrow)]
    calories: Option<Number<'a>>,
    #[serde(borrow)]
    distance: Option<Number<'a>>,
    #[serde(borrow)]
    distance_unit: Option<Cow<'a, str>>,
    #[serde(borrow)]
    steps: Option<Number<'a>>,
    #[serde(borrow)]
    average_heart_rate: Option<Number<'a>>,
    #[serde(borrow)]
    elevation_gain: Option<Number<'a>>,
    #[serde(borrow)]
    log_type: Option<Cow<'a, str>>,
}

/// A list of logs, or one by itself.
pub(super) fn normalize<'a>(body: &'a [u8], out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Body<'a> = json::parse(body)?;
    match parsed.activities {
        Some(list) => {
            json::each::<Log<'a>>(&list, "activities", out, take);
            Ok(())
        }
        None if parsed.log_id.is_some() => take(json::parse(body)?, out),
        None => Err(Reject::new(code::UNEXPECTED_SHAPE, "expected activities, or one activity with a logId")),
    }
}

fn take<'a>(log: Log<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let start = start(&log.start_time).map_err(|r| r.at("startTime"))?;
    let end = time::after(start, log.duration).map_err(|r| r.at("duration"))?;
    let minutes = (Decimal::from(log.active_duration.unwrap_or(log.duration)) / Decimal::from(60_000)).round_dp(4).normalize();
    let mut components = vec![Component { measure: &EXERCISE_DURATION, value: Value::Quantity(minutes) }];
    let mut put = |measure: &'static Measure,
                   name: &str,
                   number: Option<&Number<'a>>,
                   change: fn(Decimal) -> Result<Decimal, Reject>|
     -> Result<(), Reject> {
        if let Some(number) = number {
            let value = number.decimal().map_err(|r| r.at(name))?;
            components.push(Component { measure, value: Value::Quantity(change(value).map_err(|r| r.at(name))?) });
        }
        Ok(())
    };
    put(&ENERGY, "calories", log.calories.as_ref(), Ok)?;
    // Kilometres unless it says miles: the API's default when no Accept-Language was sent.
    let metres: fn(Decimal) -> Result<Decimal, Reject> = match log.distance_unit.as_deref() {
        Some("Mile" | "miles" | "mile") => |v| units::convert(v, "mi", &DISTANCE),
        _ => |v| units::convert(v, "km", &DISTANCE),
    };
    put(&DISTANCE, "distance", log.distance.as_ref(), metres)?;
    put(&STEPS_INTERVAL, "steps", log.steps.as_ref(), Ok)?;
    put(&WORKOUT_HEART_RATE_AVERAGE, "averageHeartRate", log.average_heart_rate.as_ref(), Ok)?;
    put(&ELEVATION_GAIN, "elevationGain", log.elevation_gain.as_ref(), Ok)?;
    let kind = log.activity_name.unwrap_or(Cow::Borrowed("Activity"));
    out.push(Reading {
        components,
        method: if log.log_type.as_deref() == Some("manual") { Method::Manual } else { Method::Device },
        ..Reading::new(&EXERCISE, log.log_id.to_string(), Effective::During(start, end), Value::Text(kind))
    });
    Ok(())
}

/// `2024-01-15T07:30:00.000+00:00`: here an offset of nought is the person's.
fn start(text: &str) -> Result<Stamp, Reject> {
    let stamp = time::rfc3339(text)?;
    if stamp.offset.is_some() { Ok(stamp) } else { time::with_offset(stamp.micros, Some(0)) }
}
