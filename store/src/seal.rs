//! Secrets at rest: AES-256-GCM-SIV, bound to the place where the secret is kept.
//!
//! Start at [`Keyring`] (the configured keys, which wrap data keys) and [`DataKey`] (a key of one owner, which seals what is the owner's). A
//! sealed blob is `version (1) ‖ length of key id (1) ‖ key id ‖ nonce (12) ‖ ciphertext and tag`. The place ([`Place`]) and the key id are
//! authenticated with it, so a blob that was moved to another row, cut short or sealed under another key does not open. Nothing here
//! prints a key or a plaintext.

use std::fmt;
use std::sync::Arc;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::TryRngCore;
use sha2::Sha256;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

const FORMAT: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const KEY: usize = 32;
const KEY_ID_MAX: usize = 32;

/// How it is named where the sealed value travels: `encryption.algorithm` of raw records.
pub const ALGORITHM: &str = "AES-256-GCM-SIV";

/// The bytes of a key; wiped when dropped.
pub type KeyBytes = Zeroizing<[u8; KEY]>;

/// What a sealed secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Access,
    Refresh,
    User,
    DataKey,
    Identity,
    Pending,
    Body,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::User => "user",
            Self::DataKey => "data key",
            Self::Identity => "identity",
            Self::Pending => "pending",
            Self::Body => "body",
        }
    }
}

/// Where a sealed secret stands. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    pub table: &'static str,
    /// Key of the row: a connection's or record's id, a subject, a hash.
    pub row: &'a [u8],
    pub kind: Kind,
    /// The generation of the token pair; 0 for what has none.
    pub generation: i64,
}

/// One or more keys. The first seals; all of them open, so that keys can be rotated.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[Key]>,
}

/// A key of one owner. Whoever deletes every wrapped copy of it has deleted all that it sealed, wherever that is.
pub struct DataKey {
    id: Uuid,
    key: Key,
    marks: Zeroizing<[u8; KEY]>,
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
        let key = random_key().expect("random numbers of the operating system");
        Self { keys: Arc::from([Key::new("ephemeral", &key)]) }
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        &self.keys[0].id
    }

    /// # Errors
    /// [`Unsealed`]; the plaintext is not in it.
    pub fn seal(&self, place: &Place<'_>, secret: &[u8]) -> Result<Vec<u8>, Unsealed> {
        self.keys[0].seal(place, secret)
    }

    /// # Errors
    /// [`Unopened`] for everything that this keyring did not seal for exactly this place.
    pub fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let blob = Blob::parse(blob)?;
        self.keys.iter().find(|k| k.id.as_bytes() == blob.key).ok_or(Unopened::UnknownKey)?.open(place, &blob)
    }

    /// Whether the blob was sealed under the key that seals now.
    pub fn sealed_by_current(&self, blob: &[u8]) -> bool {
        Blob::parse(blob).is_ok_and(|blob| blob.key == self.current().as_bytes())
    }
}

impl DataKey {
    pub fn new(id: Uuid, key: &[u8; KEY]) -> Self {
        // Another key for the marks, so that no one key does two kinds of work.
        let marks = Zeroizing::new(mac(key, b"headwater marks"));
        Self { id, key: Key::new(&id.simple().to_string(), key), marks }
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// # Errors
    /// [`Unsealed`]; the plaintext is not in it.
    pub fn seal(&self, place: &Place<'_>, secret: &[u8]) -> Result<Vec<u8>, Unsealed> {
        self.key.seal(place, secret)
    }

    /// # Errors
    /// [`Unopened`] for everything that this key did not seal for exactly this place.
    pub fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let blob = Blob::parse(blob)?;
        if blob.key != self.key.id.as_bytes() {
            return Err(Unopened::UnknownKey);
        }
        self.key.open(place, &blob)
    }

    /// The same for the same text and key, and of no use to whoever lacks the key: what a row can be looked up by without saying what it is.
    pub fn mark(&self, text: &[u8]) -> [u8; 32] {
        mac(&self.marks, text)
    }
}

/// The id of the data key that a blob was sealed under.
///
/// # Errors
/// [`Unopened`] for what no data key sealed.
pub fn data_key_of(blob: &[u8]) -> Result<Uuid, Unopened> {
    let blob = Blob::parse(blob)?;
    std::str::from_utf8(blob.key).ok().and_then(|id| Uuid::try_parse(id).ok()).ok_or(Unopened::UnknownKey)
}

/// # Errors
/// When the operating system gives no random numbers.
pub fn random_key() -> Result<KeyBytes, Unsealed> {
    let mut key = Zeroizing::new([0_u8; KEY]);
    rand::rngs::OsRng.try_fill_bytes(&mut *key).map_err(|_| Unsealed::NoRandom)?;
    Ok(key)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|k| &k.id)).finish()
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DataKey").field(&self.id).finish()
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

    fn seal(&self, place: &Place<'_>, secret: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let mut nonce = [0_u8; NONCE];
        rand::rngs::OsRng.try_fill_bytes(&mut nonce).map_err(|_| Unsealed::NoRandom)?;
        let payload = Payload { msg: secret, aad: &bound(place, &self.id) };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| Unsealed::TooLong)?;
        let mut blob = Vec::with_capacity(2 + self.id.len() + NONCE + sealed.len());
        // Ids are at most 32 bytes: `parse` limits them, and a simple UUID has 32.
        blob.extend_from_slice(&[FORMAT, self.id.len() as u8]);
        blob.extend_from_slice(self.id.as_bytes());
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&sealed);
        Ok(blob)
    }

    fn open(&self, place: &Place<'_>, blob: &Blob<'_>) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let nonce = Nonce::try_from(blob.nonce).map_err(|_| Unopened::Short)?;
        let payload = Payload { msg: blob.sealed, aad: &bound(place, &self.id) };
        self.cipher.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| Unopened::Refused)
    }
}

/// A sealed blob, taken apart.
struct Blob<'b> {
    key: &'b [u8],
    nonce: &'b [u8],
    sealed: &'b [u8],
}

impl<'b> Blob<'b> {
    fn parse(blob: &'b [u8]) -> Result<Self, Unopened> {
        let (&format, rest) = blob.split_first().ok_or(Unopened::Short)?;
        if format != FORMAT {
            return Err(Unopened::Format(format));
        }
        let (&length, rest) = rest.split_first().ok_or(Unopened::Short)?;
        let (key, rest) = rest.split_at_checked(usize::from(length)).ok_or(Unopened::Short)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or(Unopened::Short)?;
        if sealed.len() < TAG { Err(Unopened::Short) } else { Ok(Self { key, nonce, sealed }) }
    }
}

/// Text that was sealed.
///
/// # Errors
/// When it is not UTF-8.
pub fn text(plain: Zeroizing<Vec<u8>>) -> Result<String, Unopened> {
    let mut plain = plain;
    String::from_utf8(std::mem::take(&mut *plain)).map_err(|e| {
        e.into_bytes().zeroize();
        Unopened::NotText
    })
}

fn mac(key: &[u8; KEY], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// What is authenticated with the secret. Every part carries its length, so that no two places give the same bytes.
fn bound(place: &Place<'_>, key_id: &str) -> Vec<u8> {
    let generation = place.generation.to_be_bytes();
    let parts: [&[u8]; 5] = [place.table.as_bytes(), place.row, place.kind.as_str().as_bytes(), &generation, key_id.as_bytes()];
    let mut out = Vec::with_capacity(128);
    for part in parts {
        out.extend_from_slice(&(part.len() as u32).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place<'static> {
        Place { table: "tokens", row: b"seven", kind: Kind::Access, generation: 3 }
    }

    fn ring(ids: &[(&str, u8)]) -> Keyring {
        let text: Vec<String> = ids.iter().map(|(id, byte)| format!("{id}:{}", STANDARD.encode([*byte; KEY]))).collect();
        Keyring::parse(&text.join(",")).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let ring = Keyring::ephemeral();
        let blob = ring.seal(&place(), b"hunter2").unwrap();
        assert_eq!(ring.open(&place(), &blob).unwrap().as_slice(), b"hunter2");
        let elsewhere = [
            Place { table: "connections", ..place() },
            Place { row: b"eight", ..place() },
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
        let blob = ring.seal(&place(), b"hunter2").unwrap();
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
        let old = ring(&[("2025", 1)]).seal(&place(), b"hunter2").unwrap();
        let both = ring(&[("2026", 2), ("2025", 1)]);
        assert_eq!(both.open(&place(), &old).unwrap().as_slice(), b"hunter2");
        let new = both.seal(&place(), b"hunter2").unwrap();
        assert_eq!(ring(&[("2025", 1)]).open(&place(), &new).unwrap_err(), Unopened::UnknownKey);
        assert_eq!(ring(&[("2026", 9)]).open(&place(), &new).unwrap_err(), Unopened::Refused);
        assert_eq!(both.current(), "2026");
        assert!(both.sealed_by_current(&new) && !both.sealed_by_current(&old));
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let ring = Keyring::ephemeral();
        assert_ne!(ring.seal(&place(), b"x").unwrap(), ring.seal(&place(), b"x").unwrap());
    }

    #[test]
    fn a_data_key_opens_what_it_sealed_and_no_other_does() {
        let (mine, other) = (DataKey::new(Uuid::from_u128(1), &[1; KEY]), DataKey::new(Uuid::from_u128(2), &[1; KEY]));
        let blob = mine.seal(&place(), b"hunter2").unwrap();
        assert_eq!(data_key_of(&blob), Ok(mine.id()));
        assert_eq!(mine.open(&place(), &blob).unwrap().as_slice(), b"hunter2");
        assert_eq!(other.open(&place(), &blob).unwrap_err(), Unopened::UnknownKey);
        assert_eq!(DataKey::new(Uuid::from_u128(1), &[9; KEY]).open(&place(), &blob).unwrap_err(), Unopened::Refused);
        assert!(ring(&[("k", 1)]).open(&place(), &blob).is_err());
        assert_eq!(format!("{mine:?}"), "DataKey(00000000-0000-0000-0000-000000000001)");
    }

    #[test]
    fn a_mark_is_the_same_for_one_text_and_key_only() {
        let key = DataKey::new(Uuid::from_u128(1), &[1; KEY]);
        assert_eq!(key.mark(b"a"), key.mark(b"a"));
        assert_ne!(key.mark(b"a"), key.mark(b"b"));
        assert_ne!(key.mark(b"a"), DataKey::new(Uuid::from_u128(1), &[2; KEY]).mark(b"a"));
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
