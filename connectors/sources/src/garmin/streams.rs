//! The streams: one for each type of summary. None may be asked for by ourselves, but for the past.

use headwater_schemas::codes::*;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::Reject;

use super::{samples, summaries};
use crate::fields::Fields;
use crate::profile::{Poll, Stream};

/// Thirty days are the longest past that may be asked for at once. Fresh data are never asked for: they are pushed.
const PAST: Option<Poll> = Some(Poll { window_days: 30, trailing_hours: 0, reconcile: false });

const fn stream(id: &'static str, doc: &'static str, becomes: &'static [&'static Measure]) -> Stream {
    Stream { id, doc, becomes, devices: true, poll: PAST }
}

pub(super) static STREAMS: &[Stream] = &[
    stream(
        "dailies",
        "sums of each day, and its pulse",
        &[
            &STEPS_DAY,
            &DISTANCE_DAY,
            &ENERGY_ACTIVE,
            &ENERGY_BASAL,
            &FLOORS,
            &MODERATE_ACTIVITY,
            &VIGOROUS_ACTIVITY,
            &RESTING_HEART_RATE,
            &HEART_RATE_MIN,
            &HEART_RATE_DAY_MAX,
            &HEART_RATE_DAY_AVERAGE,
            &HEART_RATE,
            &STRESS_AVERAGE,
        ],
    ),
    stream("epochs", "quarters of an hour", &[&STEPS_INTERVAL, &DISTANCE, &ENERGY_ACTIVE]),
    stream("sleeps", "nights", &[&SLEEP, &SLEEP_STAGE, &SPO2, &RESPIRATORY_RATE]),
    stream("bodyComps", "weight and what the body is made of", &[&WEIGHT, &BMI, &BODY_FAT, &MUSCLE_MASS, &BONE_MASS]),
    stream("stressDetails", "stress and energy level, every three minutes", &[&STRESS_LEVEL, &BODY_BATTERY]),
    stream("userMetrics", "cardio fitness", &[&VO2_MAX]),
    stream("pulseox", "oxygen saturation", &[&SPO2]),
    stream("allDayRespiration", "breathing", &[&RESPIRATORY_RATE]),
    stream("hrv", "heart rate variability of each night", &[&HRV_RMSSD]),
    stream("bloodPressures", "blood pressure", &[&BLOOD_PRESSURE, &HEART_RATE]),
    stream("skinTemp", "the skin's temperature in sleep, against its baseline", &[&TEMPERATURE_DEVIATION]),
    stream("activities", "activities", &[&EXERCISE]),
];

pub(super) type Reader = for<'a> fn(Fields<'a>, &mut Normalized<'a>) -> Result<(), Reject>;

pub(super) fn reader(stream: &str) -> Option<Reader> {
    Some(match stream {
        "dailies" => summaries::daily,
        "epochs" => summaries::epoch,
        "sleeps" => summaries::sleep,
        "bodyComps" => summaries::body,
        "stressDetails" => samples::stress,
        "userMetrics" => summaries::metrics,
        "pulseox" => samples::pulseox,
        "allDayRespiration" => samples::respiration,
        "hrv" => samples::variability,
        "bloodPressures" => summaries::pressure,
        "skinTemp" => summaries::skin,
        "activities" => summaries::activity,
        _ => return None,
    })
}
