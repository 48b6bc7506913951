//! Search of Device: a person has few, so they come on one page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;

use super::Resource;
use super::bundle::Bundle;
use super::query::{Search, Words};
use crate::auth::Caller;
use crate::problem::Problem;
use crate::state::Api;

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
    let search = Search::of((&api, &caller), &words, OFFERED, "read_devices").await?;
    let devices = api.store.devices(&search.patient).await?;
    search.done().await?;
    let mut bundle = Bundle::new(&search.base, &[("self", search.link("Device", "", ""))]);
    devices.iter().for_each(|device| bundle.entry("Device", &device.id.to_string(), &device.fhir, None));
    Ok(bundle.finish())
}
