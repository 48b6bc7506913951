//! Withings: one form-urlencoded POST endpoint per service, an `action` in the form, and HTTP 200 for errors too.

pub(crate) mod data;
mod data_activity;
mod data_measures;
mod data_sleep;
mod oauth;
mod requests;
pub(crate) mod webhook;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::faults::{Gate, Said, pass, plain};
use crate::oauth::Params;
use crate::people::{Profile, Provider};
use crate::world::{Shared, World};

pub(crate) fn routes(world: Shared) -> Router {
    let gate = Gate { world: world.clone(), provider: Provider::Withings };
    Router::new()
        .route("/withings/oauth2_user/authorize2", get(oauth::authorize))
        .route("/withings/v2/oauth2", post(oauth::token))
        .route("/withings/v2/signature", post(oauth::signature))
        .route("/withings/measure", post(measure))
        .route("/withings/v2/measure", post(measure_v2))
        .route("/withings/v2/sleep", post(sleep))
        .route("/withings/v2/heart", post(heart))
        .route("/withings/v2/user", post(user))
        .route("/withings/notify", post(notify))
        .with_state(world)
        .layer(from_fn_with_state(gate, pass))
}

async fn measure(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    reply(Call::check(&world, &headers, &body, "user.metrics").and_then(|call| match call.action()? {
        "getmeas" => requests::getmeas(&call),
        _ => Err(Trouble::Params("action")),
    }))
}

async fn measure_v2(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    reply(Call::check(&world, &headers, &body, "user.activity").and_then(|call| match call.action()? {
        "getactivity" => requests::getactivity(&call),
        "getintradayactivity" => requests::getintradayactivity(&call),
        "getworkouts" => requests::getworkouts(&call),
        _ => Err(Trouble::Params("action")),
    }))
}

async fn sleep(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    reply(Call::check(&world, &headers, &body, "user.activity").and_then(|call| match call.action()? {
        "get" => requests::sleep_get(&call),
        "getsummary" => requests::sleep_getsummary(&call),
        _ => Err(Trouble::Params("action")),
    }))
}

async fn heart(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    reply(Call::check(&world, &headers, &body, "user.metrics").and_then(|call| match call.action()? {
        "list" => requests::heart_list(&call),
        "get" => requests::heart_get(&call),
        _ => Err(Trouble::Params("action")),
    }))
}

async fn user(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    reply(Call::check(&world, &headers, &body, "user.info").and_then(|call| match call.action()? {
        "getdevice" => requests::getdevice(&call),
        _ => Err(Trouble::Params("action")),
    }))
}

async fn notify(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let call = match Call::check(&world, &headers, &body, "") {
        Ok(call) => call,
        Err(trouble) => return reply(Err(trouble)),
    };
    reply(webhook::manage(&call).await)
}

/// A request with a live token.
pub(crate) struct Call<'a> {
    pub world: &'a World,
    pub who: &'a Profile,
    pub form: Params,
}

/// Why a request is refused; each has a documented status.
#[derive(Debug)]
pub(crate) enum Trouble {
    Token,
    Scope,
    /// The name of the parameter.
    Params(&'static str),
    TooMany,
}

impl<'a> Call<'a> {
    fn check(world: &'a World, headers: &HeaderMap, body: &Bytes, scope: &str) -> Result<Self, Trouble> {
        if !world.within_quota(Provider::Withings, "", world.settings.limits.withings_per_minute) {
            return Err(Trouble::TooMany);
        }
        let form = form(headers, body)?;
        let token = bearer(headers).ok_or(Trouble::Token)?;
        let now = world.settings.clock.millis();
        let grant = world.state().grants.bearer(Provider::Withings, token, now).map_err(|_| Trouble::Token)?;
        if !scope.is_empty() && !grant.scopes.iter().any(|granted| granted == scope) {
            return Err(Trouble::Scope);
        }
        let who = world.person(Provider::Withings, &grant.user_id).ok_or(Trouble::Token)?;
        Ok(Self { world, who, form })
    }

    fn action(&self) -> Result<&str, Trouble> {
        self.form.get("action").ok_or(Trouble::Params("action"))
    }

    pub fn number(&self, name: &'static str) -> Result<Option<i64>, Trouble> {
        self.form.get(name).map(|text| text.parse().map_err(|_| Trouble::Params(name))).transpose()
    }

    pub fn numbers(&self, name: &'static str) -> Result<Option<Vec<i64>>, Trouble> {
        let Some(list) = self.form.get(name) else { return Ok(None) };
        list.split(',').map(|text| text.trim().parse().map_err(|_| Trouble::Params(name))).collect::<Result<_, _>>().map(Some)
    }
}

pub(crate) fn form(headers: &HeaderMap, body: &Bytes) -> Result<Params, Trouble> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Trouble::Params("content-type"));
    }
    Ok(Params::parse(body))
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

pub(crate) fn reply(result: Result<Value, Trouble>) -> Response {
    match result {
        Ok(body) => Json(json!({"status": 0, "body": body})).into_response(),
        Err(Trouble::Token) => {
            refuse(401, "XRequestID: Not provided invalid_token: The access token provided is invalid", json!({}))
        }
        Err(Trouble::Scope) => refuse(277, "insufficient scope", json!({})),
        // Both empty shapes of `body` occur.
        Err(Trouble::Params(name)) => refuse(503, &format!("Invalid Params: {name}"), json!([])),
        Err(Trouble::TooMany) => refuse(601, "Too Many Requests", json!({})),
    }
}

fn refuse(status: u16, error: &str, body: Value) -> Response {
    (StatusCode::OK, Json(json!({"status": status, "body": body, "error": error}))).into_response()
}

pub(crate) fn fault(said: Said) -> Response {
    match said {
        Said::TooMany => reply(Err(Trouble::TooMany)),
        Said::Expired => reply(Err(Trouble::Token)),
        Said::Broken => plain(500, "Internal Server Error"),
    }
}
