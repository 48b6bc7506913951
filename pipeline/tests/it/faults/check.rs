//! The checker: what is lost, doubled, out of order, written over by something older, and committed before it was written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use uuid::Uuid;

use super::doors::UPLOADS;
use super::ledger::{Difference, Key, Ledger};
use crate::real::rig::Rig;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Topic, partition, offset of a raw record.
type Place = (String, i32, i64);

/// One state of one observation.
#[derive(Debug, Clone)]
struct Stated {
    id: Uuid,
    key: Key,
    version: i64,
}

/// Follows the observation topic from its beginning and remembers what was seen. It goes to the broker directly, not the way the roles go.
pub struct Watcher {
    consumer: BaseConsumer,
    topic: String,
    partitions: Vec<i32>,
    next: BTreeMap<i32, i64>,
    /// The newest version of each observation so far.
    newest: HashMap<Uuid, i64>,
    states: HashSet<(Uuid, i64)>,
    made: HashSet<(Uuid, Place)>,
    /// Raw records that something came out of.
    done: HashSet<Place>,
    /// By partition, each record's offset with what it says.
    records: BTreeMap<(i32, i64), Stated>,
    /// The same reading of the same raw record once more: harmless, and counted.
    pub duplicates: u64,
    /// A state of an observation that came for the first time after a newer one of it.
    pub reordered: u64,
}

impl Watcher {
    pub fn new(rig: &Rig) -> Self {
        let topic = topics::OBSERVATION.name(&rig.namespace, None);
        let group = format!("watch-{}", Uuid::new_v4());
        let consumer: BaseConsumer =
            rig.kafka().set("group.id", group).set("enable.auto.commit", "false").create().expect("a consumer");
        let partitions: Vec<i32> = rig.ends(&topic).into_iter().map(|(partition, _)| partition).collect();
        let mut list = TopicPartitionList::new();
        for &partition in &partitions {
            list.add_partition_offset(&topic, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("assigned");
        Self {
            consumer,
            topic,
            partitions,
            next: BTreeMap::new(),
            newest: HashMap::new(),
            states: HashSet::new(),
            made: HashSet::new(),
            done: HashSet::new(),
            records: BTreeMap::new(),
            duplicates: 0,
            reordered: 0,
        }
    }

    /// Reads up to the end as it is now.
    pub fn catch_up(&mut self) {
        let ends: BTreeMap<i32, i64> = self
            .partitions
            .iter()
            .map(|&p| (p, self.consumer.fetch_watermarks(&self.topic, p, TIMEOUT).expect("watermarks").1))
            .collect();
        let started = std::time::Instant::now();
        while ends.iter().any(|(p, end)| self.next.get(p).copied().unwrap_or(0) < *end) {
            assert!(started.elapsed() < TIMEOUT, "the observation topic cannot be read to its end");
            let Some(Ok(message)) = self.consumer.poll(Duration::from_secs(1)) else { continue };
            let (partition, offset) = (message.partition(), message.offset());
            self.next.insert(partition, offset + 1);
            let (_, body) = wire::split(message.payload().unwrap_or_default()).expect("a frame");
            let observation = Observation::decode(body).expect("our own record");
            let place = (observation.raw_topic.to_owned(), observation.raw_partition, observation.raw_offset);
            if !self.made.insert((observation.id, place.clone())) {
                self.duplicates += 1;
            }
            self.done.insert(place);
            let newest = self.newest.entry(observation.id).or_insert(observation.version);
            if self.states.insert((observation.id, observation.version)) && observation.version < *newest {
                self.reordered += 1;
            }
            *newest = (*newest).max(observation.version);
            if let Some(data_type) =
                ["heart-rate", "body-weight", "oxygen-saturation"].iter().find(|t| **t == observation.data_type)
            {
                let key = Key { subject: observation.subject_id.to_owned(), data_type, start: observation.start };
                let (id, version) = (observation.id, observation.version);
                self.records.insert((partition, offset), Stated { id, key, version });
            }
        }
    }

    /// Ids of all observations so far.
    pub fn ids(&self) -> impl Iterator<Item = String> + '_ {
        self.newest.keys().map(Uuid::to_string)
    }

    /// Offsets of `normalize` that passed an uploaded batch of which nothing was made, and of `scylla` that passed an observation which the store
    /// does not have. Every batch comes to something here, so each of these is a loss that waits for a crash.
    pub async fn ahead(&mut self, rig: &Rig) -> u64 {
        let raw = topics::RAW.name(&rig.namespace, Some(UPLOADS));
        let passed = rig.committed("normalize", &raw);
        let kept = rig.committed("scylla", &self.topic);
        self.catch_up();
        let mut ahead = 0;
        for (partition, next) in passed {
            for offset in 0..next {
                if !self.done.contains(&(raw.clone(), partition, offset)) {
                    println!("offset {next} of {raw} [{partition}] is committed, and nothing came of {offset}");
                    ahead += 1;
                }
            }
        }
        let mut wanted: BTreeMap<Uuid, &Stated> = BTreeMap::new();
        let mut spans: BTreeMap<(&str, &'static str), (i64, i64)> = BTreeMap::new();
        for (partition, next) in &kept {
            for stated in self.records.range((*partition, 0)..(*partition, *next)).map(|(_, stated)| stated) {
                let newest = wanted.entry(stated.id).or_insert(stated);
                if newest.version < stated.version {
                    *newest = stated;
                }
                let start = stated.key.start;
                let span = spans.entry((&stated.key.subject, stated.key.data_type)).or_insert((start, start));
                *span = (span.0.min(start), span.1.max(start));
            }
        }
        let mut there: HashMap<Uuid, i64> = HashMap::new();
        for ((subject, data_type), (from, to)) in spans {
            there.extend(rows(rig, subject, data_type, from, to).await.into_iter().map(|row| (row.id, row.version)));
        }
        for stated in wanted.values().filter(|stated| there.get(&stated.id).is_none_or(|version| *version < stated.version)) {
            println!("the offset of {stated:?} is committed, and {:?} stands", there.get(&stated.id));
            ahead += 1;
        }
        ahead
    }
}

/// How the store differs from what was accepted.
pub async fn difference(rig: &Rig, ledger: &Ledger) -> Difference {
    let mut found = Vec::new();
    for ((subject, data_type), (from, to)) in ledger.spans() {
        for row in rows(rig, &subject, data_type, from, to).await {
            let value = row.value_text.as_deref().and_then(|text| text.parse().ok());
            found.push((Key { subject: subject.clone(), data_type, start: row.start }, value));
        }
    }
    ledger.compare(&found)
}

/// Rows from the first to the last moment, however many: a page holds ten thousand.
async fn rows(rig: &Rig, subject: &str, data_type: &'static str, from: i64, to: i64) -> Vec<headwater_store::StoredObservation> {
    const DAY: i64 = 86_400_000_000;
    let (mut all, mut at) = (Vec::new(), from);
    while at <= to {
        let until = (at + DAY).min(to + 1);
        all.extend(rig.rows(subject, data_type, at, until).await);
        at = until;
    }
    all
}

/// Ids of the observations at the other endpoint.
pub fn on_hub(rig: &Rig) -> HashSet<String> {
    let id = |value: Vec<u8>| {
        let resource: serde_json::Value = serde_json::from_slice(&value).ok()?;
        (resource["resourceType"] == "Observation").then(|| resource["id"].as_str().map(str::to_owned))?
    };
    rig.hub_values().into_iter().filter_map(id).collect()
}
