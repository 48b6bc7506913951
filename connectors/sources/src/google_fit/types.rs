//! The data types, and what a point of each is.

use headwater_schemas::codes::*;

use crate::fields::Scale;
use crate::profile::Stream;

/// What the time of a point is to its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// True of a moment, whatever span is given, and never nought in anybody alive.
    Moment,
    /// Gathered over a span: without length there is nothing it could be the sum of.
    Span,
    /// Either, as it comes.
    Any,
}

/// How the values of a point are to be taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// The first value.
    Number(&'static Measure, Scale, Time),
    Pressure,
    /// The place of the thermometer decides whose temperature it is.
    Temperature,
    Activity,
    Sleep,
}

impl Form {
    /// Whether a point of no length says nothing.
    pub fn is_span(self) -> bool {
        matches!(self, Self::Activity | Self::Sleep | Self::Number(_, _, Time::Span))
    }
}

pub(super) struct Type {
    pub stream: &'static str,
    pub name: &'static str,
    pub form: Form,
}

const fn number(stream: &'static str, name: &'static str, measure: &'static Measure, scale: Scale, time: Time) -> Type {
    Type { stream, name, form: Form::Number(measure, scale, time) }
}

pub(super) static TYPES: &[Type] = &[
    number("steps", "com.google.step_count.delta", &STEPS_INTERVAL, Scale::As, Time::Span),
    number("distance", "com.google.distance.delta", &DISTANCE, Scale::As, Time::Span),
    number("calories", "com.google.calories.expended", &ENERGY, Scale::As, Time::Span),
    number("heart-rate", "com.google.heart_rate.bpm", &HEART_RATE, Scale::As, Time::Moment),
    number("weight", "com.google.weight", &WEIGHT, Scale::As, Time::Moment),
    number("height", "com.google.height", &HEIGHT, Scale::Hundred, Time::Moment),
    number("body-fat", "com.google.body.fat.percentage", &BODY_FAT, Scale::As, Time::Moment),
    number("speed", "com.google.speed", &SPEED, Scale::As, Time::Any),
    number("heart-minutes", "com.google.heart_minutes", &ACTIVE_ZONE_MINUTES, Scale::As, Time::Span),
    number("active-minutes", "com.google.active_minutes", &EXERCISE_DURATION, Scale::As, Time::Span),
    number("blood-glucose", "com.google.blood_glucose", &GLUCOSE_BLOOD_MOLAR, Scale::As, Time::Moment),
    number("oxygen-saturation", "com.google.oxygen_saturation", &SPO2, Scale::As, Time::Moment),
    number("hydration", "com.google.hydration", &HYDRATION, Scale::As, Time::Any),
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

/// Names of the activity numbers that are exercise. Rest (3, 45, 122), being carried (0, 117, 118), tilting (5) and not knowing (4) are none.
static ACTIVITIES: &[(i64, &str)] = &[
    (1, "biking"),
    (2, "on foot"),
    (7, "walking"),
    (8, "running"),
    (9, "aerobics"),
    (10, "badminton"),
    (11, "baseball"),
    (12, "basketball"),
    (13, "biathlon"),
    (14, "handbiking"),
    (15, "mountain biking"),
    (16, "road biking"),
    (17, "spinning"),
    (18, "stationary biking"),
    (19, "utility biking"),
    (20, "boxing"),
    (21, "calisthenics"),
    (22, "circuit training"),
    (23, "cricket"),
    (24, "dancing"),
    (25, "elliptical"),
    (26, "fencing"),
    (27, "american football"),
    (28, "australian football"),
    (29, "football"),
    (30, "frisbee"),
    (31, "gardening"),
    (32, "golf"),
    (33, "gymnastics"),
    (34, "handball"),
    (35, "hiking"),
    (36, "hockey"),
    (37, "horseback riding"),
    (38, "housework"),
    (39, "jumping rope"),
    (40, "kayaking"),
    (41, "kettlebell training"),
    (42, "kickboxing"),
    (43, "kitesurfing"),
    (44, "martial arts"),
    (46, "mixed martial arts"),
    (47, "p90x"),
    (48, "paragliding"),
    (49, "pilates"),
    (50, "polo"),
    (51, "racquetball"),
    (52, "rock climbing"),
    (53, "rowing"),
    (54, "rowing machine"),
    (55, "rugby"),
    (56, "jogging"),
    (57, "running on sand"),
    (58, "treadmill running"),
    (59, "sailing"),
    (60, "scuba diving"),
    (61, "skateboarding"),
    (62, "skating"),
    (63, "cross skating"),
    (64, "inline skating"),
    (65, "skiing"),
    (66, "backcountry skiing"),
    (67, "cross-country skiing"),
    (68, "downhill skiing"),
    (69, "kite skiing"),
    (70, "roller skiing"),
    (71, "sledding"),
    (73, "snowboarding"),
    (74, "snowmobiling"),
    (75, "snowshoeing"),
    (76, "squash"),
    (77, "stair climbing"),
    (78, "stair climbing machine"),
    (79, "stand-up paddling"),
    (80, "strength training"),
    (81, "surfing"),
    (82, "swimming"),
    (83, "swimming in a pool"),
    (84, "swimming in open water"),
    (85, "table tennis"),
    (86, "team sports"),
    (87, "tennis"),
    (88, "treadmill"),
    (89, "volleyball"),
    (90, "beach volleyball"),
    (91, "indoor volleyball"),
    (92, "wakeboarding"),
    (93, "fitness walking"),
    (94, "nordic walking"),
    (95, "treadmill walking"),
    (96, "water polo"),
    (97, "weightlifting"),
    (98, "wheelchair"),
    (99, "windsurfing"),
    (100, "yoga"),
    (101, "zumba"),
    (102, "diving"),
    (103, "ergometer"),
    (104, "ice skating"),
    (105, "indoor skating"),
    (106, "curling"),
    (108, "other"),
    (113, "crossfit"),
    (114, "high-intensity interval training"),
    (115, "interval training"),
    (116, "walking with a stroller"),
    (119, "archery"),
    (120, "softball"),
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

/// Whose temperature a thermometer at this place takes: of the body by armpit (1), forehead (3), mouth (4), rectum (5), temple (6), ear (8) and
/// vagina (10), of the skin at finger (2), toe (7) and wrist (9). A place that is not said leaves it what the type is called.
pub(super) fn temperature(place: Option<i64>) -> Option<&'static Measure> {
    Some(match place {
        None | Some(0 | 1 | 3 | 4 | 5 | 6 | 8 | 10) => &BODY_TEMPERATURE,
        Some(2 | 7 | 9) => &SKIN_TEMPERATURE,
        _ => return None,
    })
}
