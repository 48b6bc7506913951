//! Sleep: summaries of nights, and segments with their series.

use serde_json::{Map, Value, json};

use crate::day::{Day, Rest, Segment, Stage};
use crate::dice::Dice;
use crate::record::{Origin, Shelf, Sketch};

pub(super) fn summary(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    let night = &day.night;
    let sketch = Sketch { stream: "sleep", start: night.start, end: night.end, index: 0, origin: Origin::Band, restless: 0.06 };
    shelf.put(sketch, |id, version| {
        json!({
            "id": id,
            "timezone": day.who.person.time_zone,
            "model": 16,
            "model_id": 93,
            "hash_deviceid": day.who.watch_id,
            "startdate": night.start,
            "enddate": night.end,
            "date": day.date.to_string(),
            "created": version.created,
            "modified": version.modified,
            "completed": true,
            "data": figures(day, version.factor),
        })
    });
}

/// Seconds, counts and rates of a night; `getsummary` keeps those that were asked for.
fn figures(day: &Day<'_>, factor: f64) -> Value {
    let night = &day.night;
    let (light, deep, rem) = (night.seconds(Stage::Light), night.seconds(Stage::Deep), night.seconds(Stage::Rem));
    let awake = night.seconds(Stage::Awake);
    let asleep = ((light + deep + rem) as f64 * factor).round() as i64;
    let edge = |part: Option<&Segment>| part.filter(|part| part.stage == Stage::Awake).map_or(0, |part| part.end - part.start);
    let (latency, after) = (edge(night.segments.first()), edge(night.segments.last()));
    let wakes = night.segments.iter().filter(|part| part.stage == Stage::Awake).count().saturating_sub(1);
    let beats: Vec<i64> = (night.start..night.end).step_by(300).map(|at| day.bpm(at)).collect();
    let breaths = Dice::new(&[day.key, 41]).int(12, 17);
    json!({
        "total_timeinbed": night.end - night.start,
        "total_sleep_time": asleep,
        "asleepduration": asleep,
        "lightsleepduration": light,
        "remsleepduration": rem,
        "deepsleepduration": deep,
        "sleep_efficiency": (asleep as f64 / (night.end - night.start) as f64 * 100.0).round() / 100.0,
        "sleep_latency": latency,
        "wakeup_latency": after,
        "wakeupduration": awake,
        "wakeupcount": wakes,
        "waso": (awake - latency - after).max(0),
        "nb_rem_episodes": night.segments.iter().filter(|part| part.stage == Stage::Rem).count(),
        "out_of_bed_count": 0,
        "hr_average": beats.iter().sum::<i64>() / beats.len().max(1) as i64,
        "hr_min": beats.iter().min(),
        "hr_max": beats.iter().max(),
        "rr_average": breaths,
        "rr_min": breaths - 3,
        "rr_max": breaths + 4,
        "sleep_score": (asleep / 330).min(100),
        "snoring": 0,
        "snoringepisodecount": 0,
    })
}

/// Segments that overlap [from, to), with the series that were asked for.
pub(super) fn segments(day: &Day<'_>, (from, to): (i64, i64), fields: &[&str]) -> Vec<Value> {
    let night = &day.night;
    let overlapping = night.segments.iter().filter(|part| part.start < to && part.end > from);
    overlapping.map(|part| segment(day, night, part, fields)).collect()
}

fn segment(day: &Day<'_>, night: &Rest, part: &Segment, fields: &[&str]) -> Value {
    let state = match (night.classic, part.stage) {
        (_, Stage::Awake) => 0,
        (true, _) => 5,
        (false, Stage::Light) => 1,
        (false, Stage::Deep) => 2,
        (false, Stage::Rem) => 3,
    };
    let mut body = json!({
        "startdate": part.start,
        "enddate": part.end,
        "state": state,
        "model": "ScanWatch",
        "hash_deviceid": day.who.watch_id,
        "model_id": 93,
    });
    let ticks = || (part.start..part.end).filter(|at| at % 300 == 0);
    let mut offer = |name: &str, value: &dyn Fn(i64) -> Value| {
        if fields.contains(&name) {
            let series: Map<String, Value> = ticks().map(|at| (at.to_string(), value(at))).collect();
            body[name] = Value::Object(series);
        }
    };
    let noise = |at: i64, salt: u64| Dice::new(&[day.key, salt, at as u64]);
    offer("hr", &|at| json!(day.bpm(at)));
    offer("rr", &|at| json!(noise(at, 42).int(11, 18)));
    offer("snoring", &|_| json!(0));
    offer("sdnn_1", &|at| json!((day.who.rmssd_ms * 1.25 + noise(at, 43).around(12.0)).round()));
    offer("rmssd", &|at| json!((day.who.rmssd_ms + noise(at, 44).around(11.0)).round()));
    body
}
