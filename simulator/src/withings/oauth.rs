//! Withings' OAuth: tokens in the usual envelope, refresh tokens that rotate with a grace period, signed requests.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Trouble, form, reply};
use crate::dice;
use crate::faults::plain;
use crate::oauth::{Answer, Code, Grant, Params, answer, consent_page, redirect};
use crate::people::{Person, Provider, WITHINGS_SCOPES};
use crate::world::{Shared, World};

/// How long a nonce can be used, once.
const NONCE_MILLIS: i64 = 30 * 60 * 1000;

pub(super) async fn authorize(State(world): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let (redirect_uri, state, requested) = match check(&world, &params) {
        Ok(checked) => checked,
        Err(problem) => return plain(400, problem),
    };
    match answer(&params, &requested) {
        Answer::NotYet => {
            let people: Vec<&Person> = people(&world).collect();
            Html(consent_page("Withings", &people, &params, &requested)).into_response()
        }
        Answer::Denied => {
            Redirect::to(&redirect(&redirect_uri, &[("error", "access_denied"), ("state", &state)])).into_response()
        }
        Answer::Allowed(user_id, scopes) => {
            if world.person(Provider::Withings, &user_id).is_none() {
                return plain(400, "nobody has this user id");
            }
            let code = Code {
                grant: Grant { provider: Provider::Withings, user_id, scopes },
                redirect_uri: redirect_uri.clone(),
                expires: world.settings.clock.millis() + world.settings.oauth.withings_code.as_millis() as i64,
                challenge: None,
                offline: true,
            };
            let code = world.state().grants.issue_code(code);
            Redirect::to(&redirect(&redirect_uri, &[("code", &code), ("state", &state)])).into_response()
        }
    }
}

fn check(world: &World, params: &Params) -> Result<(String, String, Vec<String>), &'static str> {
    let oauth = &world.settings.oauth;
    if params.get("response_type") != Some("code") {
        return Err("response_type must be code");
    }
    if params.get("client_id") != Some(oauth.client_id.as_str()) {
        return Err("unknown client_id");
    }
    let redirect_uri = params.get("redirect_uri").ok_or("redirect_uri is missing")?;
    if !oauth.redirect_uris.is_empty() && !oauth.redirect_uris.iter().any(|known| known == redirect_uri) {
        return Err("redirect_uri is not registered");
    }
    let state = params.get("state").ok_or("state is missing")?;
    let scopes: Vec<String> = params.get("scope").ok_or("scope is missing")?.split(',').map(str::to_owned).collect();
    if scopes.iter().any(|scope| !WITHINGS_SCOPES.contains(&scope.as_str())) {
        return Err("unknown scope: scopes are separated by commas");
    }
    Ok((redirect_uri.to_owned(), state.to_owned(), scopes))
}

fn people(world: &World) -> impl Iterator<Item = &Person> {
    world.people.iter().map(|who| who.person.as_ref()).filter(|person| person.provider == Provider::Withings)
}

pub(super) async fn token(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if !world.within_quota(Provider::Withings, "", world.settings.limits.withings_per_minute) {
        return reply(Err(Trouble::TooMany));
    }
    reply(form(&headers, &body).and_then(|form| match form.get("action") {
        Some("requesttoken") => request_token(&world, &form),
        Some("revoke") => revoke(&world, &form),
        _ => Err(Trouble::Params("action")),
    }))
}

fn request_token(world: &World, form: &Params) -> Result<Value, Trouble> {
    authenticate(world, form)?;
    let now = world.settings.clock.millis();
    match form.get("grant_type") {
        Some("authorization_code") => {
            let code = form.get("code").ok_or(Trouble::Params("code"))?;
            let held = world.state().grants.take_code(Provider::Withings, code, now);
            let held = held.ok_or(Trouble::Params("invalid code"))?;
            if form.get("redirect_uri") != Some(held.redirect_uri.as_str()) {
                return Err(Trouble::Params("redirect_uri"));
            }
            Ok(issue(world, &held.grant, now, None))
        }
        Some("refresh_token") => {
            let old = form.get("refresh_token").ok_or(Trouble::Params("refresh_token"))?;
            let grant = world.state().grants.refreshing(Provider::Withings, old, now);
            let grant = grant.ok_or(Trouble::Params("invalid refresh_token"))?;
            world.state().grants.shorten(old, now, world.settings.oauth.withings_refresh_grace);
            world.count(Provider::Withings, |counts| counts.refreshes += 1);
            Ok(issue(world, &grant, now, Some(old.to_owned())))
        }
        _ => Err(Trouble::Params("grant_type")),
    }
}

fn issue(world: &World, grant: &Grant, now: i64, retires: Option<String>) -> Value {
    let oauth = &world.settings.oauth;
    let mut state = world.state();
    let access = state.grants.issue_access(grant, now, oauth.withings_access, retires);
    let refresh = state.grants.issue_refresh(grant, now, Some(oauth.withings_refresh));
    drop(state);
    // The specification says integer; some real answers carry a string.
    let number: i64 = grant.user_id.parse().unwrap_or_default();
    let userid = if number % 2 == 0 { json!(number) } else { json!(grant.user_id) };
    json!({
        "userid": userid,
        "access_token": access,
        "refresh_token": refresh,
        "scope": grant.scopes.join(","),
        "expires_in": oauth.withings_access.as_secs(),
        "csrf_token": dice::hex(&[dice::key(&access)], 20),
        "token_type": "Bearer",
    })
}

fn revoke(world: &World, form: &Params) -> Result<Value, Trouble> {
    if form.get("signature").is_none() {
        return Err(Trouble::Params("signature"));
    }
    authenticate(world, form)?;
    let user = form.get("userid").ok_or(Trouble::Params("userid"))?;
    world.person(Provider::Withings, user).ok_or(Trouble::Params("userid"))?;
    let mut state = world.state();
    state.grants.revoke(Provider::Withings, user);
    state.subscriptions.retain(|subscription| subscription.user_id != user);
    Ok(json!({}))
}

/// The client's secret, or a signature over a nonce.
fn authenticate(world: &World, form: &Params) -> Result<(), Trouble> {
    let oauth = &world.settings.oauth;
    if form.get("client_id") != Some(oauth.client_id.as_str()) {
        return Err(Trouble::Params("client_id"));
    }
    if let Some(signature) = form.get("signature") {
        let nonce = form.get("nonce").ok_or(Trouble::Params("nonce"))?;
        let issued = world.state().nonces.remove(nonce).ok_or(Trouble::Params("nonce"))?;
        let fresh = world.settings.clock.millis() - issued <= NONCE_MILLIS;
        let signed = verify(world, signature, &[form.get("action").unwrap_or_default(), &oauth.client_id, nonce]);
        return if fresh && signed { Ok(()) } else { Err(Trouble::Params("signature")) };
    }
    match form.get("client_secret") {
        Some(secret) if bool::from(secret.as_bytes().ct_eq(oauth.client_secret.as_bytes())) => Ok(()),
        _ => Err(Trouble::Params("client_secret")),
    }
}

pub(super) async fn signature(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    reply(form(&headers, &body).and_then(|form| {
        let get = |name| form.get(name).ok_or(Trouble::Params(name));
        let (action, client_id, timestamp) = (get("action")?, get("client_id")?, get("timestamp")?);
        if action != "getnonce" {
            return Err(Trouble::Params("action"));
        }
        if client_id != world.settings.oauth.client_id || !verify(&world, get("signature")?, &[action, client_id, timestamp]) {
            return Err(Trouble::Params("signature"));
        }
        let now = world.settings.clock.millis();
        let mut state = world.state();
        state.nonces.retain(|_, issued| now - *issued <= NONCE_MILLIS);
        let nonce = dice::hex(&[world.settings.seed, dice::key("nonce"), now as u64, state.nonces.len() as u64], 20);
        state.nonces.insert(nonce.clone(), now);
        Ok(json!({"nonce": nonce}))
    }))
}

/// Hexadecimal HMAC-SHA256 with the client's secret over the values joined by commas.
fn verify(world: &World, signature: &str, values: &[&str]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(world.settings.oauth.client_secret.as_bytes()) else { return false };
    mac.update(values.join(",").as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    expected.as_bytes().ct_eq(signature.as_bytes()).into()
}
