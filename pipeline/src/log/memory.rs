//! A log in memory that fails on command. The crash table of the loop is played on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use headwater_schemas::Outbox;

use super::{Batch, Lease, Log, Lost, NotAppended, Proof};

/// One appended record: topic (with the family's word), key, body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    pub topic: String,
    pub key: Vec<u8>,
    pub body: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    partition: i32,
    input: Vec<(Vec<u8>, Vec<u8>)>,
    committed: i64,
    appended: Vec<Appended>,
    /// Each append takes the next of these; none left means success.
    faults: Vec<Fault>,
    appends: usize,
    epoch: u64,
    transactional: bool,
}

/// How an append may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing arrives.
    Refused,
    /// Half of it arrives, and nobody says so.
    Torn,
    /// All of it arrives, but the acknowledgement does not.
    Unacknowledged,
    None,
}

/// One partition in, any topics out. Clones share the state, as two processes share a broker.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(Arc<Mutex<State>>);

impl MemoryLog {
    /// Another partition of the same topic.
    pub fn partition(partition: i32) -> Self {
        Self(Arc::new(Mutex::new(State { partition, ..State::default() })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the log")
    }

    pub fn put(&self, key: &[u8], value: &[u8]) {
        self.state().input.push((key.to_vec(), value.to_vec()));
    }

    /// Key and value of each record that was put, by offset.
    pub fn input(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.state().input.clone()
    }

    pub fn faults(&self, faults: &[Fault]) {
        self.state().faults = faults.iter().rev().copied().collect();
    }

    /// From here on an append and the offset behind it are one: all of it or nothing, and nobody is told the wrong one of the two.
    pub fn in_transactions(self) -> Self {
        self.state().transactional = true;
        self
    }

    pub fn committed(&self) -> i64 {
        self.state().committed
    }

    pub fn appended(&self) -> Vec<Appended> {
        self.state().appended.clone()
    }

    /// How often each distinct record was appended.
    pub fn counts(&self) -> BTreeMap<(String, Vec<u8>), usize> {
        let mut counts = BTreeMap::new();
        for record in self.state().appended.iter() {
            *counts.entry((record.topic.clone(), record.body.clone())).or_default() += 1;
        }
        counts
    }

    /// A lease from the committed offset on; earlier leases are lost by it.
    pub fn lease(&self, batch: usize) -> MemoryLease {
        let mut state = self.state();
        state.epoch += 1;
        MemoryLease { log: self.clone(), next: state.committed, epoch: state.epoch, batch }
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn append(&self, batch: &Batch, outbox: &Outbox) -> Result<Proof, NotAppended> {
        let mut state = self.state();
        state.appends += 1;
        let fault = state.faults.pop().unwrap_or(Fault::None);
        let arriving = match fault {
            Fault::Refused => 0,
            Fault::Torn if state.transactional => 0,
            Fault::Torn => outbox.len() / 2,
            Fault::Unacknowledged | Fault::None => outbox.len(),
        };
        for record in &outbox.records()[..arriving] {
            let topic = record.topic.name("test", record.member);
            let (key, body) = (outbox.key(record).to_vec(), outbox.body(record).to_vec());
            state.appended.push(Appended { topic, key, body });
        }
        let next = batch.next_offset().expect("a batch has records");
        match fault {
            Fault::Unacknowledged | Fault::None if state.transactional => {
                state.committed = state.committed.max(next);
                Ok(Proof { next })
            }
            Fault::None => Ok(Proof { next }),
            _ => Err(NotAppended { why: format!("{fault:?}") }),
        }
    }
}

/// A lease on the model's partition; ends at the end of the input.
#[derive(Debug)]
pub struct MemoryLease {
    log: MemoryLog,
    next: i64,
    epoch: u64,
    batch: usize,
}

#[async_trait]
impl Lease for MemoryLease {
    async fn next(&mut self) -> Option<Batch> {
        let state = self.log.state();
        if state.epoch != self.epoch {
            return None;
        }
        let from = usize::try_from(self.next).expect("offsets are not negative");
        let mut batch = Batch::new("test.input.v1".into(), state.partition);
        for (offset, (key, value)) in state.input.iter().enumerate().skip(from).take(self.batch) {
            batch.push(i64::try_from(offset).expect("a test has few records"), key, Some(value));
        }
        self.next = batch.next_offset()?;
        Some(batch)
    }

    async fn advance(&mut self, _batch: Batch, proof: Proof) -> Result<(), Lost> {
        let mut state = self.log.state();
        if state.epoch != self.epoch {
            return Err(Lost);
        }
        state.committed = state.committed.max(proof.next);
        Ok(())
    }

    async fn gone(&self) {
        let lost = self.log.state().epoch != self.epoch;
        if !lost {
            std::future::pending::<()>().await;
        }
    }

    fn waiting(&self, _waits: bool) {}
}
