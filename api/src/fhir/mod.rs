//! The FHIR R4 API for reading: search of Observation and Device, `$lastn`, Patient by id, and a CapabilityStatement that lists just that.
//!
//! Resources are given as they were rendered and stored. Errors are OperationOutcomes. A parameter that is not offered is refused, because a
//! filter that is passed over would give a false answer.

mod bundle;
mod capability;
mod date;
mod device;
mod lastn;
mod observation;
mod outcome;
mod patient;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::problem::Problem;
use crate::state::{self, Api};

pub(crate) use capability::__path_metadata;
pub(crate) use device::__path_search as __path_device_search;
pub(crate) use lastn::__path_lastn;
pub(crate) use observation::__path_search as __path_observation_search;
pub(crate) use patient::__path_read as __path_patient_read;
pub(crate) use {
    capability::metadata, device::search as device_search, lastn::lastn, observation::search as observation_search,
    patient::read as patient_read,
};

pub(crate) const JSON: &str = "application/fhir+json";

pub(crate) fn router(api: &Arc<Api>) -> Router<Arc<Api>> {
    Router::new()
        .route("/fhir/Observation", get(observation_search))
        .route("/fhir/Observation/$lastn", get(lastn))
        .route("/fhir/Device", get(device_search))
        .route("/fhir/Patient/{id}", get(patient_read))
        .layer(middleware::from_fn_with_state(api.clone(), state::guard))
        // Whoever may ask for nothing else may ask what can be asked.
        .route("/fhir/metadata", get(metadata))
        .route(
            "/fhir/{*rest}",
            axum::routing::any(async || {
                Problem::new(404, "not supported", "no such resource or interaction, see /fhir/metadata")
            }),
        )
        .layer(middleware::map_response(outcome::render))
}

/// A resource.
pub(crate) struct Resource(pub String);

impl IntoResponse for Resource {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON))], self.0).into_response()
    }
}
