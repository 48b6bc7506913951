//! HealthKit's types and what they are.

use headwater_schemas::codes::*;

use crate::phone::Became;

/// How a number of a type is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In whatever unit it says.
    Plain,
    /// 0.97 from a phone, 97 in some exports.
    Fraction,
    /// The unit chooses between two measures: mass, molar.
    Glucose,
}

/// Type without `HKQuantityTypeIdentifier`, measure, how.
pub(super) static QUANTITIES: &[(&str, &Measure, Kind)] = &[
    ("HeartRate", &HEART_RATE, Kind::Plain),
    ("RestingHeartRate", &RESTING_HEART_RATE, Kind::Plain),
    ("HeartRateVariabilitySDNN", &HRV_SDNN, Kind::Plain),
    ("OxygenSaturation", &SPO2, Kind::Fraction),
    ("RespiratoryRate", &RESPIRATORY_RATE, Kind::Plain),
    ("BodyTemperature", &BODY_TEMPERATURE, Kind::Plain),
    ("AppleSleepingWristTemperature", &SKIN_TEMPERATURE, Kind::Plain),
    ("BodyMass", &WEIGHT, Kind::Plain),
    ("Height", &HEIGHT, Kind::Plain),
    ("BodyMassIndex", &BMI, Kind::Plain),
    ("BodyFatPercentage", &BODY_FAT, Kind::Fraction),
    ("LeanBodyMass", &LEAN_MASS, Kind::Plain),
    ("WaistCircumference", &WAIST, Kind::Plain),
    ("BloodGlucose", &GLUCOSE_BLOOD_MASS, Kind::Glucose),
    ("StepCount", &STEPS_INTERVAL, Kind::Plain),
    ("DistanceWalkingRunning", &DISTANCE, Kind::Plain),
    ("DistanceCycling", &DISTANCE, Kind::Plain),
    ("DistanceSwimming", &DISTANCE, Kind::Plain),
    ("DistanceWheelchair", &DISTANCE, Kind::Plain),
    ("ActiveEnergyBurned", &ENERGY_ACTIVE, Kind::Plain),
    ("BasalEnergyBurned", &ENERGY_BASAL, Kind::Plain),
    ("FlightsClimbed", &FLOORS, Kind::Plain),
    ("AppleExerciseTime", &EXERCISE_DURATION, Kind::Plain),
    ("VO2Max", &VO2_MAX, Kind::Plain),
    ("SwimmingStrokeCount", &SWIM_STROKES, Kind::Plain),
    ("RunningSpeed", &SPEED, Kind::Plain),
    ("RunningPower", &POWER, Kind::Plain),
    ("CyclingPower", &POWER, Kind::Plain),
    ("CyclingCadence", &CADENCE, Kind::Plain),
    ("DietaryWater", &HYDRATION, Kind::Plain),
    ("DietaryCarbohydrates", &CARBOHYDRATES, Kind::Plain),
];

pub(super) const QUANTITY: &str = "HKQuantityTypeIdentifier";
pub(super) const SLEEP_ANALYSIS: &str = "HKCategoryTypeIdentifierSleepAnalysis";
pub(super) const MINDFUL: &str = "HKCategoryTypeIdentifierMindfulSession";
pub(super) const PRESSURE: &str = "HKCorrelationTypeIdentifierBloodPressure";
pub(super) const INSULIN: &str = "HKQuantityTypeIdentifierInsulinDelivery";

/// The halves of a blood pressure, which stand beside the whole as samples of their own.
pub(super) fn half(kind: &str) -> bool {
    matches!(kind, "HKQuantityTypeIdentifierBloodPressureSystolic" | "HKQuantityTypeIdentifierBloodPressureDiastolic")
}

/// What a type may have become.
pub(super) fn became(kind: &str) -> Became {
    if kind == INSULIN {
        return Became { measures: vec![], doses: MEDICATIONS };
    }
    let measures: Vec<&'static Measure> = match kind {
        SLEEP_ANALYSIS => vec![&SLEEP_STAGE, &TIME_IN_BED],
        MINDFUL => vec![&MINDFULNESS],
        PRESSURE => vec![&BLOOD_PRESSURE],
        _ => {
            let name = kind.strip_prefix(QUANTITY).unwrap_or("");
            let found = QUANTITIES.iter().find(|row| row.0 == name);
            match found {
                Some((_, _, Kind::Glucose)) => vec![&GLUCOSE_BLOOD_MASS, &GLUCOSE_BLOOD_MOLAR],
                Some((_, measure, _)) => vec![measure],
                None => vec![],
            }
        }
    };
    measures.into()
}

pub(super) static BECOMES: &[&Measure] = &[
    &HEART_RATE,
    &RESTING_HEART_RATE,
    &HRV_SDNN,
    &SPO2,
    &RESPIRATORY_RATE,
    &BODY_TEMPERATURE,
    &SKIN_TEMPERATURE,
    &WEIGHT,
    &HEIGHT,
    &BMI,
    &BODY_FAT,
    &LEAN_MASS,
    &WAIST,
    &GLUCOSE_BLOOD_MASS,
    &GLUCOSE_BLOOD_MOLAR,
    &STEPS_INTERVAL,
    &DISTANCE,
    &ENERGY_ACTIVE,
    &ENERGY_BASAL,
    &FLOORS,
    &EXERCISE_DURATION,
    &VO2_MAX,
    &SWIM_STROKES,
    &SPEED,
    &POWER,
    &CADENCE,
    &HYDRATION,
    &CARBOHYDRATES,
    &BLOOD_PRESSURE,
    &SLEEP_STAGE,
    &TIME_IN_BED,
    &MINDFULNESS,
];
