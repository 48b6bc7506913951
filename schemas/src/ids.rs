//! Identities. They come from the data, never from the attempt, so that a repeat is the same record.

use sha1::{Digest as _, Sha1};
use uuid::{Builder, Uuid};

/// Namespace of all our UUIDv5: the v5 of `urn:headwater:ids` under the URL namespace.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x92f0_1e02_78f0_5c73_a6f5_9bd9_0905_fac4);

/// Identity of a link to one account at a provider. Known from the account alone, so a webhook needs no look-up to be keyed.
pub fn connection(provider: &str, provider_user: &str) -> Uuid {
    of(&["connection", provider, provider_user])
}

/// Identity of an observation. Holds neither value, unit, offset nor mapper version, so a correction keeps it.
pub fn observation(connection: Uuid, subject: &str, data_type: &str, record_id: &str) -> Uuid {
    let mut text = Uuid::encode_buffer();
    of(&["observation", connection.hyphenated().encode_lower(&mut text), subject, data_type, record_id])
}

/// Identity of a device: the provider's device id, or maker and model where it gives none.
pub fn device(connection: Uuid, subject: &str, provider_device: &str) -> Uuid {
    let mut text = Uuid::encode_buffer();
    of(&["device", connection.hyphenated().encode_lower(&mut text), subject, provider_device])
}

/// Whether FHIR takes this as an id: a subject is a Patient there.
pub fn is_fhir(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// UUIDv5 over the parts, each ended by a zero byte so that no two lists of parts read the same. Hashed here and not by `uuid`, whose SHA-1 knows
/// no instructions of the CPU: this is done for every observation.
fn of(parts: &[&str]) -> Uuid {
    let mut hash = Sha1::new_with_prefix(NAMESPACE);
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let hash: [u8; 20] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_data_has_the_same_id_and_shifted_parts_have_another() {
        let c = connection("acme_band", "1");
        assert_eq!(observation(c, "s", "body-weight", "12"), observation(c, "s", "body-weight", "12"));
        assert_ne!(observation(c, "s", "body-weight", "12"), observation(c, "s", "body-weight1", "2"));
    }

    #[test]
    fn a_long_record_id_is_hashed_whole() {
        let c = connection("acme_band", "1");
        let long = "x".repeat(400);
        assert_ne!(observation(c, "s", "t", &long), observation(c, "s", "t", &long[1..]));
    }

    #[test]
    fn an_id_is_the_v5_of_its_parts() {
        let v5 = Uuid::new_v5(&NAMESPACE, b"connection\0acme_band\x001\0");
        assert_eq!(connection("acme_band", "1"), v5);
    }

    #[test]
    fn ids_never_change_between_releases() {
        assert_eq!(connection("withings", "42").to_string(), "ce6334e3-5471-5c4a-a6df-689a1d1d75aa");
    }
}
