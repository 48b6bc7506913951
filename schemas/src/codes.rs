//! What a reading may be called: LOINC where a term is known to fit, our own code where none does. A near term is never bent.
//!
//! Sources: HL7 FHIR R4 vital-signs profiles, the HL7 Physical Activity and Continuous Glucose Monitoring guides, and LOINC names as several
//! independent open mappings agree on them. This material contains content from LOINC (loinc.org), copyright Regenstrief Institute, Inc.,
//! available at no cost under the licence at loinc.org/license. Tests hold every LOINC code's check digit.

pub const LOINC: &str = "http://loinc.org";
pub const UCUM: &str = "http://unitsofmeasure.org";
/// Our own code system, for what has no standard term.
pub const LOCAL: &str = "urn:headwater:codesystem:observation";
/// Tags of resources: the provider, and what is to be known of times.
pub const TAGS: &str = "urn:headwater:codesystem:tag";
/// Coded values of our own.
pub const LOCAL_VALUES: &str = "urn:headwater:codesystem:value";

#[derive(Debug, PartialEq, Eq)]
pub struct Coding {
    pub system: &'static str,
    pub code: &'static str,
}

/// FHIR observation-category codes that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    VitalSigns,
    Activity,
    Procedure,
    Laboratory,
}

impl Category {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VitalSigns => "vital-signs",
            Self::Activity => "activity",
            Self::Procedure => "procedure",
            Self::Laboratory => "laboratory",
        }
    }
}

/// A unit: UCUM code for machines, a word for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Unit {
    pub ucum: &'static str,
    pub text: &'static str,
}

/// One data type.
#[derive(Debug, PartialEq, Eq)]
pub struct Measure {
    /// Stable name: topic column, table key, query parameter.
    pub slug: &'static str,
    /// The most special term first; a profile's required term after it.
    pub coding: &'static [Coding],
    pub text: &'static str,
    pub unit: Option<&'static Unit>,
    pub category: Category,
    /// Name of the FHIR R4 vital-signs profile a quantity of this measure conforms to.
    pub profile: Option<&'static str>,
}

/// A coded value.
#[derive(Debug, PartialEq, Eq)]
pub struct Concept {
    pub code: &'static str,
    pub text: &'static str,
}

macro_rules! units {
    ($($name:ident = $ucum:literal, $text:literal;)*) => { $(pub static $name: Unit = Unit { ucum: $ucum, text: $text };)* };
}

units! {
    PER_MINUTE = "/min", "beats/minute";
    BREATHS = "/min", "breaths/minute";
    MILLISECOND = "ms", "ms";
    STEPS = "{steps}", "steps";
    STEPS_PER_DAY = "{steps}/d", "steps/day";
    METRE = "m", "m";
    METRE_PER_SECOND = "m/s", "m/s";
    KILOCALORIE = "kcal", "kcal";
    KILOCALORIE_PER_DAY = "kcal/d", "kcal/day";
    FLIGHTS = "{flights}", "flights";
    MINUTE = "min", "min";
    SECOND = "s", "s";
    PERCENT = "%", "%";
    KILOGRAM = "kg", "kg";
    KILOGRAM_PER_SQUARE_METRE = "kg/m2", "kg/m2";
    CENTIMETRE = "cm", "cm";
    MILLIMETRE_OF_MERCURY = "mm[Hg]", "mmHg";
    CELSIUS = "Cel", "°C";
    KELVIN = "K", "K";
    VO2 = "mL/kg/min", "mL/kg/min";
    SCORE = "{score}", "score";
    COUNT = "{count}", "count";
    YEAR = "a", "years";
    MICROVOLT = "uV", "µV";
    MICROSIEMENS = "uS", "µS";
    MG_PER_DL = "mg/dL", "mg/dL";
    MMOL_PER_L = "mmol/L", "mmol/L";
    LITRE = "L", "L";
    WATT = "W", "W";
    STROKES = "{strokes}", "strokes";
    PER_MINUTE_PLAIN = "/min", "/min";
    KILOCALORIE_PER_DAY_RATE = "kcal/d", "kcal/day";
    GRAM = "g", "g";
    MG_PER_DL_PER_MINUTE = "mg/dL/min", "mg/dL/min";
    MMOL_PER_L_PER_MINUTE = "mmol/L/min", "mmol/L/min";
    MET_MINUTES = "{MET-min}", "MET minutes";
}

/// Declares the measures and the list of all of them. `"1234-5"` is a LOINC code; `-` a local code equal to the slug.
macro_rules! measures {
    (@coding $slug:literal -) => { &[Coding { system: LOCAL, code: $slug }] };
    (@coding $slug:literal $($loinc:literal)+) => { &[$(Coding { system: LOINC, code: $loinc }),+] };
    (@unit -) => { None };
    (@unit $unit:ident) => { Some(&$unit) };
    (@profile) => { None };
    (@profile $profile:literal) => { Some($profile) };
    ($($(#[$doc:meta])* $name:ident = $slug:literal [$($code:tt)+] $text:literal, $unit:tt, $category:ident $(, $profile:literal)?;)*) => {
        $($(#[$doc])* pub static $name: Measure = Measure {
            slug: $slug, coding: measures!(@coding $slug $($code)+), text: $text, unit: measures!(@unit $unit),
            category: Category::$category, profile: measures!(@profile $($profile)?),
        };)*
        /// Every measure, in the order of this file.
        pub static ALL: &[&Measure] = &[$(&$name),*];
    };
}

measures! {
    HEART_RATE = "heart-rate" ["8867-4"] "Heart rate", PER_MINUTE, VitalSigns, "heartrate";
    RESTING_HEART_RATE = "resting-heart-rate" ["40443-4" "8867-4"] "Resting heart rate", PER_MINUTE, VitalSigns, "heartrate";
    /// Lowest of a night or of a workout, as the provider says.
    HEART_RATE_MIN = "heart-rate-min" ["103222-6" "8867-4"] "Lowest heart rate", PER_MINUTE, VitalSigns, "heartrate";
    HEART_RATE_DAY_MAX = "heart-rate-day-max" ["8873-2" "8867-4"] "Highest heart rate of the day", PER_MINUTE, VitalSigns, "heartrate";
    HEART_RATE_DAY_AVERAGE = "heart-rate-day-average" [-] "Average heart rate of the day", PER_MINUTE, Activity;
    HEART_RATE_SLEEP_AVERAGE = "heart-rate-sleep-average" [-] "Average heart rate in sleep", PER_MINUTE, Activity;
    HEART_RATE_SLEEP_MAX = "heart-rate-sleep-max" [-] "Highest heart rate in sleep", PER_MINUTE, Activity;
    WORKOUT_HEART_RATE_AVERAGE = "workout-hr-avg" [-] "Average heart rate of the workout", PER_MINUTE, Activity;
    WORKOUT_HEART_RATE_MAX = "workout-hr-max" [-] "Highest heart rate of the workout", PER_MINUTE, Activity;
    WORKOUT_HEART_RATE_MIN = "workout-hr-min" [-] "Lowest heart rate of the workout", PER_MINUTE, Activity;
    /// Standard deviation of beat intervals.
    HRV_SDNN = "hrv-sdnn" ["112429-6" "80404-7"] "Heart rate variability (SDNN)", MILLISECOND, VitalSigns;
    /// Root mean square of successive differences. No LOINC term exists: 80404-7 is SDNN and never stands here.
    HRV_RMSSD = "hrv-rmssd" [-] "Heart rate variability (RMSSD)", MILLISECOND, VitalSigns;
    HRV_RMSSD_DEEP_SLEEP = "hrv-rmssd-deep-sleep" [-] "Heart rate variability (RMSSD) in deep sleep", MILLISECOND, VitalSigns;
    ECG = "ecg" ["11524-6"] "Electrocardiogram", -, Procedure;
    ECG_LEAD_I = "ecg-lead-i" [-] "Electrocardiogram, lead I", MICROVOLT, Procedure;
    ECG_CLASSIFICATION = "ecg-classification" ["8601-7"] "Device classification of the electrocardiogram", -, Procedure;
    AFIB_PPG = "afib-ppg" [-] "Device classification of pulse rhythm", -, Procedure;
    QRS_INTERVAL = "ecg-qrs" [-] "QRS interval by device", MILLISECOND, Procedure;
    PR_INTERVAL = "ecg-pr" [-] "PR interval by device", MILLISECOND, Procedure;
    QT_INTERVAL = "ecg-qt" [-] "QT interval by device", MILLISECOND, Procedure;
    QTC_INTERVAL = "ecg-qtc" [-] "Corrected QT interval by device", MILLISECOND, Procedure;
    PULSE_WAVE_VELOCITY = "pulse-wave-velocity" ["77196-4"] "Pulse wave velocity", METRE_PER_SECOND, VitalSigns;
    VASCULAR_AGE = "vascular-age" [-] "Vascular age by device", YEAR, Activity;

    STEPS_INTERVAL = "steps" ["55423-8"] "Steps", STEPS, Activity;
    STEPS_DAY = "steps-day" ["41950-7"] "Steps in 24 hours", STEPS_PER_DAY, Activity;
    /// On foot or by wheel: the provider does not say, so no walking term fits.
    DISTANCE = "distance" [-] "Distance", METRE, Activity;
    DISTANCE_DAY = "distance-day" [-] "Distance of the day", METRE, Activity;
    ENERGY = "energy" ["41981-2"] "Calories burned", KILOCALORIE, Activity;
    ENERGY_DAY = "energy-day" ["41979-6"] "Calories burned in 24 hours", KILOCALORIE_PER_DAY, Activity;
    ENERGY_ACTIVE = "energy-active" [-] "Active calories burned", KILOCALORIE, Activity;
    ENERGY_BASAL = "energy-basal" [-] "Basal calories burned", KILOCALORIE, Activity;
    BASAL_METABOLIC_RATE = "basal-metabolic-rate" [-] "Basal metabolic rate by device", KILOCALORIE_PER_DAY_RATE, Activity;
    FLOORS = "floors" ["100304-5"] "Flights climbed", FLIGHTS, Activity;
    ELEVATION_GAIN = "elevation-gain" [-] "Elevation gained", METRE, Activity;
    EXERCISE_DURATION = "exercise-duration" ["55411-3"] "Exercise duration", MINUTE, Activity;
    LIGHT_ACTIVITY = "activity-light" [-] "Duration of light activity", MINUTE, Activity;
    MODERATE_ACTIVITY = "activity-moderate" ["101689-8"] "Duration of moderate activity", MINUTE, Activity;
    VIGOROUS_ACTIVITY = "activity-vigorous" ["101690-6"] "Duration of vigorous activity", MINUTE, Activity;
    TOTAL_ACTIVITY = "activity-total" ["101691-4"] "Duration of activity", MINUTE, Activity;
    /// Counts vigorous minutes twice, so it is not a duration of anything.
    ACTIVE_ZONE_MINUTES = "active-zone-minutes" [-] "Active zone minutes", MINUTE, Activity;
    SEDENTARY = "sedentary" [-] "Sedentary time", MINUTE, Activity;
    HEART_RATE_ZONE_LIGHT = "heart-rate-zone-light" [-] "Time in light heart rate zone", MINUTE, Activity;
    HEART_RATE_ZONE_MODERATE = "heart-rate-zone-moderate" [-] "Time in moderate heart rate zone", MINUTE, Activity;
    HEART_RATE_ZONE_INTENSE = "heart-rate-zone-intense" [-] "Time in intense heart rate zone", MINUTE, Activity;
    HEART_RATE_ZONE_PEAK = "heart-rate-zone-peak" [-] "Time in peak heart rate zone", MINUTE, Activity;
    MET_MINUTES_DAY = "met-minutes-day" [-] "MET minutes of the day", MET_MINUTES, Activity;
    /// Not worn: says how much of a day's sums to believe.
    NON_WEAR = "non-wear" [-] "Time the device was not worn", MINUTE, Activity;
    EXERCISE = "exercise" ["73985-4"] "Exercise", -, Activity;
    VO2_MAX = "vo2-max" ["94122-9"] "Maximal oxygen uptake", VO2, Activity;
    POWER = "power" [-] "Power", WATT, Activity;
    SWIM_STROKES = "swim-strokes" [-] "Swimming strokes", STROKES, Activity;
    POOL_LAPS = "pool-laps" [-] "Pool laps", COUNT, Activity;
    SPEED = "speed" [-] "Speed", METRE_PER_SECOND, Activity;
    CADENCE = "cadence" [-] "Cadence", PER_MINUTE_PLAIN, Activity;
    /// Each maker's own scale: numbers of two makers cannot be compared.
    ACTIVITY_SCORE = "activity-score" [-] "Activity score by device", SCORE, Activity;
    READINESS_SCORE = "readiness-score" [-] "Readiness score by device", SCORE, Activity;
    RECOVERY_SCORE = "recovery-score" [-] "Recovery score by device", SCORE, Activity;
    STRAIN = "strain" [-] "Strain by device", SCORE, Activity;
    TRAINING_LOAD = "training-load" [-] "Training load by device", SCORE, Activity;
    STRESS_LEVEL = "stress-level" [-] "Stress level by device", SCORE, Activity;
    STRESS_AVERAGE = "stress-average" [-] "Average stress level by device", SCORE, Activity;
    STRESS_HIGH = "stress-high" [-] "Time in high stress by device", MINUTE, Activity;
    RECOVERY_HIGH = "recovery-high" [-] "Time in high recovery by device", MINUTE, Activity;
    BODY_BATTERY = "body-battery" [-] "Energy level by device", SCORE, Activity;
    MINDFULNESS = "mindfulness" [-] "Duration of mindfulness", MINUTE, Activity;

    /// Time asleep, not time in bed.
    SLEEP = "sleep" ["93832-4"] "Sleep duration", MINUTE, Activity;
    SLEEP_DEEP = "sleep-deep" ["93831-6"] "Deep sleep duration", MINUTE, Activity;
    SLEEP_LIGHT = "sleep-light" ["93830-8"] "Light sleep duration", MINUTE, Activity;
    SLEEP_REM = "sleep-rem" ["93829-0"] "REM sleep duration", MINUTE, Activity;
    SLEEP_RESTLESS = "sleep-restless" [-] "Restless sleep duration", MINUTE, Activity;
    WAKE_AFTER_ONSET = "wake-after-sleep-onset" ["103215-0"] "Wake time after sleep onset", MINUTE, Activity;
    AWAKE = "awake" ["103210-1"] "Awake duration", MINUTE, Activity;
    AWAKENINGS = "awakenings" ["103211-9"] "Number of awakenings", COUNT, Activity;
    SLEEP_LATENCY = "sleep-latency" ["103212-7"] "Duration of falling asleep", MINUTE, Activity;
    TIME_IN_BED = "time-in-bed" ["103213-5"] "Duration in bed", MINUTE, Activity;
    SLEEP_EFFICIENCY = "sleep-efficiency" [-] "Sleep efficiency", PERCENT, Activity;
    SLEEP_SCORE = "sleep-score" [-] "Sleep score", SCORE, Activity;
    SLEEP_PERFORMANCE = "sleep-performance" [-] "Sleep performance by device", PERCENT, Activity;
    SLEEP_CONSISTENCY = "sleep-consistency" [-] "Sleep consistency by device", PERCENT, Activity;
    SLEEP_CYCLES = "sleep-cycles" [-] "Number of sleep cycles", COUNT, Activity;
    SNORING = "snoring" [-] "Snoring time", MINUTE, Activity;
    BREATHING_DISTURBANCES = "breathing-disturbances" [-] "Breathing disturbances intensity by device", SCORE, Activity;
    APNEA_HYPOPNEA_INDEX = "apnea-hypopnea-index" [-] "Apnea-hypopnea index by device", PER_MINUTE_PLAIN_PER_HOUR, Activity;
    SLEEP_KIND = "sleep-kind" [-] "Kind of sleep", -, Activity;
    SLEEP_STAGE = "sleep-stage" [-] "Sleep stage", -, Activity;

    WEIGHT = "body-weight" ["29463-7"] "Body weight", KILOGRAM, VitalSigns, "bodyweight";
    HEIGHT = "body-height" ["8302-2"] "Body height", CENTIMETRE, VitalSigns, "bodyheight";
    WAIST = "waist-circumference" ["56086-2"] "Waist circumference", CENTIMETRE, VitalSigns;
    BMI = "bmi" ["39156-5"] "Body mass index", KILOGRAM_PER_SQUARE_METRE, VitalSigns, "bmi";
    BODY_FAT = "body-fat" ["41982-0"] "Body fat percentage", PERCENT, VitalSigns;
    FAT_MASS = "fat-mass" [-] "Body fat mass", KILOGRAM, VitalSigns;
    LEAN_MASS = "lean-body-mass" ["91557-9"] "Fat-free mass", KILOGRAM, VitalSigns;
    MUSCLE_MASS = "muscle-mass" ["73964-9"] "Body muscle mass", KILOGRAM, VitalSigns;
    BODY_WATER = "body-water" ["101683-1"] "Body water mass", KILOGRAM, VitalSigns;
    EXTRACELLULAR_WATER = "extracellular-water" [-] "Extracellular water", KILOGRAM, VitalSigns;
    INTRACELLULAR_WATER = "intracellular-water" [-] "Intracellular water", KILOGRAM, VitalSigns;
    BONE_MASS = "bone-mass" ["101685-6"] "Bone mass", KILOGRAM, VitalSigns;
    VISCERAL_FAT = "visceral-fat" [-] "Visceral fat index by device", SCORE, VitalSigns;
    /// Of one limb or the trunk: never under the code of the whole body.
    SEGMENTAL_LEAN_MASS = "segmental-lean-mass" [-] "Fat-free mass of a body segment", KILOGRAM, VitalSigns;
    SEGMENTAL_FAT_MASS = "segmental-fat-mass" [-] "Fat mass of a body segment", KILOGRAM, VitalSigns;
    SEGMENTAL_MUSCLE_MASS = "segmental-muscle-mass" [-] "Muscle mass of a body segment", KILOGRAM, VitalSigns;
    BODY_SEGMENT = "body-segment" [-] "Body segment", -, VitalSigns;
    METABOLIC_AGE = "metabolic-age" [-] "Metabolic age by device", YEAR, Activity;
    NERVE_HEALTH = "nerve-health" [-] "Nerve health score by device", SCORE, Activity;
    SKIN_CONDUCTANCE = "electrochemical-skin-conductance" [-] "Electrochemical skin conductance", MICROSIEMENS, Activity;
    ELECTRODERMAL_ACTIVITY = "electrodermal-activity" [-] "Electrodermal activity by device", SCORE, Activity;
    BLOOD_PRESSURE = "blood-pressure" ["85354-9"] "Blood pressure", -, VitalSigns, "bp";
    SYSTOLIC = "systolic" ["8480-6"] "Systolic blood pressure", MILLIMETRE_OF_MERCURY, VitalSigns;
    DIASTOLIC = "diastolic" ["8462-4"] "Diastolic blood pressure", MILLIMETRE_OF_MERCURY, VitalSigns;
    SPO2 = "oxygen-saturation" ["59408-5" "2708-6"] "Oxygen saturation by pulse oximetry", PERCENT, VitalSigns, "oxygensat";
    BODY_TEMPERATURE = "body-temperature" ["8310-5"] "Body temperature", CELSIUS, VitalSigns, "bodytemp";
    /// Absolute temperature of the skin: not a body temperature and never under its code.
    SKIN_TEMPERATURE = "skin-temperature" [-] "Skin temperature", CELSIUS, VitalSigns;
    /// Difference to the person's baseline, so in kelvin.
    TEMPERATURE_DEVIATION = "temperature-deviation" [-] "Deviation of skin temperature from baseline", KELVIN, Activity;
    RESPIRATORY_RATE = "respiratory-rate" ["9279-1"] "Respiratory rate", BREATHS, VitalSigns, "resprate";
    RESPIRATORY_RATE_MIN = "respiratory-rate-sleep-min" [-] "Lowest respiratory rate in sleep", BREATHS, Activity;
    RESPIRATORY_RATE_MAX = "respiratory-rate-sleep-max" [-] "Highest respiratory rate in sleep", BREATHS, Activity;
    HYDRATION = "hydration" [-] "Water drunk", LITRE, Activity;
    GLUCOSE_BLOOD_MASS = "glucose-blood-mass" ["2339-0"] "Blood glucose", MG_PER_DL, Laboratory;
    GLUCOSE_BLOOD_MOLAR = "glucose-blood-molar" ["15074-8"] "Blood glucose", MMOL_PER_L, Laboratory;
    /// Of a sensor under the skin: not blood.
    GLUCOSE_INTERSTITIAL_MASS = "glucose-interstitial-mass" ["99504-3"] "Glucose in interstitial fluid", MG_PER_DL, Laboratory;
    GLUCOSE_INTERSTITIAL_MOLAR = "glucose-interstitial-molar" ["105272-9"] "Glucose in interstitial fluid", MMOL_PER_L, Laboratory;
    /// By a meter, from the finger.
    GLUCOSE_CAPILLARY_MASS = "glucose-capillary-mass" ["41653-7"] "Glucose in capillary blood by glucometer", MG_PER_DL, Laboratory;
    GLUCOSE_RATE_MASS = "glucose-rate-mass" [-] "Rate of change of glucose by device", MG_PER_DL_PER_MINUTE, Laboratory;
    GLUCOSE_RATE_MOLAR = "glucose-rate-molar" [-] "Rate of change of glucose by device", MMOL_PER_L_PER_MINUTE, Laboratory;
    GLUCOSE_TREND = "glucose-trend" [-] "Trend of glucose by device", -, Laboratory;
    CARBOHYDRATES = "carbohydrates" [-] "Carbohydrates eaten", GRAM, Activity;
}

units! {
    PER_MINUTE_PLAIN_PER_HOUR = "/h", "events/hour";
}

macro_rules! concepts {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        $(pub static $name: Concept = Concept { code: $code, text: $text };)*
        pub static CONCEPTS: &[&Concept] = &[$(&$name),*];
    };
}

concepts! {
    STAGE_AWAKE = "awake", "Awake";
    STAGE_LIGHT = "light", "Light sleep";
    STAGE_DEEP = "deep", "Deep sleep";
    STAGE_REM = "rem", "REM sleep";
    STAGE_ASLEEP = "asleep", "Asleep, stage not known";
    STAGE_RESTLESS = "restless", "Restless";
    STAGE_UNKNOWN = "unspecified", "Not specified";
    KIND_MAIN = "main-sleep", "Main sleep";
    KIND_NAP = "nap", "Nap";
    KIND_REST = "rest", "Rest, not sleep";
    RHYTHM_NORMAL = "no-atrial-fibrillation", "No sign of atrial fibrillation";
    RHYTHM_AFIB = "atrial-fibrillation", "Sign of atrial fibrillation";
    RHYTHM_INCONCLUSIVE = "inconclusive", "Inconclusive";
    SEGMENT_RIGHT_ARM = "right-arm", "Right arm";
    SEGMENT_LEFT_ARM = "left-arm", "Left arm";
    SEGMENT_RIGHT_LEG = "right-leg", "Right leg";
    SEGMENT_LEFT_LEG = "left-leg", "Left leg";
    SEGMENT_TRUNK = "trunk", "Trunk";
    SEGMENT_OTHER = "unspecified-segment", "Segment not specified";
    BOLUS_NORMAL = "bolus-normal", "Bolus given at once";
    BOLUS_EXTENDED = "bolus-extended", "Bolus spread evenly over a time";
    BOLUS_DUAL = "bolus-dual", "Bolus given in part at once and in part over a time";
    BASAL_SCHEDULED = "basal-scheduled", "Basal rate of the schedule";
    BASAL_TEMPORARY = "basal-temporary", "Temporary basal rate";
    DELIVERY_AUTOMATED = "delivery-automated", "Set by the device's own loop";
    DELIVERY_SUSPENDED = "delivery-suspended", "Delivery was suspended";
}

/// What is given to a person: no observation, but a data type a person may agree to or not.
pub const INSULIN_BOLUS: &str = "insulin-bolus";
pub const INSULIN_BASAL: &str = "insulin-basal";
pub static MEDICATIONS: &[&str] = &[INSULIN_BOLUS, INSULIN_BASAL];

/// Whether anything is called this.
pub fn is_data_type(slug: &str) -> bool {
    by_slug(slug).is_some() || MEDICATIONS.contains(&slug)
}

/// The measure with this slug.
pub fn by_slug(slug: &str) -> Option<&'static Measure> {
    ALL.iter().find(|m| m.slug == slug).copied()
}

impl Measure {
    /// The first coding: the most special term there is.
    pub fn main(&self) -> &'static Coding {
        &self.coding[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loinc_check_digit(code: &str) -> bool {
        let Some((number, check)) = code.split_once('-') else { return false };
        let sum: u32 = number
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, b)| {
                let digit = u32::from(b - b'0');
                if i % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
            })
            .sum();
        check.parse() == Ok((10 - sum % 10) % 10)
    }

    #[test]
    fn every_loinc_code_has_a_right_check_digit() {
        for measure in ALL {
            for coding in measure.coding.iter().filter(|c| c.system == LOINC) {
                assert!(loinc_check_digit(coding.code), "{} of {}", coding.code, measure.slug);
            }
        }
    }

    #[test]
    fn codes_that_circulate_but_do_not_exist_fail_the_check() {
        assert!(!loinc_check_digit("131328-5") && !loinc_check_digit("33747-0"));
    }

    #[test]
    fn slugs_and_coded_values_are_unique() {
        let mut slugs: Vec<_> = ALL.iter().map(|m| m.slug).collect();
        slugs.sort_unstable();
        assert!(slugs.windows(2).all(|w| w[0] != w[1]));
        let mut codes: Vec<_> = CONCEPTS.iter().map(|c| c.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|w| w[0] != w[1]));
    }

    #[test]
    fn a_profile_comes_with_the_term_and_unit_it_demands() {
        let demands = [
            ("heartrate", "8867-4", Some("/min")),
            ("resprate", "9279-1", Some("/min")),
            ("oxygensat", "2708-6", Some("%")),
            ("bodytemp", "8310-5", Some("Cel")),
            ("bodyheight", "8302-2", Some("cm")),
            ("bodyweight", "29463-7", Some("kg")),
            ("bmi", "39156-5", Some("kg/m2")),
            ("bp", "85354-9", None),
        ];
        for measure in ALL.iter().filter(|m| m.profile.is_some()) {
            let (_, code, unit) = demands.iter().find(|d| Some(d.0) == measure.profile).expect("a known profile");
            assert!(measure.coding.iter().any(|c| c.code == *code), "{}", measure.slug);
            assert_eq!(measure.unit.map(|u| u.ucum), *unit, "{}", measure.slug);
            assert_eq!(measure.category, Category::VitalSigns);
        }
    }

    #[test]
    fn a_term_of_a_profile_never_stands_without_the_profile() {
        let reserved = ["8867-4", "9279-1", "2708-6", "8310-5", "8302-2", "29463-7", "39156-5", "85354-9"];
        for measure in ALL.iter().filter(|m| m.profile.is_none()) {
            assert!(!measure.coding.iter().any(|c| reserved.contains(&c.code)), "{}", measure.slug);
        }
    }

    #[test]
    fn rmssd_is_never_under_a_code_of_sdnn() {
        for rmssd in [&HRV_RMSSD, &HRV_RMSSD_DEEP_SLEEP] {
            assert!(rmssd.coding.iter().all(|c| c.system == LOCAL));
        }
    }

    #[test]
    fn look_alikes_never_share_a_code_with_what_they_look_like() {
        for (look_alike, real) in [
            (&TEMPERATURE_DEVIATION, &BODY_TEMPERATURE),
            (&SKIN_TEMPERATURE, &BODY_TEMPERATURE),
            (&SEGMENTAL_FAT_MASS, &FAT_MASS),
            (&SEGMENTAL_LEAN_MASS, &LEAN_MASS),
            (&SEGMENTAL_MUSCLE_MASS, &MUSCLE_MASS),
            (&STEPS_INTERVAL, &STEPS_DAY),
        ] {
            assert!(look_alike.coding.iter().all(|c| !real.coding.contains(c)), "{}", look_alike.slug);
        }
        assert_eq!(TEMPERATURE_DEVIATION.unit, Some(&KELVIN));
    }
}
