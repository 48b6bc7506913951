//! The floor: consume, produce the same bytes, commit. What librdkafka costs by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

#[derive(Args)]
pub struct Copy {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    from: String,
    #[arg(long)]
    to: String,
    #[arg(long)]
    group: String,
}

struct Counting(Arc<AtomicU64>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "a record was not delivered");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Copy {
    /// Runs until it is killed. Settings of the subject it is compared with, but that it lingers for 25 ms, as peers do: it waits for no batch, and larger
    /// requests cost less.
    pub fn run(self) -> anyhow::Result<()> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.max.messages.kbytes", "16384")
            .create()?;
        consumer.subscribe(&[&self.from])?;
        let delivered = Arc::new(AtomicU64::new(0));
        let producer: ThreadedProducer<Counting> = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("compression.codec", "lz4")
            .set("linger.ms", "25")
            .set("queue.buffering.max.kbytes", "32768")
            .create_with_context(Counting(delivered.clone()))?;
        let (mut sent, mut committed) = (0u64, Instant::now());
        loop {
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                let message = message?;
                let mut record = BaseRecord::to(&self.to)
                    .key(message.key().unwrap_or_default())
                    .payload(message.payload().unwrap_or_default());
                while let Err((_, back)) = producer.send(record) {
                    record = back;
                    producer.poll(Duration::from_millis(5));
                }
                sent += 1;
            }
            if committed.elapsed() > Duration::from_millis(250) && sent == delivered.load(Ordering::Relaxed) {
                let _ = consumer.commit_consumer_state(CommitMode::Async);
                committed = Instant::now();
            }
            if producer.in_flight_count() > 90_000 {
                producer.poll(Duration::from_millis(1));
            }
        }
    }
}
