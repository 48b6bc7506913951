//! Google Health's notifications: their body, and the signature in Tink's format.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::shape::{civil, local, stamp};
use crate::dice;
use crate::people::{Profile, Provider};
use crate::send::Notification;

pub(crate) const SIGNATURE_HEADER: &str = "google-health-api-signature";
const DELIVERY_AGENT: &str = "Google-Health-API-Webhooks";

/// Keys of the keyset, oldest first; the last one signs.
pub(crate) struct Signer {
    seed: u64,
    keys: Vec<(u32, SigningKey)>,
}

impl Signer {
    /// Begins with a key that is still published and one that signs.
    pub fn new(seed: u64) -> Self {
        let mut signer = Self { seed, keys: Vec::new() };
        signer.rotate();
        signer.rotate();
        signer
    }

    /// A new key signs from now on; the old ones stay in the keyset.
    pub fn rotate(&mut self) {
        let key = Self::derive(self.seed, self.keys.len() as u64);
        self.keys.push(key);
    }

    fn derive(seed: u64, number: u64) -> (u32, SigningKey) {
        let mut attempt = 0u64;
        loop {
            let digest = Sha256::digest(dice::hex(&[seed, dice::key("signing key"), number, attempt], 32).as_bytes());
            // All but a vanishing part of the 256-bit numbers are valid keys.
            if let Ok(key) = SigningKey::from_slice(&digest) {
                let id = dice::mix(&[seed, dice::key("key id"), number, attempt]) as u32;
                return (id, key);
            }
            attempt += 1;
        }
    }

    /// Tink's JSON keyset of the public keys.
    pub fn keyset(&self) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|(id, key)| {
                json!({
                    "keyData": {
                        "typeUrl": "type.googleapis.com/google.crypto.tink.EcdsaPublicKey",
                        "value": STANDARD.encode(public_key(key)),
                        "keyMaterialType": "ASYMMETRIC_PUBLIC",
                    },
                    "status": "ENABLED",
                    "keyId": id,
                    "outputPrefixType": "TINK",
                })
            })
            .collect();
        json!({"primaryKeyId": self.keys.last().map(|(id, _)| id), "key": keys})
    }

    /// Prefix byte 1, key id in big-endian order, then the signature in DER; all in base64.
    pub fn sign(&self, body: &[u8]) -> String {
        self.keys.last().map(|(id, key)| signed(*id, key, body)).unwrap_or_default()
    }

    /// Well-formed, by a key that is in no keyset.
    pub fn sign_as_stranger(&self, body: &[u8]) -> String {
        let (id, key) = Self::derive(!self.seed, u64::MAX);
        signed(id, &key, body)
    }
}

fn signed(id: u32, key: &SigningKey, body: &[u8]) -> String {
    let signature: Signature = key.sign(body);
    let mut bytes = vec![1];
    bytes.extend(id.to_be_bytes());
    bytes.extend(signature.to_der().as_bytes());
    STANDARD.encode(bytes)
}

/// The protobuf message EcdsaPublicKey: params (SHA256, NIST_P256, DER), x, y.
fn public_key(key: &SigningKey) -> Vec<u8> {
    let point = key.verifying_key().to_encoded_point(false);
    let mut bytes = vec![0x12, 6, 0x08, 3, 0x10, 2, 0x18, 2];
    for (tag, coordinate) in [(0x1a, point.x()), (0x22, point.y())] {
        let number = signed_number(coordinate.map(|bytes| &bytes[..]).unwrap_or_default());
        bytes.push(tag);
        bytes.push(number.len() as u8);
        bytes.extend(number);
    }
    bytes
}

/// A positive number in two's complement, as short as it goes: a leading zero byte before a set high bit, and 31 bytes
/// where the first one is zero.
fn signed_number(bytes: &[u8]) -> Vec<u8> {
    let significant = bytes.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &bytes[first..]);
    let mut number = Vec::with_capacity(33);
    if significant.first().is_none_or(|first| first & 0x80 != 0) {
        number.push(0);
    }
    number.extend(significant);
    number
}

/// One announcement: what changed, for whom, in which window (epoch seconds).
pub(crate) struct Entry<'a> {
    pub who: &'a Profile,
    pub kind: &'a str,
    pub delete: bool,
    pub window: (i64, i64),
}

/// An object for one entry, an array for several.
pub(crate) fn body(entries: &[Entry<'_>], subscription: &str) -> Vec<u8> {
    let mut values: Vec<Value> = entries.iter().map(|entry| render(entry, subscription)).collect();
    let value = if values.len() == 1 { values.swap_remove(0) } else { Value::Array(values) };
    value.to_string().into_bytes()
}

fn render(entry: &Entry<'_>, subscription: &str) -> Value {
    let (start, end) = entry.window;
    let (civil_start, civil_end) = (local(entry.who, start), local(entry.who, end));
    json!({"data": {
        "version": "1",
        "clientProvidedSubscriptionName": subscription,
        "healthUserId": entry.who.person.user_id,
        "operation": if entry.delete { "DELETE" } else { "UPSERT" },
        "dataType": entry.kind,
        "intervals": [{
            "physicalTimeInterval": {"startTime": stamp(start), "endTime": stamp(end)},
            "civilDateTimeInterval": {"startDateTime": civil(civil_start), "endDateTime": civil(civil_end)},
            "civilIso8601TimeInterval": {
                "startTime": civil_start.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                "endTime": civil_end.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            },
        }],
    }})
}

pub(crate) fn notification(url: &str, authorization: &str, body: Vec<u8>, signature: String) -> Notification {
    Notification {
        provider: Provider::GoogleHealth,
        url: url.to_owned(),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("user-agent".into(), DELIVERY_AGENT.into()),
            ("authorization".into(), authorization.to_owned()),
            (SIGNATURE_HEADER.into(), signature),
        ],
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_set_high_bit_get_a_leading_zero_byte() {
        assert_eq!(signed_number(&[0x80, 1]), [0, 0x80, 1]);
        assert_eq!(signed_number(&[0, 0x7f]), [0x7f]);
    }

    #[test]
    fn some_key_of_some_seed_has_a_leading_zero_byte_and_some_has_none() {
        let lengths: Vec<usize> = (0..8).map(|seed| public_key(&Signer::derive(seed, 0).1).len()).collect();
        assert!(lengths.iter().any(|length| *length > 76) && lengths.iter().any(|length| *length <= 77), "{lengths:?}");
    }
}
