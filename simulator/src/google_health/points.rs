//! Which data points an account holds, by data type.

use serde_json::{Value, json};

use super::shape::{bounds, date, int64, interval, sample, source, stamp};
use crate::day::{Day, Rest, Sport, Stage, Workout};
use crate::dice::Dice;
use crate::record::{Origin, Shelf, Sketch, Version};

const PASSIVE: &str = "PASSIVELY_MEASURED";
const ACTIVE: &str = "ACTIVELY_MEASURED";
const DERIVED: &str = "DERIVED";

/// A day's points of one type.
pub(crate) fn fill(shelf: &mut Shelf<'_>, kind: &str) {
    match kind {
        "steps" => counted(shelf, "steps", "steps", "count", |day, at| day.steps(at)),
        "distance" => counted(shelf, "distance", "distance", "millimeters", |day, at| day.millimetres(at)),
        "floors" => counted(shelf, "floors", "floors", "count", floors),
        "active-zone-minutes" => zone_minutes(shelf),
        "heart-rate" => heart_rate(shelf),
        "heart-rate-variability" => variability(shelf),
        "oxygen-saturation" => oxygen(shelf),
        "respiratory-rate-sleep-summary" => breathing(shelf),
        "weight" | "body-fat" => weighing(shelf, kind),
        "height" => height(shelf),
        "daily-resting-heart-rate" | "daily-heart-rate-variability" | "daily-respiratory-rate" | "daily-oxygen-saturation" => {
            daily(shelf, kind);
        }
        "sleep" => sleep(shelf),
        "exercise" => exercise(shelf),
        _ => {}
    }
}

/// Counts by the minute from the band, and again from the phone where it counts too.
fn counted(shelf: &mut Shelf<'_>, kind: &'static str, camel: &str, field: &str, value: impl Fn(&Day<'_>, i64) -> i64) {
    let day = shelf.day;
    for at in day.minutes() {
        let count = value(day, at);
        let index = ((at - day.start) / 60) as u64;
        let mut put = |origin: Origin, count: i64, index: u64| {
            let sketch = Sketch { stream: kind, start: at, end: at + 60, index, origin, restless: 0.0004 };
            shelf.put(sketch, |_, version| {
                let mut point = json!({"interval": interval(day.who, at, at + 60)});
                int64(field, scaled(count, version), &mut point);
                json!({"dataSource": source(origin, PASSIVE), camel: point})
            });
        };
        // A minute without steps is sometimes reported: the count is then left out.
        if day.worn(at) && (count > 0 || (kind == "steps" && !day.asleep(at) && at % 7200 == 0)) {
            put(Origin::Band, count, index);
        }
        let carried = Dice::new(&[day.key, 51, (at / 3600) as u64]).chance(0.55);
        if day.who.phone_counts && kind != "floors" && carried && count > 0 {
            let origin = if day.worn(at) { Origin::Phone } else { Origin::PhoneAlone };
            put(origin, (count as f64 * 0.94).round() as i64, 10_000 + index);
        }
    }
}

fn scaled(value: i64, version: &Version) -> i64 {
    (value as f64 * version.factor).ceil() as i64
}

fn floors(day: &Day<'_>, at: i64) -> i64 {
    i64::from(day.steps(at) > 0 && Dice::new(&[day.key, 52, at as u64]).chance(0.03))
}

fn zone_minutes(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    for at in day.minutes().filter(|at| day.workout_at(*at).is_some() && day.worn(*at)) {
        let (zone, minutes) = match day.bpm(at) - day.resting_bpm {
            ..=39 => continue,
            40..=69 => ("FAT_BURN", 1),
            70..=94 => ("CARDIO", 2),
            _ => ("PEAK", 2),
        };
        let index = ((at - day.start) / 60) as u64;
        let sketch =
            Sketch { stream: "active-zone-minutes", start: at, end: at + 60, index, origin: Origin::Band, restless: 0.0 };
        shelf.put(sketch, |_, _| {
            let mut point = json!({"interval": interval(day.who, at, at + 60), "heartRateZone": zone});
            int64("activeZoneMinutes", minutes, &mut point);
            json!({"dataSource": source(Origin::Band, DERIVED), "activeZoneMinutes": point})
        });
    }
}

/// Each minute awake, each fifth asleep.
pub(crate) fn pulse_minutes(day: &Day<'_>) -> impl Iterator<Item = i64> {
    day.minutes().filter(|at| day.worn(*at) && (!day.asleep(*at) || at % 300 == 0))
}

fn heart_rate(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    for at in pulse_minutes(day) {
        let moving = day.steps(at) > 50 || day.workout_at(at).is_some();
        let context = if moving { "ACTIVE" } else { "SEDENTARY" };
        put_sample(shelf, "heart-rate", "heartRate", (at, 0.0004), PASSIVE, |point, version| {
            int64("beatsPerMinute", scaled(day.bpm(at), version), point);
            point["metadata"] = json!({"motionContext": context, "sensorLocation": "WRIST"});
        });
    }
}

fn variability(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    for at in (day.night.start..day.night.end).filter(|at| at % 300 == 0) {
        let rmssd = (day.who.rmssd_ms + Dice::new(&[day.key, 53, at as u64]).around(14.0)).max(6.0);
        put_sample(shelf, "heart-rate-variability", "heartRateVariability", (at, 0.0), PASSIVE, |point, _| {
            point["rootMeanSquareOfSuccessiveDifferencesMilliseconds"] = json!(round(rmssd, 3));
            point["standardDeviationMilliseconds"] = json!(round(rmssd * 1.3, 3));
        });
    }
}

fn oxygen(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    for at in (day.night.start..day.night.end).filter(|at| at % 600 == 0) {
        let percent = 96.2 + Dice::new(&[day.key, 54, at as u64]).around(2.4);
        put_sample(shelf, "oxygen-saturation", "oxygenSaturation", (at, 0.0), PASSIVE, |point, _| {
            point["percentage"] = json!(round(percent, 1));
        });
    }
}

fn breathing(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    if day.night.classic {
        return;
    }
    let rate = 14.0 + Dice::new(&[day.key, 55]).around(2.5);
    let stats = |shift: f64| json!({"breathsPerMinute": round(rate + shift, 1), "standardDeviation": 1.8, "signalToNoise": 9.1});
    let at = day.night.end;
    put_sample(shelf, "respiratory-rate-sleep-summary", "respiratoryRateSleepSummary", (at, 0.0), DERIVED, |point, _| {
        point["deepSleepStats"] = stats(-0.4);
        point["lightSleepStats"] = stats(0.1);
        point["remSleepStats"] = stats(0.6);
        point["fullSleepStats"] = stats(0.0);
    });
}

fn weighing(shelf: &mut Shelf<'_>, kind: &str) {
    let day = shelf.day;
    let mut dice = Dice::new(&[day.key, 56]);
    if !dice.chance(0.6) {
        return;
    }
    let typed = dice.chance(0.2);
    let at = day.night.end + dice.int(4, 40) * 60 + dice.int(0, 59);
    let (grams, percent) = ((day.who.weight_kg * 1000.0 + dice.around(900.0)).round(), day.who.fat_percent + dice.around(0.8));
    let (stream, camel) = if kind == "weight" { ("weight", "weight") } else { ("body-fat", "bodyFat") };
    if typed && stream == "body-fat" {
        return;
    }
    let origin = if typed { Origin::Person } else { Origin::Band };
    let sketch = Sketch { stream, start: at, end: at, index: 0, origin, restless: 0.08 };
    shelf.put(sketch, |id, version| {
        let mut point = json!({"sampleTime": sample(day.who, at)});
        if stream == "weight" {
            point["weightGrams"] = json!((grams * version.factor).round());
        } else {
            point["percentage"] = json!(round(percent * version.factor, 1));
        }
        let mut body = json!({"dataSource": source(origin, ACTIVE), camel: point});
        if typed {
            // What a person typed in has a name; what a device measured has none.
            body["name"] = json!(name(day, stream, id));
        } else {
            body["dataSource"]["device"] = json!({"formFactor": "SCALE", "manufacturer": "Fitbit", "displayName": "Aria Air"});
        }
        body
    });
}

fn height(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    if day.date != day.who.history_start {
        return;
    }
    let at = day.who.local(day.date, 600);
    let sketch = Sketch { stream: "height", start: at, end: at, index: 0, origin: Origin::Person, restless: 0.0 };
    shelf.put(sketch, |id, _| {
        let mut point = json!({"sampleTime": sample(day.who, at)});
        int64("heightMillimeters", (day.who.height_m * 1000.0).round() as i64, &mut point);
        json!({"name": name(day, "height", id), "dataSource": source(Origin::Person, ""), "height": point})
    });
}

/// Values of a civil day, known after the night.
fn daily(shelf: &mut Shelf<'_>, kind: &str) {
    let day = shelf.day;
    let mut dice = Dice::new(&[day.key, 57]);
    let (rmssd, rate, percent) = (day.who.rmssd_ms + dice.around(8.0), 14.0 + dice.around(2.0), 96.3 + dice.around(1.2));
    let (stream, camel) = match kind {
        "daily-resting-heart-rate" => ("daily-resting-heart-rate", "dailyRestingHeartRate"),
        "daily-heart-rate-variability" => ("daily-heart-rate-variability", "dailyHeartRateVariability"),
        "daily-respiratory-rate" => ("daily-respiratory-rate", "dailyRespiratoryRate"),
        _ => ("daily-oxygen-saturation", "dailyOxygenSaturation"),
    };
    let sketch = Sketch { stream, start: day.start, end: day.night.end, index: 0, origin: Origin::Band, restless: 0.05 };
    shelf.put(sketch, |_, version| {
        let mut point = json!({"date": date(day.date)});
        match stream {
            "daily-resting-heart-rate" => {
                int64("beatsPerMinute", scaled(day.resting_bpm, version), &mut point);
                point["dailyRestingHeartRateMetadata"] = json!({"calculationMethod": "WITH_SLEEP"});
            }
            "daily-heart-rate-variability" => {
                point["averageHeartRateVariabilityMilliseconds"] = json!(round(rmssd * version.factor, 1));
                int64("nonRemHeartRateBeatsPerMinute", day.resting_bpm + 1, &mut point);
                point["entropy"] = json!(round(2.4 + rmssd / 60.0, 2));
                point["deepSleepRootMeanSquareOfSuccessiveDifferencesMilliseconds"] = json!(round(rmssd * 1.12, 1));
            }
            "daily-respiratory-rate" => point["breathsPerMinute"] = json!(round(rate * version.factor, 1)),
            _ => {
                point["averagePercentage"] = json!(round(percent, 1));
                point["lowerBoundPercentage"] = json!(round(percent - 1.9, 1));
                point["upperBoundPercentage"] = json!(round(percent + 1.4, 1));
            }
        }
        json!({"dataSource": source(Origin::Band, DERIVED), camel: point})
    });
}

fn sleep(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    rest(shelf, &day.night, 0);
    if let Some(nap) = &day.nap {
        rest(shelf, nap, 1);
    }
}

fn rest(shelf: &mut Shelf<'_>, rest: &Rest, index: u64) {
    let day = shelf.day;
    let nap = index > 0;
    let sketch = Sketch { stream: "sleep", start: rest.start, end: rest.end, index, origin: Origin::Band, restless: 0.07 };
    shelf.put(sketch, |id, version| {
        let label = |stage: Stage| match (rest.classic, stage) {
            (_, Stage::Awake) => "AWAKE",
            (true, Stage::Rem) => "RESTLESS",
            (true, _) => "ASLEEP",
            (false, Stage::Light) => "LIGHT",
            (false, Stage::Deep) => "DEEP",
            (false, Stage::Rem) => "REM",
        };
        let edited = version.factor > 1.0;
        let stages: Vec<Value> = rest
            .segments
            .iter()
            .map(|part| {
                let mut stage = bounds(day.who, part.start, part.end);
                stage["type"] = json!(label(part.stage));
                stage["createTime"] = json!(stamp(version.created));
                stage["updateTime"] = json!(stamp(version.modified));
                stage
            })
            .collect();
        let status = match (rest.classic, nap) {
            (_, true) => "REJECTED_NAP",
            (true, _) => "REJECTED_COVERAGE",
            _ => "SUCCEEDED",
        };
        let mut metadata = json!({"stagesStatus": status, "processed": true});
        if nap {
            metadata["nap"] = json!(true);
        }
        if edited {
            metadata["manuallyEdited"] = json!(true);
        }
        json!({
            "name": name(day, "sleep", id),
            "dataSource": source(Origin::Band, DERIVED),
            "sleep": {
                "interval": interval(day.who, rest.start, rest.end),
                "type": if rest.classic { "CLASSIC" } else { "STAGES" },
                "stages": stages,
                "metadata": metadata,
                "summary": sleep_summary(rest, &label, version),
                "createTime": stamp(version.created),
                "updateTime": stamp(version.modified),
            },
        })
    });
}

fn sleep_summary(rest: &Rest, label: &dyn Fn(Stage) -> &'static str, version: &Version) -> Value {
    let labels = if rest.classic { ["AWAKE", "ASLEEP", "RESTLESS", ""] } else { ["AWAKE", "LIGHT", "DEEP", "REM"] };
    let mut asleep = 0;
    let mut awake = 0;
    let mut stages = Vec::new();
    for wanted in labels {
        let parts: Vec<_> = rest.segments.iter().filter(|part| label(part.stage) == wanted).collect();
        let minutes = parts.iter().map(|part| part.end - part.start).sum::<i64>() / 60;
        match wanted {
            "AWAKE" => awake += minutes,
            "RESTLESS" | "" => {}
            _ => asleep += minutes,
        }
        if !parts.is_empty() {
            let mut stage = json!({"type": wanted});
            int64("minutes", minutes, &mut stage);
            int64("count", parts.len() as i64, &mut stage);
            stages.push(stage);
        }
    }
    // Optional fields are written even where they are zero.
    json!({
        "minutesInSleepPeriod": ((rest.end - rest.start) / 60).to_string(),
        "minutesAfterWakeUp": "0",
        "minutesToFallAsleep": "0",
        "minutesAsleep": scaled(asleep, version).to_string(),
        "minutesAwake": awake.to_string(),
        "stagesSummary": stages,
    })
}

fn exercise(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    for workout in &day.workouts {
        let sketch = Sketch {
            stream: "exercise",
            start: workout.start,
            end: workout.end,
            index: workout.index,
            origin: Origin::Band,
            restless: 0.06,
        };
        shelf.put(sketch, |id, version| session(day, workout, id, version));
    }
}

fn session(day: &Day<'_>, workout: &Workout, id: u64, version: &Version) -> Value {
    let minutes = || (workout.start..workout.end).step_by(60);
    let length = workout.end - workout.start;
    let kcal: f64 = minutes().map(|at| day.kcal(at).0 + day.kcal(at).1).sum();
    let millimetres = minutes().map(|at| day.millimetres(at)).sum::<i64>() as f64 * version.factor;
    let beats = minutes().map(|at| day.bpm(at)).sum::<i64>() / (length / 60).max(1);
    let steps: i64 = minutes().map(|at| day.steps(at)).sum();
    let (kind, display) = match workout.sport {
        Sport::Run => ("RUNNING", "Run"),
        Sport::Walk => ("WALKING", "Walk"),
        Sport::Ride => ("BIKING", "Bike"),
    };
    let mut metrics = json!({
        "caloriesKcal": round(kcal * version.factor, 1),
        "distanceMillimeters": millimetres.round(),
        "averageSpeedMillimetersPerSecond": round(millimetres / length as f64, 2),
        "averageHeartRateBeatsPerMinute": beats.to_string(),
    });
    if workout.sport != Sport::Ride {
        metrics["steps"] = json!(steps.to_string());
    }
    json!({
        "name": name(day, "exercise", id),
        "dataSource": source(Origin::Band, ACTIVE),
        "exercise": {
            "interval": interval(day.who, workout.start, workout.end),
            "exerciseType": kind,
            "metricsSummary": metrics,
            "displayName": display,
            "activeDuration": format!("{length}s"),
            "createTime": stamp(version.created),
            "updateTime": stamp(version.modified),
        },
    })
}

pub(crate) fn name(day: &Day<'_>, kind: &str, id: u64) -> String {
    format!("users/{}/dataTypes/{kind}/dataPoints/{id}", day.who.person.user_id)
}

/// (time, restlessness)
fn put_sample(
    shelf: &mut Shelf<'_>,
    stream: &'static str,
    camel: &str,
    (at, restless): (i64, f64),
    method: &str,
    fill: impl FnOnce(&mut Value, &Version),
) {
    let day = shelf.day;
    let index = (at - day.start + 86_400) as u64;
    let sketch = Sketch { stream, start: at, end: at, index, origin: Origin::Band, restless };
    shelf.put(sketch, |_, version| {
        let mut point = json!({"sampleTime": sample(day.who, at)});
        fill(&mut point, version);
        json!({"dataSource": source(Origin::Band, method), camel: point})
    });
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
