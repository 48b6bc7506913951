//! The symmetric signature of the Standard Webhooks specification, version 1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;

use super::SettingsError;

const PREFIX: &str = "whsec_";

/// Fewest and most bytes of a key, by the specification.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The keys in use: one, or several while receivers change from one to the next.
#[derive(Debug)]
pub(super) struct Keys(Vec<SecretSlice<u8>>);

impl Keys {
    /// Reads `whsec_<base64>`, several separated by spaces or commas.
    ///
    /// # Errors
    /// Says which one is wrong by its place in the list, never by its text.
    pub(super) fn parse(secret: &SecretString) -> Result<Self, SettingsError> {
        let given = secret.expose_secret().split(|c: char| c == ',' || c.is_whitespace()).filter(|one| !one.is_empty());
        let keys: Vec<_> = given
            .enumerate()
            .map(|(index, one)| key(one).ok_or(SettingsError::Secret { place: index + 1 }))
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(SettingsError::NoSecret) } else { Ok(Self(keys)) }
    }

    /// The value of `webhook-signature`: one signature per key, in the order of the keys. `timestamp` is in seconds since the epoch.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures: Vec<String> = self.0.iter().map(|key| sign(key.expose_secret(), id, timestamp, body)).collect();
        signatures.join(" ")
    }
}

fn key(text: &str) -> Option<SecretSlice<u8>> {
    let bytes = Zeroizing::new(STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?);
    BYTES.contains(&bytes.len()).then(|| SecretSlice::from(bytes.to_vec()))
}

fn sign(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn parse(text: &str) -> Result<Keys, SettingsError> {
        Keys::parse(&SecretString::from(text))
    }

    fn signed(secrets: &str) -> String {
        parse(secrets).unwrap().sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
    }

    #[test]
    fn the_signature_is_the_published_one() {
        assert_eq!(signed(PUBLISHED), SIGNATURE);
    }

    #[test]
    fn two_secrets_give_two_signatures_in_their_order() {
        let other = format!("{PREFIX}{}", STANDARD.encode([7; 32]));
        let alone = signed(&other);
        assert_ne!(alone, SIGNATURE);
        for separator in [" ", ",", ", ", "\n"] {
            assert_eq!(signed(&format!("{PUBLISHED}{separator}{other}\n")), format!("{SIGNATURE} {alone}"));
        }
    }

    #[test]
    fn keys_of_24_to_64_bytes_are_taken_and_no_others() {
        for (bytes, taken) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(parse(&format!("{PREFIX}{}", STANDARD.encode(vec![1; bytes]))).is_ok(), taken, "{bytes} bytes");
        }
    }

    #[test]
    fn a_wrong_secret_is_named_by_its_place_and_not_by_its_text() {
        for wrong in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_not*base64*not*base64*not*base64",
            "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let error = parse(&format!("{PUBLISHED} {wrong}")).unwrap_err();
            assert!(matches!(error, SettingsError::Secret { place: 2 }));
            assert!(!error.to_string().contains(&wrong[6..]), "{error}");
        }
        assert!(matches!(parse(" , "), Err(SettingsError::NoSecret)));
    }
}
