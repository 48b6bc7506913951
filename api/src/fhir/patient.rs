//! A Patient by its id: what is known of a person here is who they are elsewhere, and that is all it says.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::Resource;
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::state::{Act, Api};
use crate::v1::subject_of;

/// A patient
#[utoipa::path(get, path = "/fhir/Patient/{id}", tag = "fhir", operation_id = "fhirPatient", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/fhir+json", body = Object)))]
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Resource, Problem> {
    let id = &*subject_of(id)?;
    api.allow(&caller, Action::ReadObservations, "read_patient", id).await?;
    let subject = api.store.subject(id).await?;
    let known = subject.is_some() || !api.store.connections_of(id).await?.is_empty();
    if !known {
        return Err(Problem::new(404, "not found", "no such patient"));
    }
    let act = Act { actor: &caller.actor, action: "read_patient", subject: Some(id), connection: None, detail: Some("fhir") };
    api.done(act).await?;
    Ok(Resource(headwater_store::fhir::patient(id, subject.and_then(|subject| subject.identity).as_ref())))
}
