//! Google's signature: a Tink-prefixed ECDSA over the raw body, judged against the published key set.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::Deserialize;

use crate::source::Refusal;

/// Padding is left out by some writers of base64.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Tink's output prefix: this byte and the key id, four bytes, the highest first.
const TINK: u8 = 1;

/// Judges `signature` (base64 of prefix and DER) over `body` by `keyset` (Tink's JSON).
///
/// # Errors
/// 401: `unknown_key` when the key set is missing or has no usable key of that id, `bad_signature` for everything else.
pub fn verify(signature: &[u8], body: &[u8], keyset: Option<&[u8]>) -> Result<(), Refusal> {
    let refused = || Refusal::new(401, "bad_signature");
    let bytes = BASE64.decode(signature.trim_ascii()).map_err(|_| refused())?;
    let [TINK, a, b, c, d, der @ ..] = bytes.as_slice() else { return Err(refused()) };
    let id = u32::from_be_bytes([*a, *b, *c, *d]);
    let signature = Signature::from_der(der).map_err(|_| refused())?;
    let key = keyset.and_then(|keyset| key(keyset, id)).ok_or_else(Refusal::unknown_key)?;
    key.verify(body, &signature).map_err(|_| refused())
}

#[derive(Deserialize)]
struct Keyset {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    key_id: u32,
    #[serde(default)]
    status: String,
    #[serde(default)]
    output_prefix_type: String,
    key_data: KeyData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyData {
    #[serde(default)]
    type_url: String,
    value: String,
}

/// The usable key of this id. A key that is switched off is as good as absent.
fn key(keyset: &[u8], id: u32) -> Option<VerifyingKey> {
    let keyset: Keyset = serde_json::from_slice(keyset).ok()?;
    let usable = |entry: &&Entry| {
        entry.key_id == id
            && entry.status == "ENABLED"
            && entry.output_prefix_type == "TINK"
            && entry.key_data.type_url.ends_with(".EcdsaPublicKey")
    };
    keyset.key.iter().filter(usable).find_map(|entry| point(&BASE64.decode(&entry.key_data.value).ok()?))
}

/// The point of a serialised `EcdsaPublicKey`: params = 2, x = 3, y = 4.
fn point(message: &[u8]) -> Option<VerifyingKey> {
    let (mut x, mut y) = (None, None);
    for field in Protobuf(message) {
        match field? {
            (2, Field::Bytes(params)) => fits(params)?,
            (3, Field::Bytes(bytes)) => x = Some(coordinate(bytes)?),
            (4, Field::Bytes(bytes)) => y = Some(coordinate(bytes)?),
            _ => {}
        }
    }
    let point = p256::EncodedPoint::from_affine_coordinates(&x?.into(), &y?.into(), false);
    VerifyingKey::from_encoded_point(&point).ok()
}

/// SHA-256, P-256 and DER, as Tink numbers them; a key for something else would verify nothing here.
fn fits(params: &[u8]) -> Option<()> {
    for field in Protobuf(params) {
        match field? {
            (1, Field::Number(hash)) if hash != 3 => return None,
            (2, Field::Number(curve)) if curve != 2 => return None,
            (3, Field::Number(encoding)) if encoding != 2 => return None,
            _ => {}
        }
    }
    Some(())
}

/// A number of at most 32 bytes behind leading zeros, written with all 32.
fn coordinate(bytes: &[u8]) -> Option<[u8; 32]> {
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    let digits = &bytes[first..];
    let mut out = [0; 32];
    out[32usize.checked_sub(digits.len())?..].copy_from_slice(digits);
    Some(out)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message; an item is `None` where the message is broken, and the last then.
struct Protobuf<'a>(&'a [u8]);

impl<'a> Iterator for Protobuf<'a> {
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Protobuf<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Bytes(self.bytes(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.bytes(length)?)
            }
            5 => Field::Bytes(self.bytes(4)?),
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
