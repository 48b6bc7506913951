//! Public keys of a JWK set (RFC 7517): which are used, and for which one algorithm each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use p256::ecdsa::VerifyingKey;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::denied::Reason;

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Exponents in use are 3 and 65537; a huge one only costs time.
const EXPONENT_BYTES: usize = 4;

/// A key that may check signatures of its one algorithm.
pub(super) struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    /// Whether `signature` (base64url) over `message` was made with this key.
    pub fn signed(&self, message: &str, signature: &str) -> bool {
        crypto::verify(signature, message.as_bytes(), &self.key, self.algorithm).unwrap_or(false)
    }
}

/// The usable keys of a set.
pub(super) struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Leaves out keys that must not be used, with a warning; `None` for what is no JWK set at all.
    pub fn parse(document: &[u8]) -> Option<Self> {
        // The library picks its cryptography by its features, and not at all should another crate ever turn on both.
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let document: Document = serde_json::from_slice(document).ok()?;
        let mut usable: Vec<Key> = Vec::new();
        for given in &document.keys {
            match key(given) {
                Ok(key) if usable.iter().any(|k| k.kid.is_some() && k.kid == key.kid && k.algorithm == key.algorithm) => {
                    tracing::warn!(reason = "a second key of one kid", "key of the JWK set not used");
                }
                Ok(key) => usable.push(key),
                Err(reason) => tracing::debug!(reason, "key of the JWK set not used"),
            }
        }
        if usable.is_empty() {
            tracing::warn!(keys = document.keys.len(), "the JWK set has no key that can be used");
        }
        Some(Self(usable))
    }

    /// The key of a token whose header names `kid` and `algorithm`.
    pub fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Reason> {
        let Some(kid) = kid else {
            let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(Reason::UnknownKey),
            };
        };
        let mut named = self.0.iter().filter(|key| key.kid.as_deref() == Some(kid)).peekable();
        named.peek().ok_or(Reason::UnknownKey)?;
        named.find(|key| key.algorithm == algorithm).ok_or(Reason::Algorithm)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn key(given: &Value) -> Result<Key, &'static str> {
    let given = given.as_object().ok_or("no object")?;
    if given.contains_key("d") {
        return Err("a private key was published");
    }
    if given.get("use").is_some_and(|usage| usage != "sig") {
        return Err("not for signatures");
    }
    if let Some(operations) = given.get("key_ops")
        && !operations.as_array().is_some_and(|all| all.iter().any(|operation| operation == "verify"))
    {
        return Err("not for checking signatures");
    }
    let kid = match given.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err("kid is no text"),
    };
    let (algorithm, name, key) = match given.get("kty").and_then(Value::as_str) {
        Some("RSA") => (Algorithm::RS256, "RS256", rsa(given)?),
        Some("EC") => (Algorithm::ES256, "ES256", p256(given)?),
        _ => return Err("kty is neither RSA nor EC"),
    };
    if given.get("alg").is_some_and(|alg| alg != name) {
        return Err("for another algorithm");
    }
    Ok(Key { kid, algorithm, key })
}

fn rsa(given: &Map<String, Value>) -> Result<DecodingKey, &'static str> {
    let (n, e) = (number(given, "n")?, number(given, "e")?);
    if !RSA_BITS.contains(&bits(&n)) {
        return Err("not of 2048 to 8192 bits");
    }
    if bits(&e) < 2 || e.len() > EXPONENT_BYTES || e.last().is_none_or(|low| low % 2 == 0) {
        return Err("unusable exponent");
    }
    Ok(DecodingKey::from_rsa_raw_components(&n, &e))
}

fn p256(given: &Map<String, Value>) -> Result<DecodingKey, &'static str> {
    if given.get("crv").is_none_or(|curve| curve != "P-256") {
        return Err("not on P-256");
    }
    let mut point = vec![4];
    for name in ["x", "y"] {
        let coordinate = bytes(given, name)?;
        if coordinate.len() != 32 {
            return Err("not a coordinate of P-256");
        }
        point.extend(coordinate);
    }
    VerifyingKey::from_sec1_bytes(&point).map_err(|_| "not a point of P-256")?;
    Ok(DecodingKey::from_ec_der(&point))
}

/// Big-endian, without leading zeros.
fn number(given: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    Ok(bytes(given, name)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bytes(given: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = given.get(name).and_then(Value::as_str).ok_or("a parameter is missing")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a parameter is not base64url")
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |high| number.len() * 8 - high.leading_zeros() as usize)
}
