//! An issuer of tokens for trying: one key, made at the start, that signs whatever it is asked for. It serves simulated people on loopback only.

use std::sync::Arc;

use axum::extract::Query;
use axum::routing::get;
use axum::{Json, Router};
use headwater_api::Access;
use headwater_api::auth::{Clock, DevKeys, Grant};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

const AUDIENCE: &str = "headwater-dev";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    subject: String,
    #[serde(default = "own")]
    scope: String,
}

fn own() -> String {
    "headwater.subject".into()
}

/// Who is let in, and the routes `/dev/token?subject=…&scope=…` and `/dev/jwks.json`.
pub fn issuer(url: &str, token: Option<SecretString>) -> (Access, Router) {
    let keys = Arc::new(DevKeys::generate());
    let verifier = Arc::new(keys.verifier(url, AUDIENCE, Clock::system()));
    let (jwks, issuer) = (keys.jwks(), url.to_owned());
    let mint = move |Query(asked): Query<Asked>| {
        let subjects = [asked.subject.as_str()];
        let grant = Grant {
            issuer: &issuer,
            audience: AUDIENCE,
            sub: &asked.subject,
            scope: &asked.scope,
            subjects: &subjects,
            issued_at: Clock::system().now(),
            lifetime_seconds: 3600,
        };
        let minted = keys.mint(&grant).expose_secret().to_owned();
        async move { minted }
    };
    let routes = Router::new().route("/dev/token", get(mint)).route("/dev/jwks.json", get(async move || Json(jwks)));
    (Access { token, verifier: Some(verifier) }, routes)
}
