//! An issuer in memory, for development servers and tests. Its key is gone with the process.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::rand_core::OsRng;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::key::KeySet;
use super::settings;
use super::{Clock, Settings, Verifier};

/// An ES256 key pair.
pub struct DevKeys {
    kid: String,
    key: SigningKey,
}

/// What a minted token says.
#[derive(Debug, Clone, Default)]
pub struct Grant<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    pub sub: &'a str,
    /// Scopes separated by spaces.
    pub scope: &'a str,
    /// The claim `subjects`; left out where empty.
    pub subjects: &'a [&'a str],
    /// Seconds since 1970.
    pub issued_at: i64,
    pub lifetime_seconds: i64,
}

impl DevKeys {
    pub fn generate() -> Self {
        Self { kid: Uuid::new_v4().simple().to_string(), key: SigningKey::random(&mut OsRng) }
    }

    /// The public half, as a JWK set.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk()] })
    }

    /// A token that any [`Verifier`] with [`DevKeys::jwks`] takes.
    pub fn mint(&self, grant: &Grant<'_>) -> SecretString {
        let mut claims = json!({
            "iss": grant.issuer,
            "aud": grant.audience,
            "sub": grant.sub,
            "scope": grant.scope,
            "iat": grant.issued_at,
            "exp": grant.issued_at.saturating_add(grant.lifetime_seconds),
        });
        if !grant.subjects.is_empty() {
            claims["subjects"] = json!(grant.subjects);
        }
        self.sign(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.kid }), &claims).into()
    }

    /// A verifier of the tokens of this key, without a server or a file in between.
    pub fn verifier(&self, issuer: &str, audience: &str, clock: Clock) -> Verifier {
        let settings = Settings {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            jwks_url: None,
            jwks_file: None,
            leeway_seconds: settings::leeway(),
            subject_claim: settings::subject_claim(),
            subjects_claim: settings::subjects_claim(),
        };
        let set = KeySet::parse(self.jwks().to_string().as_bytes()).expect("a JWK set made here is one");
        Verifier::fixed(settings, set, clock)
    }

    pub(super) fn jwk(&self) -> Value {
        let point = self.key.verifying_key().to_encoded_point(false);
        let coordinate = |bytes: Option<&p256::FieldBytes>| bytes.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        json!({
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "kid": self.kid,
            "x": coordinate(point.x()),
            "y": coordinate(point.y()),
        })
    }

    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

impl fmt::Debug for DevKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevKeys").field("kid", &self.kid).finish_non_exhaustive()
    }
}
