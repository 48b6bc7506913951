//! One observation without FHIR, in the forms it is given in.

use headwater_store::StoredObservation;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::v1::time;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Item {
    id: Uuid,
    #[serde(rename = "type")]
    data_type: String,
    provider: String,
    /// As FHIR's: `entered-in-error` was withdrawn at the source and has no value.
    status: String,
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    /// The person's calendar day.
    #[serde(skip_serializing_if = "Option::is_none")]
    local_date: Option<String>,
    /// The source's digits, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// UCUM.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// `<` or `>`: the value is the limit of the device's range.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparator: Option<String>,
    /// A coded value, or the provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_code: Option<String>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    absent_reason: Option<String>,
    /// What a panel holds: blood pressure, night, workout.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    components: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Uuid>,
    /// Orders the states of this observation.
    version: i64,
    /// When this state was written here.
    stored_at: String,
    /// The FHIR R4 resource, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    resource: Option<Box<RawValue>>,
}

impl Item {
    /// # Errors
    /// When a stored row is damaged.
    pub fn of(row: StoredObservation, resource: bool) -> Result<Self, Problem> {
        let json =
            |text: String| RawValue::from_string(text).map_err(|_| Problem::new(500, "damaged row", "a stored text is no JSON"));
        Ok(Self {
            id: row.id,
            data_type: row.data_type,
            provider: row.provider,
            status: row.status,
            start: time(row.start),
            end: row.end.map(time),
            local_date: row.local_date,
            value: row.value_text,
            unit: row.unit,
            comparator: row.comparator,
            value_code: row.value_code,
            absent_reason: row.absent_reason,
            components: row.components.map(json).transpose()?,
            device: row.device_id,
            version: row.version,
            stored_at: time(row.stored_at),
            resource: resource.then(|| json(row.fhir)).transpose()?,
        })
    }
}

/// The columns of the CSV form.
pub(super) const COLUMNS: [&str; 16] = [
    "id",
    "type",
    "provider",
    "status",
    "start",
    "end",
    "local_date",
    "value",
    "unit",
    "comparator",
    "value_code",
    "absent_reason",
    "components",
    "device",
    "version",
    "stored_at",
];

/// The fields of a CSV line, in the order of [`COLUMNS`].
pub(super) fn fields(row: &StoredObservation) -> [String; 16] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        row.id.to_string(),
        row.data_type.clone(),
        row.provider.clone(),
        row.status.clone(),
        time(row.start),
        row.end.map(time).unwrap_or_default(),
        text(&row.local_date),
        text(&row.value_text),
        text(&row.unit),
        text(&row.comparator),
        safe(text(&row.value_code)),
        text(&row.absent_reason),
        text(&row.components),
        row.device_id.map(|id| id.to_string()).unwrap_or_default(),
        row.version.to_string(),
        time(row.stored_at),
    ]
}

/// A provider's word that a spreadsheet would take for a formula.
fn safe(word: String) -> String {
    if word.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{word}") } else { word }
}
