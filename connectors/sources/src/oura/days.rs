//! Documents of days, workouts, moments and rings.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin};
use headwater_schemas::reading::{Component, Device, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::{Offset, TimeZone};
use rust_decimal::Decimal;

use crate::fields::{Fields, Scale, label};
use crate::time;

/// Stream, field, and what it is.
static PARTS: &[(&str, &str, &Measure, Scale)] = &[
    ("daily_sleep", "score", &SLEEP_SCORE, Scale::As),
    ("daily_readiness", "score", &READINESS_SCORE, Scale::As),
    ("daily_readiness", "temperature_deviation", &TEMPERATURE_DEVIATION, Scale::As),
    ("daily_activity", "steps", &STEPS_DAY, Scale::As),
    ("daily_activity", "equivalent_walking_distance", &DISTANCE_DAY, Scale::As),
    ("daily_activity", "total_calories", &ENERGY_DAY, Scale::As),
    ("daily_activity", "active_calories", &ENERGY_ACTIVE, Scale::As),
    ("daily_activity", "low_activity_time", &LIGHT_ACTIVITY, Scale::Seconds),
    ("daily_activity", "medium_activity_time", &MODERATE_ACTIVITY, Scale::Seconds),
    ("daily_activity", "high_activity_time", &VIGOROUS_ACTIVITY, Scale::Seconds),
    ("daily_activity", "sedentary_time", &SEDENTARY, Scale::Seconds),
    ("daily_activity", "non_wear_time", &NON_WEAR, Scale::Seconds),
    ("daily_activity", "score", &ACTIVITY_SCORE, Scale::As),
    ("daily_spo2", "breathing_disturbance_index", &BREATHING_DISTURBANCES, Scale::As),
    ("daily_stress", "stress_high", &STRESS_HIGH, Scale::Seconds),
    ("daily_stress", "recovery_high", &RECOVERY_HIGH, Scale::Seconds),
    ("daily_cardiovascular_age", "vascular_age", &VASCULAR_AGE, Scale::As),
    ("vo2_max", "vo2_max", &VO2_MAX, Scale::As),
];

const LEFT: &[&str] = &[
    "contributors",
    "temperature_trend_deviation",
    "class_5_min",
    "average_met_minutes",
    "high_activity_met_minutes",
    "inactivity_alerts",
    "low_activity_met_minutes",
    "medium_activity_met_minutes",
    "met",
    "meters_to_target",
    "resting_time",
    "sedentary_met_minutes",
    "target_calories",
    "target_meters",
    "day_summary",
];

pub(super) fn day<'a>(
    stream: &str,
    mut row: Fields<'a>,
    profile: Option<&TimeZone>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    if !PARTS.iter().any(|part| part.0 == stream) {
        return Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Oura"));
    }
    let name: Cow<'a, str> = row.need("day")?;
    let id = row.text("id")?.unwrap_or_else(|| name.clone());
    let date = time::date(&name).map_err(|r| r.at("day"))?;
    // Most documents say when they begin, with the offset of that moment.
    let stated = row.text("timestamp")?.map(|at| time::rfc3339(&at)).transpose().map_err(|r| r.at("timestamp"))?;
    let fixed = stated.and_then(|s| s.offset).and_then(|o| Offset::from_seconds(o).ok()).map(TimeZone::fixed);
    let (zone, origin) = match profile {
        Some(zone) => (Some(zone), OffsetOrigin::Profile),
        None => (fixed.as_ref(), OffsetOrigin::Source),
    };
    let whole = time::day(date, zone, origin).map_err(|r| r.at("day"))?;
    let reading = |measure: &'static Measure, value: Decimal| Reading {
        local_date: Some(name.clone()),
        method: if estimate(measure) { Method::Derived } else { Method::Device },
        note: note(measure),
        ..Reading::new(measure, id.clone(), whole, Value::Quantity(value))
    };
    for (_, path, measure, scale) in PARTS.iter().filter(|part| part.0 == stream) {
        if let Some(value) = row.scaled(path, *scale)? {
            out.push(reading(measure, value));
        }
    }
    if stream == "daily_spo2" {
        let mut saturation = row.inner("spo2_percentage")?;
        if let Some(value) = saturation.decimal("average")?.filter(|v| !v.is_zero()) {
            out.push(reading(&SPO2, value));
        }
    }
    row.tell(stream, LEFT, out);
    Ok(())
}

fn estimate(measure: &'static Measure) -> bool {
    [&SLEEP_SCORE, &READINESS_SCORE, &ACTIVITY_SCORE, &VASCULAR_AGE, &VO2_MAX].contains(&measure)
}

fn note(measure: &'static Measure) -> Option<&'static str> {
    if [&VASCULAR_AGE, &VO2_MAX].contains(&measure) {
        Some("estimated by the provider")
    } else if measure == &DISTANCE_DAY {
        Some("what the energy spent would be in walking")
    } else {
        None
    }
}

/// From start to end, each with its own offset.
fn during<'a>(row: &mut Fields<'a>) -> Result<Effective, Reject> {
    let start = time::rfc3339(&row.need::<Cow<'a, str>>("start_datetime")?).map_err(|r| r.at("start_datetime"))?;
    let end = time::rfc3339(&row.need::<Cow<'a, str>>("end_datetime")?).map_err(|r| r.at("end_datetime"))?;
    time::between(start, end).map_err(|r| r.at("end_datetime"))
}

fn minutes(during: Effective) -> Decimal {
    let seconds = during.end().map_or(0, |end| end.micros - during.start().micros) / 1_000_000;
    Scale::Seconds.apply(Decimal::from(seconds))
}

pub(super) fn workout<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("id")?;
    let during = during(&mut row)?;
    let mut components = vec![Component { measure: &EXERCISE_DURATION, value: Value::Quantity(minutes(during)) }];
    components.extend(row.components(&[("calories", &ENERGY, Scale::As), ("distance", &DISTANCE, Scale::As)])?);
    let method = match row.text("source")?.as_deref() {
        Some("manual") => Method::Manual,
        Some("autodetected" | "confirmed" | "workout_heart_rate") => Method::Device,
        other => {
            out.unknown(format!("workout source {}", label(other.unwrap_or("absent"))));
            Method::Unknown
        }
    };
    let kind = row.text("activity")?.unwrap_or(Cow::Borrowed("workout"));
    let date = row.text("day")?;
    row.tell("workout", &["intensity", "label"], out);
    out.push(Reading { components, method, local_date: date, ..Reading::new(&EXERCISE, id, during, Value::Text(kind)) });
    Ok(())
}

pub(super) fn session<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("id")?;
    let during = during(&mut row)?;
    let kind = row.text("type")?.unwrap_or_default();
    let date = row.text("day")?;
    row.tell("session", &["heart_rate", "heart_rate_variability", "mood", "motion_count"], out);
    if !matches!(&*kind, "breathing" | "meditation" | "relaxation") {
        // Naps are among the nights, and rest is no exercise of the mind.
        out.unknown(format!("session type {}", label(&kind)));
        return Ok(());
    }
    out.push(Reading {
        local_date: date,
        method: Method::Device,
        ..Reading::new(&MINDFULNESS, id, during, Value::Quantity(minutes(during)))
    });
    Ok(())
}

pub(super) fn ring<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("id")?;
    out.device(Device {
        provider_id: id,
        kind: Some("Ring".into()),
        manufacturer: Some("Oura".into()),
        model: row.text("hardware_type")?,
        firmware: row.text("firmware_version")?,
        ..Device::default()
    });
    row.tell("ring", &["color", "design", "set_up_at", "size"], out);
    Ok(())
}
