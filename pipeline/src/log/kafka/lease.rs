//! A lease as the worker holds it, and what it tells the poll thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::log::{Batch, Lease, Lost, Proof};

/// Topic and partition.
pub(super) type Place = (Arc<str>, i32);

/// A worker's word to the poll thread: this batch is done.
#[derive(Debug)]
pub(super) struct Advance {
    pub place: Place,
    /// Which of the leases on this partition, in the order they were given: an old one's word no longer counts.
    pub epoch: u64,
    pub next: i64,
}

/// The right to one partition, until it is revoked.
pub struct KafkaLease {
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) batches: mpsc::Receiver<Batch>,
    pub(super) advances: crossbeam_channel::Sender<Advance>,
    pub(super) stop: CancellationToken,
    pub(super) waits: Arc<AtomicBool>,
}

impl KafkaLease {
    pub fn topic(&self) -> &str {
        &self.place.0
    }

    pub fn partition(&self) -> i32 {
        self.place.1
    }
}

#[async_trait]
impl Lease for KafkaLease {
    async fn next(&mut self) -> Option<Batch> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            batch = self.batches.recv() => batch,
        }
    }

    async fn advance(&mut self, _batch: Batch, proof: Proof) -> Result<(), Lost> {
        // Also after a revoke: the poll thread waits a moment for exactly this word before it lets the partition go.
        self.advances.send(Advance { place: self.place.clone(), epoch: self.epoch, next: proof.next }).map_err(|_| Lost)?;
        if self.stop.is_cancelled() { Err(Lost) } else { Ok(()) }
    }

    async fn gone(&self) {
        self.stop.cancelled().await;
    }

    fn waiting(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }
}
