//! The loop: consume, map, produce, commit what was delivered.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message as _};
use tokio::signal::unix::{SignalKind, signal};

use crate::Arguments;
use crate::codec::Codec;
use crate::observations::{Place, observations};

/// Records taken at once, where so many are there.
const CHUNK: usize = 500;
/// Chunks of which something may still be on its way to the broker.
const OPEN: usize = 16;

pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let consumer = consumer(arguments)?;
    let mut mapper = Mapper {
        codec: Codec::new(&arguments.registry, &arguments.to).await?,
        producer: producer(arguments)?,
        to: &arguments.to,
    };
    consumer.subscribe(&[&arguments.from])?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut chunks = pin!(consumer.stream().ready_chunks(CHUNK));
    let mut open = FuturesOrdered::new();
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            Some(taken) = open.next() => store(&consumer, &arguments.from, taken?)?,
            Some(chunk) = chunks.next(), if open.len() < OPEN => open.push_back(mapper.produce(chunk).await?.delivered()),
        }
    }
    while let Some(taken) = open.next().await {
        store(&consumer, &arguments.from, taken?)?;
    }
    match consumer.commit_consumer_state(CommitMode::Sync) {
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        committed => Ok(committed?),
    }
}

/// By partition, the offset of the last record taken.
type Taken = HashMap<i32, i64>;

/// What is stored is committed by the client itself, in its own time.
fn store(consumer: &StreamConsumer, topic: &str, taken: Taken) -> KafkaResult<()> {
    for (partition, offset) in taken {
        match consumer.store_offset(topic, partition, offset) {
            // It has gone to another member, which reads again what was not committed.
            Err(KafkaError::StoreOffset(RDKafkaErrorCode::State)) => {}
            stored => stored?,
        }
    }
    Ok(())
}

struct Mapper<'a> {
    codec: Codec,
    producer: FutureProducer,
    to: &'a str,
}

/// What a chunk became, on its way.
#[derive(Default)]
struct Sent {
    taken: Taken,
    deliveries: Vec<DeliveryFuture>,
}

impl Sent {
    /// All of it is with the broker.
    async fn delivered(self) -> anyhow::Result<Taken> {
        // They are all on their way already, so there is nothing to gain from waiting for them at once.
        for delivery in self.deliveries {
            delivery.await?.map_err(|(why, _)| why).context("a record was not delivered")?;
        }
        Ok(self.taken)
    }
}

impl Mapper<'_> {
    async fn produce(&mut self, chunk: Vec<KafkaResult<BorrowedMessage<'_>>>) -> anyhow::Result<Sent> {
        let mut sent = Sent::default();
        for message in chunk {
            let message = message?;
            let place = Place { topic: message.topic(), partition: message.partition(), offset: message.offset() };
            self.map(&place, message.payload().unwrap_or_default(), &mut sent.deliveries)
                .await
                .with_context(|| format!("{} partition {} offset {}", place.topic, place.partition, place.offset))?;
            sent.taken.insert(place.partition, place.offset);
        }
        Ok(sent)
    }

    async fn map(&mut self, place: &Place<'_>, value: &[u8], deliveries: &mut Vec<DeliveryFuture>) -> anyhow::Result<()> {
        let raw = self.codec.decode(value).await?;
        for observation in observations(&raw, place)? {
            let value = self.codec.encode(&observation)?;
            let record = FutureRecord::to(self.to).key(&raw.subject_id).payload(&value);
            deliveries.push(self.send(record).await?);
        }
        Ok(())
    }

    /// In order: what comes next is not handed over before this one is.
    async fn send(&self, mut record: FutureRecord<'_, String, Vec<u8>>) -> KafkaResult<DeliveryFuture> {
        loop {
            match self.producer.send_result(record) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((why, _)) => return Err(why),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn consumer(arguments: &Arguments) -> KafkaResult<StreamConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", &arguments.bootstrap)
        .set("group.id", &arguments.group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "250")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.max.messages.kbytes", "16384")
        .create()
}

fn producer(arguments: &Arguments) -> KafkaResult<FutureProducer> {
    ClientConfig::new()
        .set("bootstrap.servers", &arguments.bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.codec", "lz4")
        .set("linger.ms", "25")
        .set("queue.buffering.max.kbytes", "32768")
        .create()
}
