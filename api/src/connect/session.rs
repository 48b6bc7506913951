//! A browser that opened a link: known by a cookie of 256 random bits, of which the store keeps a hash.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use headwater_ingest::account;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::pages::Notice;
use super::ticket::{Opened, Ticket};
use super::{Stop, header_value};
use crate::problem::Problem;
use crate::state::Api;

const LIFE_SECONDS: i64 = 1800;

pub(super) struct Session {
    pub ticket: Ticket,
    pub invitation: Option<[u8; 32]>,
    /// Hash of the cookie.
    pub key: [u8; 32],
    /// What forms carry, so that no other site can send them.
    pub csrf: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    ticket: Ticket,
    invitation: Option<[u8; 32]>,
    csrf: String,
}

impl Session {
    pub fn subject(&self) -> &str {
        &self.ticket.subject
    }

    /// Who acts: the person, by a link that somebody made.
    pub fn actor(&self) -> String {
        format!("browser:{}", self.ticket.subject)
    }

    /// Whether the link that was opened is for this provider.
    pub fn offers(&self, provider: &str) -> bool {
        self.ticket.provider.as_deref().is_none_or(|only| only == provider)
    }

    pub fn check(&self, csrf: &str) -> Result<(), Stop> {
        if bool::from(self.csrf.as_bytes().ct_eq(csrf.as_bytes())) {
            Ok(())
        } else {
            Err(Stop::Page(StatusCode::FORBIDDEN, Notice::OtherBrowser))
        }
    }
}

/// A session, and the cookie that makes the browser known.
pub(super) async fn make(api: &Api, Opened { ticket, invitation }: Opened) -> Result<(Session, HeaderValue), Problem> {
    let (secret, csrf, now) = (account::secret(), account::secret(), api.accounts.now());
    let key = account::hash("session", &secret);
    let kept = Kept { ticket, invitation, csrf };
    let body = serde_json::to_vec(&kept).expect("texts are JSON");
    api.store.put_pending(&key, &body, now, now + LIFE_SECONDS * 1_000_000).await?;
    let secure = if secure(api) { "; Secure" } else { "" };
    // Lax, because the browser comes back from the provider by a link.
    let cookie = format!("{}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LIFE_SECONDS}{secure}", name(api));
    let Kept { ticket, invitation, csrf } = kept;
    Ok((Session { ticket, invitation, key, csrf }, header_value(&cookie)))
}

/// The session of a browser that has one.
pub(super) async fn of(api: &Api, headers: &HeaderMap) -> Result<Session, Stop> {
    let nobody = || Stop::Page(StatusCode::UNAUTHORIZED, Notice::LinkGone);
    let key = key(api, headers).ok_or_else(nobody)?;
    let kept = api.store.pending(&key, api.accounts.now()).await?.ok_or_else(nobody)?;
    let Kept { ticket, invitation, csrf } = serde_json::from_slice(&kept).map_err(|_| nobody())?;
    Ok(Session { ticket, invitation, key, csrf })
}

/// The hash of the browser's cookie, whether there is a session of it or not.
pub(super) fn key(api: &Api, headers: &HeaderMap) -> Option<[u8; 32]> {
    let name = name(api);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(';'));
    let mut given = cookies.filter_map(|cookie| cookie.trim().split_once('=')).filter(|(n, _)| *n == name);
    given.next().map(|(_, secret)| account::hash("session", secret))
}

/// With the prefix a browser takes the cookie from us alone, over TLS, for the whole host.
fn name(api: &Api) -> &'static str {
    if secure(api) { "__Host-headwater" } else { "headwater" }
}

fn secure(api: &Api) -> bool {
    api.settings.public_url.starts_with("https://")
}
