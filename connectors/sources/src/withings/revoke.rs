//! Ending a grant: a signed request, for which a nonce has to be asked first.
//!
//! A signature is the hex HMAC-SHA256, under the client secret, of the values it covers joined by commas: action, client id, and timestamp for
//! the nonce, action, client id, and nonce for what the nonce is for.

use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use super::envelope;
use crate::json;
use crate::source::{Fetch, Method, Response, Revoke, Window};

/// What these requests are called in place of a stream.
pub(super) const STREAM: &str = "revoke";

#[derive(Deserialize)]
struct Nonce {
    nonce: Option<String>,
}

/// First the nonce, then the revocation, then nothing.
pub(super) fn next(grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
    let Some(previous) = previous else {
        let now = grant.now.to_string();
        let signed = request("/v2/signature", "getnonce", grant).form("timestamp", now.as_str());
        return Some(signed.form("signature", signature(grant, "getnonce", &now)));
    };
    // The answer to the revocation itself carries none.
    let nonce = json::parse::<Nonce>(envelope::open(previous).ok()?).ok()?.nonce?;
    let signed = request("/v2/oauth2", "revoke", grant).form("userid", grant.user).form("nonce", nonce.as_str());
    Some(signed.form("signature", signature(grant, "revoke", &nonce)))
}

fn request(path: &str, action: &str, grant: &Revoke<'_>) -> Fetch {
    Fetch::new(STREAM, Window { start: 0, end: 0 }, Method::Post, path).form("action", action).form("client_id", grant.client_id)
}

fn signature(grant: &Revoke<'_>, action: &str, last: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(grant.client_secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{action},{},{last}", grant.client_id).as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
