//! The loop: next, work, append, advance. Every role between two topics or between a topic and a store is this.
//!
//! Where it may die, and what follows on restart. Each row is a test in `tests/it/crash.rs`.
//!
//! | dies                                     | on restart                                                                     |
//! | ---------------------------------------- | ------------------------------------------------------------------------------ |
//! | before `next`                            | the batch comes as if nothing had been                                         |
//! | after `next`, in the middle of the work  | the batch comes again; a sink's half-written rows are written over, same keys   |
//! | after the work, before `append`          | the batch comes again; nothing had left                                        |
//! | in `append`, part of it acknowledged     | the batch comes again; what had arrived arrives twice under the same ids       |
//! | after `append`, before `advance`         | the batch comes again; all of it arrives twice under the same ids              |
//! | after `advance`, before the commit       | the same: a commit is only ever late                                           |
//! | after the commit                         | the next batch comes                                                           |
//! | partition lost at any of these points    | the new holder does the batch; the old one's advance is refused                 |
//!
//! In transactions (`log/kafka/transaction`) the offset moves with the append: what had arrived in part is never read, and after `append` the
//! next batch comes.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use headwater_schemas::Outbox;
use tracing::Instrument as _;

use crate::log::{Batch, Lease, Log, Proof};
use crate::telemetry;

/// What a role does with a batch.
#[async_trait]
pub trait Work: Send + Sync {
    /// Puts all that follows from the batch into `out`, dead letters included, or writes it where it belongs.
    ///
    /// # Errors
    /// [`Unavailable`] when something outside does not answer: the whole batch is done again. There is no other error: what can never be
    /// accepted becomes a dead letter.
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable>;
}

/// Something outside does not answer. Never a record's fault.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what} unavailable: {why}")]
pub struct Unavailable {
    pub what: &'static str,
    pub why: String,
    pub retry_after: Option<Duration>,
}

/// Runs one lease to its end. Returns when the partition is revoked, lost or drained.
pub async fn run(log: &dyn Log, lease: &mut dyn Lease, work: &dyn Work, name: &'static str) {
    let mut outbox = Outbox::default();
    while let Some(batch) = lease.next().await {
        let Some(proof) = finish(log, lease, work, &batch, &mut outbox, name).await else { return };
        if lease.advance(batch, proof).await.is_err() {
            tracing::debug!(worker = name, "partition moved on while its batch was finished; it is done again there");
            return;
        }
    }
}

/// Does the batch until it is done, or the partition is gone.
async fn finish(
    log: &dyn Log,
    lease: &dyn Lease,
    work: &dyn Work,
    batch: &Batch,
    outbox: &mut Outbox,
    name: &'static str,
) -> Option<Proof> {
    for attempt in 0u32.. {
        outbox.clear();
        let span = tracing::info_span!(
            "process batch",
            otel.kind = "consumer",
            messaging.system = "kafka",
            messaging.operation.name = "process",
            messaging.consumer.group.name = name,
            messaging.destination.name = batch.topic(),
            messaging.batch.message_count = batch.len(),
            attempt,
        );
        let failed = match work.run(batch, outbox).instrument(span.clone()).await {
            Ok(()) => match log.append(batch, outbox).instrument(span).await {
                Ok(proof) => {
                    lease.waiting(false);
                    telemetry::buried(name, outbox);
                    if attempt > 0 {
                        tracing::info!(worker = name, topic = batch.topic(), attempt, "resumed");
                    }
                    return Some(proof);
                }
                Err(e) => Unavailable { what: "kafka", why: e.why, retry_after: None },
            },
            Err(unavailable) => unavailable,
        };
        if lease.gone().now_or_never().is_some() {
            return None;
        }
        lease.waiting(true);
        metrics::counter!(telemetry::RETRIES, "worker" => name, "what" => failed.what).increment(1);
        let pause = failed.retry_after.unwrap_or_else(|| backoff(attempt, place(batch)));
        if attempt == 0 || attempt.is_power_of_two() {
            tracing::warn!(
                worker = name,
                topic = batch.topic(),
                attempt,
                pause_ms = pause.as_millis() as u64,
                "{failed}; the batch waits"
            );
        }
        tokio::select! {
            biased;
            () = lease.gone() => return None,
            () = tokio::time::sleep(pause) => {}
        }
    }
    None
}

/// 100 ms doubled up to 10 s, with a quarter of jitter drawn from what waits: partitions that wait for the same server do not come back at once, and a
/// run that is played again waits as it did.
pub(crate) fn backoff(attempt: u32, what: impl Hash) -> Duration {
    let base = Duration::from_millis(100u64 << attempt.min(7)).min(Duration::from_secs(10));
    let mut hasher = DefaultHasher::new();
    (attempt, what).hash(&mut hasher);
    base.mul_f64(0.75 + (hasher.finish() % 1000) as f64 / 2000.0)
}

/// Where a batch begins.
fn place(batch: &Batch) -> (&str, Option<(i32, i64)>) {
    (batch.topic(), batch.records().next().map(|record| (record.position.partition, record.position.offset)))
}
