//! Identities that come from the data.

use uuid::Uuid;

/// The v5 of `urn:headwater:ids` under the URL namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x92f0_1e02_78f0_5c73_a6f5_9bd9_0905_fac4);

pub fn observation(connection: &str, subject: &str, data_type: &str, record_id: &str) -> Uuid {
    of(&["observation", connection, subject, data_type, record_id])
}

pub fn device(connection: &str, subject: &str, provider_device: &str) -> Uuid {
    of(&["device", connection, subject, provider_device])
}

/// Over parts that are each ended by a zero byte.
fn of(parts: &[&str]) -> Uuid {
    let mut name = Vec::with_capacity(256);
    for part in parts {
        name.extend_from_slice(part.as_bytes());
        name.push(0);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}
