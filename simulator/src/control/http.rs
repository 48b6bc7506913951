//! The same hand over HTTP, for a person with curl.

use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Addition, Announcement, Change, Control, ControlError, Select};
use crate::faults::Fault;
use crate::oauth::{account_page, escape};
use crate::people::Provider;
use crate::world::Shared;

pub(crate) fn routes(world: Shared) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/{provider}/account", get(account))
        .route("/{provider}/account/revoke", post(remove_access))
        .route("/control/people", get(async |State(control): State<Control>| Json(control.people())))
        .route("/control/counts", get(async |State(control): State<Control>| Json(control.counts())))
        .route("/control/records", get(records))
        .route("/control/correct", post(correct))
        .route("/control/delete", post(delete))
        .route("/control/add", post(add))
        .route("/control/notify", post(notify))
        .route("/control/fault", post(fault))
        .route("/control/revoke", post(revoke))
        .route("/control/unlink", post(unlink))
        .route("/control/verify", post(verify))
        .route("/control/rotate_signing_key", post(rotate))
        .with_state(Control { world })
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.to_string()}))).into_response()
    }
}

#[derive(Deserialize)]
struct Records {
    provider: Provider,
    user_id: String,
    stream: String,
    #[serde(default)]
    from: i64,
    to: Option<i64>,
}

async fn records(State(control): State<Control>, Query(asked): Query<Records>) -> Result<Response, ControlError> {
    let window = (asked.from, asked.to.unwrap_or(i64::MAX / 4));
    Ok(Json(control.records(asked.provider, &asked.user_id, &asked.stream, window)?).into_response())
}

#[derive(Deserialize)]
struct Target {
    provider: Provider,
    user_id: String,
    stream: String,
    select: Option<Select>,
    change: Option<Change>,
    addition: Option<Addition>,
}

impl Target {
    fn select(&self) -> Select {
        self.select.clone().unwrap_or(Select::Newest)
    }
}

async fn correct(State(control): State<Control>, Json(asked): Json<Target>) -> Result<Response, Response> {
    let change = asked.change.clone().ok_or_else(|| missing("change"))?;
    let done = control.correct(asked.provider, &asked.user_id, &asked.stream, &asked.select(), change).await;
    Ok(Json(done.map_err(IntoResponse::into_response)?).into_response())
}

async fn delete(State(control): State<Control>, Json(asked): Json<Target>) -> Result<Response, ControlError> {
    let done = control.delete(asked.provider, &asked.user_id, &asked.stream, &asked.select()).await?;
    Ok(Json(done).into_response())
}

async fn add(State(control): State<Control>, Json(asked): Json<Target>) -> Result<Response, Response> {
    let addition = asked.addition.clone().ok_or_else(|| missing("addition"))?;
    let done = control.add(asked.provider, &asked.user_id, &asked.stream, addition).await;
    Ok(Json(done.map_err(IntoResponse::into_response)?).into_response())
}

fn missing(field: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": format!("the field {field} is missing")}))).into_response()
}

async fn notify(State(control): State<Control>, Json(announcement): Json<Announcement>) -> Result<Response, ControlError> {
    Ok(Json(control.notify(&announcement).await?).into_response())
}

#[derive(Deserialize)]
struct AskedFault {
    provider: Provider,
    fault: Fault,
    endpoint: Option<String>,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

async fn fault(State(control): State<Control>, Json(asked): Json<AskedFault>) -> Json<Value> {
    match &asked.endpoint {
        Some(endpoint) => control.fault_at(asked.provider, endpoint, asked.fault, asked.times),
        None => control.fault(asked.provider, asked.fault, asked.times),
    }
    Json(json!({"queued": asked.times}))
}

#[derive(Deserialize)]
struct Owner {
    user_id: String,
}

/// Where a person sees at the provider who has access.
async fn account(
    State(control): State<Control>,
    Path(provider): Path<Provider>,
    Query(owner): Query<Owner>,
) -> Result<Html<String>, ControlError> {
    let who = control.who(provider, &owner.user_id)?;
    let granted = control.world.state().grants.granted(provider, &owner.user_id);
    Ok(Html(account_page(provider.name(), &who.person, granted.as_deref())))
}

/// The person ends the access; the provider says so where it does.
async fn remove_access(
    State(control): State<Control>,
    Path(provider): Path<Provider>,
    Form(owner): Form<Owner>,
) -> Result<Redirect, ControlError> {
    control.unlink(provider, &owner.user_id).await?;
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("user_id", &owner.user_id).finish();
    Ok(Redirect::to(&format!("/{}/account?{query}", provider.name())))
}

#[derive(Deserialize)]
struct Account {
    provider: Provider,
    user_id: String,
}

async fn revoke(State(control): State<Control>, Json(account): Json<Account>) -> Result<Json<Value>, ControlError> {
    control.who(account.provider, &account.user_id)?;
    control.revoke(account.provider, &account.user_id);
    Ok(Json(json!({})))
}

async fn unlink(State(control): State<Control>, Json(account): Json<Account>) -> Result<Response, ControlError> {
    Ok(Json(control.unlink(account.provider, &account.user_id).await?).into_response())
}

async fn verify(State(control): State<Control>) -> Result<Json<Value>, ControlError> {
    control.verify_endpoint().await?;
    Ok(Json(json!({"verified": true})))
}

async fn rotate(State(control): State<Control>) -> Json<Value> {
    control.rotate_signing_key();
    Json(json!({}))
}

const ENDPOINTS: &str = "\
Withings        GET  /withings/oauth2_user/authorize2
                POST /withings/v2/oauth2        requesttoken, revoke
                POST /withings/v2/signature     getnonce
                POST /withings/measure          getmeas
                POST /withings/v2/measure       getactivity, getintradayactivity, getworkouts
                POST /withings/v2/sleep         get, getsummary
                POST /withings/v2/heart         list, get
                POST /withings/v2/user          getdevice
                POST /withings/notify           subscribe, list, get, revoke
Google Health   GET  /google_health/o/oauth2/v2/auth
                POST /google_health/token, /google_health/revoke
                GET  /google_health/webhooks_public_keyset.json
                GET  /google_health/v4/users/me/identity
                GET  /google_health/v4/users/me/dataTypes/{type}/dataPoints
                GET  /google_health/v4/users/me/dataTypes/{type}/dataPoints:reconcile
                POST /google_health/v4/users/me/dataTypes/{type}/dataPoints:rollUp
                POST /google_health/v4/users/me/dataTypes/{type}/dataPoints:dailyRollUp
                POST /google_health/v4/projects/{number}/subscribers
Fitbit          any  /fitbit/*                  410 Gone
Control         GET  /control/people, /control/counts, /control/records?provider=&amp;user_id=&amp;stream=
                POST /control/correct, /control/delete, /control/add, /control/notify, /control/fault,
                     /control/revoke, /control/unlink, /control/verify, /control/rotate_signing_key
";

async fn index(State(control): State<Control>) -> Html<String> {
    let people = control.people().into_iter().map(|person| {
        let (provider, id) = (person.provider.name(), escape(&person.user_id));
        let link = format!("<a href=\"/{provider}/account?user_id={id}\">{id}</a>");
        let cells = [escape(provider), link, escape(&person.display_name), escape(&person.time_zone)];
        let connected = control.world.state().grants.connected(person.provider, &person.user_id);
        format!("<tr><td>{}<td>{}\n", cells.join("<td>"), if connected { "connected" } else { "" })
    });
    let people: String = people.collect();
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Simulated providers</title>\n\
         <h1>Simulated providers</h1><p>Data up to {}. Nobody here is real.</p>\n\
         <h2>People</h2><table><tr><th>Provider<th>User id<th>Name<th>Time zone<th>State\n{people}</table>\n\
         <h2>Endpoints</h2><pre>{ENDPOINTS}</pre></html>\n",
        control.horizon()
    ))
}
