//! The thread: takes entries into a transaction until it is time, and has it concluded.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use headwater_schemas::Outbox;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::conclude::{Conclude, Coordinator, refuse};
use crate::log::NotAppended;
use crate::log::kafka::gate::Gate;
use crate::log::kafka::lease::Place;
use crate::registry::Target;

/// Most of one transaction: readers wait for its end, and an abort throws all of it away.
const MOST_RECORDS: usize = 20_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How often a transaction that collects looks whether somebody waits for it.
const SLICE: Duration = Duration::from_millis(2);

/// Between two tries to reach a broker that is away.
const PAUSE: Duration = Duration::from_millis(250);

/// A batch's outcome on its way into a transaction.
pub(super) struct Entry {
    pub place: Place,
    pub next: i64,
    pub outbox: Outbox,
    pub targets: Vec<Target>,
    /// Not together with others.
    pub alone: bool,
    /// Cancelled when the partition is no longer ours.
    pub stop: CancellationToken,
    pub waits: Arc<AtomicBool>,
    pub answer: oneshot::Sender<Result<(), NotAppended>>,
}

pub(super) struct Line<C> {
    pub(super) entries: Receiver<Entry>,
    interval: Duration,
    pub(super) conclude: Conclude<C>,
}

impl<C: Coordinator> Line<C> {
    pub fn new(entries: Receiver<Entry>, coordinator: C, gate: Arc<Gate>, interval: Duration, stop: CancellationToken) -> Self {
        Self { entries, interval, conclude: Conclude { coordinator, gate, stop, pause: PAUSE } }
    }

    /// Until nobody is left to append. An error means that no transaction can be made any more.
    pub fn run(mut self) -> Result<(), String> {
        self.conclude.renew()?;
        let mut put_off = None;
        while let Some(first) = put_off.take().or_else(|| self.entries.recv().ok()) {
            put_off = self.one(first)?;
        }
        Ok(())
    }

    /// One transaction. Gives back the entry that did not go into it.
    pub(super) fn one(&mut self, first: Entry) -> Result<Option<Entry>, String> {
        let (began, alone) = (Instant::now(), first.alone);
        let (mut entered, mut records, mut bytes) = (Vec::new(), 0, 0);
        let (mut next, mut put_off) = (Some(first), None);
        let mut done = self.conclude.coordinator.begin();
        loop {
            let (ours, gone): (Vec<Entry>, Vec<Entry>) = next.take().into_iter().partition(|entry| !entry.stop.is_cancelled());
            refuse(gone, "the partition was let go");
            for mut entry in ours {
                let (outbox, targets) = (std::mem::take(&mut entry.outbox), std::mem::take(&mut entry.targets));
                records += outbox.len();
                bytes += outbox.size();
                entered.push(entry);
                done = done.and_then(|()| self.conclude.coordinator.produce(&outbox, &targets));
            }
            let left = self.interval.saturating_sub(began.elapsed());
            let full = records >= MOST_RECORDS || bytes >= MOST_BYTES;
            if done.is_err() || alone || full || left.is_zero() || self.conclude.gate.hurry(entered.len()) {
                break;
            }
            match self.entries.recv_timeout(left.min(SLICE)) {
                Ok(entry) if entry.alone => {
                    put_off = Some(entry);
                    break;
                }
                Ok(entry) => next = Some(entry),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.conclude.conclude(entered, began, done).map(|()| put_off)
    }
}
