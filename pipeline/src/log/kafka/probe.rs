//! Whether there is a record at a place where none has come for long.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Settings;

const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a reader of committed records finds one of this partition from `at` on; `None` where the broker does not tell in time.
///
/// A consumer's position alone does not say: it stands behind the last record it was given, and what a transaction leaves behind that (its
/// marker, all of an aborted one) is given to nobody.
pub fn finds_record(kafka: &Settings, client_id: &str, topic: &str, partition: i32, at: i64) -> Option<bool> {
    let mut config = kafka.reader(client_id);
    // No group is joined and nothing is committed.
    config.set("group.id", client_id).set("enable.partition.eof", "true").set("fetch.wait.max.ms", "100");
    let consumer: BaseConsumer = config.create().ok()?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, partition, Offset::Offset(at)).ok()?;
    consumer.assign(&place).ok()?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_)) => return Some(true),
            Some(Err(KafkaError::PartitionEOF(_))) => return Some(false),
            Some(Err(_)) | None => {}
        }
    }
    None
}
