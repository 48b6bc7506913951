//! Secrets at rest: AES-256-GCM-SIV under a keyring, bound to the place where the secret is kept.
//!
//! Start at [`Keyring`]. A sealed blob is `version (1) ‖ length of key id (1) ‖ key id ‖ nonce (12) ‖ ciphertext and tag`. The place
//! ([`Place`]) and the key id are authenticated with it, so a blob that was moved to another row, cut short or sealed under another key
//! does not open. Nothing here prints a key or a plaintext.

use std::fmt;
use std::sync::Arc;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryRngCore;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

const FORMAT: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const KEY: usize = 32;
const KEY_ID_MAX: usize = 32;

/// What a sealed secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Access,
    Refresh,
    User,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::User => "user",
        }
    }
}

/// Where a sealed secret stands. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub table: &'static str,
    pub connection: Uuid,
    pub kind: Kind,
    /// The generation of the token pair; 0 for what has none.
    pub generation: i64,
}

/// One or more keys. The first seals; all of them open, so that keys can be rotated.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[Key]>,
}

/// The configured keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error("no key given, expected id:base64, the current key first")]
    None,
    #[error("key {position} has no id, expected id:base64")]
    NoId { position: usize },
    #[error("id of key {position} is not 1 to 32 characters of a-z, A-Z, 0-9, '-', '_' and '.'")]
    BadId { position: usize },
    #[error("key {position} is not base64")]
    NotBase64 { position: usize },
    #[error("key {position} has {length} bytes, expected 32")]
    Length { position: usize, length: usize },
    #[error("id of key {position} is used twice")]
    Twice { position: usize },
}

/// A blob that does not open. No variant says what was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    #[error("sealed value is cut short")]
    Short,
    #[error("sealed value has format {0}, expected 1")]
    Format(u8),
    #[error("sealed value names a key that is not in the keyring")]
    UnknownKey,
    #[error("sealed value was changed, moved from another row or sealed under another key")]
    Refused,
    #[error("sealed value is not text")]
    NotText,
}

/// The value cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    #[error("the system gave no random numbers for a nonce")]
    NoRandom,
    #[error("value is too long to seal")]
    TooLong,
}

impl Keyring {
    /// Reads `id:base64` pairs, separated by commas or white space, the current key first.
    ///
    /// # Errors
    /// [`BadKeys`] names the position of the first unusable key, counted from 1.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys: Vec<Key> = Vec::new();
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
        for (position, word) in words.enumerate().map(|(i, w)| (i + 1, w)) {
            let (id, secret) = word.split_once(':').ok_or(BadKeys::NoId { position })?;
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if id.is_empty() || id.len() > KEY_ID_MAX || !id.chars().all(good) {
                return Err(BadKeys::BadId { position });
            }
            if keys.iter().any(|k| k.id == id) {
                return Err(BadKeys::Twice { position });
            }
            let bytes = Zeroizing::new(STANDARD.decode(secret).map_err(|_| BadKeys::NotBase64 { position })?);
            let key = Zeroizing::new(
                <[u8; KEY]>::try_from(bytes.as_slice()).map_err(|_| BadKeys::Length { position, length: bytes.len() })?,
            );
            keys.push(Key::new(id, &key));
        }
        if keys.is_empty() { Err(BadKeys::None) } else { Ok(Self { keys: keys.into() }) }
    }

    /// One random key that nobody knows: what it seals is lost with the process. For tests and throw-away stores.
    ///
    /// # Panics
    /// When the operating system gives no random numbers.
    pub fn ephemeral() -> Self {
        let mut key = [0_u8; KEY];
        rand::rngs::OsRng.try_fill_bytes(&mut key).expect("random numbers of the operating system");
        let ring = Self { keys: Arc::from([Key::new("ephemeral", &key)]) };
        key.zeroize();
        ring
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        &self.keys[0].id
    }

    /// # Errors
    /// [`Unsealed`]; the plaintext is not in it.
    pub fn seal(&self, place: &Place, secret: &SecretString) -> Result<Vec<u8>, Unsealed> {
        let key = &self.keys[0];
        let mut nonce = [0_u8; NONCE];
        rand::rngs::OsRng.try_fill_bytes(&mut nonce).map_err(|_| Unsealed::NoRandom)?;
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: &bound(place, &key.id) };
        let sealed = key.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| Unsealed::TooLong)?;
        let mut blob = Vec::with_capacity(2 + key.id.len() + NONCE + sealed.len());
        // `parse` limits the id to 32 bytes.
        blob.extend_from_slice(&[FORMAT, key.id.len() as u8]);
        blob.extend_from_slice(key.id.as_bytes());
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&sealed);
        Ok(blob)
    }

    /// # Errors
    /// [`Unopened`] for everything that this keyring did not seal for exactly this place.
    pub fn open(&self, place: &Place, blob: &[u8]) -> Result<SecretString, Unopened> {
        let (&format, rest) = blob.split_first().ok_or(Unopened::Short)?;
        if format != FORMAT {
            return Err(Unopened::Format(format));
        }
        let (&length, rest) = rest.split_first().ok_or(Unopened::Short)?;
        let (id, rest) = rest.split_at_checked(usize::from(length)).ok_or(Unopened::Short)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or(Unopened::Short)?;
        if sealed.len() < TAG {
            return Err(Unopened::Short);
        }
        let key = self.keys.iter().find(|k| k.id.as_bytes() == id).ok_or(Unopened::UnknownKey)?;
        let nonce = Nonce::try_from(nonce).map_err(|_| Unopened::Short)?;
        let payload = Payload { msg: sealed, aad: &bound(place, &key.id) };
        let plain = key.cipher.decrypt(&nonce, payload).map_err(|_| Unopened::Refused)?;
        match String::from_utf8(plain) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(e) => {
                e.into_bytes().zeroize();
                Err(Unopened::NotText)
            }
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|k| &k.id)).finish()
    }
}

struct Key {
    id: String,
    cipher: Aes256GcmSiv,
}

impl Key {
    fn new(id: &str, key: &[u8; KEY]) -> Self {
        Self { id: id.to_owned(), cipher: Aes256GcmSiv::new(key.into()) }
    }
}

/// What is authenticated with the secret. Every part carries its length, so that no two places give the same bytes.
fn bound(place: &Place, key_id: &str) -> Vec<u8> {
    let generation = place.generation.to_be_bytes();
    let parts: [&[u8]; 5] =
        [place.table.as_bytes(), place.connection.as_bytes(), place.kind.as_str().as_bytes(), &generation, key_id.as_bytes()];
    let mut out = Vec::with_capacity(96);
    for part in parts {
        out.extend_from_slice(&(part.len() as u32).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { table: "tokens", connection: Uuid::from_u128(7), kind: Kind::Access, generation: 3 }
    }

    fn ring(ids: &[(&str, u8)]) -> Keyring {
        let text: Vec<String> = ids.iter().map(|(id, byte)| format!("{id}:{}", STANDARD.encode([*byte; KEY]))).collect();
        Keyring::parse(&text.join(",")).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let ring = Keyring::ephemeral();
        let blob = ring.seal(&place(), &"hunter2".into()).unwrap();
        assert_eq!(ring.open(&place(), &blob).unwrap().expose_secret(), "hunter2");
        let elsewhere = [
            Place { table: "connections", ..place() },
            Place { connection: Uuid::from_u128(8), ..place() },
            Place { kind: Kind::Refresh, ..place() },
            Place { generation: 4, ..place() },
        ];
        for other in elsewhere {
            assert_eq!(ring.open(&other, &blob).unwrap_err(), Unopened::Refused, "{other:?}");
        }
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_refused() {
        let ring = ring(&[("k", 1)]);
        let blob = ring.seal(&place(), &"hunter2".into()).unwrap();
        for length in 0..blob.len() {
            assert!(ring.open(&place(), &blob[..length]).is_err(), "{length} bytes");
        }
        for bit in 0..blob.len() * 8 {
            let mut changed = blob.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(ring.open(&place(), &changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_rotated_keyring_opens_old_values_and_seals_under_the_new_key() {
        let old = ring(&[("2025", 1)]).seal(&place(), &"hunter2".into()).unwrap();
        let both = ring(&[("2026", 2), ("2025", 1)]);
        assert_eq!(both.open(&place(), &old).unwrap().expose_secret(), "hunter2");
        let new = both.seal(&place(), &"hunter2".into()).unwrap();
        assert_eq!(ring(&[("2025", 1)]).open(&place(), &new).unwrap_err(), Unopened::UnknownKey);
        assert_eq!(ring(&[("2026", 9)]).open(&place(), &new).unwrap_err(), Unopened::Refused);
        assert_eq!(both.current(), "2026");
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let ring = Keyring::ephemeral();
        assert_ne!(ring.seal(&place(), &"x".into()).unwrap(), ring.seal(&place(), &"x".into()).unwrap());
    }

    #[test]
    fn unusable_keys_are_named_by_their_position() {
        let good = STANDARD.encode([1; KEY]);
        assert_eq!(Keyring::parse(" \n").unwrap_err(), BadKeys::None);
        assert_eq!(Keyring::parse("abc").unwrap_err(), BadKeys::NoId { position: 1 });
        assert_eq!(Keyring::parse(&format!("a b:{good}")).unwrap_err(), BadKeys::NoId { position: 1 });
        assert_eq!(Keyring::parse(&format!("a:{good},ä:{good}")).unwrap_err(), BadKeys::BadId { position: 2 });
        assert_eq!(Keyring::parse("a:%%%").unwrap_err(), BadKeys::NotBase64 { position: 1 });
        assert_eq!(Keyring::parse("a:AAAA").unwrap_err(), BadKeys::Length { position: 1, length: 3 });
        assert_eq!(Keyring::parse(&format!("a:{good} a:{good}")).unwrap_err(), BadKeys::Twice { position: 2 });
    }

    #[test]
    fn a_keyring_prints_ids_alone() {
        let key = STANDARD.encode([1; KEY]);
        assert_eq!(format!("{:?}", Keyring::parse(&format!("a:{key}")).unwrap()), r#"["a"]"#);
        assert!(!BadKeys::NotBase64 { position: 1 }.to_string().contains("%%%"));
    }
}
