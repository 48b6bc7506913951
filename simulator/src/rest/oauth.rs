//! RFC 6749 as each of these clouds takes it: where the secret goes, whether PKCE is demanded, how long tokens live, and whether a refresh gives a
//! new refresh token and kills the old one.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::call::{Call, problem};
use crate::faults::plain;
use crate::oauth::{Answer, Code, Grant, Params, answer as consent, consent_page, redirect};
use crate::people::{Person, Provider, scopes};
use crate::world::World;

const HOUR: u64 = 3600;

struct Way {
    authorize: &'static str,
    token: &'static str,
    separator: char,
    /// Name and password in the header, not in the form.
    basic: bool,
    /// Refuses to begin without a challenge.
    pkce: bool,
    access: Duration,
    /// Whether there are refresh tokens at all; they rotate, and the old one dies at once.
    refreshes: bool,
}

fn way(provider: Provider) -> Way {
    let way = |authorize, token, hours| Way {
        authorize,
        token,
        separator: ' ',
        basic: false,
        pkce: false,
        access: Duration::from_secs(hours * HOUR),
        refreshes: true,
    };
    match provider {
        Provider::Whoop => way("/oauth/oauth2/auth", "/oauth/oauth2/token", 1),
        Provider::Oura => way("/oauth/authorize", "/oauth/token", 24 * 30),
        Provider::Strava => Way { separator: ',', ..way("/oauth/authorize", "/oauth/token", 6) },
        Provider::Dexcom => way("/v2/oauth2/login", "/v2/oauth2/token", 2),
        Provider::Garmin => Way { pkce: true, ..way("/oauth2Confirm", "/di-oauth2-service/oauth/token", 24) },
        _ => Way { basic: true, refreshes: false, ..way("/oauth2/authorization", "/v2/oauth2/token", 24 * 365) },
    }
}

/// `None` where the path is another's.
pub(super) fn answer(call: &Call<'_>) -> Option<Response> {
    let way = way(call.provider);
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", path) if path == way.authorize => Some(authorize(call, &way)),
        ("POST", path) if path == way.token => Some(token(call, &way)),
        _ => None,
    }
}

fn authorize(call: &Call<'_>, way: &Way) -> Response {
    let (params, oauth) = (&call.query, &call.world.settings.oauth);
    if params.get("response_type") != Some("code") || params.get("client_id") != Some(oauth.client_id.as_str()) {
        return plain(400, "invalid_request");
    }
    let Some(to) = params.get("redirect_uri") else { return plain(400, "redirect_uri is missing") };
    if !oauth.redirect_uris.is_empty() && !oauth.redirect_uris.iter().any(|known| known == to) {
        return plain(400, "redirect_uri is not registered");
    }
    // WHOOP wants at least eight characters; the others recommend them.
    let Some(state) = params.get("state").filter(|state| state.len() >= 8) else {
        return plain(400, "state is missing or too short");
    };
    if way.pkce && (params.get("code_challenge").is_none() || params.get("code_challenge_method") != Some("S256")) {
        return plain(400, "code_challenge is missing");
    }
    let known = scopes(call.provider);
    let asked: Vec<String> = params
        .get("scope")
        .unwrap_or_default()
        .split([way.separator, ' '])
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect();
    if !asked.iter().all(|scope| known.contains(scope)) {
        return plain(400, "invalid_scope");
    }
    match consent(params, &asked) {
        Answer::NotYet => {
            let people = call.world.people.iter().map(|who| who.person.as_ref());
            let people: Vec<&Person> = people.filter(|person| person.provider == call.provider).collect();
            Html(consent_page(call.provider.name(), &people, params, &asked)).into_response()
        }
        Answer::Denied => Redirect::to(&redirect(to, &[("error", "access_denied"), ("state", state)])).into_response(),
        Answer::Allowed(user_id, scopes) => {
            if call.world.person(call.provider, &user_id).is_none() {
                return plain(400, "nobody has this user id");
            }
            let grant = Grant { provider: call.provider, user_id, scopes };
            let code = Code {
                // Without its scope WHOOP gives no refresh token.
                offline: way.refreshes && (call.provider != Provider::Whoop || grant.scopes.iter().any(|s| s == "offline")),
                grant,
                redirect_uri: to.to_owned(),
                expires: call.world.settings.clock.millis() + 60_000,
                challenge: params.get("code_challenge").map(str::to_owned),
            };
            let code = call.world.state().grants.issue_code(code);
            Redirect::to(&redirect(to, &[("code", &code), ("state", state)])).into_response()
        }
    }
}

fn token(call: &Call<'_>, way: &Way) -> Response {
    match exchange(call, way) {
        Ok(tokens) => ([(header::CACHE_CONTROL, "no-store")], Json(tokens)).into_response(),
        Err((status, error)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(json!({"error": error, "error_description": "refused"}))).into_response()
        }
    }
}

type Refusal = (u16, &'static str);

fn client(call: &Call<'_>, way: &Way) -> Result<(), Refusal> {
    let oauth = &call.world.settings.oauth;
    let (id, secret) = if way.basic {
        let header = call.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Basic "));
        let pair = header.and_then(|text| STANDARD.decode(text).ok()).and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = pair.unwrap_or_default();
        let (id, secret) = pair.split_once(':').unwrap_or_default();
        (id.to_owned(), secret.to_owned())
    } else {
        (call.form.get("client_id").unwrap_or_default().to_owned(), call.form.get("client_secret").unwrap_or_default().to_owned())
    };
    let same = bool::from(secret.as_bytes().ct_eq(oauth.client_secret.as_bytes()));
    if id == oauth.client_id && same { Ok(()) } else { Err((401, "invalid_client")) }
}

fn exchange(call: &Call<'_>, way: &Way) -> Result<Value, Refusal> {
    client(call, way)?;
    let now = call.world.settings.clock.millis();
    match call.form.get("grant_type") {
        Some("authorization_code") => {
            let code = call.form.get("code").ok_or((400, "invalid_request"))?;
            let held = call.world.state().grants.take_code(call.provider, code, now).ok_or((400, "invalid_grant"))?;
            if call.form.get("redirect_uri") != Some(held.redirect_uri.as_str()) {
                return Err((400, "invalid_grant"));
            }
            let verifier = call.form.get("code_verifier").unwrap_or_default();
            let proven = |challenge: &String| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == *challenge;
            if !held.challenge.as_ref().is_none_or(proven) {
                return Err((400, "invalid_grant"));
            }
            Ok(tokens(call.world, &held.grant, way, held.offline, now))
        }
        Some("refresh_token") if way.refreshes => {
            let old = call.form.get("refresh_token").ok_or((400, "invalid_request"))?;
            let grant = call.world.state().grants.refreshing(call.provider, old, now).ok_or((400, "invalid_grant"))?;
            // Single use: a second refresh with the same token ends the grant for whoever comes late.
            call.world.state().grants.shorten(old, now, Duration::ZERO);
            call.world.count(call.provider, |counts| counts.refreshes += 1);
            Ok(tokens(call.world, &grant, way, true, now))
        }
        _ => Err((400, "unsupported_grant_type")),
    }
}

fn tokens(world: &World, grant: &Grant, way: &Way, refresh: bool, now: i64) -> Value {
    let life = world.settings.oauth.access.unwrap_or(way.access);
    let access = world.state().grants.issue_access(grant, now, life, None);
    let mut answer = json!({"access_token": access, "token_type": "bearer", "expires_in": life.as_secs()});
    if refresh {
        let refresh = world.state().grants.issue_refresh(grant, now, None);
        answer["refresh_token"] = json!(refresh);
    }
    match grant.provider {
        Provider::Polar => answer["x_user_id"] = json!(grant.user_id.parse::<i64>().unwrap_or_default()),
        Provider::Strava => answer["athlete"] = json!({"id": grant.user_id.parse::<i64>().unwrap_or_default()}),
        Provider::Whoop | Provider::Oura => answer["scope"] = json!(grant.scopes.join(" ")),
        _ => {}
    }
    answer
}

/// Decoded form of a revocation that names its token in the query.
pub(super) fn revoked(call: &Call<'_>, query: &Params) -> Response {
    let token = query.get("access_token").unwrap_or_default();
    let owner = call.world.state().grants.owner(call.provider, token);
    match owner {
        Some(user) => {
            call.world.state().grants.revoke(call.provider, &user);
            Json(json!({"access_token": token})).into_response()
        }
        None => problem(401, "Authorization Error").into_response(),
    }
}
