//! Google Health API v4: OAuth at one host, data points at another, signed notifications, errors in Google's envelope.

pub(crate) mod filter;
mod list;
mod oauth;
pub(crate) mod points;
mod rollup;
pub(crate) mod shape;
pub(crate) mod subscribers;
pub(crate) mod types;
pub(crate) mod webhook;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::faults::{Gate, Said, pass};
use crate::people::{GOOGLE_SCOPE_PREFIX, Profile, Provider};
use crate::world::{Shared, World};

pub(crate) fn routes(world: Shared) -> Router {
    let gate = Gate { world: world.clone(), provider: Provider::GoogleHealth };
    Router::new()
        .route("/google_health/o/oauth2/v2/auth", get(oauth::authorize))
        .route("/google_health/token", post(oauth::token))
        .route("/google_health/revoke", post(oauth::revoke))
        .route("/google_health/webhooks_public_keyset.json", get(keyset))
        // The path it has on the provider's own host.
        .route("/google_health/googlehealthapi/webhooks/webhooks_public_keyset.json", get(keyset))
        .route("/google_health/v4/users/{user}/identity", get(identity))
        .route("/google_health/v4/users/{user}/dataTypes/{kind}/dataPoints", get(list::list))
        .route("/google_health/v4/users/{user}/dataTypes/{kind}/dataPoints:reconcile", get(list::reconcile))
        .route("/google_health/v4/users/{user}/dataTypes/{kind}/dataPoints:rollUp", post(rollup::roll_up))
        .route("/google_health/v4/users/{user}/dataTypes/{kind}/dataPoints:dailyRollUp", post(rollup::daily_roll_up))
        .route("/google_health/v4/users/{user}/dataTypes/{kind}/dataPoints/{point}", get(list::one))
        .route("/google_health/v4/projects/{project}/subscribers", post(subscribers::create).get(subscribers::list))
        .route(
            "/google_health/v4/projects/{project}/subscribers/{subscriber}",
            axum::routing::patch(subscribers::update).delete(subscribers::delete),
        )
        .fallback(missing)
        .with_state(world)
        .layer(from_fn_with_state(gate, pass))
}

async fn missing() -> Problem {
    Problem::new(404, "NOT_FOUND", "Method not found.")
}

async fn keyset(State(world): State<Shared>) -> Response {
    let keyset = world.state().signer.keyset();
    ([(header::CACHE_CONTROL, "public, max-age=3600")], Json(keyset)).into_response()
}

async fn identity(State(world): State<Shared>, Path(user): Path<String>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let call = Call::check(&world, &headers, &user)?;
    let person = &call.who.person;
    Ok(Json(json!({
        "name": format!("users/{}/identity", person.user_id),
        "healthUserId": person.user_id,
        "legacyUserId": person.legacy_user_id,
    })))
}

/// A request with a live token.
pub(crate) struct Call<'a> {
    pub world: &'a World,
    pub who: &'a Profile,
    scopes: Vec<String>,
}

impl<'a> Call<'a> {
    /// `user` is the path segment: `me`, or the id of the one who granted the token.
    pub fn check(world: &'a World, headers: &HeaderMap, user: &str) -> Result<Self, Problem> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(Problem::unauthenticated)?;
        let now = world.settings.clock.millis();
        let grant = world.state().grants.bearer(Provider::GoogleHealth, token, now);
        let grant = grant.map_err(|_| Problem::unauthenticated())?;
        let who = world.person(Provider::GoogleHealth, &grant.user_id).ok_or_else(Problem::unauthenticated)?;
        if !world.within_quota(Provider::GoogleHealth, &grant.user_id, world.settings.limits.google_health_per_minute) {
            return Err(Problem::exhausted());
        }
        if user != "me" && user != grant.user_id {
            return Err(Problem::new(403, "PERMISSION_DENIED", "The caller does not have permission."));
        }
        Ok(Self { world, who, scopes: grant.scopes })
    }

    /// The scope of a data type, in either of the variants that may read.
    pub fn allow(&self, scope: &str) -> Result<(), Problem> {
        let full = format!("{GOOGLE_SCOPE_PREFIX}{scope}");
        let granted = self.scopes.iter().any(|held| *held == full || *held == format!("{full}.readonly"));
        let refusal = Problem::new(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.");
        if granted { Ok(()) } else { Err(refusal.because("ACCESS_TOKEN_SCOPE_INSUFFICIENT")) }
    }
}

/// An error in the `google.rpc.Status` envelope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    code: u16,
    status: &'static str,
    message: String,
    reason: Option<&'static str>,
}

impl Problem {
    pub fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), reason: None }
    }

    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    pub fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    fn unauthenticated() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                       valid authentication credential.";
        Self::new(401, "UNAUTHENTICATED", message).because("ACCESS_TOKEN_INVALID")
    }

    fn exhausted() -> Self {
        let message = "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute per user'.";
        Self::new(429, "RESOURCE_EXHAUSTED", message).because("RATE_LIMIT_EXCEEDED")
    }

    pub fn json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "status": self.status});
        if let Some(reason) = self.reason {
            error["details"] = json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "health.googleapis.com",
            }]);
        }
        json!({"error": error})
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(self.json())).into_response()
    }
}

/// The OAuth host has an envelope of its own.
pub(crate) fn fault(said: Said, oauth: bool) -> Response {
    let plain = |code: StatusCode, error: &str| (code, Json(json!({"error": error}))).into_response();
    match (said, oauth) {
        (Said::TooMany, true) => plain(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
        (Said::Broken, true) => plain(StatusCode::INTERNAL_SERVER_ERROR, "internal_failure"),
        (Said::TooMany, false) => Problem::exhausted().into_response(),
        (Said::Expired, _) => Problem::unauthenticated().into_response(),
        (Said::Broken, false) => Problem::new(500, "INTERNAL", "Internal error encountered.").into_response(),
    }
}
