//! The data types, as one table: the kebab-case name from which the other spellings follow, how a point carries its time, what becomes of
//! its fields, and how it is polled. [`super::streams`] makes the
//! streams of the profile from this table and from nothing else.

use std::borrow::Cow;

use headwater_schemas::codes::{self as c, Measure};

/// How a point of the type carries its time, and so which field a filter may restrict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    Interval,
    Sample,
    /// A calendar day of the person's.
    Daily,
    /// An interval with a record id, which can only be asked for by its civil start.
    Session,
    /// A session that can only be asked for by its end.
    Sleep,
    /// Has no points: it exists as roll-up only.
    RollUp,
}

/// What a missing number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing was counted: proto3 JSON may leave zeros out.
    Zero,
    /// A measurement without its value is none; the row is a problem.
    Refused,
    /// One of several that may be there.
    Skipped,
}

/// One number of a row. `field` is a path with dots; `shift` is how many places the decimal point moves to the left.
#[derive(Debug)]
pub struct Number {
    pub field: &'static str,
    pub measure: &'static Measure,
    /// For roll-ups: what the number is called when its window is not one whole day. `None` where there is no such thing.
    pub part: Option<&'static Measure>,
    pub shift: u32,
    pub missing: Missing,
}

/// What a row of a list holds.
#[derive(Debug)]
pub enum Rows {
    Numbers(&'static [Number]),
    ActiveZoneMinutes,
    ActiveMinutes,
    Sedentary,
    ZoneTime,
    SleepTemperature,
    CoreTemperature,
    Glucose,
    Vo2Max,
    Sleep,
    Exercise,
    None,
}

/// What a row of a roll-up holds.
#[derive(Debug)]
pub enum RollUp {
    Numbers(&'static [Number]),
    ActiveZoneMinutes,
    ActiveMinutes,
    Sedentary,
    ZoneTime,
    /// Averages and personal ranges: nothing that was measured.
    None,
}

#[derive(Debug)]
pub struct DataType {
    /// As in paths; see [`DataType::snake`] and [`DataType::camel`] for the others.
    pub name: &'static str,
    pub doc: &'static str,
    pub time: Time,
    pub rows: Rows,
    pub roll_up: RollUp,
    /// Of both rows and roll-ups.
    pub becomes: &'static [&'static Measure],
    /// Documented fields that have no place in an observation; they stay in the raw record and are not counted as unknown.
    pub left: &'static [&'static str],
    /// Days of a request window.
    pub days: u32,
    /// The stream of its daily roll-ups, where they say more than the points do.
    pub daily: Option<&'static str>,
}

const fn number(field: &'static str, measure: &'static Measure, shift: u32, missing: Missing) -> Number {
    Number { field, measure, part: None, shift, missing }
}

const fn sum(field: &'static str, day: &'static Measure, part: &'static Measure, shift: u32) -> Number {
    Number { field, measure: day, part: Some(part), shift, missing: Missing::Zero }
}

macro_rules! types {
    ($($name:literal $doc:literal $time:ident $days:literal $(daily $daily:literal)?
        rows $rows:expr; $(sums $sums:expr;)? becomes [$($measure:ident),*] $(left $left:expr)?)*) => {
        /// Every data type this build understands.
        pub static TYPES: &[DataType] = &[$(DataType {
            name: $name, doc: $doc, time: Time::$time, days: $days, rows: $rows,
            roll_up: types!(@or RollUp::None $(, $sums)?), becomes: &[$(&c::$measure),*],
            left: types!(@or &[] $(, $left)?), daily: types!(@some $($daily)?),
        }),*];
    };
    (@or $default:expr) => { $default };
    (@or $default:expr, $value:expr) => { $value };
    (@some) => { None };
    (@some $value:expr) => { Some($value) };
}

use Missing::{Refused, Skipped, Zero};

types! {
    "steps" "Steps" Interval 1 daily "steps-daily"
        rows Rows::Numbers(&[number("count", &c::STEPS_INTERVAL, 0, Zero)]);
        sums RollUp::Numbers(&[sum("countSum", &c::STEPS_DAY, &c::STEPS_INTERVAL, 0)]);
        becomes [STEPS_INTERVAL, STEPS_DAY]
    "distance" "Distance" Interval 1 daily "distance-daily"
        rows Rows::Numbers(&[number("millimeters", &c::DISTANCE, 3, Zero)]);
        sums RollUp::Numbers(&[sum("millimetersSum", &c::DISTANCE_DAY, &c::DISTANCE, 3)]);
        becomes [DISTANCE, DISTANCE_DAY]
    "floors" "Floors climbed" Interval 7
        rows Rows::Numbers(&[number("count", &c::FLOORS, 0, Zero)]);
        sums RollUp::Numbers(&[sum("countSum", &c::FLOORS, &c::FLOORS, 0)]);
        becomes [FLOORS]
    "altitude" "Altitude gained" Interval 7
        rows Rows::Numbers(&[number("gainMillimeters", &c::ELEVATION_GAIN, 3, Zero)]);
        sums RollUp::Numbers(&[sum("gainMillimetersSum", &c::ELEVATION_GAIN, &c::ELEVATION_GAIN, 3)]);
        becomes [ELEVATION_GAIN]
    "active-energy-burned" "Energy of activity, without basal energy" Interval 1
        rows Rows::Numbers(&[number("kcal", &c::ENERGY_ACTIVE, 0, Zero)]);
        sums RollUp::Numbers(&[sum("kcalSum", &c::ENERGY_ACTIVE, &c::ENERGY_ACTIVE, 0)]);
        becomes [ENERGY_ACTIVE]
    "total-calories" "Energy of a day; exists as roll-up only" RollUp 7
        rows Rows::None;
        sums RollUp::Numbers(&[sum("kcalSum", &c::ENERGY_DAY, &c::ENERGY, 0)]);
        becomes [ENERGY_DAY, ENERGY]
    "active-zone-minutes" "Active zone minutes" Interval 7
        rows Rows::ActiveZoneMinutes;
        sums RollUp::ActiveZoneMinutes;
        becomes [ACTIVE_ZONE_MINUTES]
    "active-minutes" "Minutes of light, moderate and vigorous activity" Interval 7
        rows Rows::ActiveMinutes;
        sums RollUp::ActiveMinutes;
        becomes [LIGHT_ACTIVITY, MODERATE_ACTIVITY, VIGOROUS_ACTIVITY]
    "sedentary-period" "Sedentary periods" Interval 7
        rows Rows::Sedentary;
        sums RollUp::Sedentary;
        becomes [SEDENTARY]
    "time-in-heart-rate-zone" "Time in heart rate zones" Interval 7
        rows Rows::ZoneTime;
        sums RollUp::ZoneTime;
        becomes [HEART_RATE_ZONE_LIGHT, HEART_RATE_ZONE_MODERATE, HEART_RATE_ZONE_INTENSE, HEART_RATE_ZONE_PEAK]
    "heart-rate" "Heart rate samples" Sample 1 daily "heart-rate-daily"
        rows Rows::Numbers(&[number("beatsPerMinute", &c::HEART_RATE, 0, Refused)]);
        sums RollUp::Numbers(&[
            number("beatsPerMinuteAvg", &c::HEART_RATE_DAY_AVERAGE, 0, Skipped),
            number("beatsPerMinuteMax", &c::HEART_RATE_DAY_MAX, 0, Skipped),
            number("beatsPerMinuteMin", &c::HEART_RATE_MIN, 0, Skipped),
        ]);
        becomes [HEART_RATE, HEART_RATE_DAY_AVERAGE, HEART_RATE_DAY_MAX, HEART_RATE_MIN] left &["metadata"]
    "heart-rate-variability" "Heart rate variability samples" Sample 1
        rows Rows::Numbers(&[
            number("rootMeanSquareOfSuccessiveDifferencesMilliseconds", &c::HRV_RMSSD, 0, Skipped),
            number("standardDeviationMilliseconds", &c::HRV_SDNN, 0, Skipped),
        ]);
        becomes [HRV_RMSSD, HRV_SDNN]
    "oxygen-saturation" "Oxygen saturation samples" Sample 1
        rows Rows::Numbers(&[number("percentage", &c::SPO2, 0, Refused)]);
        becomes [SPO2]
    "respiratory-rate-sleep-summary" "Respiratory rate of a sleep" Sample 7
        rows Rows::Numbers(&[number("fullSleepStats.breathsPerMinute", &c::RESPIRATORY_RATE, 0, Refused)]);
        becomes [RESPIRATORY_RATE] left &["deepSleepStats", "lightSleepStats", "remSleepStats"]
    "blood-glucose" "Blood and tissue glucose" Sample 7
        rows Rows::Glucose;
        becomes [GLUCOSE_BLOOD_MASS, GLUCOSE_INTERSTITIAL_MASS]
        left &["mealType", "measurementTiming", "notes"]
    "core-body-temperature" "Body temperature" Sample 7
        rows Rows::CoreTemperature;
        becomes [BODY_TEMPERATURE, SKIN_TEMPERATURE] left &["id"]
    "weight" "Weight" Sample 30
        rows Rows::Numbers(&[number("weightGrams", &c::WEIGHT, 3, Refused)]);
        becomes [WEIGHT] left &["notes"]
    "height" "Height" Sample 30
        rows Rows::Numbers(&[number("heightMillimeters", &c::HEIGHT, 1, Refused)]);
        becomes [HEIGHT]
    "body-fat" "Body fat" Sample 30
        rows Rows::Numbers(&[number("percentage", &c::BODY_FAT, 0, Refused)]);
        becomes [BODY_FAT]
    "vo2-max" "Maximal oxygen uptake" Sample 30
        rows Rows::Vo2Max;
        becomes [VO2_MAX]
    "run-vo2-max" "Maximal oxygen uptake from runs" Sample 30
        rows Rows::Vo2Max;
        becomes [VO2_MAX]
    "daily-vo2-max" "Maximal oxygen uptake of a day" Daily 30
        rows Rows::Vo2Max;
        becomes [VO2_MAX] left &["cardioFitnessLevel", "vo2MaxCovariance"]
    "daily-resting-heart-rate" "Resting heart rate of a day" Daily 30
        rows Rows::Numbers(&[number("beatsPerMinute", &c::RESTING_HEART_RATE, 0, Refused)]);
        becomes [RESTING_HEART_RATE] left &["dailyRestingHeartRateMetadata"]
    "daily-heart-rate-variability" "Heart rate variability of a day" Daily 30
        rows Rows::Numbers(&[
            number("averageHeartRateVariabilityMilliseconds", &c::HRV_RMSSD, 0, Skipped),
            number("deepSleepRootMeanSquareOfSuccessiveDifferencesMilliseconds", &c::HRV_RMSSD_DEEP_SLEEP, 0, Skipped),
        ]);
        becomes [HRV_RMSSD, HRV_RMSSD_DEEP_SLEEP]
    "daily-respiratory-rate" "Respiratory rate of a day's main sleep" Daily 30
        rows Rows::Numbers(&[number("breathsPerMinute", &c::RESPIRATORY_RATE, 0, Refused)]);
        becomes [RESPIRATORY_RATE]
    "daily-oxygen-saturation" "Oxygen saturation of a day's sleep" Daily 30
        rows Rows::Numbers(&[number("averagePercentage", &c::SPO2, 0, Refused)]);
        becomes [SPO2] left &["lowerBoundPercentage", "upperBoundPercentage", "standardDeviationPercentage"]
    "daily-sleep-temperature-derivations" "Skin temperature of a night" Daily 30
        rows Rows::SleepTemperature;
        becomes [SKIN_TEMPERATURE, TEMPERATURE_DEVIATION] left &["relativeNightlyStddev30dCelsius"]
    "hydration-log" "Water drunk" Session 30
        rows Rows::Numbers(&[number("amountConsumed.milliliters", &c::HYDRATION, 3, Refused)]);
        sums RollUp::Numbers(&[sum("amountConsumed.millilitersSum", &c::HYDRATION, &c::HYDRATION, 3)]);
        becomes [HYDRATION]
    "exercise" "Exercise sessions" Session 7
        rows Rows::Exercise;
        becomes [EXERCISE]
        left &["splits", "exerciseEvents", "splitSummaries", "exerciseMetadata", "displayName", "notes", "createTime"]
    "sleep" "Sleep sessions and their stages" Sleep 7
        rows Rows::Sleep;
        becomes [SLEEP, SLEEP_STAGE] left &["outOfBedSegments", "createTime", "shortAwakenings"]
}

/// The type by its name in any spelling: `heart-rate`, `heart_rate`, `heartRate`.
pub fn find(name: &str) -> Option<&'static DataType> {
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        text.bytes().filter(|b| !matches!(b, b'-' | b'_')).map(|b| b.to_ascii_lowercase())
    }
    TYPES.iter().find(|kind| letters(kind.name).eq(letters(name)))
}

impl DataType {
    /// As in filters.
    pub fn snake(&self) -> String {
        self.name.replace('-', "_")
    }

    /// As in JSON.
    pub fn camel(&self) -> Cow<'static, str> {
        if !self.name.contains('-') {
            return Cow::Borrowed(self.name);
        }
        let mut out = String::with_capacity(self.name.len());
        for word in self.name.split('-') {
            match word.chars().next() {
                Some(first) if !out.is_empty() => {
                    out.push(first.to_ascii_uppercase());
                    out.push_str(&word[1..]);
                }
                _ => out.push_str(word),
            }
        }
        Cow::Owned(out)
    }

    /// The streams that a change of this type touches.
    pub fn streams(&self) -> Vec<&'static str> {
        std::iter::once(self.name).chain(self.daily).collect()
    }

    /// The most that one page may hold.
    pub fn page_size(&self) -> u32 {
        if matches!(self.name, "sleep" | "exercise") { 25 } else { 10_000 }
    }
}
