//! A consumer: a poll thread of its own that gives leases as the group assigns partitions.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::poller::{Poller, Reader};
use super::{KafkaLease, Settings};

/// What a consumer reads and how.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    pub group: String,
    pub topics: Vec<String>,
    /// Group plus instance; also the static member's id where `static_member` is set.
    pub client_id: String,
    /// A stable name of this instance: a restart within the session time-out moves no partition.
    pub static_member: Option<String>,
    pub session_timeout: Duration,
    /// How long a revoked partition's batch may take to finish. Shorter than the session time-out.
    pub drain: Duration,
    /// Without progress for this long, while there is something to do, the process ends: somebody restarts it.
    pub stall: Duration,
    /// Most records and bytes in one batch.
    pub batch_records: usize,
    pub batch_bytes: usize,
    /// Offsets go with the transactions of a [`super::Transactor`]; the consumer commits none.
    pub transactional: bool,
    /// How long the broker may hold a fetch that has nothing; the embedded broker does not wake on produce.
    pub fetch_wait: Duration,
}

impl ConsumerSettings {
    pub fn new(group: impl Into<String>, topics: Vec<String>, client_id: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            topics,
            client_id: client_id.into(),
            static_member: None,
            session_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            stall: Duration::from_secs(120),
            batch_records: 500,
            batch_bytes: 512 * 1024,
            transactional: false,
            fetch_wait: Duration::from_millis(100),
        }
    }

    pub(super) fn config(&self, kafka: &Settings) -> rdkafka::ClientConfig {
        let mut config = kafka.reader(&self.client_id);
        config
            .set("group.id", &self.group)
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (self.session_timeout / 10).as_millis().clamp(200, 3000).to_string())
            .set("max.poll.interval.ms", (self.session_timeout + self.drain + Duration::from_secs(60)).as_millis().to_string())
            .set("fetch.wait.max.ms", self.fetch_wait.as_millis().to_string())
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.message.max.bytes", "262144")
            .set("fetch.max.bytes", "4194304")
            .set("queued.max.messages.kbytes", "4096")
            .set("enable.partition.eof", "false");
        if let Some(id) = &self.static_member {
            config.set("group.instance.id", id);
        }
        config
    }
}

/// A running consumer. Leases come out of it until it is closed.
pub struct Consumer {
    leases: mpsc::Receiver<KafkaLease>,
    done: oneshot::Receiver<Result<(), String>>,
    reader: Weak<Reader>,
    gate: Arc<Gate>,
}

impl Consumer {
    /// Starts the poll thread. `stop` drains it: no new batches, finished ones committed, then it leaves the group.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration or the subscription.
    pub fn start(kafka: &Settings, settings: ConsumerSettings, stop: CancellationToken) -> Result<Self, KafkaError> {
        assert!(settings.drain < settings.session_timeout, "the drain must end before the session does");
        let (lease_out, leases) = mpsc::channel(256);
        let (tell, done) = oneshot::channel();
        let name = settings.group.clone();
        let poller = Poller::new(kafka, Arc::new(settings), lease_out)?;
        let (reader, gate) = poller.transactional();
        std::thread::Builder::new()
            .name(format!("poll {name}"))
            .spawn(move || {
                let _ = tell.send(poller.run(&stop));
            })
            .map_err(|e| KafkaError::ClientCreation(e.to_string()))?;
        Ok(Self { leases, done, reader, gate })
    }

    /// The next lease the group gives us; `None` when the poll thread has ended.
    pub async fn lease(&mut self) -> Option<KafkaLease> {
        self.leases.recv().await
    }

    /// What a transaction needs of this consumer.
    pub(super) fn transactional(&self) -> (Weak<Reader>, Arc<Gate>) {
        (self.reader.clone(), self.gate.clone())
    }

    /// How the poll thread ended: an error when it can make no progress and the process should be restarted.
    ///
    /// # Errors
    /// The reason.
    pub async fn ended(self) -> Result<(), String> {
        self.done.await.unwrap_or_else(|_| Err("the poll thread panicked".into()))
    }
}
