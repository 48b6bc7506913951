//! Search of Device: a person has few, so they come on one page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;

use super::Resource;
use super::bundle::Bundle;
use super::query::Words;
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::state::{Act, Api};

pub(super) const OFFERED: &[&str] = &["patient", "subject"];

/// The devices of one patient
#[utoipa::path(get, path = "/fhir/Device", tag = "fhir", operation_id = "fhirDevice", params(
    ("patient" = Option<String>, Query, description = "id of the Patient; this or subject"),
    ("subject" = Option<String>, Query, description = "the same as Patient/id")),
    responses((status = 200, content_type = "application/fhir+json", body = Object)))]
pub(crate) async fn search(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    words: Words,
) -> Result<Resource, Problem> {
    let given = words.offered(OFFERED)?;
    let patient = given.patient()?;
    api.allow(&caller, Action::ReadObservations, "read_devices", patient).await?;
    let devices = api.store.devices(patient).await?;
    let act =
        Act { actor: &caller.actor, action: "read_devices", subject: Some(patient), connection: None, detail: Some("fhir") };
    api.done(act).await?;
    let base = format!("{}/fhir", api.settings.public_url);
    let mut bundle = Bundle::new(&base, &[("self", format!("{base}/Device?{}", given.with("", "")))]);
    devices.iter().for_each(|device| bundle.entry("Device", &device.id.to_string(), &device.fhir, None));
    Ok(bundle.finish())
}
