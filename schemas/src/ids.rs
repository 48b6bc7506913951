//! Identities. They come from the data, never from the attempt, so that a repeat is the same record.

use uuid::Uuid;

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

/// UUIDv5 over the parts, each ended by a zero byte so that no two lists of parts read the same.
fn of(parts: &[&str]) -> Uuid {
    let mut stack = [0u8; 256];
    let len: usize = parts.iter().map(|part| part.len() + 1).sum();
    if len <= stack.len() {
        let mut at = 0;
        for part in parts {
            stack[at..at + part.len()].copy_from_slice(part.as_bytes());
            at += part.len() + 1;
        }
        Uuid::new_v5(&NAMESPACE, &stack[..len])
    } else {
        let mut heap = Vec::with_capacity(len);
        for part in parts {
            heap.extend_from_slice(part.as_bytes());
            heap.push(0);
        }
        Uuid::new_v5(&NAMESPACE, &heap)
    }
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
    fn ids_never_change_between_releases() {
        assert_eq!(connection("withings", "42").to_string(), "ce6334e3-5471-5c4a-a6df-689a1d1d75aa");
    }
}
