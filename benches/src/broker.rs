//! The broker that subjects run on: raw records put there, and what stands there.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::payload;

const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy)]
pub struct Broker<'a> {
    pub bootstrap: &'a str,
    pub registry: &'a str,
    /// Of every topic.
    pub partitions: i32,
}

impl Broker<'_> {
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap);
        config
    }

    /// Puts so many raw records onto their topic, and gives how many bytes they are.
    pub fn fill(&self, namespace: &str, records: u64) -> anyhow::Result<u64> {
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.client().set("linger.ms", "50").set("compression.codec", "lz4").set("partitioner", "murmur2_random").create()?;
        let topic = payload::topic(namespace);
        let schema_id = self.schema_id(&topic)?;
        let mut bytes = 0;
        for n in 0..records {
            let (key, value) = payload::record(n, schema_id);
            bytes += value.len() as u64;
            let mut record = BaseRecord::to(&topic).key(&key).payload(&value);
            while let Err((_, back)) = producer.send(record) {
                record = back;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        producer.flush(Duration::from_secs(60))?;
        Ok(bytes)
    }

    /// The id the registry gave the raw schema, asked with the tool at hand.
    fn schema_id(&self, topic: &str) -> anyhow::Result<u32> {
        let answer =
            Command::new("curl").args(["-fsS", &format!("{}/subjects/{topic}-value/versions/latest", self.registry)]).output()?;
        let json: serde_json::Value = serde_json::from_slice(&answer.stdout).context("the registry's answer")?;
        u32::try_from(json["id"].as_u64().context("no id in the registry's answer")?).context("a schema id of 32 bits")
    }

    pub fn total(&self, topic: &str) -> anyhow::Result<u64> {
        let consumer: BaseConsumer = self.client().create()?;
        (0..self.partitions).try_fold(0, |sum, partition| {
            let (low, high) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
            Ok(sum + u64::try_from(high - low)?)
        })
    }

    /// Whether a group has done all that stands on a topic.
    pub fn through(&self, group: &str, topic: &str) -> anyhow::Result<bool> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, self.partitions - 1);
        for place in consumer.committed_offsets(list, TIMEOUT)?.elements() {
            let (_, high) = consumer.fetch_watermarks(topic, place.partition(), TIMEOUT)?;
            if high > 0 && place.offset() != Offset::Offset(high) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
