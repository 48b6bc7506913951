//! Summaries: days, quarters of an hour, nights, measurements and activities. A summary that comes again under its id replaces the one before.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Absent, Component, Device, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::value::RawValue;

use super::samples::{Real, series};
use crate::fields::{Fields, Part, Scale, blood_pressure, label, missing};
use crate::json;
use crate::time;

/// What every summary may have, and has no place.
pub(super) const COMMON: &[&str] = &["userId", "userAccessToken", "calendarDate", "durationInSeconds"];

/// Who a summary is, and when.
pub(super) struct Head<'a> {
    pub id: Cow<'a, str>,
    pub date: Option<Cow<'a, str>>,
    pub start: Stamp,
    pub end: Stamp,
    pub device: Option<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    pub fn read(row: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<Self, Reject> {
        let start = seconds(row, "startTimeInSeconds")?.or(seconds(row, "measurementTimeInSeconds")?);
        let start = start.ok_or_else(|| missing("startTimeInSeconds"))?;
        let offset = match seconds(row, "startTimeOffsetInSeconds")? {
            None => seconds(row, "measurementTimeOffsetInSeconds")?,
            some => some,
        };
        let offset = offset.map(|o| i32::try_from(o).map_err(|_| wrong("startTimeOffsetInSeconds"))).transpose()?;
        let micros = start.checked_mul(1_000_000).ok_or_else(|| wrong("startTimeInSeconds"))?;
        let start = time::with_offset(micros, offset).map_err(|r| r.at("startTimeInSeconds"))?;
        let length = seconds(row, "durationInSeconds")?.unwrap_or(0);
        let length = (0..=31 * 86_400).contains(&length).then_some(length).ok_or_else(|| wrong("durationInSeconds"))?;
        let date = row.text("calendarDate")?;
        if let Some(date) = &date {
            time::date(date).map_err(|r| r.at("calendarDate"))?;
        }
        let id = match row.text("summaryId")? {
            Some(id) => id,
            None => start.micros.div_euclid(1_000_000).to_string().into(),
        };
        let device = row.text("deviceName")?.filter(|name| name != "unknown");
        if let Some(name) = &device {
            let model = Some(name.clone());
            out.device(Device { provider_id: name.clone(), manufacturer: Some("Garmin".into()), model, ..Device::default() });
        }
        Ok(Self { id, date, start, end: Stamp { micros: start.micros + length * 1_000_000, ..start }, device })
    }

    pub fn reading(&self, measure: &'static Measure, effective: Effective, value: Value<'a>) -> Reading<'a> {
        Reading {
            device: self.device.clone(),
            method: Method::Device,
            ..Reading::new(measure, self.id.clone(), effective, value)
        }
    }

    fn during(&self) -> Effective {
        Effective::During(self.start, self.end)
    }
}

fn seconds(row: &mut Fields<'_>, name: &'static str) -> Result<Option<i64>, Reject> {
    row.decimal(name)?.map(|n| n.to_i64().ok_or_else(|| wrong(name))).transpose()
}

fn wrong(name: &'static str) -> Reject {
    Reject::new(code::BAD_TIME, "expected seconds").at(name)
}

fn positive(value: Option<Decimal>) -> Option<Decimal> {
    value.filter(|v| *v > Decimal::ZERO)
}

/// Sums of a day: nought is a sum. Figures of the body are never nought.
static DAY: &[(&str, &Measure, Scale, bool)] = &[
    ("steps", &STEPS_DAY, Scale::As, false),
    ("distanceInMeters", &DISTANCE_DAY, Scale::As, false),
    ("activeKilocalories", &ENERGY_ACTIVE, Scale::As, false),
    ("bmrKilocalories", &ENERGY_BASAL, Scale::As, false),
    ("floorsClimbed", &FLOORS, Scale::As, false),
    ("moderateIntensityDurationInSeconds", &MODERATE_ACTIVITY, Scale::Seconds, false),
    ("vigorousIntensityDurationInSeconds", &VIGOROUS_ACTIVITY, Scale::Seconds, false),
    ("restingHeartRateInBeatsPerMinute", &RESTING_HEART_RATE, Scale::As, true),
    ("minHeartRateInBeatsPerMinute", &HEART_RATE_MIN, Scale::As, true),
    ("maxHeartRateInBeatsPerMinute", &HEART_RATE_DAY_MAX, Scale::As, true),
    ("averageHeartRateInBeatsPerMinute", &HEART_RATE_DAY_AVERAGE, Scale::As, true),
    ("averageStressLevel", &STRESS_AVERAGE, Scale::As, true),
];

const DAY_LEFT: &[&str] = &[
    "activityType",
    "activeTimeInSeconds",
    "consumedCalories",
    "maxStressLevel",
    "stressDurationInSeconds",
    "restStressDurationInSeconds",
    "activityStressDurationInSeconds",
    "lowStressDurationInSeconds",
    "mediumStressDurationInSeconds",
    "highStressDurationInSeconds",
    "stressQualifier",
    "stepsGoal",
    "netKilocaloriesGoal",
    "intensityDurationGoalInSeconds",
    "floorsClimbedGoal",
    "pushes",
    "pushDistanceInMeters",
    "pushesGoal",
    "bodyBatteryChargedValue",
    "bodyBatteryDrainedValue",
    "source",
];

/// A day is known by its name: a change of zone makes no second one. Until it is over it is preliminary.
pub(super) fn daily<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    let date = head.date.clone().ok_or_else(|| missing("calendarDate"))?;
    let whole = head.end.micros - head.start.micros >= 23 * 3_600_000_000;
    // Another spelling of the same field, in older bodies.
    let stress = row.take("averageStresslevel");
    for (name, measure, scale, alive) in DAY {
        let value = row.scaled(name, *scale)?.filter(|v| if *alive { *v > Decimal::ZERO } else { !v.is_sign_negative() });
        if let Some(value) = value {
            let status = if whole { Status::Final } else { Status::Preliminary };
            let day = head.reading(measure, head.during(), Value::Quantity(value));
            out.push(Reading { record_id: date.clone(), local_date: Some(date.clone()), status, ..day });
        }
    }
    if stress.is_some() {
        out.unknown("dailies averageStresslevel");
    }
    series(&mut row, "timeOffsetHeartRateSamples", &HEART_RATE, Real::Positive, &head, out)?;
    row.tell("dailies", &[COMMON, DAY_LEFT].concat(), out);
    Ok(())
}

static EPOCH: &[Part] = &[
    ("steps", &STEPS_INTERVAL, Scale::As),
    ("distanceInMeters", &DISTANCE, Scale::As),
    ("activeKilocalories", &ENERGY_ACTIVE, Scale::As),
];

pub(super) fn epoch<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    for (name, measure, scale) in EPOCH {
        if let Some(value) = row.scaled(name, *scale)?.filter(|v| !v.is_sign_negative()) {
            out.push(head.reading(measure, head.during(), Value::Quantity(value)));
        }
    }
    row.tell(
        "epochs",
        &[
            COMMON,
            &[
                "activityType",
                "activeTimeInSeconds",
                "met",
                "intensity",
                "meanMotionIntensity",
                "maxMotionIntensity",
                "pushes",
                "pushDistanceInMeters",
            ],
        ]
        .concat(),
        out,
    );
    Ok(())
}

static STAGES: &[(&str, &Measure, &str, &Concept)] = &[
    ("deepSleepDurationInSeconds", &SLEEP_DEEP, "deep", &STAGE_DEEP),
    ("lightSleepDurationInSeconds", &SLEEP_LIGHT, "light", &STAGE_LIGHT),
    ("remSleepInSeconds", &SLEEP_REM, "rem", &STAGE_REM),
    ("awakeDurationInSeconds", &AWAKE, "awake", &STAGE_AWAKE),
];

pub(super) fn sleep<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    let mut components = Vec::new();
    let mut asleep: Option<Decimal> = None;
    for (name, measure, _, stage) in STAGES {
        let Some(value) = row.scaled(name, Scale::Seconds)?.filter(|v| !v.is_sign_negative()) else { continue };
        if *stage != &STAGE_AWAKE {
            asleep = asleep.unwrap_or_default().checked_add(value);
        }
        components.push(Component { measure, value: Value::Quantity(value) });
    }
    let mut score = row.inner("overallSleepScore")?;
    components.extend(score.decimal("value")?.map(|v| Component { measure: &SLEEP_SCORE, value: Value::Quantity(v) }));
    let status = match row.text("validation")?.as_deref() {
        Some(word) if word.contains("TENTATIVE") => Status::Preliminary,
        _ => Status::Final,
    };
    let method = |manual: bool| if manual { Method::Manual } else { Method::Device };
    let by_hand = status == Status::Final && row.read::<bool>("manual")? == Some(true);
    levels(&mut row, &head, out)?;
    series(&mut row, "timeOffsetSleepSpo2", &SPO2, Real::Positive, &head, out)?;
    series(&mut row, "timeOffsetSleepRespiration", &RESPIRATORY_RATE, Real::Positive, &head, out)?;
    row.tell("sleeps", &[COMMON, &["unmeasurableSleepInSeconds", "sleepScores", "naps"]].concat(), out);
    let value = asleep.map_or(Value::Absent(Absent::Unknown), Value::Quantity);
    let local_date = head.date.clone();
    out.push(Reading { components, status, local_date, method: method(by_hand), ..head.reading(&SLEEP, head.during(), value) });
    Ok(())
}

fn levels<'a>(row: &mut Fields<'a>, head: &Head<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let Some(mut map) = row.read::<Fields<'a>>("sleepLevelsMap")? else { return Ok(()) };
    for (_, _, name, stage) in STAGES {
        for raw in map.read::<Vec<&'a RawValue>>(name)?.unwrap_or_default() {
            let mut part: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(|r| r.under("sleepLevelsMap"))?;
            let from = seconds(&mut part, "startTimeInSeconds")?.ok_or_else(|| missing("startTimeInSeconds"))?;
            let to = seconds(&mut part, "endTimeInSeconds")?.ok_or_else(|| missing("endTimeInSeconds"))?;
            let stamp = |s: i64| s.checked_mul(1_000_000).map(|micros| Stamp { micros, ..head.start });
            let (Some(from), Some(to)) = (stamp(from), stamp(to)) else { return Err(wrong("sleepLevelsMap")) };
            let during = time::between(from, to).map_err(|r| r.at("sleepLevelsMap"))?;
            let id = format!("{}:{}", head.id, from.micros.div_euclid(1_000_000));
            out.push(Reading { record_id: id.into(), ..head.reading(&SLEEP_STAGE, during, Value::Code(stage)) });
        }
    }
    map.tell("sleepLevelsMap", &[], out);
    Ok(())
}

static BODY: &[Part] = &[
    ("weightInGrams", &WEIGHT, Scale::Thousandth),
    ("bodyMassIndex", &BMI, Scale::As),
    ("bodyFatInPercent", &BODY_FAT, Scale::As),
    ("muscleMassInGrams", &MUSCLE_MASS, Scale::Thousandth),
    ("boneMassInGrams", &BONE_MASS, Scale::Thousandth),
];

pub(super) fn body<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    for (name, measure, scale) in BODY {
        if let Some(value) = positive(row.scaled(name, *scale)?) {
            out.push(head.reading(measure, Effective::At(head.start), Value::Quantity(value)));
        }
    }
    row.tell("bodyComps", COMMON, out);
    Ok(())
}

/// Of a day, by its name alone: there is no time in it.
pub(super) fn metrics<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let date: Cow<'a, str> = row.need("calendarDate")?;
    let day = time::date(&date).map_err(|r| r.at("calendarDate"))?;
    let day = time::day(day, None, headwater_schemas::observation::OffsetOrigin::None)?;
    for name in ["vo2Max", "vo2MaxCycling"] {
        if let Some(value) = positive(row.decimal(name)?) {
            // Running and cycling are two estimates of one day.
            let id = if name == "vo2Max" { date.clone() } else { format!("{date}:cycling").into() };
            out.push(Reading {
                local_date: Some(date.clone()),
                method: Method::Derived,
                note: Some("estimated by the provider"),
                ..Reading::new(&VO2_MAX, id, day, Value::Quantity(value))
            });
        }
    }
    row.tell("userMetrics", &[COMMON, &["summaryId", "enhanced"]].concat(), out);
    Ok(())
}

pub(super) fn pressure<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    let components = blood_pressure(row.decimal("systolic")?, row.decimal("diastolic")?)?;
    let method = match row.text("sourceType")?.as_deref() {
        Some("MANUAL") => Method::Manual,
        Some("DEVICE") => Method::Device,
        other => {
            out.unknown(format!("sourceType {}", label(other.unwrap_or("absent"))));
            Method::Unknown
        }
    };
    let at = Effective::At(head.start);
    if let Some(pulse) = positive(row.decimal("pulse")?) {
        out.push(Reading { method, ..head.reading(&HEART_RATE, at, Value::Quantity(pulse)) });
    }
    out.push(Reading { components, method, ..head.reading(&BLOOD_PRESSURE, at, Value::Panel) });
    row.tell("bloodPressures", COMMON, out);
    Ok(())
}

/// A difference: never a temperature.
pub(super) fn skin<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    if let Some(value) = row.decimal("avgDeviationCelsius")? {
        let night = head.reading(&TEMPERATURE_DEVIATION, head.during(), Value::Quantity(value));
        out.push(Reading { local_date: head.date.clone(), ..night });
    }
    row.tell("skinTemp", COMMON, out);
    Ok(())
}

static ACTIVITY: &[Part] = &[
    ("activeKilocalories", &ENERGY, Scale::As),
    ("distanceInMeters", &DISTANCE, Scale::As),
    ("steps", &STEPS_INTERVAL, Scale::As),
    ("averageHeartRateInBeatsPerMinute", &WORKOUT_HEART_RATE_AVERAGE, Scale::As),
    ("maxHeartRateInBeatsPerMinute", &WORKOUT_HEART_RATE_MAX, Scale::As),
    ("averageSpeedInMetersPerSecond", &SPEED, Scale::As),
    ("totalElevationGainInMeters", &ELEVATION_GAIN, Scale::As),
];

const ACTIVITY_LEFT: &[&str] = &[
    "activityName",
    "activityDescription",
    "averagePaceInMinutesPerKilometer",
    "maxPaceInMinutesPerKilometer",
    "maxSpeedInMetersPerSecond",
    "averageRunCadenceInStepsPerMinute",
    "maxRunCadenceInStepsPerMinute",
    "averageBikeCadenceInRoundsPerMinute",
    "maxBikeCadenceInRoundsPerMinute",
    "averageSwimCadenceInStrokesPerMinute",
    "numberOfActiveLengths",
    "startingLatitudeInDegree",
    "startingLongitudeInDegree",
    "totalElevationLossInMeters",
    "isParent",
    "parentSummaryId",
    "isWebUpload",
    "pushes",
    "averagePushCadenceInPushesPerMinute",
    "maxPushCadenceInPushesPerMinute",
];

pub(super) fn activity<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let number = row.decimal("activityId")?.map(|id| id.to_string());
    let mut head = Head::read(&mut row, out)?;
    // Some bodies know the activity only by its number.
    if let Some(number) = number.filter(|_| head.id.bytes().all(|b| b.is_ascii_digit())) {
        head.id = number.into();
    }
    let length = (head.end.micros - head.start.micros) / 1_000_000;
    let duration = Value::Quantity(Scale::Seconds.apply(Decimal::from(length)));
    let mut components = vec![Component { measure: &EXERCISE_DURATION, value: duration }];
    components.extend(row.components(ACTIVITY)?);
    let kind = row.text("activityType")?.unwrap_or(Cow::Borrowed("activity"));
    let method = if row.read::<bool>("manual")? == Some(true) { Method::Manual } else { Method::Device };
    row.tell("activities", &[COMMON, ACTIVITY_LEFT].concat(), out);
    out.push(Reading { components, method, ..head.reading(&EXERCISE, head.during(), Value::Text(kind)) });
    Ok(())
}
