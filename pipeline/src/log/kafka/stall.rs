//! A consumer that hears nothing although there are records.
//!
//! Its position and the partition's end alone do not say so. A record may have come just now; and what a transaction leaves behind the last
//! record (its marker, all of an aborted one) takes offsets and is given to nobody. So the records must have been there for long, and a look
//! with another consumer must find one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Settings;
use super::lease::Place;

const PATIENCE: Duration = Duration::from_secs(5);

/// What stands before the end of partitions and has not come.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashMap<Place, Suspect>);

#[derive(Debug)]
struct Suspect {
    at: i64,
    end: i64,
    since: Instant,
    /// No record is left before `end`.
    cleared: bool,
}

impl Suspects {
    /// Notes that a consumer stands at `at` and the partition ended at `end`. Gives the end before which a record, if there is one, has been
    /// waiting for longer than `patience`.
    pub fn note(&mut self, place: &Place, at: i64, end: i64, patience: Duration) -> Option<i64> {
        if at >= end {
            self.0.remove(place);
            return None;
        }
        let new = || Suspect { at, end, since: Instant::now(), cleared: false };
        let suspect = self.0.entry(place.clone()).or_insert_with(new);
        if suspect.at != at || (suspect.cleared && suspect.end < end) {
            *suspect = new();
        }
        (!suspect.cleared && suspect.since.elapsed() >= patience).then_some(suspect.end)
    }

    pub fn clear(&mut self, place: &Place) {
        if let Some(suspect) = self.0.get_mut(place) {
            suspect.cleared = true;
        }
    }

    /// The broker does not answer: what has not come is not the consumer's fault.
    pub fn forget(&mut self, place: &Place) {
        self.0.remove(place);
    }
}

/// Whether a reader of committed records finds one of this partition from `at` on and before `end`; `None` where the broker does not tell.
pub fn finds_record(kafka: &Settings, client_id: &str, (topic, partition): (&str, i32), at: i64, end: i64) -> Option<bool> {
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
            Some(Ok(message)) => return Some(message.offset() < end),
            Some(Err(KafkaError::PartitionEOF(_))) => return Some(false),
            Some(Err(_)) | None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_been_there_for_long_is_suspect_and_each_end_is_looked_at_once() {
        let (mut suspects, place) = (Suspects::default(), ("t".into(), 0));
        let (at_once, never) = (Duration::ZERO, Duration::MAX);
        assert_eq!(suspects.note(&place, 5, 5, at_once), None, "nothing is there");
        assert_eq!(suspects.note(&place, 5, 7, never), None, "it has come just now");
        assert_eq!(suspects.note(&place, 5, 9, at_once), Some(7), "what came later has not been waiting for as long");
        suspects.clear(&place);
        assert_eq!(suspects.note(&place, 5, 7, at_once), None, "it was looked at");
        assert_eq!(suspects.note(&place, 5, 9, never), None, "more came, just now");
        assert_eq!(suspects.note(&place, 5, 9, at_once), Some(9));
        assert_eq!(suspects.note(&place, 8, 9, never), None, "some of it came");
        suspects.forget(&place);
        assert_eq!(suspects.note(&place, 8, 9, never), None, "the broker was away");
    }
}
