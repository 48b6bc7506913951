//! The broker that subjects run on: raw records put there, and what stands there.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use crate::payload;
use crate::process::get;

pub const TIMEOUT: Duration = Duration::from_secs(20);

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

    /// A topic that is there when this comes back.
    pub async fn create(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let new = NewTopic::new(topic, self.partitions, TopicReplication::Fixed(1));
        let made = admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(TIMEOUT))).await?;
        made.into_iter().next().context("no answer")?.map_err(|(name, code)| anyhow::anyhow!("cannot create {name}: {code}"))?;
        // Made is not yet known to the broker that is asked for its ends.
        let until = Instant::now() + TIMEOUT;
        while let Err(why) = self.total(topic) {
            anyhow::ensure!(Instant::now() < until, "{topic} was made and is not there: {why}");
        }
        Ok(())
    }

    /// Has the broker stamp a topic's records when they arrive.
    pub async fn stamp(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let stamped = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("message.timestamp.type", "LogAppendTime");
        let done = admin.alter_configs([&stamped], &AdminOptions::new().request_timeout(Some(TIMEOUT))).await?;
        done.into_iter().next().context("no answer")?.map_err(|(_, code)| anyhow::anyhow!("cannot configure {topic}: {code}"))?;
        Ok(())
    }

    /// Puts so many raw records onto their topic, and gives how many bytes they are.
    pub fn fill(&self, namespace: &str, records: u64) -> anyhow::Result<u64> {
        self.fill_with(namespace, records, |n, schema_id| Ok(payload::record(n, schema_id)))
    }

    /// The same with records that are made in another way.
    pub fn fill_with(
        &self,
        namespace: &str,
        records: u64,
        record: impl Fn(u64, u32) -> anyhow::Result<(String, Vec<u8>)>,
    ) -> anyhow::Result<u64> {
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.client().set("linger.ms", "50").set("compression.codec", "lz4").set("partitioner", "murmur2_random").create()?;
        let topic = payload::topic(namespace);
        let schema_id = self.schema_id(&topic)?;
        let mut bytes = 0;
        for n in 0..records {
            let (key, value) = record(n, schema_id)?;
            bytes += value.len() as u64;
            let mut sent = BaseRecord::to(&topic).key(&key).payload(&value);
            while let Err((_, back)) = producer.send(sent) {
                sent = back;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        producer.flush(Duration::from_secs(60))?;
        Ok(bytes)
    }

    /// The id the registry gave a topic's schema.
    pub fn schema_id(&self, topic: &str) -> anyhow::Result<u32> {
        let url = format!("{}/subjects/{topic}-value/versions/latest", self.registry);
        let answer = get(&url).with_context(|| format!("no schema of {topic} in the registry"))?;
        let json: serde_json::Value = serde_json::from_str(&answer).context("the registry's answer")?;
        u32::try_from(json["id"].as_u64().context("no id in the registry's answer")?).context("a schema id of 32 bits")
    }

    pub fn total(&self, topic: &str) -> anyhow::Result<u64> {
        let consumer: BaseConsumer = self.client().create()?;
        (0..self.partitions).try_fold(0, |sum, partition| {
            let (low, high) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
            Ok(sum + u64::try_from(high - low)?)
        })
    }

    /// Where each partition ends.
    pub fn ends(&self, topic: &str) -> anyhow::Result<Vec<i64>> {
        let consumer: BaseConsumer = self.client().create()?;
        (0..self.partitions).map(|partition| Ok(consumer.fetch_watermarks(topic, partition, TIMEOUT)?.1)).collect()
    }

    /// Whether a group has done all that stands on a topic.
    pub fn through(&self, group: &str, topic: &str) -> anyhow::Result<bool> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create()?;
        let Some(committed) = self.places(&consumer, topic)? else { return Ok(false) };
        for place in committed.elements() {
            let (_, high) = consumer.fetch_watermarks(topic, place.partition(), TIMEOUT)?;
            if high > 0 && place.offset() != Offset::Offset(high) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many records a group has done, of a topic that still has its first.
    pub fn committed(&self, group: &str, topic: &str) -> anyhow::Result<u64> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create()?;
        let Some(committed) = self.places(&consumer, topic)? else { return Ok(0) };
        let offsets = committed.elements().into_iter().filter_map(|place| place.offset().to_raw());
        Ok(offsets.filter_map(|offset| u64::try_from(offset).ok()).sum())
    }

    /// Where a consumer's group is, if anybody can say.
    fn places(&self, consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Option<TopicPartitionList>> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, self.partitions - 1);
        match consumer.committed_offsets(list, TIMEOUT) {
            // The first group of a new broker: it is about to take its place.
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotCoordinator | RDKafkaErrorCode::CoordinatorLoadInProgress)) => {
                Ok(None)
            }
            committed => Ok(Some(committed?)),
        }
    }

    /// Puts a group that nobody is in back to the beginning.
    pub fn rewind(&self, group: &str, topic: &str) -> anyhow::Result<()> {
        self.put_back(group, topic, &vec![0; usize::try_from(self.partitions)?])
    }

    /// Puts a group that nobody is in back to these offsets, one of each partition.
    pub fn put_back(&self, group: &str, topic: &str, offsets: &[i64]) -> anyhow::Result<()> {
        let consumer: BaseConsumer = self.client().set("group.id", group).set("enable.auto.commit", "false").create()?;
        let mut list = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(offsets) {
            list.add_partition_offset(topic, partition, Offset::Offset(*offset))?;
        }
        consumer.commit(&list, CommitMode::Sync)?;
        Ok(())
    }

    /// The topics whose names begin with this.
    pub fn topics(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let consumer: BaseConsumer = self.client().create()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
        let mut names: Vec<String> =
            metadata.topics().iter().map(|t| t.name().to_owned()).filter(|n| n.starts_with(prefix)).collect();
        names.sort();
        Ok(names)
    }

    /// Shows everything on a topic from its beginning to its end as it is now.
    pub fn each(&self, topic: &str, mut look: impl FnMut(&BorrowedMessage<'_>)) -> anyhow::Result<()> {
        let group = format!("{topic}.look");
        let mut config = self.client();
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, self.partitions - 1);
        list.set_all_offsets(Offset::Beginning)?;
        consumer.assign(&list)?;
        // By its end and not by the last offset, which may be a transaction's marker.
        let mut open: HashSet<i32> = (0..self.partitions).collect();
        while !open.is_empty() {
            match consumer.poll(TIMEOUT).with_context(|| format!("{topic} has more, and nothing comes"))? {
                Ok(message) => look(&message),
                Err(KafkaError::PartitionEOF(partition)) => {
                    open.remove(&partition);
                }
                Err(why) => return Err(why.into()),
            }
        }
        Ok(())
    }

    /// Deletes all topics of a namespace. A broker may list those made just now only after a while, but before it shows that others are gone.
    pub async fn clear(&self, namespace: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let until = Instant::now() + TIMEOUT;
        loop {
            let topics = self.topics(&format!("{namespace}."))?;
            if topics.is_empty() {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < until, "{} topics of {namespace} are still there, expected none", topics.len());
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            for deleted in admin.delete_topics(&names, &AdminOptions::new()).await? {
                match deleted {
                    Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                    Err((name, code)) => anyhow::bail!("cannot delete {name}: {code}"),
                }
            }
        }
    }
}
