//! The streams, and how each is asked for.

use headwater_schemas::codes::*;

use crate::profile::{Poll, Stream};

/// Documents are withdrawn by their owner, or by a later reckoning of the night.
const LISTED: Option<Poll> = Some(Poll { window_days: 30, trailing_hours: 72, reconcile: true });

const fn stream(id: &'static str, doc: &'static str, becomes: &'static [&'static Measure]) -> Stream {
    Stream { id, doc, becomes, devices: becomes.is_empty(), poll: LISTED }
}

pub(super) static STREAMS: &[Stream] = &[
    stream(
        "sleep",
        "nights and naps",
        &[&SLEEP, &SLEEP_STAGE, &HRV_RMSSD, &HEART_RATE_SLEEP_AVERAGE, &HEART_RATE_MIN, &RESPIRATORY_RATE],
    ),
    stream("daily_sleep", "the score of each night", &[&SLEEP_SCORE]),
    stream(
        "daily_readiness",
        "readiness of each day, and the skin's deviation from its baseline",
        &[&READINESS_SCORE, &TEMPERATURE_DEVIATION],
    ),
    stream(
        "daily_activity",
        "sums of each day",
        &[
            &STEPS_DAY,
            &DISTANCE_DAY,
            &ENERGY_DAY,
            &ENERGY_ACTIVE,
            &LIGHT_ACTIVITY,
            &MODERATE_ACTIVITY,
            &VIGOROUS_ACTIVITY,
            &SEDENTARY,
            &NON_WEAR,
            &ACTIVITY_SCORE,
        ],
    ),
    stream("daily_spo2", "oxygen saturation and disturbed breathing of each night", &[&SPO2, &BREATHING_DISTURBANCES]),
    stream("daily_stress", "time in stress and in recovery of each day", &[&STRESS_HIGH, &RECOVERY_HIGH]),
    stream("daily_cardiovascular_age", "vascular age", &[&VASCULAR_AGE]),
    stream("vo2_max", "cardio capacity", &[&VO2_MAX]),
    stream("workout", "workouts", &[&EXERCISE]),
    stream("session", "moments of breathing, meditation and rest", &[&MINDFULNESS]),
    // No notification ever tells of these.
    Stream {
        poll: Some(Poll { window_days: 1, trailing_hours: 48, reconcile: false }),
        ..stream("heartrate", "heart rate, every five minutes", &[&HEART_RATE])
    },
    Stream {
        poll: Some(Poll { window_days: 30, trailing_hours: 1, reconcile: false }),
        ..stream("ring_configuration", "rings", &[])
    },
];

/// The path is spelled otherwise than the word in notifications, once.
pub(super) fn path(stream: &'static str) -> &'static str {
    if stream == "vo2_max" { "vO2_max" } else { stream }
}

pub(super) fn scope(stream: &str) -> Option<&'static str> {
    Some(match stream {
        "heartrate" => "heartrate",
        "workout" => "workout",
        "session" => "session",
        "daily_spo2" => "spo2Daily",
        "ring_configuration" => "personal",
        _ => "daily",
    })
}
