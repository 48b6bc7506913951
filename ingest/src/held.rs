//! What we hold of a window: enough to tell a correction, a deletion and a return, and nothing of anybody's health.

use std::collections::HashMap;

use headwater_schemas::observation::Status;
use headwater_schemas::reading::Reading;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// One observation that an answer to this window contained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub id: Uuid,
    pub digest: u64,
    pub start: i64,
    pub end: Option<i64>,
    /// It was said to be unfinished: finishing it is no amendment.
    pub preliminary: bool,
    /// A later answer did not contain it.
    pub gone: bool,
    /// Which of the connection's subjects it was said of.
    pub subject: u32,
    pub data_type: String,
}

/// Digest of what a reading says, without when the source touched it.
pub(crate) fn digest(reading: &Reading<'_>) -> u64 {
    let said =
        format!("{:?}|{:?}|{:?}|{:?}|{:?}", reading.status, reading.effective, reading.value, reading.components, reading.method);
    let hash = Sha256::digest(said.as_bytes());
    u64::from_le_bytes(hash[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

impl Held {
    pub(crate) fn of(id: Uuid, subject: &str, reading: &Reading<'_>) -> Self {
        Self {
            id,
            digest: digest(reading),
            start: reading.effective.start().micros,
            end: reading.effective.end().map(|e| e.micros),
            preliminary: reading.status == Status::Preliminary,
            gone: false,
            subject: subject_mark(subject),
            data_type: reading.measure.slug.to_owned(),
        }
    }
}

/// A short mark of a subject, enough to tell the few of one connection apart.
pub(crate) fn subject_mark(subject: &str) -> u32 {
    let hash = Sha256::digest(subject.as_bytes());
    u32::from_le_bytes(hash[..4].try_into().expect("a SHA-256 has 32 bytes"))
}

/// What we hold of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The greatest version that anything of this window was told with. What is told next must be greater, whatever the clock says by then:
    /// another instance's may be behind.
    pub said: i64,
    pub entries: HashMap<Uuid, Held>,
}

/// 2, what was said, then per entry: id, digest, start, end, subject, flags, length of the type, type.
pub(crate) fn encode(bucket: &Bucket) -> Vec<u8> {
    let mut blob = vec![2];
    blob.extend_from_slice(&bucket.said.to_le_bytes());
    for entry in bucket.entries.values() {
        blob.extend_from_slice(entry.id.as_bytes());
        blob.extend_from_slice(&entry.digest.to_le_bytes());
        blob.extend_from_slice(&entry.start.to_le_bytes());
        blob.extend_from_slice(&entry.end.unwrap_or(i64::MIN).to_le_bytes());
        blob.extend_from_slice(&entry.subject.to_le_bytes());
        blob.push(u8::from(entry.preliminary) | u8::from(entry.gone) << 1);
        let slug = &entry.data_type.as_bytes()[..entry.data_type.len().min(255)];
        blob.push(slug.len() as u8);
        blob.extend_from_slice(slug);
    }
    blob
}

/// `None` when the blob is of another layout, which is then as good as nothing held. Layout 1 lacks what was said.
pub(crate) fn decode(blob: &[u8]) -> Option<Bucket> {
    let (said, mut rest) = match blob.split_first()? {
        (1, rest) => (i64::MIN, rest),
        (2, rest) => {
            let (said, rest) = rest.split_at_checked(8)?;
            (said.try_into().map(i64::from_le_bytes).ok()?, rest)
        }
        _ => return None,
    };
    let mut entries = HashMap::new();
    while !rest.is_empty() {
        let (fixed, after) = rest.split_at_checked(46)?;
        let (slug, after) = after.split_at_checked(fixed[45].into())?;
        let number = |at: usize| fixed[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let id = Uuid::from_slice(&fixed[..16]).ok()?;
        let entry = Held {
            id,
            digest: number(16)?,
            start: number(24)?.cast_signed(),
            end: Some(number(32)?.cast_signed()).filter(|end| *end != i64::MIN),
            subject: fixed[40..44].try_into().map(u32::from_le_bytes).ok()?,
            preliminary: fixed[44] & 1 != 0,
            gone: fixed[44] & 2 != 0,
            data_type: std::str::from_utf8(slug).ok()?.to_owned(),
        };
        entries.insert(id, entry);
        rest = after;
    }
    Some(Bucket { said, entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_comes_apart_as_it_was_put_together() {
        let entry = |n: u128, gone| Held {
            id: Uuid::from_u128(n),
            digest: 7,
            start: -5,
            end: n.is_multiple_of(2).then_some(9),
            preliminary: n == 1,
            subject: 3,
            gone,
            data_type: "body-weight".into(),
        };
        let entries = [entry(1, false), entry(2, true)];
        let bucket = Bucket { said: 77, entries: entries.into_iter().map(|entry| (entry.id, entry)).collect() };
        let blob = encode(&bucket);
        assert_eq!(decode(&blob), Some(bucket.clone()));
        // As builds before this one wrote it.
        let older = [&[1], &blob[9..]].concat();
        assert_eq!(decode(&older), Some(Bucket { said: i64::MIN, ..bucket }));
    }

    #[test]
    fn a_damaged_blob_is_nothing_held() {
        assert_eq!(decode(&[3, 0]), None);
        assert_eq!(decode(&[2, 0]), None);
        assert_eq!(decode(&[1, 0, 0]), None);
        assert_eq!(decode(&[]), None);
    }
}
