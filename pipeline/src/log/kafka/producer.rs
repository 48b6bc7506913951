//! Appending: librdkafka's queue, and one counter per append instead of a future per record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use headwater_ingest::{Outlet, OutletError};
use headwater_schemas::outbox::Outgoing;
use headwater_schemas::{Outbox, wire};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::Notify;

use super::Settings;
use crate::log::{Batch, Log, NotAppended, Proof};
use crate::registry::Registry;

/// How long an append may take: shorter than any provider waits for its webhook answer plus a retry.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// Counts down the records of one append.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Outstanding records, plus one while records are still being handed over.
    left: AtomicUsize,
    failed: Mutex<Option<RDKafkaErrorCode>>,
    done: Notify,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { left: AtomicUsize::new(1), failed: Mutex::new(None), done: Notify::new() }
    }
}

impl Delivery {
    pub(super) fn expect(&self) {
        self.left.fetch_add(1, Ordering::AcqRel);
    }

    /// Keeps the thread until every record is acknowledged or given up. Not by `flush` of rust-rdkafka: beside a thread that polls it always sleeps
    /// through a slice of 100 ms.
    pub(super) fn wait(&self) {
        self.one_done(None);
        futures::executor::block_on(self.done.notified());
    }

    pub(super) fn failure(&self) -> Option<RDKafkaErrorCode> {
        *self.failed.lock().expect("nothing panics under this lock")
    }

    pub(super) fn one_done(&self, failure: Option<RDKafkaErrorCode>) {
        if let Some(code) = failure {
            self.failed.lock().expect("nothing panics under this lock").get_or_insert(code);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

pub(super) struct Context;

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        super::complain(&error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        delivery
            .one_done(result.as_ref().err().map(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)));
    }
}

/// The process's producer. Idempotent, all replicas, keys partitioned as Java's client does.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    producer: ThreadedProducer<Context>,
    registry: Arc<Registry>,
}

impl Producer {
    /// `linger` is how long records wait for company.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(settings: &Settings, client_id: &str, linger: Duration, registry: Arc<Registry>) -> Result<Self, KafkaError> {
        let mut config = config(settings, client_id, linger);
        config.set("delivery.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string());
        Ok(Self { inner: Arc::new(Inner { producer: config.create_with_context(Context)?, registry }) })
    }

    /// Hands all records over and waits until the broker has acknowledged each. `patient` waits for room in the queue.
    async fn deliver(&self, outbox: &Outbox, patient: bool) -> Result<(), OutletError> {
        if outbox.is_empty() {
            return Ok(());
        }
        let targets = self.inner.registry.targets(outbox).await.map_err(|e| OutletError::Unavailable { why: e.to_string() })?;
        let delivery = Arc::new(Delivery::default());
        let mut framed = Vec::new();
        let mut stopped = None;
        for (record, target) in outbox.records().iter().zip(&targets) {
            framed.clear();
            if let Some(schema_id) = target.schema_id {
                wire::frame(schema_id, &mut framed);
            }
            framed.extend_from_slice(outbox.body(record));
            let value = (!record.is_tombstone()).then_some(framed.as_slice());
            if let Err(e) = self.hand_over(&target.topic, outbox, record, value, &delivery, patient).await {
                stopped = Some(e);
                break;
            }
        }
        delivery.one_done(None);
        delivery.done.notified().await;
        if let Some(e) = stopped {
            return Err(e);
        }
        match delivery.failure() {
            None => Ok(()),
            Some(code) => Err(OutletError::Unavailable { why: code.to_string() }),
        }
    }

    async fn hand_over(
        &self,
        topic: &str,
        outbox: &Outbox,
        record: &Outgoing,
        value: Option<&[u8]>,
        delivery: &Arc<Delivery>,
        patient: bool,
    ) -> Result<(), OutletError> {
        let mut base = base(topic, outbox, record, value, delivery);
        delivery.expect();
        loop {
            match self.inner.producer.send(base) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) if patient => {
                    base = back;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    delivery.one_done(None);
                    return Err(OutletError::Full { retry_after: Duration::from_secs(1) });
                }
                Err((error, _)) => {
                    delivery.one_done(None);
                    return Err(OutletError::Unavailable { why: error.to_string() });
                }
            }
        }
    }

    /// Waits for what is still queued, at the end of the process.
    pub fn flush(&self, timeout: Duration) {
        if let Err(e) = self.inner.producer.flush(timeout) {
            tracing::warn!("producer closed with records unacknowledged: {e}; their causes come again");
        }
    }
}

/// What the process's producers have in common.
pub(super) fn config(settings: &Settings, client_id: &str, linger: Duration) -> ClientConfig {
    let mut config = settings.client(client_id);
    for (property, value) in [
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("partitioner", "murmur2_random"),
        ("compression.codec", "lz4"),
        ("queue.buffering.max.kbytes", "12288"),
        ("queue.buffering.max.messages", "100000"),
        ("message.max.bytes", "8388608"),
    ] {
        if !settings.properties.contains_key(property) {
            config.set(property, value);
        }
    }
    config.set("linger.ms", linger.as_millis().to_string());
    config
}

/// A record of an outbox as librdkafka takes it.
pub(super) fn base<'a>(
    topic: &'a str,
    outbox: &'a Outbox,
    record: &Outgoing,
    value: Option<&'a [u8]>,
    delivery: &Arc<Delivery>,
) -> BaseRecord<'a, [u8], [u8], Arc<Delivery>> {
    let mut base = BaseRecord::with_opaque_to(topic, delivery.clone()).key(outbox.key(record));
    if let Some(value) = value {
        base = base.payload(value);
    }
    if !outbox.headers(record).is_empty() {
        let headers = outbox
            .headers(record)
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        base = base.headers(headers);
    }
    base
}

#[async_trait]
impl Log for Producer {
    async fn append(&self, batch: &Batch, outbox: &Outbox) -> Result<Proof, NotAppended> {
        self.deliver(outbox, true).await.map_err(|e| NotAppended { why: e.to_string() })?;
        batch.next_offset().map(|next| Proof { next }).ok_or_else(|| NotAppended { why: "the batch is empty".into() })
    }
}

#[async_trait]
impl Outlet for Producer {
    async fn append(&self, outbox: &Outbox) -> Result<(), OutletError> {
        self.deliver(outbox, false).await
    }
}
