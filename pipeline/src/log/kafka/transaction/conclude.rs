//! How a transaction ends, and what its batches are told. Never "not appended" of what was committed, never "appended" of what was not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use headwater_schemas::Outbox;
use tokio_util::sync::CancellationToken;

use super::line::Entry;
use crate::log::NotAppended;
use crate::log::kafka::gate::Gate;
use crate::log::kafka::lease::Place;
use crate::registry::Target;
use crate::telemetry;

/// The broker ends a transaction that is open for longer, so that readers do not wait for somebody who died.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// What went wrong, as far as it matters for what comes next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// The transaction cannot be committed and can be aborted.
    #[error("{0}")]
    Abort(String),
    /// Nobody knows what the broker did: a time-out, a lost answer, a state that librdkafka cannot go on from.
    #[error("{0}")]
    Indefinite(String),
    /// The broker has given our name to somebody, or taken it from us after the transaction's time-out.
    #[error("{0}")]
    Fenced(String),
    /// No use trying again.
    #[error("{0}")]
    Never(String),
}

/// What is asked of the broker; a trait so that each failure of it can be played.
pub(super) trait Coordinator {
    fn begin(&mut self) -> Result<(), Trouble>;
    fn produce(&mut self, outbox: &Outbox, targets: &[Target]) -> Result<(), Trouble>;
    /// Waits until all that was produced is acknowledged.
    fn flush(&mut self) -> Result<(), Trouble>;
    fn offsets(&mut self, next: &[(Place, i64)]) -> Result<(), Trouble>;
    fn commit(&mut self) -> Result<(), Trouble>;
    fn abort(&mut self) -> Result<(), Trouble>;
    /// A new producer under the same name: when it is there, each earlier transaction of the name is committed or aborted for good.
    fn renew(&mut self) -> Result<(), Trouble>;
    /// The group's offset on each of these partitions.
    fn committed(&mut self, places: &[Place]) -> Result<Vec<Option<i64>>, Trouble>;
}

pub(super) struct Conclude<C> {
    pub coordinator: C,
    pub gate: Arc<Gate>,
    pub stop: CancellationToken,
    /// Between two tries to reach the broker again.
    pub pause: Duration,
}

impl<C: Coordinator> Conclude<C> {
    /// Ends the transaction that these entered, whatever happened so far, and answers them. An error means that there will be no other.
    pub fn conclude(&mut self, entered: Vec<Entry>, began: Instant, so_far: Result<(), Trouble>) -> Result<(), String> {
        let collected = began.elapsed();
        let flushed = so_far.and_then(|()| self.coordinator.flush());
        let acknowledged = began.elapsed();
        let (ended, tried) = match flushed {
            Ok(()) => self.commit(&entered),
            Err(trouble) => (Err(trouble), false),
        };
        let trouble = match ended {
            Ok(()) => {
                telemetry::transaction("committed");
                tracing::debug!(batches = entered.len(), ?collected, ?acknowledged, committed = ?began.elapsed(), "transaction");
                entered.into_iter().for_each(|entry| drop(entry.answer.send(Ok(()))));
                return Ok(());
            }
            Err(trouble) => trouble,
        };
        telemetry::transaction("not_committed");
        let late = began.elapsed() >= TRANSACTION_TIMEOUT;
        match trouble {
            Trouble::Never(why) => Err(why),
            Trouble::Fenced(why) if !late => {
                Err(format!("another process has taken this name ({why}): expected an `instance` of its own for each"))
            }
            Trouble::Abort(why) if self.coordinator.abort().is_ok() => {
                refuse(entered, &why);
                Ok(())
            }
            Trouble::Abort(why) | Trouble::Fenced(why) | Trouble::Indefinite(why) => self.find_out(entered, tried, &why),
        }
    }

    /// Commits, unless one of the partitions is no longer ours. Also says whether the broker may have been told to commit.
    fn commit(&mut self, entered: &[Entry]) -> (Result<(), Trouble>, bool) {
        let _passing = self.gate.pass();
        if entered.iter().any(|entry| entry.stop.is_cancelled()) {
            return (Err(Trouble::Abort("a partition of the transaction was let go".into())), false);
        }
        let next: Vec<(Place, i64)> = entered.iter().map(|entry| (entry.place.clone(), entry.next)).collect();
        match self.coordinator.offsets(&next) {
            Ok(()) => (self.coordinator.commit(), true),
            Err(trouble) => (Err(trouble), false),
        }
    }

    /// Starts anew. A commit that was not answered may have been done: the group's offsets went with it, so they tell.
    fn find_out(&mut self, entered: Vec<Entry>, tried: bool, why: &str) -> Result<(), String> {
        tracing::warn!("a transaction is left undecided: {why}; its producer is replaced");
        // Their batches wait for the broker: that is no stall.
        entered.iter().for_each(|entry| entry.waits.store(true, Ordering::Relaxed));
        self.renew()?;
        if !tried {
            refuse(entered, why);
            return Ok(());
        }
        let places: Vec<Place> = entered.iter().map(|entry| entry.place.clone()).collect();
        let Some(found) = self.patiently(|coordinator| coordinator.committed(&places))? else { return Ok(()) };
        for (entry, at) in entered.into_iter().zip(found) {
            let done = at.is_some_and(|at| at >= entry.next);
            let _ = entry.answer.send(if done { Ok(()) } else { Err(NotAppended { why: why.to_owned() }) });
        }
        Ok(())
    }

    /// Makes a producer, waiting for the broker as long as it takes.
    pub fn renew(&mut self) -> Result<(), String> {
        self.patiently(C::renew).map(drop)
    }

    /// Asks until there is an answer; `None` when the process is to end before that.
    fn patiently<T>(&mut self, mut ask: impl FnMut(&mut C) -> Result<T, Trouble>) -> Result<Option<T>, String> {
        let mut told = false;
        while !self.stop.is_cancelled() {
            match ask(&mut self.coordinator) {
                Ok(found) => return Ok(Some(found)),
                Err(Trouble::Never(why)) => return Err(why),
                Err(why) if !told => {
                    tracing::warn!("{why}; trying again until it answers");
                    told = true;
                }
                Err(_) => {}
            }
            std::thread::sleep(self.pause);
        }
        Ok(None)
    }
}

pub(super) fn refuse(entered: Vec<Entry>, why: &str) {
    for entry in entered {
        let _ = entry.answer.send(Err(NotAppended { why: why.to_owned() }));
    }
}
