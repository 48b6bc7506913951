//! The FHIR R4 Observation, as far as a scale brings one about.

use serde_json::{Number, Value, json};

use crate::getmeas::Measure;
use crate::records::{Method, Observation, OffsetOrigin};

pub const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const TAG: &str = "urn:headwater:codesystem:tag";

/// What the columns do not tell.
pub struct Told<'a> {
    pub measure: &'static Measure,
    pub effective: &'a str,
    pub issued: &'a str,
    pub value: Number,
}

/// The resource of an observation whose columns are all there.
pub fn render(of: &Observation<'_>, told: Told<'_>) -> String {
    let mut tags = vec![json!({ "system": TAG, "code": of.provider })];
    if let Some(zone) = zone_tag(of.offset_origin) {
        tags.push(json!({ "system": TAG, "code": zone }));
    }
    let mut resource = json!({
        "resourceType": "Observation",
        "id": of.id,
        "meta": {
            "source": format!("urn:headwater:{}:{}:{}", of.raw_topic, of.raw_partition, of.raw_offset),
            "tag": tags,
        },
        "identifier": [{ "system": format!("urn:headwater:record:{}", of.provider), "value": of.id }],
        "status": of.status.as_str(),
        "category": [{ "coding": [{ "system": CATEGORY, "code": of.category }] }],
        "code": { "coding": [{ "system": of.code_system, "code": of.code }], "text": told.measure.text },
        "subject": { "reference": format!("Patient/{}", of.subject_id) },
        "effectiveDateTime": told.effective,
        "issued": told.issued,
        "valueQuantity": { "value": told.value, "unit": told.measure.unit, "system": UCUM, "code": told.measure.unit },
    });
    if let Some(profile) = told.measure.profile {
        resource["meta"]["profile"] = json!([profile]);
    }
    if of.method == Method::Manual {
        resource["method"] = json!({ "text": "entered by hand" });
    }
    if let Some(device) = of.device_id {
        resource["device"] = json!({ "reference": format!("Device/{device}") });
    }
    Value::to_string(&resource)
}

/// Says when an offset is missing or only inferred.
fn zone_tag(origin: OffsetOrigin) -> Option<&'static str> {
    match origin {
        OffsetOrigin::None => Some("time-zone-unknown"),
        OffsetOrigin::Profile => Some("time-zone-from-profile"),
        OffsetOrigin::Source | OffsetOrigin::Zone => None,
    }
}
