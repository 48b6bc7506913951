//! Reading the dead letters of a worker, from the beginning of the topic to its end as it is now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use headwater_schemas::connection::Connection;
use headwater_schemas::device::Device;
use headwater_schemas::hint::Hint;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Topic, wire};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::letter::{self, At, Letter, Read};
use crate::app::App;
use crate::registry::Reading;

const TIMEOUT: Duration = Duration::from_secs(10);

/// All letters of the worker in the order of their positions, with how they were settled. Blocks: not for an async task.
///
/// # Errors
/// When the cluster does not answer.
pub fn letters(app: &App, worker: &'static str) -> anyhow::Result<Vec<Letter>> {
    let (mut bodies, mut letters, mut settled) = (Bodies::new(app), Vec::new(), HashMap::new());
    each(app, worker, None, |message| {
        match letter::read(worker, message, |topic, value| bodies.whose(topic, value)) {
            Read::Letter(letter) => letters.push(*letter),
            Read::Marker(at, how) => {
                settled.insert(at, how);
            }
        }
        Ok(())
    })?;
    for letter in &mut letters {
        letter.settled = settled.remove(&letter.position);
    }
    Ok(letters)
}

/// Shows each record between the first and the last of these places, or all there are.
///
/// # Errors
/// When the cluster does not answer, and what `take` fails with.
pub fn each(
    app: &App,
    worker: &str,
    only: Option<(At, At)>,
    mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let topic = topics::DEAD.name(&app.config.namespace, Some(worker));
    let mut config = app.config.kafka.reader("headwater-dead");
    // No group is joined. The end is told, since the last offsets may belong to no record.
    config.set("group.id", "headwater-dead").set("enable.partition.eof", "true");
    config.set("fetch.wait.max.ms", app.config.group.fetch_wait_ms.to_string()).set("queued.max.messages.kbytes", "8192");
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT).context("kafka does not answer")?;
    let mut partitions: Vec<i32> =
        metadata.topics().iter().flat_map(|t| t.partitions()).map(rdkafka::metadata::MetadataPartition::id).collect();
    partitions.sort_unstable();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, TIMEOUT)?;
        let (low, high) = match only {
            Some((first, last)) if first.0 == partition => (low.max(first.1), high.min(last.1 + 1)),
            Some(_) => continue,
            None => (low, high),
        };
        if low >= high {
            continue;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, Offset::Offset(low))?;
        consumer.assign(&list)?;
        loop {
            match consumer.poll(TIMEOUT).context("kafka does not answer")? {
                Ok(message) if message.offset() < high => {
                    take(&message)?;
                    if message.offset() + 1 == high {
                        break;
                    }
                }
                Ok(_) => break,
                Err(KafkaError::PartitionEOF(ended)) if ended == partition => break,
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(())
}

/// Reads the bodies of what was refused, as far as they can be read.
pub struct Bodies<'a> {
    app: &'a App,
    /// By schema id and stage. `None` where the registry does not tell: asked once, not for each letter.
    known: HashMap<(u32, &'static str), Option<Arc<Reading>>>,
}

impl<'a> Bodies<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app, known: HashMap::new() }
    }

    /// The body in our own layout, with its topic.
    pub fn body<'b>(&mut self, topic: &str, value: &'b [u8], scratch: &'b mut Vec<u8>) -> Option<(&'static Topic, &'b [u8])> {
        let (topic, _) = entry(&self.app.config.namespace, topic)?;
        let (id, body) = wire::split(value).ok()?;
        let registry = &self.app.registry;
        let learn = || tokio::runtime::Handle::current().block_on(registry.learn(id, topic)).ok();
        let reading = self.known.entry((id, topic.stage)).or_insert_with(learn).as_ref()?;
        Some((topic, reading.body(body, scratch).ok()?))
    }

    /// Provider and stream of a record of this topic.
    fn whose(&mut self, topic: &str, value: Option<&[u8]>) -> (Option<String>, Option<String>) {
        let named = entry(&self.app.config.namespace, topic).and_then(|(_, member)| member);
        let mut scratch = Vec::new();
        let read = value.and_then(|value| self.body(topic, value, &mut scratch)).and_then(|(topic, body)| said(topic, body));
        match (named, read) {
            (Some(named), read) => (Some(named), read.and_then(|(_, stream)| stream)),
            (None, Some((provider, stream))) => (Some(provider), stream),
            (None, None) => (None, None),
        }
    }
}

fn said(topic: &Topic, body: &[u8]) -> Option<(String, Option<String>)> {
    let own = |provider: &str, stream: Option<&str>| Some((provider.to_owned(), stream.map(str::to_owned)));
    match topic {
        t if t == &topics::RAW => Raw::decode(body).ok().and_then(|r| own(r.provider, Some(r.stream))),
        t if t == &topics::OBSERVATION => Observation::decode(body).ok().and_then(|o| own(o.provider, Some(o.stream))),
        t if t == &topics::MEDICATION => Medication::decode(body).ok().and_then(|m| own(m.provider, Some(m.stream))),
        t if t == &topics::DEVICE => Device::decode(body).ok().and_then(|d| own(d.provider, None)),
        t if t == &topics::CONNECTION => Connection::decode(body).ok().and_then(|c| own(c.provider, c.stream)),
        t if [&topics::HINT_LIVE, &topics::HINT_HISTORY, &topics::HINT_LATER].contains(&t) => {
            Hint::decode(body).ok().and_then(|h| own(h.provider, None))
        }
        _ => None,
    }
}

/// The catalogue's entry of a topic by its full name, and the family's word.
fn entry(namespace: &str, name: &str) -> Option<(&'static Topic, Option<String>)> {
    topics::ALL.iter().find_map(|topic| {
        if !topic.family {
            return (topic.name(namespace, None) == name).then_some((*topic, None));
        }
        let member = name.strip_prefix(&format!("{namespace}.{}.", topic.stage))?.strip_suffix(&format!(".v{}", topic.major))?;
        Some((*topic, Some(member.to_owned())))
    })
}
