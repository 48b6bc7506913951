//! Refusals: one closed word each for the operators, next to nothing for the caller.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// Refused calls, by `code`.
pub const DENIED: &str = "headwater_api_denied_total";

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No bearer token at all.
    NoToken,
    /// No JWT, too long, or with a header or claim of the wrong shape.
    Malformed,
    /// Not the algorithm of the key, or none that is accepted.
    Algorithm,
    /// No key of that id, or none that can be told without one.
    UnknownKey,
    Signature,
    Expired,
    NotYet,
    Audience,
    Issuer,
    /// The caller is known and may not do this.
    Scope,
    /// No key set: not the caller's fault.
    KeysUnavailable,
}

impl Reason {
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Audience => "audience",
            Self::Issuer => "issuer",
            Self::Scope => "scope",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::Scope => 403,
            Self::KeysUnavailable => 503,
            _ => 401,
        }
    }
}

/// A refused call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("denied: {code}")]
#[non_exhaustive]
pub struct Denied {
    /// 401, 403 or 503.
    pub status: u16,
    /// [`Reason::code`]: for metrics and logs, not for the caller.
    pub code: &'static str,
}

impl Denied {
    /// Counts and logs the refusal: make one for each refused call, and one only.
    pub fn of(reason: Reason) -> Self {
        let code = reason.code();
        metrics::counter!(DENIED, "code" => code).increment(1);
        tracing::debug!(code, "call denied");
        Self { status: reason.status(), code }
    }
}

impl Denied {
    /// RFC 6750, 3: a call without a token is not told of an error, every bad token is told the same.
    pub(crate) fn problem(self) -> Problem {
        let (title, detail, challenge) = match (self.status, self.code) {
            (403, _) => ("forbidden", "not allowed for this token", Some("Bearer error=\"insufficient_scope\"")),
            (503, _) => ("unavailable", "try again later", None),
            (_, "no_token") => ("unauthorized", "expected a bearer token", Some("Bearer")),
            _ => ("unauthorized", "expected a bearer token", Some("Bearer error=\"invalid_token\"")),
        };
        let problem = Problem::new(self.status, title, detail);
        match challenge {
            Some(challenge) => problem.with(header::WWW_AUTHENTICATE, challenge),
            None => problem,
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}
