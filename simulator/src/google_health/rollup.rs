//! Roll-ups: by windows of instants, or by civil days.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::list::family_of;
use super::points::pulse_minutes;
use super::shape::{civil, int64, stamp};
use super::types::{Type, find};
use super::{Call, Problem};
use crate::day::Day;
use crate::record::{Origin, Record};
use crate::world::Shared;

type Answer = Result<Json<Value>, Problem>;

pub(super) async fn daily_roll_up(
    State(world): State<Shared>,
    Path((user, kind)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let call = Call::check(&world, &headers, &user)?;
    let asked = Asked::read(&call, &kind, &body)?;
    let (start, end) = (civil_day(&asked.body["range"]["start"])?, civil_day(&asked.body["range"]["end"])?);
    let days = start.until(end).map_err(|_| Problem::argument("Invalid range."))?.get_days();
    asked.check_length(i64::from(days) * 86_400)?;
    let step = match &asked.body["windowSizeDays"] {
        Value::Null => 1,
        size => {
            size.as_i64().filter(|size| (1..=90).contains(size)).ok_or_else(|| Problem::argument("Invalid window_size_days."))?
                as i32
        }
    };
    let windows = (0..days).step_by(step as usize).map(|ahead| {
        let from = start.saturating_add(ahead.days());
        let to = start.saturating_add((ahead + step).min(days).days());
        let mut row = asked.value(&call, (call.who.midnight(from), call.who.midnight(to)), true);
        row["civilStartTime"] = civil(from.at(0, 0, 0, 0));
        row["civilEndTime"] = civil(to.at(0, 0, 0, 0));
        row
    });
    Ok(Json(json!({"rollupDataPoints": windows.collect::<Vec<_>>()})))
}

pub(super) async fn roll_up(
    State(world): State<Shared>,
    Path((user, kind)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let call = Call::check(&world, &headers, &user)?;
    let asked = Asked::read(&call, &kind, &body)?;
    let at = |name: &str| -> Result<i64, Problem> {
        let text = asked.body["range"][name].as_str().unwrap_or_default();
        text.parse::<Timestamp>().map(|at| at.as_second()).map_err(|_| Problem::argument(format!("Invalid range.{name}.")))
    };
    let (start, end) = (at("startTime")?, at("endTime")?);
    asked.check_length(end - start)?;
    let size =
        asked.body["windowSize"].as_str().and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse::<i64>().ok());
    let size = size.filter(|size| *size > 0).ok_or_else(|| Problem::argument("Invalid window_size."))?;
    if (end - start) / size >= 10_000 {
        return Err(Problem::argument("The range has too many windows."));
    }
    let windows = (start..end).step_by(size as usize).map(|from| {
        let to = (from + size).min(end);
        let mut row = asked.value(&call, (from, to), false);
        row["startTime"] = json!(stamp(from));
        row["endTime"] = json!(stamp(to));
        row
    });
    Ok(Json(json!({"rollupDataPoints": windows.collect::<Vec<_>>()})))
}

struct Asked {
    kind: &'static Type,
    body: Value,
    origins: &'static [Origin],
}

impl Asked {
    fn read(call: &Call<'_>, kebab: &str, body: &[u8]) -> Result<Self, Problem> {
        let kind = find(kebab).ok_or_else(|| Problem::argument(format!("Invalid data type: {kebab}.")))?;
        call.allow(kind.scope)?;
        if kind.roll_up_days == 0 {
            return Err(Problem::argument(format!("The data type {kebab} does not support this operation.")));
        }
        let body: Value = serde_json::from_slice(body).map_err(|_| Problem::argument("Invalid JSON payload received."))?;
        let known = ["range", "windowSize", "windowSizeDays", "pageSize", "pageToken", "dataSourceFamily"];
        let fields = body.as_object().ok_or_else(|| Problem::argument("Invalid JSON payload received."))?;
        if let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Problem::argument(format!(
                "Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field."
            )));
        }
        let family = body["dataSourceFamily"].as_str().unwrap_or("users/me/dataSourceFamilies/all-sources");
        Ok(Self { kind, origins: family_of(family)?, body })
    }

    fn check_length(&self, seconds: i64) -> Result<(), Problem> {
        let most = self.kind.roll_up_days;
        if seconds <= 0 {
            return Err(Problem::argument("The range must end after it starts."));
        }
        if seconds > i64::from(most) * 86_400 {
            return Err(Problem::argument(format!("The range must not be longer than {most} days for this data type.")));
        }
        Ok(())
    }

    /// The value of one window; without data the field is absent.
    fn value(&self, call: &Call<'_>, (from, to): (i64, i64), daily: bool) -> Value {
        let at = call.world.horizon();
        if matches!(self.kind.kebab, "total-calories" | "calories-in-heart-rate-zone") {
            return energy(call, (from, to), at, self.kind);
        }
        let mut records = call.world.range(call.who, self.kind.kebab, from, to, at);
        records.retain(|record| self.origins.contains(&record.origin));
        if records.is_empty() {
            return json!({});
        }
        summed(self.kind, &records, daily)
    }
}

fn summed(kind: &Type, records: &[Record], daily: bool) -> Value {
    let camel = kind.camel();
    let Some((field, whole)) = kind.value else { return json!({}) };
    let values: Vec<f64> = records.iter().map(|record| number(&record.body[&camel][field])).collect();
    let (sum, count) = (values.iter().sum::<f64>(), values.len().max(1) as f64);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let round = |value: f64| (value * 100.0).round() / 100.0;
    match kind.kebab {
        "active-zone-minutes" => {
            let mut value = json!({});
            for (zone, field) in [("CARDIO", "Cardio"), ("PEAK", "Peak"), ("FAT_BURN", "FatBurn")] {
                let inside = records.iter().filter(|record| record.body[&camel]["heartRateZone"] == json!(zone));
                let sum: f64 = inside.map(|record| number(&record.body[&camel]["activeZoneMinutes"])).sum();
                int64(&format!("sumIn{field}HeartZone"), sum as i64, &mut value);
            }
            json!({camel: value})
        }
        "heart-rate" => json!({camel: {
            "beatsPerMinuteAvg": round(sum / count),
            "beatsPerMinuteMax": most,
            "beatsPerMinuteMin": least,
        }}),
        "daily-resting-heart-rate" if daily => {
            json!({"restingHeartRatePersonalRange": {"beatsPerMinuteMin": least, "beatsPerMinuteMax": most}})
        }
        "daily-heart-rate-variability" if daily => json!({"heartRateVariabilityPersonalRange": {
            "averageHeartRateVariabilityMillisecondsMin": least,
            "averageHeartRateVariabilityMillisecondsMax": most,
        }}),
        "weight" => json!({camel: {"weightGramsAvg": round(sum / count)}}),
        "body-fat" => json!({camel: {"bodyFatPercentageAvg": round(sum / count)}}),
        _ if whole => {
            let mut value = json!({});
            int64(&format!("{field}Sum"), sum as i64, &mut value);
            json!({camel: value})
        }
        _ => json!({}),
    }
}

/// int64 values are strings, and zero is left out.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap_or(0.0)
}

/// Energy has no points of its own: it is computed for the window.
fn energy(call: &Call<'_>, (from, to): (i64, i64), at: i64, kind: &Type) -> Value {
    let mut total = 0.0;
    let mut zones = [0.0; 4];
    for date in call.world.days(call.who, from, to) {
        let day = Day::new(call.who, date);
        let known = |minute: &i64| (from..to).contains(minute) && day.synced(minute + 60) <= at;
        total += day.minutes().filter(known).map(|minute| day.kcal(minute).0 + day.kcal(minute).1).sum::<f64>();
        for minute in pulse_minutes(&day).filter(known) {
            let zone = match day.bpm(minute) - day.resting_bpm {
                ..=39 => 0,
                40..=69 => 1,
                70..=94 => 2,
                _ => 3,
            };
            zones[zone] += day.kcal(minute).0 + day.kcal(minute).1;
        }
    }
    if total == 0.0 {
        return json!({});
    }
    if kind.kebab == "total-calories" {
        return json!({"totalCalories": {"kcalSum": (total * 100.0).round() / 100.0}});
    }
    let names = ["LIGHT", "MODERATE", "VIGOROUS", "PEAK"];
    let rows = names.iter().zip(zones).filter(|(_, kcal)| *kcal > 0.0);
    let rows: Vec<Value> =
        rows.map(|(zone, kcal)| json!({"heartRateZone": zone, "kcal": (kcal * 100.0).round() / 100.0})).collect();
    json!({"caloriesInHeartRateZone": {"caloriesInHeartRateZones": rows}})
}

/// `{date: {year, month, day}}`; a time, where there is one, must be midnight.
fn civil_day(value: &Value) -> Result<Date, Problem> {
    let refuse = || Problem::argument("Invalid range: a civil date is expected, aligned with the window.");
    if value["time"].as_object().is_some_and(|time| time.values().any(|part| part != &json!(0))) {
        return Err(refuse());
    }
    let part = |name: &str| value["date"][name].as_i64().ok_or_else(refuse);
    let (year, month, day) = (part("year")?, part("month")?, part("day")?);
    let narrow = |number: i64| i8::try_from(number).map_err(|_| refuse());
    Date::new(i16::try_from(year).map_err(|_| refuse())?, narrow(month)?, narrow(day)?).map_err(|_| refuse())
}
