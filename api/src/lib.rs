//! The reading side: observations of one person, over HTTP.
//!
//! Start at [`router`]. This crate only reads, and only from the store: it never asks a provider and never writes to the log.

pub mod auth;
mod observations;
mod problem;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use headwater_store::Store;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use problem::Problem;

/// Who may read.
#[derive(Clone)]
pub enum Access {
    /// Whoever has this bearer token.
    Token(SecretString),
    /// Anybody who can reach the address: only for a process that serves simulated people on loopback.
    Open,
}

/// `GET /v1/observations` and `GET /v1/observations/latest`.
pub fn router(store: Arc<dyn Store>, access: Access) -> Router {
    Router::new()
        .route("/v1/observations", get(observations::range))
        .route("/v1/observations/latest", get(observations::latest))
        .fallback(async || Problem::new(404, "not found", "no such resource"))
        .with_state(store)
        .layer(middleware::from_fn_with_state(access, guard))
}

async fn guard(State(access): State<Access>, request: Request, next: Next) -> Result<Response, Problem> {
    if let Access::Token(token) = &access {
        let given = request.headers().get(AUTHORIZATION).and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
        let same = given.is_some_and(|given| bool::from(given.ct_eq(token.expose_secret().as_bytes())));
        if !same {
            return Err(Problem::new(401, "unauthorized", "expected a bearer token"));
        }
    }
    Ok(next.run(request).await)
}
