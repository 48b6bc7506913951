//! A subject as a FHIR R4 Patient: ids only. Who somebody is, is known elsewhere.

use serde_json::json;

use crate::Identity;

/// The system of our own ids of people.
pub const SUBJECT: &str = "urn:headwater:subject";

/// A Patient with our id, and with the identifier that a platform gave.
pub fn patient(subject: &str, identity: Option<&Identity>) -> String {
    let mut identifiers = vec![json!({ "system": SUBJECT, "value": subject })];
    identifiers.extend(identity.map(|identity| json!({ "system": identity.system, "value": identity.value })));
    json!({ "resourceType": "Patient", "id": subject, "identifier": identifiers }).to_string()
}
