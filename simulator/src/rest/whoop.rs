//! WHOOP v2: pages by token, scores that come later, ids that are UUIDs.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::call::{Answer, Call, data_id, ok, problem};
use super::data::{asleep, max_bpm, mean_bpm, movement, offset, utc, uuid};
use crate::day::{Sport, Stage};
use crate::record::{Origin, Shelf, Sketch};

pub(super) fn answer(call: &Call<'_>) -> Answer {
    let Some(path) = call.path.strip_prefix("/developer/v2") else { return Err(problem(404, "Not Found")) };
    match (call.method.as_str(), path) {
        ("GET", "/user/profile/basic") => {
            let who = call.who("read:profile")?;
            ok(json!({"user_id": who.person.user_id.parse::<i64>().unwrap_or_default(), "first_name": who.person.display_name}))
        }
        ("GET", "/user/measurement/body") => {
            let who = call.who("read:body_measurement")?;
            ok(
                json!({"height_meter": who.height_m, "weight_kilogram": (who.weight_kg * 10.0).round() / 10.0, "max_heart_rate": 190}),
            )
        }
        ("DELETE", "/user/access") => {
            let who = call.who("")?;
            call.revoke(who);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        ("GET", "/recovery") => list(call, "recovery", "read:recovery"),
        ("GET", "/cycle") => list(call, "cycle", "read:cycles"),
        ("GET", "/activity/sleep") => list(call, "sleep", "read:sleep"),
        ("GET", "/activity/workout") => list(call, "workout", "read:workout"),
        ("GET", path) => match path.rsplit_once('/') {
            Some(("/activity/sleep", id)) => call.one(call.who("read:sleep")?, "sleep", id),
            Some(("/activity/workout", id)) => call.one(call.who("read:workout")?, "workout", id),
            _ => Err(problem(404, "Not Found")),
        },
        _ => Err(problem(405, "Method Not Allowed")),
    }
}

fn list(call: &Call<'_>, stream: &str, scope: &str) -> Answer {
    let who = call.who(scope)?;
    let limit = call.number("limit")?.unwrap_or(10);
    if !(1..=25).contains(&limit) {
        return Err(problem(400, "limit must be between 1 and 25"));
    }
    let (from, to) = (call.instant("start")?.unwrap_or(0), call.instant("end")?.unwrap_or(i64::MAX / 4));
    let mut records = call.range(who, stream, from, to);
    records.reverse();
    // The token is the id of the record that comes next.
    let at = match call.query.get("nextToken") {
        None => 0,
        Some(token) => records.iter().position(|r| data_id(r) == token).ok_or_else(|| problem(400, "nextToken is invalid"))?,
    };
    let page: Vec<&crate::record::Record> = records.iter().skip(at).take(limit as usize).collect();
    let next = records.get(at + page.len()).map(data_id);
    let rows: Vec<Value> = page.iter().map(|record| strip(record.body.clone(), stream)).collect();
    ok(json!({"records": rows, "next_token": next}))
}

/// A recovery has no id of its own.
fn strip(mut body: Value, stream: &str) -> Value {
    if let (Value::Object(fields), "recovery") = (&mut body, stream) {
        fields.remove("id");
    }
    body
}

pub(super) fn fill(shelf: &mut Shelf<'_>, stream: &str) {
    let day = shelf.day;
    let (who, night) = (day.who, &day.night);
    let user = who.person.user_id.parse::<i64>().unwrap_or_default();
    let sketch = |start, end, index| Sketch { stream: "", start, end, index, origin: Origin::Band, restless: 0.05 };
    let [light, deep, rem] = asleep(night);
    // The same number for the night and what is made of it.
    let night_id = uuid(crate::dice::mix(&[day.key, 501]));
    match stream {
        "sleep" => shelf.put(Sketch { stream: "sleep", ..sketch(night.start, night.end, 0) }, |_, version| {
            json!({
                "id": night_id, "cycle_id": day.key >> 20, "user_id": user, "created_at": utc(version.created), "updated_at": utc(version.modified),
                "start": utc(night.start), "end": utc(night.end), "timezone_offset": offset(who, night.start), "nap": false, "score_state": "SCORED",
                "score": {
                    "stage_summary": {
                        "total_in_bed_time_milli": (night.end - night.start) * 1000, "total_awake_time_milli": night.seconds(Stage::Awake) * 1000,
                        "total_no_data_time_milli": 0, "total_light_sleep_time_milli": (light as f64 * version.factor) as i64 * 1000,
                        "total_slow_wave_sleep_time_milli": deep * 1000, "total_rem_sleep_time_milli": rem * 1000, "sleep_cycle_count": 4, "disturbance_count": 9,
                    },
                    "sleep_needed": {"baseline_milli": 27_395_716}, "respiratory_rate": 15.25, "sleep_performance_percentage": 91.0,
                    "sleep_consistency_percentage": 80.0, "sleep_efficiency_percentage": 93.5,
                },
            })
        }),
        "recovery" => shelf.put(Sketch { stream: "recovery", ..sketch(night.end, night.end, 0) }, |_, version| {
            json!({
                "id": night_id, "sleep_id": night_id, "cycle_id": day.key >> 20, "user_id": user, "created_at": utc(version.created),
                "updated_at": utc(version.modified), "score_state": "SCORED",
                "score": {
                    "user_calibrating": false, "recovery_score": 61.0, "resting_heart_rate": day.resting_bpm, "hrv_rmssd_milli": who.rmssd_ms,
                    "spo2_percentage": 96.5, "skin_temp_celsius": 33.5,
                },
            })
        }),
        "cycle" => {
            let (_, _, energy) = movement(day, day.start, day.end);
            shelf.put(Sketch { stream: "cycle", ..sketch(night.end, day.bedtime, 0) }, |_, version| {
                json!({
                    "id": day.key >> 20, "user_id": user, "created_at": utc(version.created), "updated_at": utc(version.modified),
                    "start": utc(night.end), "end": utc(day.bedtime), "timezone_offset": offset(who, night.end), "score_state": "SCORED",
                    "score": {"strain": 8.5, "kilojoule": ((energy + 1500.0) * 4.184 * 100.0).round() / 100.0, "average_heart_rate": 71, "max_heart_rate": 151},
                })
            });
        }
        "workout" => {
            for workout in &day.workouts {
                shelf.put(Sketch { stream: "workout", ..sketch(workout.start, workout.end, workout.index) }, |id, version| {
                    let (_, way, energy) = movement(day, workout.start, workout.end);
                    json!({
                        "id": uuid(id), "user_id": user, "created_at": utc(version.created), "updated_at": utc(version.modified), "start": utc(workout.start),
                        "end": utc(workout.end), "timezone_offset": offset(who, workout.start), "score_state": "SCORED",
                        "sport_name": match workout.sport { Sport::Run => "running", Sport::Walk => "walking", Sport::Ride => "cycling" },
                        "score": {
                            "strain": 9.1, "average_heart_rate": mean_bpm(day, workout.start, workout.end), "max_heart_rate": max_bpm(day, workout.start, workout.end),
                            "kilojoule": (energy * 4.184 * version.factor * 100.0).round() / 100.0, "percent_recorded": 100.0, "distance_meter": way as f64 / 1000.0,
                            "zone_durations": {"zone_zero_milli": 0},
                        },
                    })
                });
            }
        }
        _ => {}
    }
}
