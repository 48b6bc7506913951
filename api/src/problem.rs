//! Errors as RFC 9457 problem documents.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_ingest::account::{AccountError, ConsentError};
use serde_json::json;

use crate::auth::Denied;

#[derive(Debug, Clone)]
pub struct Problem {
    status: u16,
    title: &'static str,
    detail: String,
    headers: Vec<(header::HeaderName, &'static str)>,
}

impl Problem {
    pub fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), headers: Vec::new() }
    }

    pub fn parameter(name: &str, expected: &str) -> Self {
        Self::new(400, "bad parameter", format!("{name}: expected {expected}"))
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn title(&self) -> &'static str {
        self.title
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    #[must_use]
    pub fn with(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Why is in the operators' log; the caller learns only that it is not its fault.
    fn unavailable(error: &dyn std::fmt::Display) -> Self {
        tracing::warn!("{error}");
        Self::new(503, "unavailable", "try again later").with(header::RETRY_AFTER, "2")
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        denied.problem()
    }
}

impl From<headwater_store::Unavailable> for Problem {
    fn from(error: headwater_store::Unavailable) -> Self {
        Self::unavailable(&error)
    }
}

impl From<headwater_ingest::Unavailable> for Problem {
    fn from(error: headwater_ingest::Unavailable) -> Self {
        Self::unavailable(&error)
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Unavailable(e) => e.into(),
            AccountError::Unknown => Self::new(404, "not found", "no such connection"),
            AccountError::NotConfigured(_) | AccountError::NoOAuth(_) | AccountError::NoUploads(_) => {
                Self::new(404, "not found", error.to_string())
            }
            AccountError::Migrated { .. } => Self::new(410, "switched off", error.to_string()),
            AccountError::Erased => Self::new(409, "erased", "this subject was erased and never comes back; use another id"),
            AccountError::NeedsReauth => {
                Self::new(409, "needs reauthorization", "only the person can mend it, by connecting again")
            }
            AccountError::Busy => {
                Self::new(409, "busy", "somebody else is changing the same thing; try again").with(header::RETRY_AFTER, "1")
            }
            AccountError::Refused(_) | AccountError::Nobody => Self::new(502, "provider refused", error.to_string()),
            AccountError::BadAddress => Self::unavailable(&error),
        }
    }
}

impl From<ConsentError> for Problem {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Account(error) => error.into(),
            ConsentError::DataType(_) => Self::parameter("data_types", "data types of `headwater streams`"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail });
        let mut response = (status, Json(body)).into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        // For whoever speaks of errors in another form.
        response.extensions_mut().insert(self);
        response
    }
}
