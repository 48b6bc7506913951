//! The log as the loop sees it: leases on partitions that give batches, an append that proves itself, and an advance that takes the proof.
//!
//! [`kafka`] is the real one. [`memory`] is a model with the same traits in which every crash and failure can be played.

pub mod kafka;
pub mod memory;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use headwater_schemas::{Outbox, Position};

/// Records of one partition, ascending, in one buffer.
#[derive(Debug, Clone)]
pub struct Batch {
    topic: Arc<str>,
    partition: i32,
    bytes: Vec<u8>,
    records: Vec<Stored>,
}

#[derive(Debug, Clone)]
struct Stored {
    offset: i64,
    key: Range<usize>,
    /// `None` for a tombstone.
    value: Option<Range<usize>>,
}

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'b> {
    pub position: Position<'b>,
    pub key: &'b [u8],
    pub value: Option<&'b [u8]>,
}

impl Batch {
    pub fn new(topic: Arc<str>, partition: i32) -> Self {
        Self { topic, partition, bytes: Vec::new(), records: Vec::new() }
    }

    pub(crate) fn push(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        let value = value.map(|value| {
            self.bytes.extend_from_slice(value);
            middle..self.bytes.len()
        });
        self.records.push(Stored { offset, key: start..middle, value });
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn partition(&self) -> i32 {
        self.partition
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The offset after the last record.
    fn next_offset(&self) -> Option<i64> {
        self.records.last().map(|r| r.offset + 1)
    }

    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().map(|stored| Record {
            position: Position { topic: &self.topic, partition: self.partition, offset: stored.offset },
            key: &self.bytes[stored.key.clone()],
            value: stored.value.clone().map(|range| &self.bytes[range]),
        })
    }
}

/// That everything which follows from a batch is written and acknowledged. Only [`Log::append`] makes one, only [`Lease::advance`] takes
/// one: to commit before writing does not compile.
#[derive(Debug)]
#[must_use = "without advance the batch comes again"]
pub struct Proof {
    next: i64,
}

/// The append was not acknowledged. It may be in or not; the batch is to be done again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("append not acknowledged: {why}")]
pub struct NotAppended {
    pub why: String,
}

/// The partition belongs to somebody else now; what was done will be done again there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lease lost")]
pub struct Lost;

#[async_trait]
pub trait Log: Send + Sync {
    /// Appends all that follows from `batch`; resolves when the broker has acknowledged all of it.
    async fn append(&self, batch: &Batch, outbox: &Outbox) -> Result<Proof, NotAppended>;
}

/// The right to one partition.
#[async_trait]
pub trait Lease: Send + Sync {
    /// The next batch; `None` when the partition is revoked, lost or being drained.
    async fn next(&mut self) -> Option<Batch>;
    /// Lets the group's offset pass the batch.
    async fn advance(&mut self, batch: Batch, proof: Proof) -> Result<(), Lost>;
    /// Resolves when there is no point in going on with the batch at hand.
    async fn gone(&self);
    /// Says that the holder waits for something outside (a store that is down): that is no stall.
    fn waiting(&self, waits: bool);
}
