//! Garmin Health: nothing may be asked for but the past, which is pushed; one summary type is pinged, with an address that holds a token.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::call::{Answer, Call, ok, problem};
use super::data::{asleep, max_bpm, mean_bpm, movement};
use super::webhook;
use crate::day::{Sport, Stage};
use crate::dice;
use crate::record::{Origin, Shelf, Sketch};

const BASE: &str = "/wellness-api/rest";
/// Told of by an address instead of by its data.
pub(super) const PINGED: &str = "pulseox";

pub(super) fn answer(call: &Call<'_>) -> Answer {
    let Some(path) = call.path.strip_prefix(BASE) else { return Err(problem(404, "Not Found")) };
    if let Some(stream) = path.strip_prefix('/').filter(|stream| *stream == PINGED && call.method == "GET") {
        return pinged(call, stream);
    }
    let who = call.who("")?;
    match (call.method.as_str(), path) {
        ("GET", "/user/id") => ok(json!({"userId": who.person.user_id})),
        ("DELETE", "/user/registration") => {
            call.revoke(who);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        ("GET", path) => {
            let stream =
                path.strip_prefix("/backfill/").ok_or_else(|| problem(403, "asking without a ping is not allowed"))?.to_owned();
            let (Some(from), Some(to)) = (call.number("summaryStartTimeInSeconds")?, call.number("summaryEndTimeInSeconds")?)
            else {
                return Err(problem(400, "the window is missing"));
            };
            if to <= from || to - from > 30 * 86_400 {
                return Err(problem(400, "the window must not be longer than 30 days"));
            }
            let key = (who.person.user_id.clone(), stream.clone(), from);
            if !call.world.state().backfilled.insert(key) {
                return Err(problem(409, "duplicate backfill"));
            }
            let host = call.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
            call.world.state().host = host;
            let rows = call.range(who, &stream, from, to);
            // Later, by the door.
            let later = webhook::garmin(call.world, &who.person.user_id, &stream, &rows);
            call.world.state().outgoing.extend(later);
            Ok(StatusCode::ACCEPTED.into_response())
        }
        _ => Err(problem(405, "Method Not Allowed")),
    }
}

/// The token of a pinged address: of a person, a stream and a window.
pub(super) fn token(user: &str, from: i64, to: i64) -> String {
    dice::hex(&[dice::key(user), dice::key("pull"), from as u64, to as u64], 12)
}

fn pinged(call: &Call<'_>, stream: &str) -> Answer {
    let who = call.who("")?;
    let (Some(from), Some(to)) = (call.number("uploadStartTimeInSeconds")?, call.number("uploadEndTimeInSeconds")?) else {
        return Err(problem(400, "the window is missing"));
    };
    if call.query.get("token") != Some(token(&who.person.user_id, from, to).as_str()) {
        return Err(problem(403, "the token is not of this window"));
    }
    ok(Value::Array(call.range(who, stream, from, to).into_iter().map(|record| record.body).collect()))
}

pub(super) fn fill(shelf: &mut Shelf<'_>, stream: &str) {
    let (day, who) = (shelf.day, shelf.day.who);
    let (night, date, user) = (&day.night, day.date.to_string(), &who.person.user_id);
    let sketch = |stream, start, end, index| Sketch { stream, start, end, index, origin: Origin::Band, restless: 0.05 };
    let head = |id: u64, start: i64, end: i64| {
        json!({
            "userId": user, "summaryId": format!("x{id}"), "calendarDate": date, "startTimeInSeconds": start, "startTimeOffsetInSeconds": who.offset(start),
            "durationInSeconds": end - start,
        })
    };
    let with = |mut head: Value, more: Value| {
        crate::record::merge(&mut head, &more);
        head
    };
    match stream {
        "dailies" => {
            let (steps, way, energy) = movement(day, day.start, day.end);
            shelf.put(sketch("dailies", day.start, day.end - 1, 0), |id, version| {
                with(head(id, day.start, day.end), json!({
                    "steps": (steps as f64 * version.factor).round(), "distanceInMeters": way as f64 / 1000.0, "activeKilocalories": energy.round(), "bmrKilocalories": 1600,
                    "restingHeartRateInBeatsPerMinute": day.resting_bpm, "averageStressLevel": -1, "floorsClimbed": 3, "moderateIntensityDurationInSeconds": 1800,
                    "timeOffsetHeartRateSamples": {"900": day.bpm(day.start + 900), "1800": 0, "3600": day.bpm(day.start + 3600)},
                }))
            });
        }
        "sleeps" => {
            let [light, deep, rem] = asleep(night);
            shelf.put(sketch("sleeps", night.start, night.end, 0), |id, version| {
                with(head(id, night.start, night.end), json!({
                    "deepSleepDurationInSeconds": deep, "lightSleepDurationInSeconds": (light as f64 * version.factor).round(), "remSleepInSeconds": rem,
                    "awakeDurationInSeconds": night.seconds(Stage::Awake), "validation": "ENHANCED_FINAL", "overallSleepScore": {"value": 80},
                }))
            });
        }
        "activities" => {
            for workout in &day.workouts {
                shelf.put(sketch("activities", workout.start, workout.end, workout.index), |id, version| {
                    let (steps, way, energy) = movement(day, workout.start, workout.end);
                    with(head(id, workout.start, workout.end), json!({
                        "activityType": match workout.sport { Sport::Run => "RUNNING", Sport::Walk => "WALKING", Sport::Ride => "CYCLING" }, "steps": steps,
                        "distanceInMeters": way as f64 * version.factor / 1000.0, "activeKilocalories": energy.round(), "deviceName": "forerunner",
                        "averageHeartRateInBeatsPerMinute": mean_bpm(day, workout.start, workout.end), "maxHeartRateInBeatsPerMinute": max_bpm(day, workout.start, workout.end),
                    }))
                });
            }
        }
        "pulseox" => shelf.put(sketch("pulseox", night.start, night.start + 3600, 0), |id, _| {
            with(
                head(id, night.start, night.start + 3600),
                json!({"timeOffsetSpo2Values": {"0": 95, "1800": 96}, "onDemand": false}),
            )
        }),
        _ => {}
    }
}
