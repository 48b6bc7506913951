//! The envelope around everything: HTTP 200 with a `status` that may be an error, and a `body` that is then empty in one of three ways.

use std::time::Duration;

use headwater_schemas::reject::{Reject, code};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;
use crate::source::{Fault, Grant, Response, TokenFault, Tokens};

#[derive(Deserialize)]
struct Envelope<'a> {
    status: i64,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// The body of a stored answer.
pub(super) fn content(bytes: &[u8]) -> Result<&[u8], Reject> {
    let envelope: Envelope<'_> = json::parse(bytes)?;
    if envelope.status != 0 {
        let detail = format!("expected data, found status {} of the provider", envelope.status);
        return Err(Reject::new(code::ERROR_ENVELOPE, detail).at("status"));
    }
    let body = envelope.body.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected a body").at("body"))?;
    Ok(body.get().as_bytes())
}

/// The body of an answer, or what its status means.
pub(super) fn open<'a>(got: &Response<'a>) -> Result<&'a [u8], Fault> {
    match got.status {
        200 => {}
        401 => return Err(Fault::Reauthorise),
        403 => return Err(Fault::Refused("forbidden")),
        410 => return Err(Fault::Gone),
        429 => return Err(Fault::Limited { after: got.retry_after() }),
        status if status >= 500 => return Err(Fault::Again { why: "server_error", after: got.retry_after() }),
        _ => return Err(Fault::Broken(Reject::new(code::UNEXPECTED_SHAPE, format!("expected HTTP 200, found {}", got.status)))),
    }
    let envelope: Envelope<'a> = json::parse(got.body).map_err(Fault::Broken)?;
    match family(envelope.status) {
        Family::Good => {
            let body =
                envelope.body.ok_or_else(|| Fault::Broken(Reject::new(code::UNEXPECTED_SHAPE, "expected a body").at("body")))?;
            Ok(body.get().as_bytes())
        }
        Family::Token => Err(Fault::Reauthorise),
        Family::Limit => Err(Fault::Limited { after: None }),
        Family::Timeout => Err(Fault::Again { why: "provider_timeout", after: None }),
        Family::Error => Err(Fault::Again { why: "provider_error", after: None }),
        Family::Scope => Err(Fault::Refused("scope")),
        // Our request is not one they take; asking again would not change that.
        Family::Request => Err(Fault::Refused("bad_request")),
    }
}

/// The families that the provider's table of statuses makes; it does not tell single numbers apart.
enum Family {
    Good,
    Token,
    Scope,
    Request,
    Limit,
    Timeout,
    Error,
}

fn family(status: i64) -> Family {
    match status {
        0 => Family::Good,
        100..=102 | 200 | 401 => Family::Token,
        214 | 277 | 2553..=2555 => Family::Scope,
        601 => Family::Limit,
        522 => Family::Timeout,
        201..=213 | 216..=218 | 220 | 221 | 223 | 225 | 227..=230 | 234..=236 | 238 | 240..=252 | 254 => Family::Request,
        260..=267 | 271 | 272 | 275 | 276 | 283..=288 | 290 | 293..=295 | 297 | 300..=304 | 321 | 323..=353 => Family::Request,
        // 524 is "bad state": it is ours to change.
        380..=382 | 400 | 501..=511 | 523 | 524 | 532 | 3017..=3019 => Family::Request,
        // "An error occurred", and numbers the table lacks: taken for passing, because a refusal would leave a hole in the history.
        _ => Family::Error,
    }
}

pub(super) fn token_form(grant: &Grant<'_>) -> Vec<(&'static str, String)> {
    let mut form = vec![("action", "requesttoken".to_owned())];
    match *grant {
        Grant::Code { code, redirect_uri, client_id, client_secret } => form.extend([
            ("grant_type", "authorization_code".to_owned()),
            ("client_id", client_id.to_owned()),
            ("client_secret", client_secret.to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", redirect_uri.to_owned()),
        ]),
        Grant::Refresh { refresh_token, client_id, client_secret } => form.extend([
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", client_id.to_owned()),
            ("client_secret", client_secret.to_owned()),
            ("refresh_token", refresh_token.to_owned()),
        ]),
    }
    form
}

#[derive(Deserialize)]
struct Given<'a> {
    access_token: String,
    refresh_token: String,
    expires_in: Option<u64>,
    scope: Option<String>,
    /// A number in the specification, text in some answers.
    #[serde(borrow)]
    userid: Option<&'a RawValue>,
}

pub(super) fn read_tokens(got: &Response<'_>) -> Result<Tokens, TokenFault> {
    match got.status {
        200 => {}
        429 => return Err(TokenFault::Again("rate_limited")),
        401 => return Err(TokenFault::Terminal("refused")),
        // A spent grant is told inside the envelope; these come from something in front of it.
        400 | 403 => return Err(TokenFault::Again("refused")),
        _ => return Err(TokenFault::Again("server_error")),
    }
    let envelope: Envelope<'_> = json::parse(got.body).map_err(|_| TokenFault::Again("not_understood"))?;
    match family(envelope.status) {
        Family::Good => {}
        Family::Limit => return Err(TokenFault::Again("rate_limited")),
        Family::Timeout => return Err(TokenFault::Again("provider_timeout")),
        Family::Error => return Err(TokenFault::Again("provider_error")),
        // A code or refresh token that is spent, expired or revoked comes as "invalid params", 503, or as an authentication status.
        Family::Token | Family::Scope => return Err(TokenFault::Terminal("invalid_grant")),
        Family::Request if envelope.status < 300 || envelope.status == 503 => return Err(TokenFault::Terminal("invalid_grant")),
        Family::Request => return Err(TokenFault::Again("refused")),
    }
    let body = envelope.body.ok_or(TokenFault::Again("not_understood"))?;
    let given: Given<'_> = json::parse(body.get().as_bytes()).map_err(|_| TokenFault::Again("not_understood"))?;
    Ok(Tokens {
        access: given.access_token,
        refresh: Some(given.refresh_token),
        expires_in: given.expires_in.map(Duration::from_secs),
        scopes: given.scope.unwrap_or_default().split([',', ' ']).filter(|s| !s.is_empty()).map(str::to_owned).collect(),
        user: given.userid.map(|id| id.get().trim_matches('"').to_owned()).filter(|id| !id.is_empty() && id != "null"),
    })
}
