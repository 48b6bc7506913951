//! A record as a cloud holds it, and what was done to it afterwards.

use std::collections::HashMap;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use crate::day::Day;
use crate::dice::{self, Dice};

/// One thing a cloud can give back: a Withings measure group, a day, a night, a Google Health data point.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Stable for the life of the record; `grpid` or `id` at Withings. Below 2^53.
    pub id: u64,
    /// `measures`, `activity`, `sleep`, `workouts`, `heart` at Withings; the kebab-case data type at Google Health.
    pub stream: String,
    /// Epoch seconds; equal for a sample.
    pub start: i64,
    pub end: i64,
    /// The local day that it belongs to.
    pub date: Date,
    /// Epoch seconds at which the cloud came to know it, and last changed it.
    pub visible_at: i64,
    pub modified: i64,
    /// Epoch seconds at which it is withdrawn by its owner, where that is going to happen.
    pub vanishes_at: Option<i64>,
    /// Exactly what the API returns.
    pub body: Value,
    #[serde(skip)]
    pub(crate) origin: Origin,
}

/// Which of a person's things recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Band,
    Phone,
    Person,
    /// Only while the band was off: what a merged stream takes from the phone.
    PhoneAlone,
}

/// What was changed by hand, on top of what the seed says.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub patches: HashMap<(String, u64), (Value, i64)>,
    pub deleted: HashMap<(String, u64), i64>,
    pub added: Vec<Record>,
}

/// When a record is looked at, and in which version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    /// 1, or the factor of a correction.
    pub factor: f64,
    pub created: i64,
    pub modified: i64,
}

pub(crate) struct Sketch {
    pub stream: &'static str,
    pub start: i64,
    pub end: i64,
    /// Distinguishes records of one stream and day; part of the id.
    pub index: u64,
    pub origin: Origin,
    /// How likely it is to be corrected or withdrawn later.
    pub restless: f64,
}

/// Collects the records of one person and day as they look at one moment.
pub(crate) struct Shelf<'a> {
    pub day: &'a Day<'a>,
    /// The moment: what was synced later is not there yet.
    pub at: i64,
    pub surprises: bool,
    /// Keep only what appears, changes or leaves at this very moment.
    pub only: Option<i64>,
    pub records: Vec<Record>,
}

impl Shelf<'_> {
    pub fn put(&mut self, sketch: Sketch, build: impl FnOnce(u64, &Version) -> Value) {
        let visible_at = self.day.synced(sketch.end);
        if visible_at > self.at {
            return;
        }
        let id = dice::mix(&[self.day.key, dice::key(sketch.stream), sketch.index]) >> 12;
        let mut fate = Dice::new(&[id, 11]);
        let later = self.day.synced(visible_at + fate.int(1, 20) * 3600);
        let (changes, leaves) = match (self.surprises && fate.chance(sketch.restless), fate.chance(0.35)) {
            (false, _) => (false, false),
            (true, leaves) => (!leaves, leaves),
        };
        if self.only.is_some_and(|moment| moment != visible_at && !((changes || leaves) && moment == later)) {
            return;
        }
        let changed = changes && later <= self.at;
        let version = Version {
            factor: if changed { 1.0 + fate.range(0.008, 0.03) } else { 1.0 },
            created: visible_at,
            modified: if changed { later } else { visible_at },
        };
        self.records.push(Record {
            id,
            stream: sketch.stream.to_owned(),
            start: sketch.start,
            end: sketch.end,
            date: self.day.date,
            visible_at,
            modified: version.modified,
            vanishes_at: leaves.then_some(later),
            body: build(id, &version),
            origin: sketch.origin,
        });
    }
}

/// RFC 7386: objects are merged, everything else is replaced, null removes.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(fields) = target {
        for (name, change) in changes {
            if change.is_null() {
                fields.remove(name);
            } else {
                merge(fields.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
    }
}
