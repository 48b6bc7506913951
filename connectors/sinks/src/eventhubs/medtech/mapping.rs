//! The two mappings, made from the code table. Types rather than JSON values, because a published file wants its order kept.

use headwater_schemas::codes::{self, Measure, Unit};
use serde::Serialize;

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// The device mapping: one template per data type.
pub fn device() -> String {
    let template =
        codes::ALL.iter().map(|measure| Named { template_type: "CalculatedContent", template: DeviceTemplate::of(measure) });
    print(&Named { template_type: "CollectionContent", template: template.collect::<Vec<_>>() })
}

/// The FHIR destination mapping: one template per data type.
pub fn fhir() -> String {
    let template = codes::ALL.iter().map(|measure| Named { template_type: "CodeValueFhir", template: FhirTemplate::of(measure) });
    print(&Named { template_type: "CollectionFhir", template: template.collect::<Vec<_>>() })
}

fn print(mapping: &impl Serialize) -> String {
    serde_json::to_string_pretty(mapping).expect("words and numbers have a JSON form") + "\n"
}

/// What a data type is said as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Always in this unit: a mapping has it as a constant.
    Quantity(&'static Unit),
    Word,
    /// The components are the value.
    Panel,
}

impl Form {
    pub(super) fn of(measure: &Measure) -> Self {
        match measure.unit {
            Some(unit) => Self::Quantity(unit),
            None if *measure == codes::BLOOD_PRESSURE => Self::Panel,
            None => Self::Word,
        }
    }
}

/// What may stand beside a value as its component: a mapping names each.
pub(super) fn parts(measure: &Measure) -> &'static [&'static Measure] {
    PARTS.iter().find(|(of, _)| of.contains(&measure)).map_or(&[], |(_, parts)| parts)
}

type Parts = (&'static [&'static Measure], &'static [&'static Measure]);

static PARTS: &[Parts] = &[
    (&[&codes::BLOOD_PRESSURE], &[&codes::SYSTOLIC, &codes::DIASTOLIC]),
    (
        &[&codes::SLEEP],
        &[
            &codes::SLEEP_KIND,
            &codes::SLEEP_DEEP,
            &codes::SLEEP_LIGHT,
            &codes::SLEEP_REM,
            &codes::SLEEP_RESTLESS,
            &codes::AWAKE,
            &codes::AWAKENINGS,
            &codes::WAKE_AFTER_ONSET,
            &codes::SLEEP_LATENCY,
            &codes::TIME_IN_BED,
            &codes::SLEEP_EFFICIENCY,
            &codes::SLEEP_SCORE,
            &codes::SLEEP_PERFORMANCE,
            &codes::SLEEP_CONSISTENCY,
            &codes::SLEEP_CYCLES,
            &codes::SNORING,
        ],
    ),
    (
        &[&codes::EXERCISE],
        &[
            &codes::EXERCISE_DURATION,
            &codes::DISTANCE,
            &codes::ENERGY,
            &codes::STEPS_INTERVAL,
            &codes::FLOORS,
            &codes::ELEVATION_GAIN,
            &codes::SPEED,
            &codes::CADENCE,
            &codes::POWER,
            &codes::WORKOUT_HEART_RATE_AVERAGE,
            &codes::WORKOUT_HEART_RATE_MAX,
            &codes::WORKOUT_HEART_RATE_MIN,
            &codes::HEART_RATE_ZONE_LIGHT,
            &codes::HEART_RATE_ZONE_MODERATE,
            &codes::HEART_RATE_ZONE_INTENSE,
            &codes::HEART_RATE_ZONE_PEAK,
            &codes::ACTIVE_ZONE_MINUTES,
            &codes::TRAINING_LOAD,
            &codes::STRAIN,
            &codes::VO2_MAX,
            &codes::SWIM_STROKES,
            &codes::POOL_LAPS,
        ],
    ),
    (
        &[&codes::GLUCOSE_INTERSTITIAL_MASS, &codes::GLUCOSE_BLOOD_MASS, &codes::GLUCOSE_CAPILLARY_MASS],
        &[&codes::GLUCOSE_TREND, &codes::GLUCOSE_RATE_MASS],
    ),
    (&[&codes::GLUCOSE_INTERSTITIAL_MOLAR, &codes::GLUCOSE_BLOOD_MOLAR], &[&codes::GLUCOSE_TREND, &codes::GLUCOSE_RATE_MOLAR]),
    (&[&codes::SEGMENTAL_LEAN_MASS, &codes::SEGMENTAL_FAT_MASS, &codes::SEGMENTAL_MUSCLE_MASS], &[&codes::BODY_SEGMENT]),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named<T> {
    template_type: &'static str,
    template: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceTemplate {
    type_name: &'static str,
    type_match_expression: String,
    device_id_expression: &'static str,
    patient_id_expression: &'static str,
    timestamp_expression: &'static str,
    correlation_id_expression: &'static str,
    values: Vec<DeviceValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceValue {
    required: bool,
    value_name: &'static str,
    value_expression: String,
}

impl DeviceTemplate {
    fn of(measure: &'static Measure) -> Self {
        let main = match Form::of(measure) {
            Form::Quantity(_) => Some("$.matchedToken.value"),
            Form::Word => Some("$.matchedToken.code"),
            Form::Panel => None,
        };
        let main = main.map(|expression| DeviceValue {
            required: true,
            value_name: measure.slug,
            value_expression: expression.to_owned(),
        });
        let parts = parts(measure).iter().map(|part| {
            let field = if part.unit.is_some() { "value" } else { "code" };
            let value_expression = format!("$.matchedToken.components['{}'].{field}", part.slug);
            DeviceValue { required: false, value_name: part.slug, value_expression }
        });
        Self {
            type_name: measure.slug,
            type_match_expression: format!("$..[?(@.type == '{}')]", measure.slug),
            device_id_expression: "$.matchedToken.deviceId",
            patient_id_expression: "$.matchedToken.patientId",
            timestamp_expression: "$.matchedToken.measuredAt",
            correlation_id_expression: "$.matchedToken.correlationId",
            values: main.into_iter().chain(parts).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FhirTemplate {
    type_name: &'static str,
    /// -1: by correlation id.
    period_interval: i32,
    category: [Concept; 1],
    codes: Vec<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<FhirValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<FhirComponent>,
}

#[derive(Serialize)]
struct Concept {
    text: &'static str,
    codes: [Code; 1],
}

/// Without a display: the words of the code table are ours and not the code system's.
#[derive(Serialize)]
struct Code {
    code: &'static str,
    system: &'static str,
}

#[derive(Serialize)]
struct FhirComponent {
    codes: Vec<Code>,
    value: FhirValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FhirValue {
    value_type: &'static str,
    value_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    unit: Option<FhirUnit>,
}

#[derive(Serialize)]
struct FhirUnit {
    unit: &'static str,
    system: &'static str,
    code: &'static str,
}

impl FhirTemplate {
    fn of(measure: &'static Measure) -> Self {
        let category = measure.category.as_str();
        let parts = parts(measure).iter();
        Self {
            type_name: measure.slug,
            period_interval: -1,
            category: [Concept { text: category, codes: [Code { code: category, system: CATEGORY }] }],
            codes: codings(measure),
            value: FhirValue::of(measure),
            components: parts
                .filter_map(|part| FhirValue::of(part).map(|value| FhirComponent { codes: codings(part), value }))
                .collect(),
        }
    }
}

impl FhirValue {
    fn of(measure: &'static Measure) -> Option<Self> {
        let (value_type, unit) = match Form::of(measure) {
            Form::Quantity(unit) => ("Quantity", Some(FhirUnit { unit: unit.text, system: codes::UCUM, code: unit.ucum })),
            Form::Word => ("String", None),
            Form::Panel => return None,
        };
        Some(Self { value_type, value_name: measure.slug, unit })
    }
}

fn codings(measure: &'static Measure) -> Vec<Code> {
    measure.coding.iter().map(|c| Code { code: c.code, system: c.system }).collect()
}
