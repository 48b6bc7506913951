//! Devices that bring batches: a phone, a partner's cloud, a source of one's own.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{body, connections, subject_id};
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::state::{Act, Api};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    /// One that takes uploads; a wrong one is answered with those that do.
    provider: String,
    subject: String,
    /// IANA zone of the person, where known.
    zone: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Uploader {
    /// The connection that its batches belong to: ended like any other.
    connection: Uuid,
    /// Bearer token for `PUT /uploads/<stream>/<batch>` at the receiver. Given once, and kept by nobody but the device.
    credential: String,
    /// What may be brought.
    streams: Vec<&'static str>,
    /// Largest batch, in bytes, once it is unpacked.
    body_limit: usize,
}

/// Let a device of a person's upload batches
#[utoipa::path(post, path = "/v1/uploaders", tag = "connections", request_body = Enroll,
    responses((status = 201, body = Uploader), (status = 400), (status = 403), (status = 409)))]
pub async fn enroll(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Json<Enroll>, JsonRejection>,
) -> Result<(StatusCode, Json<Uploader>), Problem> {
    let ask = body(given)?;
    let subject = subject_id(&ask.subject)?;
    api.allow(&caller, Action::Connect, "enroll", subject).await?;
    let offered = api.accounts.uploads();
    let profile = offered.iter().find(|profile| profile.id == ask.provider).ok_or_else(|| {
        let ids: Vec<&str> = offered.iter().map(|profile| profile.id).collect();
        Problem::parameter("provider", &format!("one of {}", ids.join(", ")))
    })?;
    let zone = ask.zone.map(connections::zone).transpose()?;
    let enrolled = api.accounts.enroll(profile.id, subject, zone).await?;
    let (id, detail) = (enrolled.connection, Some(profile.id));
    api.done(Act { actor: &caller.actor, action: "enroll", subject: Some(subject), connection: Some(id), detail }).await?;
    let uploader = Uploader {
        connection: id,
        credential: enrolled.credential.expose_secret().to_owned(),
        streams: profile.streams.iter().map(|stream| stream.id).collect(),
        body_limit: profile.upload.as_ref().map_or(0, |upload| upload.body_limit),
    };
    Ok((StatusCode::CREATED, Json(uploader)))
}
