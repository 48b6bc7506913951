//! Activities, as exercise panels.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::value::RawValue;

use crate::fields::{Fields, Part, Scale};
use crate::{json, time};

static PARTS: &[Part] = &[
    ("moving_time", &EXERCISE_DURATION, Scale::Seconds),
    ("distance", &DISTANCE, Scale::As),
    ("calories", &ENERGY, Scale::As),
    ("average_heartrate", &WORKOUT_HEART_RATE_AVERAGE, Scale::As),
    ("max_heartrate", &WORKOUT_HEART_RATE_MAX, Scale::As),
    ("total_elevation_gain", &ELEVATION_GAIN, Scale::As),
    ("average_speed", &SPEED, Scale::As),
    ("average_cadence", &CADENCE, Scale::As),
    ("average_watts", &POWER, Scale::As),
    ("suffer_score", &TRAINING_LOAD, Scale::As),
];

/// Known, and not of the body: names, places, gear, applause. `kilojoules` is the work done on the pedals, not the energy burned.
const LEFT: &[&str] = &[
    "resource_state",
    "athlete",
    "name",
    "start_date_local",
    "location_city",
    "location_state",
    "location_country",
    "achievement_count",
    "kudos_count",
    "comment_count",
    "athlete_count",
    "photo_count",
    "total_photo_count",
    "map",
    "trainer",
    "commute",
    "private",
    "visibility",
    "flagged",
    "gear_id",
    "gear",
    "start_latlng",
    "end_latlng",
    "max_speed",
    "kilojoules",
    "device_watts",
    "max_watts",
    "weighted_average_watts",
    "has_heartrate",
    "heartrate_opt_out",
    "display_hide_heartrate_option",
    "elev_high",
    "elev_low",
    "upload_id",
    "upload_id_str",
    "external_id",
    "from_accepted_tag",
    "pr_count",
    "has_kudoed",
    "workout_type",
    "type",
    "device_name",
    "description",
    "embed_token",
    "segment_efforts",
    "splits_metric",
    "splits_standard",
    "laps",
    "best_efforts",
    "photos",
    "perceived_exertion",
    "prefer_perceived_exertion",
    "hide_from_home",
    "segment_leaderboard_opt_out",
    "leaderboard_opt_out",
    "similar_activities",
    "available_zones",
    "stats_visibility",
    "average_temp",
    "private_note",
    "highlighted_kudosers",
];

/// A list of activities, or one by itself.
pub(super) fn normalize<'a>(body: &'a [u8], out: &mut Normalized<'a>) -> Result<(), Reject> {
    if body.trim_ascii_start().starts_with(b"[") {
        let rows: Vec<&'a RawValue> = json::parse(body)?;
        json::each::<Fields<'a>>(&rows, "", out, activity);
        return Ok(());
    }
    let mut one: Fields<'a> = json::parse(body)?;
    if one.take("errors").is_some() {
        return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("errors"));
    }
    activity(one, out)
}

fn activity<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id = row.need::<i64>("id")?.to_string();
    let instant = time::rfc3339(&row.need::<Cow<'a, str>>("start_date")?).map_err(|r| r.at("start_date"))?;
    // `start_date_local` ends in a Z that is not true; the offset in seconds is.
    let offset = row.decimal("utc_offset")?.map(|seconds| seconds.to_i32()).map(|o| o.ok_or_else(wrong_offset)).transpose()?;
    let zone = row.text("timezone")?;
    let start = match (offset, zone.as_deref().and_then(|text| text.rsplit(' ').next())) {
        (Some(offset), _) => time::with_offset(instant.micros, Some(offset)).map_err(|r| r.at("utc_offset"))?,
        (None, Some(name)) => {
            let zone = time::zone(name).map_err(|r| r.at("timezone"))?;
            time::in_zone(instant.micros, &zone, headwater_schemas::observation::OffsetOrigin::Zone)?
        }
        (None, None) => instant,
    };
    let elapsed = row.decimal("elapsed_time")?.and_then(|s| s.to_i64()).filter(|s| (0..=30 * 86_400).contains(s));
    let elapsed =
        elapsed.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected seconds within a month").at("elapsed_time"))?;
    let during = Effective::During(start, Stamp { micros: start.micros + elapsed * 1_000_000, ..start });
    let components: Vec<Component<'a>> =
        row.components(PARTS)?.into_iter().filter(|c| c.value != Value::Quantity(Decimal::ZERO)).collect();
    let kind = row.text("sport_type")?.unwrap_or(Cow::Borrowed("Workout"));
    let method = match row.read::<bool>("manual")? {
        Some(true) => Method::Manual,
        Some(false) => Method::Device,
        None => Method::Unknown,
    };
    row.tell("activity", LEFT, out);
    out.push(Reading { components, method, ..Reading::new(&EXERCISE, id, during, Value::Text(kind)) });
    Ok(())
}

fn wrong_offset() -> Reject {
    Reject::new(code::BAD_TIME, "expected seconds east of UTC").at("utc_offset")
}

/// The person's own words. The answer has no time: it is of the window it was asked in, as seen at that moment.
pub(super) fn athlete<'a>(raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let mut row: Fields<'a> = json::parse(raw.body)?;
    if row.take("errors").is_some() {
        return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("errors"));
    }
    let weight = row.decimal("weight")?.filter(|w| w.is_sign_positive() && !w.is_zero());
    if let Some(weight) = weight {
        let at = Effective::At(time::with_offset(raw.fetched_at, None)?);
        let id = crate::rest::day(raw.window_start.unwrap_or(raw.fetched_at));
        out.push(Reading { method: Method::Manual, ..Reading::new(&WEIGHT, id, at, Value::Quantity(weight)) });
    }
    // The rest is who somebody is, not how they are.
    Ok(())
}
