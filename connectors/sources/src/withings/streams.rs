//! The streams, and how each is asked for.

use headwater_schemas::codes::*;

use crate::profile::{Poll, Stream};

/// Measures, nights and workouts vanish without a trace when somebody deletes them: what a window no longer lists was deleted. Day rows
/// and minutes are sums that only grow.
const LISTED: Option<Poll> = Some(Poll { window_days: 30, trailing_hours: 48, reconcile: true });
const SUMS: Option<Poll> = Some(Poll { window_days: 30, trailing_hours: 48, reconcile: false });
/// The API gives at most a day of these.
const BY_DAY: Option<Poll> = Some(Poll { window_days: 1, trailing_hours: 48, reconcile: false });

const fn stream(
    id: &'static str,
    doc: &'static str,
    becomes: &'static [&'static headwater_schemas::codes::Measure],
    poll: Option<Poll>,
) -> Stream {
    Stream { id, doc, becomes, devices: becomes.is_empty(), poll }
}

/// The scope that a stream needs. Of recordings of the heart the documentation is not of one mind: they are asked for in any case.
pub(super) fn scope(stream: &str) -> Option<&'static str> {
    match stream {
        "getmeas" => Some("user.metrics"),
        "getdevice" => Some("user.info"),
        "heart" | "heartlist" => None,
        _ => Some("user.activity"),
    }
}

pub(super) static STREAMS: &[Stream] = &[
    stream(
        "getmeas",
        "measurements of scales, cuffs, thermometers and watches",
        &[
            &WEIGHT,
            &HEIGHT,
            &BODY_FAT,
            &FAT_MASS,
            &LEAN_MASS,
            &MUSCLE_MASS,
            &BODY_WATER,
            &BONE_MASS,
            &BLOOD_PRESSURE,
            &HEART_RATE,
            &SPO2,
            &BODY_TEMPERATURE,
            &SKIN_TEMPERATURE,
            &PULSE_WAVE_VELOCITY,
            &VO2_MAX,
            &ECG_CLASSIFICATION,
            &AFIB_PPG,
            &QRS_INTERVAL,
            &PR_INTERVAL,
            &QT_INTERVAL,
            &QTC_INTERVAL,
            &VASCULAR_AGE,
            &NERVE_HEALTH,
            &EXTRACELLULAR_WATER,
            &INTRACELLULAR_WATER,
            &VISCERAL_FAT,
            &SEGMENTAL_LEAN_MASS,
            &SEGMENTAL_FAT_MASS,
            &SEGMENTAL_MUSCLE_MASS,
            &ELECTRODERMAL_ACTIVITY,
            &BASAL_METABOLIC_RATE,
            &METABOLIC_AGE,
            &SKIN_CONDUCTANCE,
        ],
        LISTED,
    ),
    stream(
        "getactivity",
        "sums of each day",
        &[
            &STEPS_DAY,
            &DISTANCE_DAY,
            &ENERGY_ACTIVE,
            &ENERGY_DAY,
            &FLOORS,
            &LIGHT_ACTIVITY,
            &MODERATE_ACTIVITY,
            &VIGOROUS_ACTIVITY,
            &HEART_RATE_DAY_AVERAGE,
            &HEART_RATE_MIN,
            &HEART_RATE_DAY_MAX,
            &HEART_RATE_ZONE_LIGHT,
            &HEART_RATE_ZONE_MODERATE,
            &HEART_RATE_ZONE_INTENSE,
            &HEART_RATE_ZONE_PEAK,
        ],
        SUMS,
    ),
    stream(
        "getintradayactivity",
        "activity and pulse by the minute",
        &[
            &STEPS_INTERVAL,
            &DISTANCE,
            &ENERGY_ACTIVE,
            &FLOORS,
            &HEART_RATE,
            &SPO2,
            &HRV_SDNN,
            &HRV_RMSSD,
            &SWIM_STROKES,
            &POOL_LAPS,
        ],
        BY_DAY,
    ),
    stream("getworkouts", "workouts", &[&EXERCISE], LISTED),
    stream(
        "sleep",
        "sleep segments with pulse, breathing and variability",
        &[&SLEEP_STAGE, &HEART_RATE, &RESPIRATORY_RATE, &HRV_SDNN, &HRV_RMSSD],
        BY_DAY,
    ),
    stream(
        "sleepsummary",
        "nights",
        &[
            &SLEEP,
            &HEART_RATE_SLEEP_AVERAGE,
            &HEART_RATE_MIN,
            &HEART_RATE_SLEEP_MAX,
            &RESPIRATORY_RATE,
            &RESPIRATORY_RATE_MIN,
            &RESPIRATORY_RATE_MAX,
            &APNEA_HYPOPNEA_INDEX,
        ],
        LISTED,
    ),
    stream("heartlist", "recordings of the heart", &[&HEART_RATE, &ECG_CLASSIFICATION, &BLOOD_PRESSURE], LISTED),
    stream("heart", "one electrocardiogram's signal", &[&ECG], None),
    stream("getdevice", "devices", &[], Some(Poll { window_days: 30, trailing_hours: 1, reconcile: false })),
];
