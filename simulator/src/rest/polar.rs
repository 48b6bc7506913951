//! Polar AccessLink v3: nothing before the person is registered, lists of the last weeks, no refresh tokens.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::call::{Answer, Call, ok, problem};
use super::data::{asleep, clock, local, max_bpm, mean_bpm, movement};
use crate::day::{Day, Sport, Stage};
use crate::people::Profile;
use crate::record::{Origin, Shelf, Sketch};

pub(super) fn answer(call: &Call<'_>) -> Answer {
    let who = call.who("accesslink.read_all")?;
    let key = (call.provider, who.person.user_id.clone());
    match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/v3/users") => {
            let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            if body["member-id"].as_str().is_none_or(str::is_empty) {
                return Err(problem(400, "member-id is missing"));
            }
            let known = !call.world.state().registered.insert(key);
            if known { Err(problem(409, "already registered")) } else { ok(json!({"polar-user-id": who.person.user_id})) }
        }
        ("DELETE", path) if path.strip_prefix("/v3/users/") == Some(who.person.user_id.as_str()) => {
            call.world.state().registered.remove(&key);
            call.revoke(who);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        ("GET", _) if !call.world.state().registered.contains(&key) => Err(problem(403, "the user is not registered")),
        ("GET", path) => read(call, who, path),
        _ => Err(problem(405, "Method Not Allowed")),
    }
}

fn read(call: &Call<'_>, who: &Profile, path: &str) -> Answer {
    let horizon = call.world.horizon();
    let recent = |stream: &str| -> Vec<Value> {
        call.range(who, stream, horizon - 30 * 86_400, i64::MAX / 4).into_iter().map(|record| record.body).collect()
    };
    match path {
        "/v3/exercises" => ok(json!(recent("exercises"))),
        "/v3/users/sleep" => ok(json!({"nights": recent("sleep")})),
        "/v3/users/nightly-recharge" => ok(json!({"recharges": recent("nightly-recharge")})),
        "/v3/users/activities" => {
            let (from, to) = (call.date("from")?, call.date("to")?);
            if from.until(to).map_or(99, |span| span.get_days()) > 28 {
                return Err(problem(400, "at most 28 days"));
            }
            ok(json!(call.days(who, "activities", from, to).into_iter().map(|record| record.body).collect::<Vec<_>>()))
        }
        "/v3/users/cardio-load/date" | "/v3/users/biosensing/spo2" => {
            call.date("from")?;
            ok(json!([]))
        }
        "/v3/users/physical-info" => ok(
            json!({"id": 1, "weight": (who.weight_kg * 10.0).round() / 10.0, "height": (who.height_m * 100.0).round(), "vo2_max": 46}),
        ),
        path => {
            let date = path.strip_prefix("/v3/users/continuous-heart-rate/").and_then(|date| date.parse().ok());
            let date = date.ok_or_else(|| problem(404, "Not Found"))?;
            if date < who.history_start || date > who.date_of(horizon) {
                return Ok(StatusCode::NO_CONTENT.into_response());
            }
            let day = Day::new(who, date);
            let seen: Vec<i64> = day.minutes().step_by(5).filter(|at| day.synced(*at) <= horizon && day.worn(*at)).collect();
            let samples: Vec<Value> =
                seen.iter().map(|at| json!({"heart_rate": day.bpm(*at), "sample_time": &clock(who, *at)[11..]})).collect();
            ok(json!({"polar_user": "x", "date": date.to_string(), "heart_rate_samples": samples}))
        }
    }
}

pub(super) fn fill(shelf: &mut Shelf<'_>, stream: &str) {
    let (day, who) = (shelf.day, shelf.day.who);
    let (night, date) = (&day.night, day.date.to_string());
    let sketch = |stream, start, end, index| Sketch { stream, start, end, index, origin: Origin::Band, restless: 0.0 };
    match stream {
        "exercises" => {
            for workout in &day.workouts {
                shelf.put(sketch("exercises", workout.start, workout.end, workout.index), |id, _| {
                    let (_, way, energy) = movement(day, workout.start, workout.end);
                    json!({
                        "id": crate::dice::hex(&[id], 5), "upload_time": clock(who, workout.end), "device": "Polar Vantage", "start_time": clock(who, workout.start),
                        "start_time_utc_offset": who.offset(workout.start) / 60, "duration": format!("PT{}S", workout.end - workout.start), "calories": energy.round(),
                        "distance": way as f64 / 1000.0, "sport": match workout.sport { Sport::Run => "RUNNING", Sport::Walk => "WALKING", Sport::Ride => "CYCLING" },
                        "heart_rate": {"average": mean_bpm(day, workout.start, workout.end), "maximum": max_bpm(day, workout.start, workout.end)}, "training_load": 71.5,
                    })
                });
            }
        }
        "activities" => {
            let (steps, way, energy) = movement(day, day.start, day.end);
            shelf.put(sketch("activities", day.start, day.end - 1, 0), |_, _| {
                json!({
                    "start_time": format!("{date}T00:00:00"), "end_time": format!("{date}T23:59:59"), "active_duration": "PT2H10M", "calories": energy.round() + 1600.0,
                    "active_calories": energy.round(), "steps": steps, "distance_from_steps": way as f64 / 1000.0,
                })
            });
        }
        "sleep" => {
            let [light, deep, rem] = asleep(night);
            let stages: BTreeMap<String, i64> = night
                .segments
                .iter()
                .map(|part| {
                    let stage = match part.stage {
                        Stage::Awake => 0,
                        Stage::Rem => 1,
                        Stage::Light => 3,
                        Stage::Deep => 4,
                    };
                    (clock(who, part.start)[11..16].to_owned(), stage)
                })
                .collect();
            shelf.put(sketch("sleep", night.start, night.end, 0), |_, _| {
                json!({
                    "date": date, "sleep_start_time": local(who, night.start), "sleep_end_time": local(who, night.end), "light_sleep": light, "deep_sleep": deep,
                    "rem_sleep": rem, "unrecognized_sleep_stage": 0, "sleep_score": 81, "total_interruption_duration": night.seconds(Stage::Awake), "sleep_cycles": 4,
                    "hypnogram": stages, "heart_rate_samples": {},
                })
            });
        }
        "nightly-recharge" => shelf.put(sketch("nightly-recharge", night.end, night.end, 0), |_, _| {
            json!({
                "date": date, "heart_rate_avg": mean_bpm(day, night.start, night.end), "beat_to_beat_avg": 1100, "heart_rate_variability_avg": who.rmssd_ms.round(),
                "breathing_rate_avg": 14.2, "nightly_recharge_status": 4, "ans_charge": 1.2, "ans_charge_status": 3,
            })
        }),
        _ => {}
    }
}
