//! `PUT /uploads/<stream>/<batch>`, with the credential of one device as bearer token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use headwater_schemas::raw::Lane;
use headwater_store::{Connection, ConnectionState};
use secrecy::ExposeSecret as _;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::body::{self, Wrong};
use super::{Batch, Taken, UploadError, Uploads};
use crate::room::Unread;
use crate::shared::Shared;

/// Batches taken, by provider and outcome.
pub const UPLOADS: &str = "headwater_uploads_total";

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Desk {
    uploads: Uploads,
    permits: Semaphore,
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let permits = Semaphore::new(shared.settings.door_permits);
    let desk = Arc::new(Desk { uploads: Uploads { shared }, permits });
    Router::new().route("/uploads/{stream}/{batch}", put(upload)).with_state(desk)
}

/// A refusal as it is answered (RFC 9457).
struct Refused {
    status: u16,
    title: &'static str,
    detail: String,
}

impl Refused {
    fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        let extra = match self.status {
            401 => Some((header::WWW_AUTHENTICATE, "Bearer")),
            503 => Some((header::RETRY_AFTER, "2")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}

impl From<UploadError> for Refused {
    fn from(error: UploadError) -> Self {
        let detail = error.to_string();
        match error {
            UploadError::NotOffered(_) => Self::new(404, "no_uploads", detail),
            UploadError::Stream(_) => Self::new(404, "unknown_stream", detail),
            UploadError::Name => Self::new(400, "bad_batch_name", detail),
            UploadError::Conflict => Self::new(409, "other_content", detail),
            UploadError::NotUnderstood(_) => Self::new(422, "not_understood", detail),
            UploadError::TooLarge(_) => Self::new(413, "too_large", detail),
            UploadError::NoConsent => Self::new(403, "no_consent", detail),
            UploadError::Unavailable(_) => {
                tracing::warn!("batch not taken: {detail}");
                Self::new(503, "unavailable", "try again later")
            }
        }
    }
}

async fn upload(State(desk): State<Arc<Desk>>, Path((stream, batch)): Path<(String, String)>, request: Request) -> Response {
    match desk.take(&stream, &batch, request).await {
        Ok(response) => response,
        Err(refused) => {
            metrics::counter!(UPLOADS, "outcome" => refused.title).increment(1);
            refused.into_response()
        }
    }
}

impl Desk {
    async fn take(&self, stream: &str, batch: &str, request: Request) -> Result<Response, Refused> {
        let full = || Refused::new(503, "full", "try again later");
        let (parts, body) = request.into_parts();
        // Who brings it is known before a byte of it is read.
        let connection = {
            let _permit = self.permits.try_acquire().map_err(|_| full())?;
            self.bringer(&parts.headers).await?
        };
        let cloud = self.uploads.shared.cloud(&connection.provider);
        let limit = cloud.and_then(|cloud| cloud.profile().upload.as_ref().map(|upload| upload.body_limit)).unwrap_or(0);
        let too_large = || Refused::from(UploadError::TooLarge(limit));
        let room = &self.uploads.shared.uploads;
        let read = tokio::time::timeout(PATIENCE, room.read(body, limit)).await;
        let read = read.map_err(|_| Refused::new(408, "too_slow", "the body did not come in time"))?;
        let mut packed = read.map_err(|unread| match unread {
            Unread::Full => full(),
            Unread::TooLarge => too_large(),
            Unread::CutOff => Refused::new(400, "cut_off", "the body ended too early"),
        })?;
        // Only now: whoever dribbles holds the bytes he sent, and no place of those who are done.
        let _permit = self.permits.try_acquire().map_err(|_| full())?;
        let encoding = parts.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        // How much it comes to when it is unpacked is only known then.
        let mut unpacking = if encoding.is_some() { Some(room.take(limit).ok_or_else(full)?) } else { None };
        let unpacked = body::unpack(std::mem::take(&mut packed.bytes), encoding, limit).map_err(|wrong| match wrong {
            Wrong::TooLarge => too_large(),
            Wrong::Encoding => Refused::new(415, "bad_encoding", "expected a plain body, or one packed with gzip"),
        })?;
        // From here on it takes what it is, and no longer what it might have been.
        if let Some(taken) = &mut unpacking {
            taken.shrink(unpacked.len());
        }
        let taken = self.uploads.take(&connection, Batch { stream, id: batch, body: &unpacked, lane: Lane::Live }).await?;
        let outcome = if taken == Taken::Repeated { "repeated" } else { "taken" };
        metrics::counter!(UPLOADS, "outcome" => outcome).increment(1);
        Ok(match taken {
            Taken::Repeated => (StatusCode::OK, axum::Json(json!({ "batch": batch, "outcome": "repeated" }))).into_response(),
            Taken::New(said) => {
                let answer = json!({
                    "batch": batch, "outcome": "taken", "readings": said.readings, "refused": said.refused, "problems": said.problems,
                    "unknown": said.unknown,
                });
                (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
            }
        })
    }

    /// `<connection>.<secret>`. What is wrong with a credential is told to nobody.
    async fn bringer(&self, headers: &HeaderMap) -> Result<Connection, Refused> {
        let refused = || Refused::new(401, "unauthorized", "expected the credential of a device that may upload");
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
        let (id, secret) = given.strip_prefix("Bearer ").and_then(|token| token.split_once('.')).ok_or_else(refused)?;
        let id = Uuid::try_parse(id).map_err(|_| refused())?;
        let store = &self.uploads.shared.store;
        let tokens = store.tokens(id).await.map_err(|e| Refused::from(UploadError::from(e)))?.ok_or_else(refused)?;
        if !bool::from(tokens.access.expose_secret().as_bytes().ct_eq(secret.as_bytes())) {
            return Err(refused());
        }
        let connection = store.connection(id).await.map_err(|e| Refused::from(UploadError::from(e)))?;
        // A grant of a provider's is no credential of a device's.
        let uploads =
            |c: &Connection| self.uploads.shared.cloud(&c.provider).is_some_and(|cloud| cloud.profile().oauth.is_none());
        connection.filter(|c| c.state == ConnectionState::Active && uploads(c)).ok_or_else(refused)
    }
}
