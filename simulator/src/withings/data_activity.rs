//! Activity by day and by minute, and workouts.

use serde_json::{Map, Value, json};

use crate::day::{Day, Sport};
use crate::record::{Origin, Record, Shelf, Sketch};

/// One row per local day, growing with every synchronisation.
pub(super) fn activity_row(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    // The day as far as the cloud knows it: up to the last contact, and complete with the first one after midnight.
    let Some(sync) = day.last_sync(shelf.at.min(day.synced(day.end))).filter(|sync| *sync > day.start) else { return };
    let until = sync.min(day.end);
    let sums = Sums::of(day, until);
    if sums.worn == 0 {
        return;
    }
    let body = json!({
        "date": day.date.to_string(),
        "timezone": day.who.person.time_zone,
        "deviceid": day.who.watch_id,
        "hash_deviceid": day.who.watch_id,
        "brand": 1,
        "is_tracker": true,
        "modified": sync,
        "model": "ScanWatch",
        "modelid": 93,
        "steps": sums.steps,
        "distance": round3(sums.millimetres as f64 / 1000.0),
        "elevation": sums.steps / 900,
        "soft": sums.zones[0],
        "moderate": sums.zones[1],
        "intense": sums.zones[2] + sums.zones[3],
        "active": sums.zones[1] + sums.zones[2] + sums.zones[3],
        "calories": round3(sums.active_kcal),
        "totalcalories": round3(sums.active_kcal + sums.resting_kcal),
        "hr_average": sums.beats / sums.worn,
        "hr_min": sums.lowest,
        "hr_max": sums.highest,
        "hr_zone_0": sums.zones[0],
        "hr_zone_1": sums.zones[1],
        "hr_zone_2": sums.zones[2],
        "hr_zone_3": sums.zones[3],
    });
    shelf.records.push(Record {
        // One row per day, whatever it says: the date is its identity.
        id: day.key >> 12,
        stream: "activity".to_owned(),
        start: day.start,
        end: day.end,
        date: day.date,
        visible_at: sync,
        modified: sync,
        vanishes_at: None,
        body,
        origin: Origin::Band,
    });
}

#[derive(Default)]
struct Sums {
    steps: i64,
    millimetres: i64,
    active_kcal: f64,
    resting_kcal: f64,
    beats: i64,
    worn: i64,
    lowest: i64,
    highest: i64,
    /// Seconds by effort.
    zones: [i64; 4],
}

impl Sums {
    fn of(day: &Day<'_>, until: i64) -> Self {
        let mut sums = Self { lowest: i64::MAX, ..Self::default() };
        for at in day.minutes().take_while(|at| at + 60 <= until).filter(|at| day.worn(*at)) {
            let (bpm, (resting, active)) = (day.bpm(at), day.kcal(at));
            sums.steps += day.steps(at);
            sums.millimetres += day.millimetres(at);
            sums.resting_kcal += resting;
            sums.active_kcal += active;
            sums.beats += bpm;
            sums.worn += 1;
            sums.lowest = sums.lowest.min(bpm);
            sums.highest = sums.highest.max(bpm);
            match bpm - day.resting_bpm {
                25..=44 => sums.zones[0] += 60,
                45..=69 => sums.zones[1] += 60,
                70..=94 => sums.zones[2] += 60,
                95.. => sums.zones[3] += 60,
                _ => {}
            }
        }
        sums
    }
}

/// One entry per minute in which something happened, keyed by epoch seconds; fields only as asked for.
pub(super) fn intraday(day: &Day<'_>, (from, to): (i64, i64), at: i64, fields: &[&str]) -> Map<String, Value> {
    let minutes =
        day.minutes().filter(|minute| (from..to).contains(minute) && day.worn(*minute) && day.synced(minute + 60) <= at);
    let entries = minutes.filter_map(|minute| {
        let (steps, moving) = (day.steps(minute), day.workout_at(minute).is_some());
        let pulse = moving || minute % 600 == 0;
        if steps == 0 && !pulse {
            return None;
        }
        let mut entry = Map::new();
        entry.insert("deviceid".into(), json!(day.who.watch_id));
        entry.insert("model".into(), json!("ScanWatch"));
        entry.insert("model_id".into(), json!(93));
        let mut offer = |name: &str, value: Value, there: bool| {
            if there && fields.contains(&name) {
                entry.insert(name.to_owned(), value);
            }
        };
        offer("steps", json!(steps), steps > 0);
        offer("distance", json!(round3(day.millimetres(minute) as f64 / 1000.0)), steps > 0);
        offer("elevation", json!(0), steps > 0);
        offer("calories", json!(round3(day.kcal(minute).1)), steps > 0);
        offer("duration", json!(60), steps > 0);
        offer("heart_rate", json!(day.bpm(minute)), pulse);
        let resting = pulse && !moving && day.asleep(minute);
        offer("sdnn1", json!((day.who.rmssd_ms * 1.25).round()), resting);
        offer("rmssd", json!(day.who.rmssd_ms.round()), resting);
        offer("hrv_quality", json!(2), resting);
        Some((minute.to_string(), Value::Object(entry)))
    });
    entries.collect()
}

pub(super) fn workouts(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    for workout in &day.workouts {
        let minutes = || (workout.start..workout.end).step_by(60);
        let beats: Vec<i64> = minutes().map(|at| day.bpm(at)).collect();
        let count = beats.len().max(1) as i64;
        let steps: i64 = minutes().map(|at| day.steps(at)).sum();
        let metres = minutes().map(|at| day.millimetres(at)).sum::<i64>() / 1000;
        let kcal: f64 = minutes().map(|at| day.kcal(at).1).sum();
        let category = match workout.sport {
            Sport::Walk => 1,
            Sport::Run => 2,
            Sport::Ride => 6,
        };
        let (start, end) = (workout.start, workout.end);
        let sketch = Sketch { stream: "workouts", start, end, index: workout.index, origin: Origin::Band, restless: 0.04 };
        shelf.put(sketch, |id, version| {
            json!({
                "id": id,
                "category": category,
                "timezone": day.who.person.time_zone,
                "model": 93,
                "attrib": 7,
                "startdate": start,
                "enddate": end,
                "date": day.date.to_string(),
                "modified": version.modified,
                "deviceid": day.who.watch_id,
                "data": {
                    "calories": round3(kcal * version.factor),
                    "intensity": 0,
                    "manual_distance": 0,
                    "manual_calories": 0,
                    "hr_average": beats.iter().sum::<i64>() / count,
                    "hr_min": beats.iter().min(),
                    "hr_max": beats.iter().max(),
                    "pause_duration": 0,
                    "steps": steps,
                    "distance": (metres as f64 * version.factor).round(),
                    "elevation": metres / 700,
                },
            })
        });
    }
}

pub(super) fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
