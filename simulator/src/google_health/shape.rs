//! Times and sources as protobuf's JSON mapping writes them: zero values left out, int64 and durations as strings.

use jiff::civil::{Date, DateTime};
use serde_json::{Map, Value, json};

use crate::people::{Profile, instant};
use crate::record::Origin;

pub(crate) fn stamp(epoch: i64) -> String {
    instant(epoch).to_string()
}

pub(crate) fn int64(name: &str, value: i64, into: &mut Value) {
    if value != 0 {
        into[name] = json!(value.to_string());
    }
}

fn offset(who: &Profile, epoch: i64) -> String {
    format!("{}s", who.offset(epoch))
}

pub(crate) fn date(date: Date) -> Value {
    json!({"year": date.year(), "month": date.month(), "day": date.day()})
}

/// Midnight is a time with nothing in it.
pub(crate) fn civil(at: DateTime) -> Value {
    let parts = [("hours", at.hour()), ("minutes", at.minute()), ("seconds", at.second())];
    let time: Map<String, Value> =
        parts.into_iter().filter(|(_, value)| *value != 0).map(|(name, value)| (name.to_owned(), json!(value))).collect();
    json!({"date": date(at.date()), "time": time})
}

pub(crate) fn local(who: &Profile, epoch: i64) -> DateTime {
    who.tz.to_datetime(instant(epoch))
}

pub(crate) fn sample(who: &Profile, epoch: i64) -> Value {
    json!({"physicalTime": stamp(epoch), "utcOffset": offset(who, epoch), "civilTime": civil(local(who, epoch))})
}

/// Start and end with the offsets that held at each.
pub(crate) fn bounds(who: &Profile, start: i64, end: i64) -> Value {
    json!({
        "startTime": stamp(start),
        "startUtcOffset": offset(who, start),
        "endTime": stamp(end),
        "endUtcOffset": offset(who, end),
    })
}

pub(crate) fn interval(who: &Profile, start: i64, end: i64) -> Value {
    let mut value = bounds(who, start, end);
    value["civilStartTime"] = civil(local(who, start));
    value["civilEndTime"] = civil(local(who, end));
    value
}

/// What recorded a point, and by which way it came.
pub(crate) fn source(origin: Origin, method: &str) -> Value {
    match origin {
        Origin::Band => json!({
            "recordingMethod": method,
            "device": {"formFactor": "WATCH", "manufacturer": "Google", "displayName": "Pixel Watch 3"},
            "platform": "FITBIT",
        }),
        Origin::Phone | Origin::PhoneAlone => json!({
            "recordingMethod": "UNKNOWN",
            "device": {"formFactor": "PHONE", "manufacturer": "Google", "displayName": "Pixel 9"},
            "application": {"packageName": "com.google.android.apps.fitness"},
            "platform": "HEALTH_CONNECT",
        }),
        Origin::Person => json!({"recordingMethod": "MANUAL", "platform": "FITBIT"}),
    }
}
