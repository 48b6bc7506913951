//! The streams of the profile, made from the table of data types.

use super::types::{DataType, TYPES, Time};
use crate::profile::{Poll, Stream};

const COUNT: usize = {
    let (mut count, mut at) = (TYPES.len(), 0);
    while at < TYPES.len() {
        count += TYPES[at].daily.is_some() as usize;
        at += 1;
    }
    count
};

/// One stream per data type, named as the type, and one for each daily roll-up that is polled.
pub static STREAMS: &[Stream] = &{
    let mut out = [const { Stream { id: "", doc: "", becomes: &[], devices: false, poll: None } }; COUNT];
    let (mut at, mut n) = (0, 0);
    while at < TYPES.len() {
        let kind = &TYPES[at];
        // Google computes nights and days again for some days; raw samples change only while a band catches up.
        let trailing_hours = if kind.days == 1 { 48 } else { 96 };
        let poll = Poll { window_days: kind.days, trailing_hours, reconcile: true };
        let devices = !matches!(kind.time, Time::RollUp);
        out[n] = Stream { id: kind.name, doc: kind.doc, becomes: kind.becomes, devices, poll: Some(poll) };
        n += 1;
        if let Some(id) = kind.daily {
            // Five days and the margin of two stay far below the 14 days that some types allow.
            let poll = Poll { window_days: 5, trailing_hours: 96, reconcile: true };
            out[n] = Stream {
                id,
                doc: "Daily roll-up of the type of the same name",
                becomes: kind.becomes,
                devices: false,
                poll: Some(poll),
            };
            n += 1;
        }
        at += 1;
    }
    out
};

/// Whether a stream asks for points or for totals of civil days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    List,
    DailyRollUp,
}

/// The type behind a stream.
pub fn of_stream(id: &str) -> Option<(&'static DataType, Operation)> {
    TYPES.iter().find_map(|kind| {
        if kind.daily == Some(id) || (kind.name == id && kind.time == Time::RollUp) {
            return Some((kind, Operation::DailyRollUp));
        }
        (kind.name == id).then_some((kind, Operation::List))
    })
}

/// What is measured of the body; all else but sleep and food is activity.
const MEASURED: &[&str] = &[
    "blood-glucose",
    "body-fat",
    "core-body-temperature",
    "daily-heart-rate-variability",
    "daily-heart-rate-zones",
    "daily-oxygen-saturation",
    "daily-respiratory-rate",
    "daily-resting-heart-rate",
    "daily-sleep-temperature-derivations",
    "heart-rate",
    "heart-rate-variability",
    "height",
    "oxygen-saturation",
    "respiratory-rate-sleep-summary",
    "weight",
];

/// The scope that a data type needs.
pub fn scope(kind: &str) -> &'static str {
    match kind {
        "sleep" => "https://www.googleapis.com/auth/googlehealth.sleep.readonly",
        "hydration-log" | "nutrition-log" => "https://www.googleapis.com/auth/googlehealth.nutrition.readonly",
        _ if MEASURED.contains(&kind) => "https://www.googleapis.com/auth/googlehealth.health_metrics_and_measurements.readonly",
        _ => "https://www.googleapis.com/auth/googlehealth.activity_and_fitness.readonly",
    }
}
