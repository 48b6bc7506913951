//! Which offsets a replay goes through: from its bounds where it is new, from what is [kept](super::kept) where it was begun.

use std::time::Duration;

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::kept::{Begun, Kept, Note};
use super::{Ask, Bound, Mode};
use crate::app::App;
use crate::log::kafka::Span;

const TIMEOUT: Duration = Duration::from_secs(20);

/// One partition's share.
#[derive(Debug, Clone)]
pub struct Part {
    pub provider: &'static str,
    pub from: i64,
    /// `next` is `from` where nothing was done yet.
    pub span: Span,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    pub group: String,
    pub parts: Vec<Part>,
    /// It was begun before.
    pub resumed: bool,
}

impl Plan {
    pub fn total(&self) -> u64 {
        self.parts.iter().map(|part| u64::try_from(part.span.until - part.from).unwrap_or(0)).sum()
    }

    pub fn left(&self) -> u64 {
        self.parts.iter().map(|part| part.span.left()).sum()
    }

    /// Asks the cluster. What is kept goes on where it was. Blocks.
    ///
    /// # Errors
    /// When it does not answer, or has no such topic.
    pub fn make(app: &App, ask: &Ask, kept: &Kept) -> anyhow::Result<Self> {
        let name = ask.name()?;
        let group = super::group(app, &name);
        let mut config = app.config.kafka.reader(&format!("{group}-plan"));
        config.set("group.id", &group);
        let consumer: BaseConsumer = config.create()?;
        let mut parts = Vec::new();
        for provider in &ask.providers {
            let topic = headwater_schemas::topics::RAW.name(&app.config.namespace, Some(provider));
            let places = partitions(&consumer, &topic)?;
            let begun = Ends::of(&consumer, &topic, ask.from, &places)?;
            let ended = Ends::of(&consumer, &topic, ask.until, &places)?;
            for place in places.elements() {
                let partition = place.partition();
                let (low, high) = consumer.fetch_watermarks(&topic, partition, TIMEOUT)?;
                let (from, next, until) = match kept.part(&topic, partition) {
                    Some((next, note)) => (note.from, next, note.until),
                    None => {
                        let from = begun.at(partition, (low, high));
                        (from, from, ended.at(partition, (low, high)).max(from))
                    }
                };
                let note = Note { from, until, begun: Begun::of(ask) }.text();
                let span = Span { topic: topic.as_str().into(), partition, next: next.clamp(low.min(until), until), until, note };
                parts.push(Part { provider, from, span });
            }
        }
        if ask.mode != Mode::Count {
            consumer
                .commit(&Span::list(parts.iter().map(|part| &part.span))?, CommitMode::Sync)
                .context("the plan cannot be kept")?;
        }
        Ok(Self { name, group, parts, resumed: !kept.is_empty() })
    }
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<TopicPartitionList> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("kafka does not answer")?;
    let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
    let found = found.map(|t| t.partitions()).filter(|p| !p.is_empty());
    let found = found.with_context(|| format!("topic {topic} is missing, `headwater topics apply` makes it"))?;
    let mut list = TopicPartitionList::new();
    found.iter().for_each(|partition| {
        list.add_partition(topic, partition.id());
    });
    Ok(list)
}

/// A bound in the partitions of a topic.
enum Ends {
    Low,
    High,
    Offset(i64),
    Times(TopicPartitionList, String),
}

impl Ends {
    fn of(consumer: &BaseConsumer, topic: &str, bound: Bound, places: &TopicPartitionList) -> anyhow::Result<Self> {
        Ok(match bound {
            Bound::Earliest => Self::Low,
            Bound::Now => Self::High,
            Bound::Offset(offset) => Self::Offset(offset),
            Bound::Time(time) => {
                let mut asked = places.clone();
                asked.set_all_offsets(Offset::Offset(time.as_millisecond()))?;
                let found = consumer.offsets_for_times(asked, TIMEOUT).context("kafka gives no offsets for a time")?;
                Self::Times(found, topic.to_owned())
            }
        })
    }

    fn at(&self, partition: i32, (low, high): (i64, i64)) -> i64 {
        match self {
            Self::Low => low,
            Self::High => high,
            Self::Offset(offset) => (*offset).clamp(low, high),
            Self::Times(found, topic) => match found.find_partition(topic, partition).map(|p| p.offset()) {
                Some(Offset::Offset(offset)) => offset.clamp(low, high),
                // Nothing is that new.
                _ => high,
            },
        }
    }
}
