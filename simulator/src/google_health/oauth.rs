//! Google's OAuth: secret or PKCE, a refresh token only for offline access, and none on refresh.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::faults::plain;
use crate::oauth::{Answer, Code, Grant, Params, answer, consent_page, redirect};
use crate::people::{GOOGLE_SCOPE_PREFIX, GOOGLE_SCOPES, Person, Provider};
use crate::world::{Shared, World};

/// What Google calls itself in a redirect (RFC 9207).
const ISSUER: (&str, &str) = ("iss", "https://accounts.google.com");

pub(super) async fn authorize(State(world): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let (redirect_uri, requested) = match check(&world, &params) {
        Ok(checked) => checked,
        Err(problem) => return plain(400, problem),
    };
    // A state is recommended, not demanded.
    let state: Vec<(&str, &str)> = params.get("state").map(|state| ("state", state)).into_iter().collect();
    match answer(&params, &requested) {
        Answer::NotYet => {
            let people = world.people.iter().map(|who| who.person.as_ref());
            let people: Vec<&Person> = people.filter(|person| person.provider == Provider::GoogleHealth).collect();
            Html(consent_page("Google Health", &people, &params, &requested)).into_response()
        }
        Answer::Denied => {
            let pairs = [vec![("error", "access_denied"), ISSUER], state].concat();
            Redirect::to(&redirect(&redirect_uri, &pairs)).into_response()
        }
        Answer::Allowed(user_id, scopes) => {
            if world.person(Provider::GoogleHealth, &user_id).is_none() {
                return plain(400, "nobody has this user id");
            }
            let scope = scopes.join(" ");
            let code = Code {
                grant: Grant { provider: Provider::GoogleHealth, user_id, scopes },
                redirect_uri: redirect_uri.clone(),
                expires: world.settings.clock.millis() + world.settings.oauth.google_health_code.as_millis() as i64,
                challenge: params.get("code_challenge").map(str::to_owned),
                // Without `prompt=consent` Google gives a refresh token at the first consent only; this one is as strict.
                offline: params.get("access_type") == Some("offline") && params.get("prompt") == Some("consent"),
            };
            let code = world.state().grants.issue_code(code);
            let pairs = [state, vec![("code", code.as_str()), ("scope", scope.as_str()), ISSUER]].concat();
            Redirect::to(&redirect(&redirect_uri, &pairs)).into_response()
        }
    }
}

fn check(world: &World, params: &Params) -> Result<(String, Vec<String>), &'static str> {
    let oauth = &world.settings.oauth;
    if params.get("response_type") != Some("code") {
        return Err("Error 400: invalid_request: response_type must be code");
    }
    if params.get("client_id") != Some(oauth.client_id.as_str()) {
        return Err("Error 401: invalid_client");
    }
    let redirect_uri = params.get("redirect_uri").ok_or("Error 400: redirect_uri_mismatch")?;
    if !oauth.redirect_uris.is_empty() && !oauth.redirect_uris.iter().any(|known| known == redirect_uri) {
        return Err("Error 400: redirect_uri_mismatch");
    }
    let scopes: Vec<String> = params.get("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() || !scopes.iter().all(|scope| known(scope)) {
        return Err("Error 400: invalid_scope");
    }
    if params.get("code_challenge").is_some() && params.get("code_challenge_method") != Some("S256") {
        return Err("Error 400: invalid_request: only S256 is supported");
    }
    Ok((redirect_uri.to_owned(), scopes))
}

fn known(scope: &str) -> bool {
    let Some(name) = scope.strip_prefix(GOOGLE_SCOPE_PREFIX) else { return matches!(scope, "openid" | "email" | "profile") };
    let name = name.strip_suffix(".readonly").or_else(|| name.strip_suffix(".writeonly")).unwrap_or(name);
    GOOGLE_SCOPES.contains(&name)
}

type Refusal = (u16, &'static str, &'static str);

pub(super) async fn token(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let result = if kind.starts_with("application/x-www-form-urlencoded") {
        exchange(&world, &Params::parse(&body))
    } else {
        Err((400, "invalid_request", "Could not parse the body"))
    };
    match result {
        Ok(tokens) => ([(header::CACHE_CONTROL, "no-store")], Json(tokens)).into_response(),
        Err((code, error, description)) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
            (code, Json(json!({"error": error, "error_description": description}))).into_response()
        }
    }
}

fn exchange(world: &World, form: &Params) -> Result<Value, Refusal> {
    let oauth = &world.settings.oauth;
    let secret = form.get("client_secret").unwrap_or_default();
    if form.get("client_id") != Some(oauth.client_id.as_str()) {
        return Err((401, "invalid_client", "The OAuth client was not found."));
    }
    if !bool::from(secret.as_bytes().ct_eq(oauth.client_secret.as_bytes())) {
        return Err((401, "invalid_client", "Unauthorized"));
    }
    let now = world.settings.clock.millis();
    match form.get("grant_type") {
        Some("authorization_code") => {
            let code = form.get("code").ok_or((400, "invalid_request", "Missing required parameter: code"))?;
            let held = world.state().grants.take_code(Provider::GoogleHealth, code, now);
            let held = held.ok_or((400, "invalid_grant", "Bad Request"))?;
            if form.get("redirect_uri") != Some(held.redirect_uri.as_str()) {
                return Err((400, "redirect_uri_mismatch", "Bad Request"));
            }
            proven(held.challenge.as_deref(), form.get("code_verifier"))?;
            let mut tokens = access(world, &held.grant, now);
            if held.offline {
                let refresh = world.state().grants.issue_refresh(&held.grant, now, oauth.google_health_refresh);
                tokens["refresh_token"] = json!(refresh);
                if let Some(life) = oauth.google_health_refresh {
                    tokens["refresh_token_expires_in"] = json!(life.as_secs());
                }
            }
            Ok(tokens)
        }
        Some("refresh_token") => {
            let refresh =
                form.get("refresh_token").ok_or((400, "invalid_request", "Missing required parameter: refresh_token"))?;
            let grant = world.state().grants.refreshing(Provider::GoogleHealth, refresh, now);
            let grant = grant.ok_or((400, "invalid_grant", "Token has been expired or revoked."))?;
            world.count(Provider::GoogleHealth, |counts| counts.refreshes += 1);
            Ok(access(world, &grant, now))
        }
        _ => Err((400, "unsupported_grant_type", "Invalid grant_type")),
    }
}

fn proven(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), Refusal> {
    match (challenge, verifier) {
        (None, _) => Ok(()),
        (Some(_), None) => Err((400, "invalid_grant", "Missing code verifier.")),
        (Some(challenge), Some(verifier)) => {
            let matches = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == challenge;
            if matches { Ok(()) } else { Err((400, "invalid_grant", "Invalid code verifier.")) }
        }
    }
}

fn access(world: &World, grant: &Grant, now: i64) -> Value {
    let life = world.settings.oauth.google_health_access;
    let token = world.state().grants.issue_access(grant, now, life, None);
    json!({"access_token": token, "expires_in": life.as_secs(), "scope": grant.scopes.join(" "), "token_type": "Bearer"})
}

/// The token in the query or in the form; any token of a person ends the whole grant.
pub(super) async fn revoke(State(world): State<Shared>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let (query, form) = (Params::parse(query.unwrap_or_default().as_bytes()), Params::parse(&body));
    let token = query.get("token").or(form.get("token")).unwrap_or_default();
    let owner = world.state().grants.owner(Provider::GoogleHealth, token);
    match owner {
        Some(user_id) => {
            world.state().grants.revoke(Provider::GoogleHealth, &user_id);
            Json(json!({})).into_response()
        }
        None => {
            let error = json!({"error": "invalid_token", "error_description": "Token expired or revoked"});
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    }
}
