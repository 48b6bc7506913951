//! Signatures of notifications: HMACs over the bytes as they came, compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::source::{Inbound, Refusal};

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Base64,
    /// In either case.
    Hex,
}

/// Holds a call to the HMAC-SHA256 of `parts`, one after the other. An unset key fits nothing.
///
/// # Errors
/// 401 with a code of what is wrong.
pub fn hmac_sha256(key: Option<&str>, parts: &[&[u8]], given: &[u8], written: Written) -> Result<(), Refusal> {
    let wrong = |code| Refusal::new(401, code);
    let key = key.filter(|key| !key.is_empty()).ok_or_else(|| wrong("no_client_secret"))?;
    let given = match written {
        Written::Base64 => STANDARD.decode(given).ok(),
        Written::Hex => unhex(given),
    };
    let given = given.ok_or_else(|| wrong("bad_signature"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| wrong("no_client_secret"))?;
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(&given).map_err(|_| wrong("bad_signature"))
}

/// A header that must be there.
///
/// # Errors
/// 401 `missing_signature`.
pub fn header<'c>(call: &'c Inbound<'_>, name: &str) -> Result<&'c [u8], Refusal> {
    call.header(name).ok_or_else(|| Refusal::new(401, "missing_signature"))
}

/// Refuses a stamp, in microseconds, that lies further from now than the tolerance: a call that was recorded must not be played back.
///
/// # Errors
/// 401 `stale`.
pub fn fresh(call: &Inbound<'_>, stamp: Option<i64>, tolerance: i64) -> Result<(), Refusal> {
    match stamp {
        Some(stamp) if call.now.saturating_sub(stamp).saturating_abs() <= tolerance => Ok(()),
        Some(_) => Err(Refusal::new(401, "stale")),
        None => Err(Refusal::new(401, "bad_timestamp")),
    }
}

/// A whole number in ASCII digits.
pub fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
