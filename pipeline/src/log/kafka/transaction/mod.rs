//! Exactly once between topics: what follows from a batch and the offset behind it go in one transaction.
//!
//! A thread of its own, because librdkafka's transaction calls block: it takes what the partitions of a worker have at about the same time into
//! one transaction. `line` is that thread, `conclude` decides how a transaction ends, `broker` asks librdkafka.

mod broker;
mod conclude;
mod line;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use crossbeam_channel::Sender;
use headwater_schemas::Outbox;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::broker::Broker;
use self::line::{Entry, Line};
use super::lease::Place;
use super::{Consumer, KafkaLease, Settings};
use crate::log::{Batch, Log, NotAppended, Proof};
use crate::registry::Registry;

/// What the transactions of a worker are called, and how long one takes in records.
#[derive(Debug, Clone)]
pub struct TransactionSettings {
    /// Two processes with one name fence each other; an instance that comes back under its name ends what it left open at once.
    pub transactional_id: String,
    pub client_id: String,
    pub linger: Duration,
    /// How long a transaction waits for further partitions.
    pub commit_interval: Duration,
}

/// The transactions of one worker.
pub struct Transactor {
    entries: Sender<Entry>,
    registry: Arc<Registry>,
    ended: oneshot::Receiver<Result<(), String>>,
}

impl Transactor {
    /// Starts the thread for this consumer's partitions. `stop` ends its patience with a broker that is away.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(
        kafka: &Settings,
        settings: TransactionSettings,
        consumer: &Consumer,
        registry: Arc<Registry>,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let (entries, taken) = crossbeam_channel::bounded(4096);
        let (tell, ended) = oneshot::channel();
        let (reader, gate) = consumer.transactional();
        let (name, interval) = (settings.transactional_id.clone(), settings.commit_interval);
        let line = Line::new(taken, Broker::new(kafka.clone(), settings, reader), gate, interval, stop);
        std::thread::Builder::new().name(format!("txn {name}")).spawn(move || {
            let _ = tell.send(line.run().map_err(|why| format!("transactions of {name}: {why}")));
        })?;
        Ok(Self { entries, registry, ended })
    }

    /// The log of one lease.
    pub fn log(&self, lease: &KafkaLease) -> Appender {
        Appender {
            entries: self.entries.clone(),
            registry: self.registry.clone(),
            place: lease.place.clone(),
            stop: lease.stop.clone(),
            waits: lease.waits.clone(),
            alone: AtomicBool::new(false),
        }
    }

    /// Resolves when no transaction can be made any more: the reason, where there is one.
    ///
    /// # Errors
    /// The reason.
    pub async fn ended(&mut self) -> Result<(), String> {
        (&mut self.ended).await.unwrap_or_else(|_| Err("the transaction thread panicked".into()))
    }
}

/// After this long without an answer a batch waits for the broker, and no longer works.
const ANSWER: Duration = Duration::from_secs(20);

/// Appends what follows from the batches of one lease, each with the offset behind it.
pub struct Appender {
    entries: Sender<Entry>,
    registry: Arc<Registry>,
    place: Place,
    stop: CancellationToken,
    waits: Arc<AtomicBool>,
    /// After a failure a batch goes in a transaction of its own: one that the broker never takes must not keep the others back.
    alone: AtomicBool,
}

#[async_trait]
impl Log for Appender {
    async fn append(&self, batch: &Batch, outbox: &Outbox) -> Result<Proof, NotAppended> {
        let next = batch.next_offset().ok_or_else(|| NotAppended { why: "the batch is empty".into() })?;
        let targets = self.registry.targets(outbox).await.map_err(|e| NotAppended { why: e.to_string() })?;
        let (answer, mut answered) = oneshot::channel();
        let entry = Entry {
            place: self.place.clone(),
            next,
            outbox: outbox.clone(),
            targets,
            alone: self.alone.load(Ordering::Relaxed),
            stop: self.stop.clone(),
            waits: self.waits.clone(),
            answer,
        };
        self.entries.try_send(entry).map_err(|e| NotAppended { why: format!("no transaction takes it: {e}") })?;
        let done = match tokio::time::timeout(ANSWER, &mut answered).await {
            Ok(done) => done,
            // The broker is away, also for those whose turn has not come: that is no stall.
            Err(_) => {
                self.waits.store(true, Ordering::Relaxed);
                answered.await
            }
        };
        let done = done.unwrap_or_else(|_| Err(NotAppended { why: "transactions have ended".into() }));
        self.alone.store(done.is_err() && !self.stop.is_cancelled(), Ordering::Relaxed);
        done.map(|()| Proof { next })
    }
}
