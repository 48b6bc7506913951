//! What this server can do, from the same lists that its handlers go by.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::{Resource, device, lastn, observation};
use crate::state::Api;

/// When what can be asked was last changed.
const DATE: &str = "2026-11-21";

/// The CapabilityStatement
#[utoipa::path(get, path = "/fhir/metadata", tag = "fhir", operation_id = "fhirMetadata", security(()),
    responses((status = 200, content_type = "application/fhir+json", body = Object)))]
pub(crate) async fn metadata(State(api): State<Arc<Api>>) -> Resource {
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": { "name": "Headwater", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Observations of wearable devices", "url": format!("{}/fhir", api.settings.public_url) },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "documentation": "One patient at a time: every search names one. A parameter that is not listed is refused.",
            "security": {
                "description": "A bearer token (JWT) in the Authorization header; a person sees their own resources, a clinician those of \
                    the people listed in the token."
            },
            "resource": [observations(), devices(), patients()]
        }]
    });
    Resource(statement.to_string())
}

fn observations() -> Value {
    let known = "http://hl7.org/fhir/OperationDefinition/Observation-lastn";
    json!({
        "type": "Observation",
        "interaction": [{ "code": "search-type" }],
        "versioning": "versioned",
        "searchParam": parameters(observation::OFFERED),
        "operation": [{
            "name": "lastn",
            "definition": known,
            "documentation": format!("GET only, with {}.", lastn::OFFERED.join(", "))
        }]
    })
}

fn devices() -> Value {
    json!({ "type": "Device", "interaction": [{ "code": "search-type" }], "searchParam": parameters(device::OFFERED) })
}

fn patients() -> Value {
    json!({ "type": "Patient", "interaction": [{ "code": "read" }], "documentation": "Identifiers only." })
}

/// Parameters of the paging and of the order are no search parameters.
fn parameters(offered: &[&str]) -> Vec<Value> {
    let kind = |name: &str| match name {
        "patient" | "subject" => "reference",
        "date" | "_lastUpdated" => "date",
        _ => "token",
    };
    let search = offered.iter().filter(|name| !matches!(**name, "_sort" | "_count" | "_cursor"));
    search
        .map(|name| {
            let mut parameter = json!({ "name": name, "type": kind(name) });
            if let Some(text) = documentation(name) {
                parameter["documentation"] = text.into();
            }
            parameter
        })
        .collect()
}

fn documentation(name: &str) -> Option<&'static str> {
    Some(match name {
        "patient" => "Required, unless subject is given.",
        "date" => {
            "eq, gt, ge, lt, le, sa and eb. A period is found by the side it reaches into, if it is no longer than 48 hours."
        }
        "_lastUpdated" => "When this state was written here.",
        _ => return None,
    })
}
