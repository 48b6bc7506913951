//! Which records a Withings account holds. Streams: `measures`, `activity`, `sleep`, `workouts`, `heart`.

use serde_json::{Value, json};

pub(super) use super::data_activity::{activity_row, intraday, workouts};
pub(super) use super::data_measures::measures;
pub(super) use super::data_sleep::{segments, summary};
use crate::dice::Dice;
use crate::people::Profile;
use crate::record::{Origin, Shelf, Sketch};

pub(crate) const STREAMS: [&str; 5] = ["measures", "activity", "sleep", "workouts", "heart"];

/// A day's records of one stream.
pub(crate) fn fill(shelf: &mut Shelf<'_>, stream: &str) {
    match stream {
        "measures" => measures(shelf),
        "activity" => activity_row(shelf),
        "sleep" => summary(shelf),
        "workouts" => workouts(shelf),
        "heart" => heart(shelf),
        _ => {}
    }
}

/// What a correction by hand changes where it gives only a number.
pub(crate) fn main_value(stream: &str, body: &Value, value: f64) -> Option<Value> {
    match stream {
        "measures" => {
            let mut measures = body.get("measures")?.clone();
            let first = measures.get_mut(0)?;
            let unit = first.get("unit")?.as_i64()?;
            first["value"] = json!((value * 10f64.powi(-unit as i32)).round() as i64);
            Some(json!({"measures": measures}))
        }
        "activity" => Some(json!({"steps": value.round() as i64})),
        "sleep" => Some(json!({"data": {"total_sleep_time": value.round() as i64}})),
        "workouts" => Some(json!({"data": {"calories": value}})),
        "heart" => Some(json!({"heart_rate": value.round() as i64})),
        _ => None,
    }
}

/// A recording of the electrocardiogram, every fifth day or so.
fn heart(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    let mut dice = Dice::new(&[day.key, 31]);
    if !dice.chance(0.2) {
        return;
    }
    let at = day.who.local(day.date, dice.int(18 * 60, 21 * 60));
    let bpm = day.bpm(at);
    let sketch = Sketch { stream: "heart", start: at, end: at + 30, index: 0, origin: Origin::Band, restless: 0.0 };
    shelf.put(sketch, |id, version| {
        json!({
            "deviceid": day.who.watch_id,
            "hash_deviceid": day.who.watch_id,
            "model": 93,
            "ecg": {"signalid": id, "afib": 0},
            "heart_rate": bpm,
            "timestamp": at,
            "modified": version.modified,
            "timezone": day.who.person.time_zone,
        })
    });
}

/// Microvolts at 300 Hz for 30 s.
pub(super) fn signal(who: &Profile, id: u64) -> Vec<i64> {
    let mut dice = Dice::new(&[who.key, id, 32]);
    let beat = 300.0 * 60.0 / (who.resting_bpm + 14.0);
    (0..9_000)
        .map(|tick| {
            let phase = (f64::from(tick) % beat) / beat;
            let bump = |centre: f64, width: f64, height: f64| height * (-((phase - centre) / width).powi(2)).exp();
            let wave = bump(0.2, 0.025, 110.0) + bump(0.34, 0.008, -120.0) + bump(0.36, 0.009, 950.0) + bump(0.38, 0.009, -210.0);
            (wave + bump(0.6, 0.05, 240.0) + dice.around(18.0)).round() as i64
        })
        .collect()
}
