//! The coordinator as librdkafka reaches it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use headwater_schemas::{Outbox, wire};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::TransactionSettings;
use super::conclude::{Coordinator, TRANSACTION_TIMEOUT, Trouble};
use crate::log::kafka::lease::Place;
use crate::log::kafka::poller::Reader;
use crate::log::kafka::producer::{self, Context, Delivery};
use crate::log::kafka::{Settings, begins};
use crate::registry::Target;

/// How long one answer may take; the transaction's own time-out is longer.
const TIMEOUT: Duration = Duration::from_secs(10);
const ROOM: Duration = Duration::from_millis(5);

pub(super) struct Broker {
    kafka: Settings,
    settings: TransactionSettings,
    /// Weak, because the poll thread closes the consumer by letting go of it.
    consumer: Weak<Reader>,
    producer: Option<ThreadedProducer<Context>>,
    delivery: Arc<Delivery>,
    framed: Vec<u8>,
}

impl Broker {
    pub fn new(kafka: Settings, settings: TransactionSettings, consumer: Weak<Reader>) -> Self {
        Self { kafka, settings, consumer, producer: None, delivery: Arc::default(), framed: Vec::new() }
    }

    fn ask(&self, what: &str, ask: impl FnOnce(&ThreadedProducer<Context>) -> Result<(), KafkaError>) -> Result<(), Trouble> {
        let producer = self.producer.as_ref().ok_or_else(|| Trouble::Indefinite("no producer".into()))?;
        ask(producer).map_err(|error| self.trouble(what, &error))
    }

    fn trouble(&self, what: &str, error: &KafkaError) -> Trouble {
        let fatal = self.producer.as_ref().and_then(|producer| producer.client().fatal_error());
        let why = match &fatal {
            Some((_, fatal)) => format!("{what}: {error}: {fatal}"),
            None => format!("{what}: {error}"),
        };
        match fatal.map(|(code, _)| code).or_else(|| error.rdkafka_error_code()) {
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => return Trouble::Fenced(why),
            Some(
                Code::UnsupportedFeature
                | Code::UnsupportedVersion
                | Code::TransactionalIdAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::InvalidTransactionTimeout,
            ) => return Trouble::Never(format!("{why}: expected a broker with transactions, and a user who may use this name")),
            _ => {}
        }
        let abortable = match error {
            KafkaError::Transaction(error) => error.txn_requires_abort() && !error.is_fatal(),
            KafkaError::MessageProduction(Code::MessageSizeTooLarge) => true,
            _ => false,
        };
        if abortable { Trouble::Abort(why) } else { Trouble::Indefinite(why) }
    }
}

impl Coordinator for Broker {
    fn begin(&mut self) -> Result<(), Trouble> {
        self.delivery = Arc::default();
        self.ask("begin", |producer| producer.begin_transaction())
    }

    fn produce(&mut self, outbox: &Outbox, targets: &[Target]) -> Result<(), Trouble> {
        let producer = self.producer.as_ref().ok_or_else(|| Trouble::Indefinite("no producer".into()))?;
        for (record, target) in outbox.records().iter().zip(targets) {
            self.framed.clear();
            if let Some(schema_id) = target.schema_id {
                wire::frame(schema_id, &mut self.framed);
            }
            self.framed.extend_from_slice(outbox.body(record));
            let value = (!record.is_tombstone()).then_some(self.framed.as_slice());
            let mut base = producer::base(&target.topic, outbox, record, value, &self.delivery);
            self.delivery.expect();
            while let Err((error, back)) = producer.send(base) {
                if !matches!(error, KafkaError::MessageProduction(Code::QueueFull)) {
                    self.delivery.one_done(None);
                    return Err(self.trouble("produce", &error));
                }
                // Room comes as the broker acknowledges, or as what it does not acknowledge times out.
                base = back;
                std::thread::sleep(ROOM);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.delivery.wait();
        match self.delivery.failure() {
            None => Ok(()),
            Some(code) => {
                let error = KafkaError::MessageProduction(code);
                match self.trouble("produce", &error) {
                    // The transaction is as it was, without the record.
                    Trouble::Indefinite(why) => Err(Trouble::Abort(why)),
                    other => Err(other),
                }
            }
        }
    }

    fn offsets(&mut self, next: &[(Place, i64)]) -> Result<(), Trouble> {
        if next.is_empty() {
            return Ok(());
        }
        let gone = || Trouble::Abort("the consumer is closed".into());
        let consumer = self.consumer.upgrade().ok_or_else(gone)?;
        // As the group is now: an older generation is refused by the broker.
        let metadata = consumer.group_metadata().ok_or_else(gone)?;
        // After, because without a member and a generation the broker would take it from anybody.
        if consumer.assignment_lost() {
            return Err(Trouble::Abort("the assignment is lost".into()));
        }
        let mut list = TopicPartitionList::new();
        for (place, next) in next {
            list.add_partition_offset(&place.0, place.1, Offset::Offset(*next)).expect("an offset of a record is valid");
        }
        self.ask("offsets", |producer| producer.send_offsets_to_transaction(&list, &metadata, TIMEOUT))
    }

    fn commit(&mut self) -> Result<(), Trouble> {
        self.ask("commit", |producer| producer.commit_transaction(TIMEOUT))
    }

    fn abort(&mut self) -> Result<(), Trouble> {
        self.ask("abort", |producer| producer.abort_transaction(TIMEOUT))
    }

    fn renew(&mut self) -> Result<(), Trouble> {
        // First the old one, so that nothing of it is sent after the new one has its epoch.
        self.producer = None;
        let mut config = producer::config(&self.kafka, &self.settings.client_id, self.settings.linger);
        config
            .set("transactional.id", &self.settings.transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string())
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("delivery.timeout.ms", TIMEOUT.as_millis().to_string());
        let producer = config.create_with_context(Context).map_err(|e| Trouble::Never(e.to_string()))?;
        self.producer = Some(producer);
        self.ask("init", |producer| producer.init_transactions(TIMEOUT))
    }

    fn committed(&mut self, places: &[Place]) -> Result<Vec<Option<i64>>, Trouble> {
        let consumer = self.consumer.upgrade().ok_or_else(|| Trouble::Never("the consumer is closed".into()))?;
        begins::stand(&consumer, places, TIMEOUT).map_err(Trouble::Indefinite)
    }
}
