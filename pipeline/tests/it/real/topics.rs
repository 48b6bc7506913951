//! What stands on the topics of a rig, read from outside the product.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::rig::Rig;

const TIMEOUT: Duration = Duration::from_secs(60);

impl Rig {
    /// A client that goes straight to the broker.
    pub fn kafka(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.parts.kafka);
        config
    }

    /// Values on the hub so far.
    pub fn hub_values(&self) -> Vec<Vec<u8>> {
        values(&mut self.hub_client(), &self.hub())
    }

    /// Every record of a topic: key, headers and value in one, with where it stands.
    pub fn everything(&self, topic: &str) -> Vec<(String, Vec<u8>)> {
        let mut records = Vec::new();
        each(&mut self.kafka(), topic, |message| {
            let mut bytes = message.key().unwrap_or_default().to_vec();
            for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
                bytes.extend_from_slice(header.key.as_bytes());
                bytes.extend_from_slice(header.value.unwrap_or_default());
            }
            bytes.extend_from_slice(message.payload().unwrap_or_default());
            records.push((format!("{topic}:{}:{}", message.partition(), message.offset()), bytes));
        });
        records
    }

    /// How far a topic of ours has grown, transactions' markers included: quicker than reading it.
    pub fn grown(&self, topic: &str) -> i64 {
        self.ends(topic).iter().map(|(_, end)| end).sum()
    }

    /// Where each partition of a topic of ours ends.
    pub fn ends(&self, topic: &str) -> Vec<(i32, i64)> {
        let consumer: BaseConsumer = self.kafka().create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
        let ids = metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id);
        ids.map(|id| (id, consumer.fetch_watermarks(topic, id, TIMEOUT).expect("watermarks").1)).collect()
    }

    /// Values on a topic of ours that carry this header.
    pub fn marked(&self, topic: &str, (name, value): (&str, &str)) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        each(&mut self.kafka(), topic, |message| {
            let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
            if headers.any(|header| header.key == name && header.value == Some(value.as_bytes())) {
                found.push(message.payload().unwrap_or_default().to_vec());
            }
        });
        found
    }

    /// What a worker's group has committed, by partition; 0 where nothing yet.
    pub fn committed(&self, worker: &str, topic: &str) -> Vec<(i32, i64)> {
        let group = format!("{}.{worker}", self.namespace);
        let consumer: BaseConsumer = self.kafka().set("group.id", &group).create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        for (partition, _) in self.ends(topic) {
            list.add_partition(topic, partition);
        }
        let committed = consumer.committed_offsets(list, TIMEOUT).expect("an answer of the group's coordinator");
        let offset = |offset: Offset| if let Offset::Offset(next) = offset { next } else { 0 };
        committed.elements().iter().map(|place| (place.partition(), offset(place.offset()))).collect()
    }

    /// Whether a worker has done everything that stands on a topic.
    pub fn through(&self, worker: &str, topic: &str) -> bool {
        self.committed(worker, topic) == self.ends(topic)
    }

    /// Values on a topic of ours so far.
    pub fn values(&self, topic: &str) -> Vec<Vec<u8>> {
        values(&mut self.kafka(), topic)
    }
}

/// Everything on a topic from its beginning to its end as it is now.
fn values(config: &mut ClientConfig, topic: &str) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    each(config, topic, |message| values.push(message.payload().unwrap_or_default().to_vec()));
    values
}

fn each(config: &mut ClientConfig, topic: &str, mut look: impl FnMut(&BorrowedMessage<'_>)) {
    let group = format!("look-{}", uuid::Uuid::new_v4());
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "20");
    let consumer: BaseConsumer = config.set("isolation.level", "read_committed").create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
    for partition in metadata.topics()[0].partitions() {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
        consumer.assign(&list).expect("assigned");
        // The end as librdkafka tells it: the last thing in a partition may be a transaction's marker, which is no record.
        loop {
            match consumer.poll(TIMEOUT).expect("a record or the end") {
                Ok(message) => look(&message),
                Err(KafkaError::PartitionEOF(_)) => break,
                Err(e) => panic!("{topic}: {e}"),
            }
        }
    }
}
