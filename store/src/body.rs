//! Bodies of raw records, sealed under a key of their subject: from a log that cannot be edited a person is erased by deleting the key.

use headwater_schemas::raw::{Encryption, Raw};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::seal::{ALGORITHM, DataKey, Kind, Place, Unopened, Unsealed};

/// Seals a raw record's body for exactly this record.
///
/// # Errors
/// [`Unsealed`].
pub fn seal(key: &DataKey, raw: &Raw<'_>) -> Result<Vec<u8>, Unsealed> {
    key.seal(&place(&row(raw)), raw.body)
}

/// What a sealed record says about its seal; `id` is the key's in its simple form.
pub fn note(id: &str) -> Encryption<'_> {
    Encryption { key_id: id, algorithm: ALGORITHM }
}

/// The key that a sealed record names.
pub fn key_id(encryption: &Encryption<'_>) -> Option<Uuid> {
    Uuid::try_parse(encryption.key_id).ok().filter(|_| encryption.algorithm == ALGORITHM)
}

/// Opens a raw record's body.
///
/// # Errors
/// [`Unopened`] where the record is not the one it was sealed for.
pub fn open(key: &DataKey, raw: &Raw<'_>) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    key.open(&place(&row(raw)), raw.body)
}

/// Whose, of which account, and of which stream: a body cannot be passed off as somebody else's or as another kind.
fn row(raw: &Raw<'_>) -> Vec<u8> {
    let mut row = Vec::with_capacity(64 + raw.subject_id.len() + raw.stream.len());
    row.extend_from_slice(raw.raw_id.as_bytes());
    row.extend_from_slice(raw.connection_id.as_bytes());
    for part in [raw.subject_id, raw.provider, raw.stream] {
        row.extend_from_slice(&(part.len() as u32).to_be_bytes());
        row.extend_from_slice(part.as_bytes());
    }
    row
}

fn place(row: &[u8]) -> Place<'_> {
    Place { table: "raw", row, kind: Kind::Body, generation: 0 }
}
