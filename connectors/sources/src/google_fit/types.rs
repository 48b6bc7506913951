//! The data types, and what a point of each is.

use headwater_schemas::codes::*;

use crate::fields::Scale;
use crate::profile::Stream;

/// How the values of a point are to be taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// The first value; whether it is never nought in anybody alive.
    Number(&'static Measure, Scale, bool),
    Pressure,
    /// The place of the thermometer decides whose temperature it is.
    Temperature,
    Activity,
    Sleep,
}

pub(super) struct Type {
    pub stream: &'static str,
    pub name: &'static str,
    pub form: Form,
}

const fn number(stream: &'static str, name: &'static str, measure: &'static Measure, scale: Scale, alive: bool) -> Type {
    Type { stream, name, form: Form::Number(measure, scale, alive) }
}

pub(super) static TYPES: &[Type] = &[
    number("steps", "com.google.step_count.delta", &STEPS_INTERVAL, Scale::As, false),
    number("distance", "com.google.distance.delta", &DISTANCE, Scale::As, false),
    number("calories", "com.google.calories.expended", &ENERGY, Scale::As, false),
    number("heart-rate", "com.google.heart_rate.bpm", &HEART_RATE, Scale::As, true),
    number("weight", "com.google.weight", &WEIGHT, Scale::As, true),
    number("height", "com.google.height", &HEIGHT, Scale::Hundred, true),
    number("body-fat", "com.google.body.fat.percentage", &BODY_FAT, Scale::As, true),
    number("speed", "com.google.speed", &SPEED, Scale::As, false),
    number("heart-minutes", "com.google.heart_minutes", &ACTIVE_ZONE_MINUTES, Scale::As, false),
    number("active-minutes", "com.google.active_minutes", &EXERCISE_DURATION, Scale::As, false),
    number("blood-glucose", "com.google.blood_glucose", &GLUCOSE_BLOOD_MOLAR, Scale::As, true),
    number("oxygen-saturation", "com.google.oxygen_saturation", &SPO2, Scale::As, true),
    number("hydration", "com.google.hydration", &HYDRATION, Scale::As, false),
    Type { stream: "blood-pressure", name: "com.google.blood_pressure", form: Form::Pressure },
    Type { stream: "body-temperature", name: "com.google.body.temperature", form: Form::Temperature },
    Type { stream: "activity-segments", name: "com.google.activity.segment", form: Form::Activity },
    Type { stream: "sleep-segments", name: "com.google.sleep.segment", form: Form::Sleep },
];

pub(super) fn find(stream: &str) -> Option<&'static Type> {
    TYPES.iter().find(|kind| kind.stream == stream)
}

const fn stored(id: &'static str, doc: &'static str, becomes: &'static [&'static Measure]) -> Stream {
    Stream { id, doc, becomes, devices: true, poll: None }
}

pub(super) static STREAMS: &[Stream] = &[
    stored("steps", "steps of spans", &[&STEPS_INTERVAL]),
    stored("distance", "distance of spans", &[&DISTANCE]),
    stored("calories", "energy of spans, basal energy included", &[&ENERGY]),
    stored("heart-rate", "pulse", &[&HEART_RATE]),
    stored("weight", "weight", &[&WEIGHT]),
    stored("height", "height", &[&HEIGHT]),
    stored("body-fat", "body fat", &[&BODY_FAT]),
    stored("speed", "speed", &[&SPEED]),
    stored("heart-minutes", "minutes that count twice when they were vigorous", &[&ACTIVE_ZONE_MINUTES]),
    stored("active-minutes", "minutes of activity", &[&EXERCISE_DURATION]),
    stored("blood-glucose", "blood glucose", &[&GLUCOSE_BLOOD_MOLAR]),
    stored("oxygen-saturation", "oxygen saturation", &[&SPO2]),
    stored("hydration", "water drunk", &[&HYDRATION]),
    stored("blood-pressure", "blood pressure", &[&BLOOD_PRESSURE]),
    stored("body-temperature", "temperature, by place", &[&BODY_TEMPERATURE, &SKIN_TEMPERATURE]),
    stored("activity-segments", "activities, as they were recognised", &[&EXERCISE, &SLEEP_STAGE]),
    stored("sleep-segments", "segments of sleep", &[&SLEEP_STAGE]),
    stored("sessions", "sessions: exercise and nights", &[&EXERCISE, &SLEEP]),
];

/// Names of the activity numbers that are exercise. Those of rest, vehicles and tilting are none.
static ACTIVITIES: &[(i64, &str)] = &[
    (1, "biking"),
    (7, "walking"),
    (8, "running"),
    (9, "aerobics"),
    (10, "badminton"),
    (11, "baseball"),
    (12, "basketball"),
    (14, "handbiking"),
    (15, "mountain biking"),
    (16, "road biking"),
    (17, "spinning"),
    (18, "stationary biking"),
    (20, "boxing"),
    (21, "calisthenics"),
    (22, "circuit training"),
    (24, "dancing"),
    (25, "elliptical"),
    (27, "american football"),
    (29, "football"),
    (32, "golf"),
    (35, "hiking"),
    (36, "hockey"),
    (39, "jumping rope"),
    (41, "kettlebell training"),
    (44, "martial arts"),
    (46, "mixed martial arts"),
    (49, "pilates"),
    (51, "racquetball"),
    (52, "rock climbing"),
    (53, "rowing"),
    (54, "rowing machine"),
    (55, "rugby"),
    (56, "jogging"),
    (57, "running on sand"),
    (58, "treadmill running"),
    (65, "skiing"),
    (68, "kite skiing"),
    (73, "snowboarding"),
    (76, "squash"),
    (77, "stair climbing"),
    (80, "strength training"),
    (82, "swimming"),
    (83, "swimming in a pool"),
    (84, "swimming in open water"),
    (85, "table tennis"),
    (87, "tennis"),
    (88, "treadmill"),
    (89, "volleyball"),
    (93, "fitness walking"),
    (94, "nordic walking"),
    (95, "treadmill walking"),
    (97, "weightlifting"),
    (98, "wheelchair"),
    (100, "yoga"),
    (108, "other"),
    (113, "crossfit"),
    (114, "interval training"),
];

pub(super) fn activity(number: i64) -> Option<&'static str> {
    ACTIVITIES.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// The two lists of numbers for sleep: one of activities, one of sleep segments.
pub(super) fn stage_of_activity(number: i64) -> Option<&'static Concept> {
    Some(match number {
        72 => &STAGE_ASLEEP,
        109 => &STAGE_LIGHT,
        110 => &STAGE_DEEP,
        111 => &STAGE_REM,
        112 => &STAGE_AWAKE,
        _ => return None,
    })
}

pub(super) fn stage_of_segment(number: i64) -> Option<&'static Concept> {
    Some(match number {
        1 | 3 => &STAGE_AWAKE,
        2 => &STAGE_ASLEEP,
        4 => &STAGE_LIGHT,
        5 => &STAGE_DEEP,
        6 => &STAGE_REM,
        _ => return None,
    })
}
