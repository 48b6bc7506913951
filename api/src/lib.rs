//! The control plane and the reading side, over HTTP: who connects what, and what was observed of one person.
//!
//! Start at [`router`]. `v1` is the API of platforms (JSON, bearer tokens), `health` and `fhir` are for reading observations, `connect` is what
//! a person's browser sees. This crate decides who may
//! do what and leaves a record of it; what is done is done by `ingest`, and what is read is read from the store. It never asks a provider
//! itself and prints no token.

pub mod auth;
mod connect;
mod fhir;
pub mod health;
pub mod mail;
mod patience;
mod problem;
mod reading;
mod settings;
mod state;
mod v1;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;

use problem::Problem;
pub use settings::{Mail, Settings, Wrong};
pub use state::{Access, Api};

/// Largest body of a request, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// `/v1/…` for platforms, `/health/…` and `/fhir/…` for readers, `/connect/…` for browsers, `/docs` for whoever writes a client.
pub fn router(api: Arc<Api>) -> Router {
    let patience = Duration::from_secs(api.settings.body_seconds);
    let guarded = v1::router()
        .merge(health::router())
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(api.clone(), state::guard));
    guarded
        .merge(fhir::router(&api))
        .merge(connect::router())
        .merge(v1::docs())
        .fallback(async || Problem::new(404, "not found", "no such resource"))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(patience, patience::body_in_time))
        .with_state(api)
}

/// `Allow` is said by the router.
async fn not_allowed() -> Problem {
    Problem::new(405, "not allowed", "this address does not know the method, see Allow")
}

/// The description of the API in OpenAPI 3.1.
pub fn openapi() -> String {
    v1::openapi()
}
