//! Dexcom v3: windows of at most thirty days in UTC without saying so, values beyond the range pinned, an hour late.

use serde_json::{Value, json};

use super::call::{Answer, Call, ok, problem};
use super::data::{civil_utc, clock, local, uuid};
use crate::dice::Dice;
use crate::people::instant;
use crate::record::{Origin, Shelf, Sketch};

const DAY: i64 = 86_400;

pub(super) fn answer(call: &Call<'_>) -> Answer {
    let Some(stream) = call.path.strip_prefix("/v3/users/self/").filter(|_| call.method == "GET") else {
        return Err(problem(404, "Not Found"));
    };
    let who = call.who("offline_access")?;
    let list = |kind: &str, records: Vec<Value>| {
        ok(json!({"recordType": kind, "recordVersion": "3.0", "userId": who.person.user_id, "records": records}))
    };
    match stream {
        "dataRange" => ok(json!({"recordType": "dataRange", "recordVersion": "3.0", "userId": who.person.user_id, "egvs": {}})),
        "devices" => list(
            "device",
            vec![
                json!({"lastUploadDate": instant(call.world.horizon()).to_string(), "transmitterId": who.watch_id, "transmitterGeneration": "g7", "displayDevice": "iOS", "alertSchedules": []}),
            ],
        ),
        "egvs" | "events" | "calibrations" => {
            let at = |name| {
                call.query.get(name).and_then(civil_utc).ok_or_else(|| problem(400, "expected a time in UTC without an offset"))
            };
            let (from, to) = (at("startDate")?, at("endDate")?);
            if to < from || to - from > 30 * DAY {
                return Err(problem(400, "the window must not be longer than 30 days"));
            }
            list(
                stream.trim_end_matches('s'),
                call.range(who, stream, from, to).into_iter().rev().map(|record| record.body).collect(),
            )
        }
        _ => Err(problem(404, "Not Found")),
    }
}

pub(super) fn fill(shelf: &mut Shelf<'_>, stream: &str) {
    let (day, who) = (shelf.day, shelf.day.who);
    match stream {
        "egvs" => {
            // Every five minutes, half of the day: the rest of it the sensor warmed up.
            for at in day.minutes().step_by(5).filter(|at| at.rem_euclid(DAY) < DAY / 2).collect::<Vec<_>>() {
                let mut dice = Dice::new(&[day.key, 900, at as u64]);
                let value = match dice.int(0, 60) {
                    0 => json!(null),
                    1 => json!(39),
                    2 => json!(401),
                    _ => json!(dice.int(72, 180)),
                };
                let status = if value == json!(39) {
                    "low"
                } else if value == json!(401) {
                    "high"
                } else {
                    "ok"
                };
                shelf.put(Sketch { stream: "egvs", start: at, end: at, index: at as u64, origin: Origin::Band, restless: 0.0 }, |id, _| {
                    json!({
                        "recordId": uuid(id), "systemTime": instant(at).to_string(), "displayTime": local(who, at), "transmitterId": who.watch_id, "transmitterTicks": at,
                        "value": value, "status": status, "trend": "flat", "trendRate": 0.3, "unit": "mg/dL", "rateUnit": "mg/dL/min", "displayDevice": "iOS",
                        "transmitterGeneration": "g7", "displayApp": "G7",
                    })
                });
            }
        }
        "events" => {
            let at = who.local(day.date, 12 * 60 + 30);
            shelf.put(Sketch { stream: "events", start: at, end: at, index: 0, origin: Origin::Person, restless: 0.1 }, |id, version| {
                json!({
                    "recordId": uuid(id), "systemTime": instant(at).to_string(), "displayTime": clock(who, at),
                    "eventStatus": if version.factor > 1.0 { "updated" } else { "created" }, "eventType": "carbs", "eventSubType": null,
                    "value": (40.0 * version.factor).round().to_string(), "unit": "grams",
                })
            });
            shelf.put(Sketch { stream: "events", start: at + 300, end: at + 300, index: 1, origin: Origin::Person, restless: 0.0 }, |id, _| {
                json!({
                    "recordId": uuid(id), "systemTime": instant(at + 300).to_string(), "displayTime": clock(who, at + 300), "eventStatus": "created",
                    "eventType": "insulin", "eventSubType": "fastActing", "value": "4.5", "unit": "units",
                })
            });
        }
        _ => {}
    }
}
