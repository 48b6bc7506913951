//! Errors as OperationOutcomes.

use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::Resource;
use crate::problem::Problem;

/// Renders anew what was answered as a problem document.
pub(super) async fn render(mut response: Response) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let code = match problem.status() {
        400 => "invalid",
        401 => "login",
        403 => "forbidden",
        404 if problem.title() == "not supported" => "not-supported",
        404 => "not-found",
        503 => "transient",
        _ => "exception",
    };
    let issue = json!({ "severity": "error", "code": code, "diagnostics": problem.detail() });
    let outcome = json!({ "resourceType": "OperationOutcome", "issue": [issue] });
    let mut headers = response.headers().clone();
    headers.remove(axum::http::header::CONTENT_LENGTH);
    let mut rendered = Resource(outcome.to_string()).into_response();
    headers.extend(std::mem::take(rendered.headers_mut()));
    *rendered.headers_mut() = headers;
    *rendered.status_mut() = response.status();
    rendered
}
