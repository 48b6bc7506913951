//! Fitbit's Web API after it was switched off: every path says so.

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::json;

use crate::faults::{Gate, pass};
use crate::people::Provider;
use crate::world::Shared;

pub(crate) fn routes(world: Shared) -> Router {
    let gate = Gate { world, provider: Provider::Fitbit };
    Router::new().route("/fitbit", any(gone)).route("/fitbit/{*path}", any(gone)).layer(from_fn_with_state(gate, pass))
}

async fn gone() -> Response {
    let message = "The Fitbit Web API has been switched off. Use the Google Health API.";
    let body = json!({"errors": [{"errorType": "gone", "message": message}], "success": false});
    (StatusCode::GONE, Json(body)).into_response()
}
