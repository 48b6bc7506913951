//! Subscribers of a project, and the handshake that proves their endpoint.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::Problem;
use super::types::{TYPES, find};
use crate::dice;
use crate::oauth::Params;
use crate::people::Provider;
use crate::world::{Shared, World};

/// An endpoint that is told about everybody who consented.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Subscriber {
    pub name: String,
    pub endpoint: String,
    pub authorization: String,
    /// Empty: every type that has notifications.
    pub kinds: Vec<String>,
}

impl Subscriber {
    pub fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|held| held == kind)
    }
}

const VERIFIER_AGENT: &str = "Google-Health-API-Webhooks-Verifier";

/// Two posts: with the secret they must be answered by 200 or 201 (204 fails), without it by 401 or 403.
pub(crate) async fn verify(world: &World, endpoint: &str, authorization: &str) -> Result<(), String> {
    let ask = async |secret: Option<&str>| {
        let mut request = world.http.post(endpoint).timeout(world.settings.limits.webhook_timeout);
        request = request.header(header::CONTENT_TYPE, "application/json").header(header::USER_AGENT, VERIFIER_AGENT);
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, secret);
        }
        request.body(r#"{"type":"verification"}"#).send().await.ok().map(|answer| answer.status().as_u16())
    };
    world.count(Provider::GoogleHealth, |counts| counts.handshakes += 1);
    let (with, without) = (ask(Some(authorization)).await, ask(None).await);
    if !matches!(with, Some(200 | 201)) {
        return Err(format!("with authorization the endpoint must answer 200 or 201, it answered {with:?}"));
    }
    if !matches!(without, Some(401 | 403)) {
        return Err(format!("without authorization the endpoint must answer 401 or 403, it answered {without:?}"));
    }
    Ok(())
}

pub(super) async fn create(
    State(world): State<Shared>,
    Path(project): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    administrator(&world, &headers)?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| Problem::argument("Invalid JSON payload received."))?;
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let id = match params.get("subscriberId") {
        Some(id) => id.to_owned(),
        None => format!("s{}", dice::hex(&[world.settings.seed, world.state().subscribers.len() as u64], 8)),
    };
    if !valid_id(&id) {
        return Err(Problem::argument("Invalid subscriber_id."));
    }
    let name = format!("projects/{project}/subscribers/{id}");
    if world.state().subscribers.iter().any(|held| held.name == name) {
        return Err(Problem::new(409, "ALREADY_EXISTS", "The subscriber already exists."));
    }
    let mut subscriber = Subscriber { name, endpoint: String::new(), authorization: String::new(), kinds: Vec::new() };
    fill(&mut subscriber, &body)?;
    if subscriber.endpoint.is_empty() || subscriber.authorization.is_empty() || subscriber.kinds.is_empty() {
        return Err(Problem::argument("endpoint_uri, endpoint_authorization.secret and subscriber_configs are required."));
    }
    Ok(Json(settle(&world, subscriber).await))
}

pub(super) async fn update(
    State(world): State<Shared>,
    Path((project, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    administrator(&world, &headers)?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| Problem::argument("Invalid JSON payload received."))?;
    let name = format!("projects/{project}/subscribers/{id}");
    let held = world.state().subscribers.iter().find(|held| held.name == name).cloned();
    let mut subscriber = held.ok_or_else(|| Problem::new(404, "NOT_FOUND", "Requested entity was not found."))?;
    fill(&mut subscriber, &body)?;
    Ok(Json(settle(&world, subscriber).await))
}

/// Handshake, then the long-running operation that is already done.
async fn settle(world: &World, subscriber: Subscriber) -> Value {
    let operation = format!("operations/{}", dice::hex(&[dice::key(&subscriber.name), world.settings.clock.millis() as u64], 12));
    if let Err(reason) = verify(world, &subscriber.endpoint, &subscriber.authorization).await {
        // FAILED_PRECONDITION
        return json!({"name": operation, "done": true, "error": {"code": 9, "message": format!("Endpoint verification failed: {reason}.")}});
    }
    let mut response = render(&subscriber);
    response["@type"] = json!("type.googleapis.com/google.devicesandservices.health.v4.Subscriber");
    let mut state = world.state();
    state.subscribers.retain(|held| held.name != subscriber.name);
    state.subscribers.push(subscriber);
    json!({"name": operation, "done": true, "response": response})
}

fn fill(subscriber: &mut Subscriber, body: &Value) -> Result<(), Problem> {
    if let Some(endpoint) = body["endpointUri"].as_str() {
        reqwest::Url::parse(endpoint).map_err(|_| Problem::argument("Invalid endpoint_uri."))?;
        endpoint.clone_into(&mut subscriber.endpoint);
    }
    if let Some(secret) = body["endpointAuthorization"]["secret"].as_str() {
        secret.clone_into(&mut subscriber.authorization);
    }
    if let Some(configs) = body["subscriberConfigs"].as_array() {
        let kinds = configs.iter().flat_map(|config| config["dataTypes"].as_array().into_iter().flatten());
        let kinds: Vec<String> = kinds.filter_map(|kind| kind.as_str().map(str::to_owned)).collect();
        if let Some(unknown) = kinds.iter().find(|kind| !find(kind).is_some_and(|kind| kind.announced)) {
            return Err(Problem::argument(format!("The data type {unknown} has no notifications.")));
        }
        if configs.iter().any(|config| config["subscriptionCreatePolicy"] != json!("AUTOMATIC")) {
            return Err(Problem::argument("This simulator supports subscription_create_policy AUTOMATIC only."));
        }
        subscriber.kinds = kinds;
    }
    Ok(())
}

pub(super) async fn list(
    State(world): State<Shared>,
    Path(project): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    administrator(&world, &headers)?;
    let prefix = format!("projects/{project}/");
    let state = world.state();
    let found: Vec<Value> = state.subscribers.iter().filter(|held| held.name.starts_with(&prefix)).map(render).collect();
    let mut answer = json!({});
    if !found.is_empty() {
        answer = json!({"totalSize": found.len(), "subscribers": found});
    }
    Ok(Json(answer))
}

pub(super) async fn delete(
    State(world): State<Shared>,
    Path((project, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    administrator(&world, &headers)?;
    let name = format!("projects/{project}/subscribers/{id}");
    let mut state = world.state();
    let before = state.subscribers.len();
    state.subscribers.retain(|held| held.name != name);
    if state.subscribers.len() == before {
        return Err(Problem::new(404, "NOT_FOUND", "Requested entity was not found."));
    }
    Ok(Json(json!({"name": format!("operations/{}", dice::hex(&[dice::key(&name)], 12)), "done": true, "response": {}})))
}

/// A project is managed with a service account, never with a person's token.
fn administrator(world: &World, headers: &HeaderMap) -> Result<(), Problem> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    if token == Some(world.settings.oauth.google_health_service_token.as_str()) {
        Ok(())
    } else {
        Err(Problem::unauthenticated())
    }
}

/// 4 to 36 characters: a letter first, no hyphen last.
fn valid_id(id: &str) -> bool {
    let inside = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (4..=36).contains(&id.len()) && inside && id.starts_with(|first: char| first.is_ascii_lowercase()) && !id.ends_with('-')
}

/// The secret is never shown again.
fn render(subscriber: &Subscriber) -> Value {
    let kinds: Vec<&str> = if subscriber.kinds.is_empty() {
        TYPES.iter().filter(|kind| kind.announced).map(|kind| kind.kebab).collect()
    } else {
        subscriber.kinds.iter().map(String::as_str).collect()
    };
    json!({
        "name": subscriber.name,
        "endpointUri": subscriber.endpoint,
        "subscriberConfigs": [{"dataTypes": kinds, "subscriptionCreatePolicy": "AUTOMATIC"}],
    })
}
