//! Who calls, and what that caller may do: bearer tokens of an identity provider, checked against its published keys.
//!
//! Start at [`Verifier`], which makes a [`Caller`] of a token; [`Caller::may`] is the whole table of permissions. This module knows no
//! route and no store, and never keeps, prints or logs a token or the name of a person.

mod caller;
mod denied;
mod dev;
mod jwks;
mod jwt;
mod key;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

pub use caller::{Action, Caller, Role};
pub use denied::{DENIED, Denied, Reason};
pub use dev::{DevKeys, Grant};
pub use jwt::Verifier;
pub use settings::{Settings, SetupError};

/// Where the time comes from: seconds since 1970 in UTC.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    pub fn new(seconds: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(seconds))
    }

    /// The clock of the machine.
    pub fn system() -> Self {
        Self::new(|| jiff::Timestamp::now().as_second())
    }

    pub fn now(&self) -> i64 {
        (self.0)()
    }
}

/// The token of a request's `Authorization: Bearer …` (RFC 6750, 2.1; the word in any case).
///
/// # Errors
///
/// [`Reason::NoToken`] without the header or with another scheme, [`Reason::Malformed`] for two headers or one that is no text.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    let first = first.ok_or_else(|| Denied::of(Reason::NoToken))?;
    if second.is_some() {
        return Err(Denied::of(Reason::Malformed));
    }
    let text = first.to_str().map_err(|_| Denied::of(Reason::Malformed))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        _ => Err(Denied::of(Reason::NoToken)),
    }
}
