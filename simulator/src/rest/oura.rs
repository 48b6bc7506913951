//! Oura v2: documents by day names, heart rate by instants, membership that may lapse.

use serde_json::{Value, json};

use super::call::{Answer, Call, ok, problem};
use super::data::{asleep, local, mean_bpm, movement, uuid};
use super::oauth::revoked;
use crate::day::{Sport, Stage};
use crate::record::{Origin, Record, Shelf, Sketch};

/// Documents of one page.
const PAGE: usize = 40;

pub(super) fn answer(call: &Call<'_>) -> Answer {
    if (call.method.as_str(), call.path.as_str()) == ("POST", "/oauth/revoke") {
        return Ok(revoked(call, &call.query));
    }
    let Some(path) = call.path.strip_prefix("/v2/usercollection/").filter(|_| call.method == "GET") else {
        return Err(problem(404, "Not Found"));
    };
    match path {
        "personal_info" => {
            let who = call.who("personal")?;
            ok(json!({"id": who.person.user_id, "email": null}))
        }
        "ring_configuration" => {
            let who = call.who("personal")?;
            ok(
                json!({"data": [{"id": who.watch_id, "color": "silver", "firmware_version": "2.9.17", "hardware_type": "gen3", "size": 9}], "next_token": null}),
            )
        }
        "heartrate" => heart_rate(call),
        // The path is not spelled as the word in notifications.
        "vO2_max" => empty(call, "daily"),
        "daily_spo2" => empty(call, "spo2Daily"),
        "daily_stress" | "daily_cardiovascular_age" => empty(call, "daily"),
        "session" => empty(call, "session"),
        "workout" => list(call, "workout", "workout"),
        "sleep" | "daily_sleep" | "daily_readiness" | "daily_activity" => list(call, path, "daily"),
        path => match path.split_once('/') {
            Some((stream @ ("sleep" | "daily_sleep" | "daily_readiness" | "daily_activity"), id)) => {
                call.one(call.who("daily")?, stream, id)
            }
            Some(("workout", id)) => call.one(call.who("workout")?, "workout", id),
            _ => Err(problem(404, "Not Found")),
        },
    }
}

fn empty(call: &Call<'_>, scope: &str) -> Answer {
    call.who(scope)?;
    call.date("start_date")?;
    ok(json!({"data": [], "next_token": null}))
}

fn list(call: &Call<'_>, stream: &str, scope: &str) -> Answer {
    let who = call.who(scope)?;
    let records = call.days(who, stream, call.date("start_date")?, call.date("end_date")?);
    page(call, records.into_iter().map(|record: Record| record.body).collect())
}

fn page(call: &Call<'_>, rows: Vec<Value>) -> Answer {
    let at = call.number("next_token")?.and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let next = (rows.len() > at + PAGE).then(|| (at + PAGE).to_string());
    let rows: Vec<Value> = rows.into_iter().skip(at).take(PAGE).collect();
    ok(json!({"data": rows, "next_token": next}))
}

fn heart_rate(call: &Call<'_>) -> Answer {
    let who = call.who("heartrate")?;
    let (Some(from), Some(to)) = (call.instant("start_datetime")?, call.instant("end_datetime")?) else {
        return Err(problem(400, "start_datetime and end_datetime are expected"));
    };
    let horizon = call.world.horizon();
    let rows = call.world.days(who, from, to).flat_map(|date| {
        let day = crate::day::Day::new(who, date);
        let times: Vec<i64> = day.minutes().step_by(5).filter(|at| (from..to).contains(at) && day.synced(*at) <= horizon && day.worn(*at)).collect();
        times.into_iter().map(|at| json!({"bpm": day.bpm(at), "source": if day.asleep(at) { "sleep" } else { "awake" }, "timestamp": local(who, at)})).collect::<Vec<_>>()
    });
    ok(json!({"data": rows.collect::<Vec<Value>>(), "next_token": null}))
}

pub(super) fn fill(shelf: &mut Shelf<'_>, stream: &str) {
    let day = shelf.day;
    let (who, night, date) = (day.who, &day.night, day.date.to_string());
    let sketch = |stream, start, end, index| Sketch { stream, start, end, index, origin: Origin::Band, restless: 0.05 };
    let midnight = local(who, day.start);
    match stream {
        "sleep" => {
            let [light, deep, rem] = asleep(night);
            let phases: String = (night.start..night.end)
                .step_by(300)
                .map(|at| match night.stage_at(at) {
                    Some(Stage::Deep) => '1',
                    Some(Stage::Light) => '2',
                    Some(Stage::Rem) => '3',
                    _ => '4',
                })
                .collect();
            shelf.put(sketch("sleep", night.start, night.end, 0), |id, version| {
                json!({
                    "id": uuid(id), "average_breath": 14.125, "average_heart_rate": mean_bpm(day, night.start, night.end), "average_hrv": who.rmssd_ms.round(),
                    "awake_time": night.seconds(Stage::Awake), "bedtime_start": local(who, night.start), "bedtime_end": local(who, night.end), "day": date,
                    "deep_sleep_duration": deep, "efficiency": 91, "hrv": {"interval": 300.0, "items": [null, who.rmssd_ms.round()], "timestamp": local(who, night.start)},
                    "latency": 420, "light_sleep_duration": light, "lowest_heart_rate": day.resting_bpm, "rem_sleep_duration": rem, "sleep_phase_5_min": phases,
                    "time_in_bed": night.end - night.start, "total_sleep_duration": ((light + deep + rem) as f64 * version.factor).round(), "type": "long_sleep",
                })
            });
        }
        "daily_sleep" => shelf.put(sketch("daily_sleep", night.end, night.end, 0), |id, version| {
            json!({"id": uuid(id), "contributors": {}, "day": date, "score": (82.0 * version.factor).round(), "timestamp": midnight})
        }),
        "daily_readiness" => shelf.put(sketch("daily_readiness", night.end, night.end, 0), |id, _| {
            json!({"id": uuid(id), "contributors": {}, "day": date, "score": 77, "temperature_deviation": -0.12, "temperature_trend_deviation": 0.05, "timestamp": midnight})
        }),
        "daily_activity" => {
            let (steps, way, energy) = movement(day, day.start, day.end);
            shelf.put(sketch("daily_activity", day.start, day.end - 1, 0), |id, version| {
                json!({
                    "id": uuid(id), "day": date, "timestamp": midnight, "score": 80, "active_calories": energy.round(), "steps": (steps as f64 * version.factor).round(),
                    "equivalent_walking_distance": way / 1000, "total_calories": energy.round() + 1600.0, "low_activity_time": 9000, "medium_activity_time": 1800,
                    "high_activity_time": 600, "sedentary_time": 30_000, "non_wear_time": 1800, "contributors": {},
                })
            });
        }
        "workout" => {
            for workout in &day.workouts {
                shelf.put(sketch("workout", workout.start, workout.end, workout.index), |id, version| {
                    let (_, way, energy) = movement(day, workout.start, workout.end);
                    json!({
                        "id": uuid(id), "activity": match workout.sport { Sport::Run => "running", Sport::Walk => "walking", Sport::Ride => "cycling" },
                        "calories": (energy * version.factor * 10.0).round() / 10.0, "day": date, "distance": way as f64 / 1000.0, "intensity": "moderate", "label": null,
                        "source": "autodetected", "start_datetime": local(who, workout.start), "end_datetime": local(who, workout.end),
                    })
                });
            }
        }
        _ => {}
    }
}
