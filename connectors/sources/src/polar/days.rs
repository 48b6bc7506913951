//! Training, days, loads, and what a person entered.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use crate::fields::{Fields, Part, Scale};
use crate::{json, time};

/// `PT1H2M3S`
fn duration(text: &str) -> Result<SignedDuration, Reject> {
    let wrong = || Reject::new(code::BAD_TIME, "expected a duration such as PT1H2M3S within a week");
    let length: SignedDuration = text.parse().map_err(|_| wrong())?;
    let week = SignedDuration::from_hours(7 * 24);
    if length.is_negative() || length > week { Err(wrong()) } else { Ok(length) }
}

/// Fields are written with hyphens by the older services and with underscores by the newer.
fn either<'a>(row: &mut Fields<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Reject> {
    match row.text(name)? {
        None => row.text(&name.replace('_', "-")),
        some => Ok(some),
    }
}

static TRAINING: &[Part] = &[("calories", &ENERGY, Scale::As), ("distance", &DISTANCE, Scale::As)];
static HEART: &[Part] = &[("average", &WORKOUT_HEART_RATE_AVERAGE, Scale::As), ("maximum", &WORKOUT_HEART_RATE_MAX, Scale::As)];

pub(super) fn exercise<'a>(mut row: Fields<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("id")?;
    let text = either(&mut row, "start_time")?.ok_or_else(|| crate::fields::missing("start_time"))?;
    let offset = match row.decimal("start_time_utc_offset")? {
        None => row.decimal("start-time-utc-offset")?,
        some => some,
    };
    // Local, with the minutes east of UTC beside it.
    let start = match offset.map(|minutes| minutes.to_i32().and_then(|m| m.checked_mul(60))) {
        Some(Some(offset)) => {
            let clock = time::civil_without_zone(&text).map_err(|r| r.at("start_time"))?;
            time::with_offset(clock.micros - i64::from(offset) * 1_000_000, Some(offset))
                .map_err(|r| r.at("start_time_utc_offset"))?
        }
        Some(None) => return Err(Reject::new(code::BAD_TIME, "expected minutes east of UTC").at("start_time_utc_offset")),
        None => time::civil(&text, zone).map_err(|r| r.at("start_time"))?,
    };
    let length = duration(&row.need::<Cow<'a, str>>("duration")?).map_err(|r| r.at("duration"))?;
    let micros = i64::try_from(length.as_micros()).unwrap_or(0);
    let minutes = Scale::Seconds.apply(Decimal::from(length.as_secs()));
    let mut components = vec![Component { measure: &EXERCISE_DURATION, value: Value::Quantity(minutes) }];
    components.extend(row.components(TRAINING)?);
    let mut heart = match row.inner("heart_rate")? {
        heart if heart.names().next().is_some() => heart,
        _ => row.inner("heart-rate")?,
    };
    let beats = heart.components(HEART).map_err(|r| r.under("heart_rate"))?;
    components.extend(beats.into_iter().filter(|c| matches!(c.value, Value::Quantity(bpm) if bpm > Decimal::ZERO)));
    let load = match row.decimal("training_load")? {
        None => row.decimal("training-load")?,
        some => some,
    };
    components
        .extend(load.filter(|l| *l > Decimal::ZERO).map(|l| Component { measure: &TRAINING_LOAD, value: Value::Quantity(l) }));
    let sport = either(&mut row, "detailed_sport_info")?;
    let kind = row.text("sport")?.or(sport).unwrap_or(Cow::Borrowed("exercise"));
    let during = Effective::During(start, Stamp { micros: start.micros + micros, ..start });
    row.tell("exercise", LEFT, out);
    out.push(Reading { components, method: Method::Device, ..Reading::new(&EXERCISE, id, during, Value::Text(kind)) });
    Ok(())
}

const LEFT: &[&str] = &[
    "upload_time",
    "upload-time",
    "polar_user",
    "polar-user",
    "transaction_id",
    "transaction-id",
    "device",
    "device_id",
    "device-id",
    "has_route",
    "has-route",
    "club_id",
    "club-id",
    "club_name",
    "club-name",
    "fat_percentage",
    "fat-percentage",
    "carbohydrate_percentage",
    "carbohydrate-percentage",
    "protein_percentage",
    "protein-percentage",
    "heart_rate_zones",
    "heart-rate-zones",
    "samples",
    "route",
    "training_load_pro",
    "training-load-pro",
    "running_index",
    "running-index",
    "detailed_sport_info",
    "detailed-sport-info",
];

static DAY: &[(&str, &Measure)] = &[
    ("steps", &STEPS_DAY),
    ("calories", &ENERGY_DAY),
    ("active_calories", &ENERGY_ACTIVE),
    ("distance_from_steps", &DISTANCE_DAY),
];

/// The name of a day is that of its start; until it is over its sums grow.
pub(super) fn activity<'a>(mut row: Fields<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let text: Cow<'a, str> = row.need("start_time")?;
    let name = text.get(..10).ok_or_else(|| Reject::new(code::BAD_TIME, "expected a local time").at("start_time"))?.to_owned();
    let day = whole(&name, zone).map_err(|r| r.at("start_time"))?;
    let mut put = |measure, value| out.push(of_day(measure, &name, day, value));
    for (field, measure) in DAY {
        if let Some(value) = row.decimal(field)?.filter(|v| !v.is_sign_negative()) {
            put(measure, value);
        }
    }
    if let Some(text) = row.text("active_duration")? {
        let length = duration(&text).map_err(|r| r.at("active_duration"))?;
        put(&TOTAL_ACTIVITY, Scale::Seconds.apply(Decimal::from(length.as_secs())));
    }
    row.tell(
        "activity",
        &["end_time", "inactive_duration", "daily_activity", "inactivity_alert_count", "samples", "id", "created"],
        out,
    );
    Ok(())
}

fn whole(name: &str, zone: Option<&TimeZone>) -> Result<Effective, Reject> {
    time::day(time::date(name)?, zone, OffsetOrigin::Profile)
}

fn of_day(measure: &'static Measure, name: &str, day: Effective, value: Decimal) -> Reading<'static> {
    Reading {
        local_date: Some(name.to_owned().into()),
        method: Method::Device,
        ..Reading::new(measure, name.to_owned(), day, Value::Quantity(value))
    }
}

/// Below nought: not enough of a history to say.
pub(super) fn load<'a>(mut row: Fields<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let name: Cow<'a, str> = row.need("date")?;
    let day = whole(&name, zone).map_err(|r| r.at("date"))?;
    for (field, measure) in [("cardio_load", &TRAINING_LOAD), ("strain", &STRAIN)] {
        if let Some(value) = row.decimal(field)?.filter(|v| !v.is_sign_negative()) {
            out.push(Reading { method: Method::Derived, ..of_day(measure, &name, day, value) });
        }
    }
    row.tell("cardio-load", &["cardio_load_status", "cardio_load_ratio", "tolerance", "cardio_load_level"], out);
    Ok(())
}

pub(super) fn saturation<'a>(mut row: Fields<'a>, _: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let seconds = row.decimal("test_time")?.and_then(|s| s.to_i64()).and_then(|s| s.checked_mul(1_000_000));
    let micros = seconds.ok_or_else(|| Reject::new(code::BAD_TIME, "expected epoch seconds").at("test_time"))?;
    let offset = row.decimal("time_zone_offset")?.and_then(|m| m.to_i32()).and_then(|m| m.checked_mul(60));
    let at = time::with_offset(micros, offset).map_err(|r| r.at("test_time"))?;
    // The percentage of a test that came to nothing is a guess.
    let passed = row.text("test_status")?.is_none_or(|status| status.ends_with("TEST_PASSED"));
    if let Some(value) = row.decimal("blood_oxygen_percent")?.filter(|v| passed && *v > Decimal::ZERO) {
        let id = at.micros.div_euclid(1_000_000).to_string();
        out.push(Reading { method: Method::Device, ..Reading::new(&SPO2, id, Effective::At(at), Value::Quantity(value)) });
    }
    row.tell(
        "spo2",
        &[
            "source_device_id",
            "spo2_class",
            "spo2_value_deviation_from_baseline",
            "spo2_quality_average_percent",
            "average_heart_rate_bpm",
            "heart_rate_variability_ms",
            "spo2_hrv_deviation_from_baseline",
            "altitude_meters",
        ],
        out,
    );
    Ok(())
}

/// The person's own words, but for the estimate. Known by the window they were asked in, as seen at that moment.
pub(super) fn physical<'a>(raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let mut row: Fields<'a> = json::parse(raw.body)?;
    if row.take("error").is_some() {
        return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("error"));
    }
    let at = Effective::At(time::with_offset(raw.fetched_at, None)?);
    let id = crate::rest::day(raw.window_start.unwrap_or(raw.fetched_at));
    for (names, measure) in [(["weight", "weight"], &WEIGHT), (["height", "height"], &HEIGHT), (["vo2_max", "vo2-max"], &VO2_MAX)]
    {
        let value = match row.decimal(names[0])? {
            None => row.decimal(names[1])?,
            some => some,
        };
        if let Some(value) = value.filter(|v| *v > Decimal::ZERO) {
            let estimate = measure == &VO2_MAX;
            out.push(Reading {
                method: if estimate { Method::Derived } else { Method::Manual },
                note: estimate.then_some("estimated by the provider"),
                ..Reading::new(measure, id.clone(), at, Value::Quantity(value))
            });
        }
    }
    // Thresholds and birthdays are settings.
    Ok(())
}
