//! Strava v3: pages by number, a local time with a Z that is not true, one subscription for the whole application.

use serde_json::{Value, json};

use super::call::{Answer, Call, ok, problem};
use super::data::{clock, max_bpm, mean_bpm, movement};
use super::oauth::revoked;
use crate::day::Sport;
use crate::people::instant;
use crate::record::{Origin, Shelf, Sketch};

pub(super) fn answer(call: &Call<'_>) -> Answer {
    match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/oauth/deauthorize") => Ok(revoked(call, &call.query)),
        ("GET", "/api/v3/athlete") => {
            let who = call.who("")?;
            ok(json!({
                "id": who.person.user_id.parse::<i64>().unwrap_or_default(), "resource_state": 3, "firstname": who.person.display_name,
                "weight": (who.weight_kg * 10.0).round() / 10.0,
            }))
        }
        ("GET", "/api/v3/athlete/activities") => {
            let who = call.who("activity:read_all")?;
            let (page, size) = (call.number("page")?.unwrap_or(1), call.number("per_page")?.unwrap_or(30));
            if page < 1 || !(1..=200).contains(&size) {
                return Err(problem(400, "Bad Request"));
            }
            let (after, before) = (call.number("after")?.unwrap_or(0), call.number("before")?.unwrap_or(i64::MAX / 4));
            // Pages are shorter here than asked for: a client must not take that for the end.
            let (at, size) = (((page - 1) * size.min(20)) as usize, size.min(20) as usize);
            let records = call.range(who, "activities", after + 1, before);
            ok(Value::Array(records.into_iter().skip(at).take(size).map(|record| record.body).collect()))
        }
        ("GET", path) => match path.rsplit_once('/') {
            Some(("/api/v3/activities", id)) => call.one(call.who("activity:read_all")?, "activities", id),
            _ => Err(problem(404, "Record Not Found")),
        },
        _ => Err(problem(404, "Record Not Found")),
    }
}

pub(super) fn fill(shelf: &mut Shelf<'_>, stream: &str) {
    if stream != "activities" {
        return;
    }
    let (day, who) = (shelf.day, shelf.day.who);
    for workout in &day.workouts {
        let sketch = Sketch {
            stream: "activities",
            start: workout.start,
            end: workout.end,
            index: workout.index,
            origin: Origin::Band,
            restless: 0.08,
        };
        shelf.put(sketch, |id, version| {
            let (_, way, _) = movement(day, workout.start, workout.end);
            json!({
                "resource_state": 2, "id": id, "name": "Activity", "distance": (way as f64 * version.factor / 100.0).round() / 10.0,
                "moving_time": workout.end - workout.start - 30, "elapsed_time": workout.end - workout.start, "total_elevation_gain": 41.5,
                "sport_type": match workout.sport { Sport::Run => "Run", Sport::Walk => "Walk", Sport::Ride => "Ride" },
                "start_date": instant(workout.start).to_string(), "start_date_local": format!("{}Z", clock(who, workout.start)),
                "timezone": format!("(GMT+00:00) {}", who.person.time_zone), "utc_offset": who.offset(workout.start) as f64, "manual": false, "private": false,
                "average_speed": 2.9, "max_speed": 4.1, "has_heartrate": true, "average_heartrate": mean_bpm(day, workout.start, workout.end),
                "max_heartrate": max_bpm(day, workout.start, workout.end),
            })
        });
    }
}
