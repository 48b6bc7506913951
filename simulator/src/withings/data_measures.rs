//! Measure groups: weighing, blood pressure, oxygen, temperature, and the entries that test a reader.

use serde_json::{Value, json};

use crate::day::Day;
use crate::dice::Dice;
use crate::record::{Origin, Shelf, Sketch, Version};

/// Attributions as they occur. 1 may be somebody else; 17 is not documented and occurs.
const KNOWN: i64 = 0;
const AMBIGUOUS: i64 = 1;
const MANUAL: i64 = 2;
const AT_CREATION: i64 = 4;
const AVERAGED: i64 = 5;
const KNOWN_AGAIN: i64 = 8;
const UNDOCUMENTED: i64 = 17;

struct Group {
    at: i64,
    index: u64,
    attrib: i64,
    /// 1 real, 2 goal.
    category: i64,
    device: Option<(String, i64, &'static str)>,
    /// (type, value × 10^-unit, unit)
    measures: Vec<(i64, f64, i32)>,
}

pub(super) fn measures(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    if day.date == day.who.history_start {
        beginnings(shelf);
    }
    let mut dice = Dice::new(&[day.key, 21]);
    if dice.chance(0.72) {
        weighing(shelf, &mut dice);
    }
    for index in 0..dice.int(0, 2) {
        pressure(shelf, &mut dice, 10 + index as u64);
    }
    if dice.chance(0.45) {
        let at = day.who.local(day.date, dice.int(10 * 60, 20 * 60)) + dice.int(0, 59);
        let value = dice.range(94.0, 99.4);
        put(shelf, Group { at, index: 20, attrib: KNOWN, category: 1, device: Some(watch(day)), measures: vec![(54, value, 0)] });
    }
    if dice.chance(0.18) {
        let at = day.who.local(day.date, dice.int(8 * 60, 21 * 60)) + dice.int(0, 59);
        let (body, skin) = (dice.range(36.1, 37.4), dice.range(32.8, 35.0));
        let device = Some((day.who.cuff_id.clone(), 70, "Thermo"));
        let measures = vec![(12, body, -1), (71, body, -3), (73, skin, -3)];
        put(shelf, Group { at, index: 21, attrib: KNOWN, category: 1, device, measures });
    }
    if dice.chance(0.08) {
        // Typed in: the app leaves the fat ratio at zero.
        let at = day.who.local(day.date, dice.int(12 * 60, 22 * 60));
        let measures = vec![(1, weight(day), -1), (6, 0.0, 0)];
        put(shelf, Group { at, index: 22, attrib: MANUAL, category: 1, device: None, measures });
    }
}

/// What is entered when an account is made: height and a goal.
fn beginnings(shelf: &mut Shelf<'_>) {
    let day = shelf.day;
    let at = day.who.local(day.date, 600);
    let height = vec![(4, day.who.height_m, -2)];
    put(shelf, Group { at, index: 0, attrib: AT_CREATION, category: 1, device: None, measures: height });
    let goal = vec![(1, (day.who.weight_kg * 0.94).round(), 0)];
    put(shelf, Group { at, index: 1, attrib: MANUAL, category: 2, device: None, measures: goal });
}

fn weight(day: &Day<'_>) -> f64 {
    let drift = (day.start as f64 / 86_400.0 / 19.0).sin();
    day.who.weight_kg + drift + Dice::new(&[day.key, 22]).around(0.7)
}

fn weighing(shelf: &mut Shelf<'_>, dice: &mut Dice) {
    let day = shelf.day;
    let at = day.night.end + dice.int(5, 40) * 60 + dice.int(0, 59);
    let attrib = match dice.int(0, 99) {
        0..=7 => AMBIGUOUS,
        8..=10 => UNDOCUMENTED,
        _ => KNOWN,
    };
    let kg = weight(day);
    let fat = kg * (day.who.fat_percent + dice.around(0.6)) / 100.0;
    let mut measures = vec![
        (1, kg, -3),
        (8, fat, -2),
        (76, (kg - fat) * 0.95, -2),
        (77, kg * 0.55, -2),
        (88, (kg - fat) * 0.05, -2),
        (6, fat / kg * 100.0, -3),
        (5, kg - fat, -3),
        (11, day.resting_bpm as f64 + 9.0, 0),
    ];
    if dice.chance(0.2) {
        // Not in the published list of types.
        measures.push((197, dice.range(40.0, 90.0), -1));
    }
    let device = Some((day.who.scale_id.clone(), 6, "Body Cardio"));
    let twin = attrib == KNOWN && dice.chance(0.06);
    put(shelf, Group { at, index: 2, attrib, category: 1, device, measures });
    if twin {
        // The same group once more, attributed a second time.
        if let Some(mut copy) = shelf.records.last().filter(|record| record.start == at).cloned() {
            copy.body["attrib"] = json!(KNOWN_AGAIN);
            shelf.records.push(copy);
        }
    }
}

fn pressure(shelf: &mut Shelf<'_>, dice: &mut Dice, index: u64) {
    let day = shelf.day;
    let from = if index.is_multiple_of(2) { 7 * 60 } else { 18 * 60 };
    let at = day.who.local(day.date, from + dice.int(0, 200)) + dice.int(0, 59);
    let systolic = 100.0 + (day.who.weight_kg - 50.0) * 0.5 + dice.around(11.0);
    let diastolic = systolic * 0.64 + dice.around(6.0);
    let pulse = day.bpm(at) as f64;
    let attrib = if dice.chance(0.25) { AVERAGED } else { KNOWN };
    let device = Some((day.who.cuff_id.clone(), 45, "BPM Connect"));
    let mut measures = vec![(9, diastolic, 0), (10, systolic, 0)];
    if dice.chance(0.9) {
        measures.push((11, pulse, 0));
    }
    put(shelf, Group { at, index, attrib, category: 1, device, measures });
}

fn watch(day: &Day<'_>) -> (String, i64, &'static str) {
    (day.who.watch_id.clone(), 93, "ScanWatch")
}

fn put(shelf: &mut Shelf<'_>, group: Group) {
    let origin = if group.device.is_some() { Origin::Band } else { Origin::Person };
    let restless = if group.category == 1 { 0.05 } else { 0.0 };
    let sketch = Sketch { stream: "measures", start: group.at, end: group.at, index: group.index, origin, restless };
    shelf.put(sketch, |id, version| body(&group, id, version));
}

fn body(group: &Group, id: u64, version: &Version) -> Value {
    let measures: Vec<Value> = group
        .measures
        .iter()
        .map(|(kind, value, unit)| {
            let digits = (value * version.factor * 10f64.powi(-unit)).round() as i64;
            json!({"value": digits, "type": kind, "unit": unit, "algo": 0, "fm": if group.device.is_some() { 3 } else { 131 }})
        })
        .collect();
    let (device, modelid, model) = match &group.device {
        Some((device, modelid, model)) => (json!(device), json!(modelid), json!(model)),
        None => (Value::Null, Value::Null, Value::Null),
    };
    json!({
        "grpid": id,
        "attrib": group.attrib,
        "date": group.at,
        "created": version.created,
        "modified": version.modified,
        "category": group.category,
        "deviceid": device,
        "hash_deviceid": device,
        "measures": measures,
        "modelid": modelid,
        "model": model,
        "comment": null,
    })
}
