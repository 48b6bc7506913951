//! Search of Device: a person has few, so they come on one page.

use super::Resource;
use super::bundle::Bundle;
use super::query::Asked;
use crate::problem::Problem;

pub(super) const OFFERED: &[&str] = &["patient", "subject"];

/// The devices of one patient
#[utoipa::path(get, path = "/fhir/Device", tag = "fhir", operation_id = "fhirDevice", params(
    ("patient" = Option<String>, Query, description = "id of the Patient; this or subject"),
    ("subject" = Option<String>, Query, description = "the same as Patient/id")),
    responses((status = 200, content_type = "application/fhir+json", body = Object)))]
pub(crate) async fn search(asked: Asked) -> Result<Resource, Problem> {
    let search = asked.search(OFFERED, "read_devices").await?;
    let devices = search.api.store.devices(&search.patient).await?;
    search.done().await?;
    let mut bundle = Bundle::new(&search.base, &[("self", search.link("Device", "", ""))]);
    devices.iter().for_each(|device| bundle.entry("Device", &device.id.to_string(), &device.fhir, None));
    Ok(bundle.finish())
}
