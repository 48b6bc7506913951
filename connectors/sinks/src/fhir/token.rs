//! Access tokens by the client credentials grant: with a secret, or with a signed assertion as SMART Backend Services has it.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::settings::{OAuth, SettingsError};
use crate::Unavailable;
use crate::http::{no_answer, pause};

/// Life of an assertion; five minutes at most by SMART.
const ASSERTION_SECONDS: i64 = 240;
/// A token is replaced this long before its end.
const MARGIN: Duration = Duration::from_secs(30);
/// Where the server does not say how long one lasts.
const LIFE: u64 = 300;
/// Tokens are short; what is longer is no token.
const ANSWER_LIMIT: usize = 64 * 1024;

pub(super) struct Tokens {
    client: Client,
    url: Url,
    oauth: OAuth,
    key: Option<(Algorithm, EncodingKey)>,
    held: Mutex<Option<(SecretString, Instant)>>,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    expires_in: Option<u64>,
}

impl Tokens {
    pub fn new(client: Client, oauth: &OAuth) -> Result<Self, SettingsError> {
        let key = match (&oauth.client_secret, &oauth.private_key) {
            (Some(_), None) => None,
            (None, Some(pem)) => Some(key(pem).ok_or(SettingsError::Key)?),
            _ => return Err(SettingsError::Credential),
        };
        Ok(Self { client, url: oauth.address()?, oauth: oauth.clone(), key, held: Mutex::default() })
    }

    /// A token that is not `refused`: the one at hand, or a new one. One request at a time asks for it.
    pub async fn token(&self, refused: Option<&SecretString>) -> Result<SecretString, Unavailable> {
        let mut held = self.held.lock().await;
        if let Some((token, until)) = &*held
            && Instant::now() < *until
            && refused.is_none_or(|refused| refused.expose_secret() != token.expose_secret())
        {
            return Ok(token.clone());
        }
        let answer = self.ask().await?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(LIFE)).saturating_sub(MARGIN);
        *held = Some((answer.access_token.clone(), Instant::now() + life));
        Ok(answer.access_token)
    }

    async fn ask(&self) -> Result<Answer, Unavailable> {
        let failed = |why: String, retry_after| Unavailable { why, retry_after };
        let mut form = vec![("grant_type", "client_credentials".to_owned()), ("scope", self.oauth.scope.clone())];
        let mut request = self.client.post(self.url.clone());
        match (&self.key, &self.oauth.client_secret) {
            (Some(key), _) => {
                form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into()));
                form.push(("client_assertion", self.assertion(key)?));
            }
            (None, secret) => {
                request = request.basic_auth(&self.oauth.client_id, secret.as_ref().map(|secret| secret.expose_secret()));
            }
        }
        let mut answer = request.form(&form).send().await.map_err(|e| failed(format!("tokens: {}", no_answer(&e)), None))?;
        let (status, retry_after) = (answer.status(), pause(&answer));
        if !status.is_success() {
            return Err(failed(format!("the token endpoint answered {}", status.as_u16()), retry_after));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| failed(format!("tokens: {}", no_answer(&e)), None))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LIMIT {
                return Err(failed("the token endpoint's answer is too long".into(), None));
            }
        }
        serde_json::from_slice(&body).map_err(|_| failed("the token endpoint gave no access_token".into(), None))
    }

    fn assertion(&self, (algorithm, key): &(Algorithm, EncodingKey)) -> Result<String, Unavailable> {
        let now = jiff::Timestamp::now().as_second();
        let claims = Assertion {
            iss: &self.oauth.client_id,
            sub: &self.oauth.client_id,
            aud: &self.oauth.token_url,
            jti: Uuid::new_v4().to_string(),
            iat: now,
            exp: now + ASSERTION_SECONDS,
        };
        let header = Header { kid: self.oauth.key_id.clone(), ..Header::new(*algorithm) };
        jsonwebtoken::encode(&header, &claims, key)
            .map_err(|_| Unavailable { why: "the assertion cannot be signed".into(), retry_after: None })
    }
}

/// RSA signs RS384, the curve ES384: the two that SMART names.
fn key(pem: &SecretString) -> Option<(Algorithm, EncodingKey)> {
    let pem = pem.expose_secret().as_bytes();
    let rsa = || EncodingKey::from_rsa_pem(pem).ok().map(|key| (Algorithm::RS384, key));
    let curve = || EncodingKey::from_ec_pem(pem).ok().map(|key| (Algorithm::ES384, key));
    // A key of another curve is told by signing with it.
    let signs = |(algorithm, key): &(Algorithm, EncodingKey)| jsonwebtoken::encode(&Header::new(*algorithm), &(), key).is_ok();
    rsa().or_else(curve).filter(signs)
}
