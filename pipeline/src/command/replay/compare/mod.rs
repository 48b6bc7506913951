//! A candidate's records beside what stands on the topics: the newest state of each id, by fingerprints of its fields.
//!
//! Memory: one entry per id that the candidate makes or that was made from a raw record of the range, 136 bytes and the slack of a hash
//! table, of one topic at a time. Rows are not kept.

mod print;
mod report;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use headwater_schemas::{Topic, topics, wire};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::drive::Done;
use super::plan::Part;
use super::shadow;
use crate::app::App;
use crate::consent::{self, ConsentTable};
use crate::log::Lease as _;
use crate::log::kafka::{Span, SpanLease};
use crate::run::Unavailable;
use crate::supervise::Supervisor;
pub use print::{Field, Seen, State, seen};
pub use report::{Report, Row};

const TIMEOUT: Duration = Duration::from_secs(20);
const BATCH_RECORDS: usize = 1000;

/// One id: what the candidate makes of it, and what stands.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Which provider and data type, by the names of the report.
    kind: u32,
    pub candidate: Option<State>,
    pub standing: Option<State>,
}

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Same,
    Added,
    Gone,
    Changed,
    /// A newer state of the source stands there than any in the range.
    Superseded,
}

impl Entry {
    pub fn verdict(&self) -> Verdict {
        match (&self.candidate, &self.standing) {
            (Some(candidate), Some(standing)) if candidate.version < standing.version => Verdict::Superseded,
            (Some(candidate), Some(standing)) if candidate.prints == standing.prints => Verdict::Same,
            (Some(_), Some(_)) => Verdict::Changed,
            (Some(_), None) => Verdict::Added,
            (None, _) => Verdict::Gone,
        }
    }

    /// It differs, and replaces what stands nowhere: stores take the newer mapper's of two states with one version.
    pub fn stuck(&self) -> bool {
        let both = self.candidate.zip(self.standing);
        self.verdict() == Verdict::Changed && both.is_some_and(|(c, s)| c.version == s.version && c.mapper <= s.mapper)
    }

    pub fn promotes(&self) -> bool {
        matches!(self.verdict(), Verdict::Added | Verdict::Changed)
    }
}

/// Provider and data type of entries, each name kept once.
#[derive(Debug, Default)]
struct Kinds(Vec<(String, String)>);

impl Kinds {
    fn of(&mut self, provider: &str, data_type: &str) -> u32 {
        let known = self.0.iter().position(|(p, d)| p == provider && d == data_type);
        let index = known.unwrap_or_else(|| {
            self.0.push((provider.to_owned(), data_type.to_owned()));
            self.0.len() - 1
        });
        u32::try_from(index).expect("providers times data types are few")
    }
}

/// Compares a finished shadow with what stands.
///
/// # Errors
/// When Kafka or the registry do not answer.
pub async fn report(app: &Arc<App>, done: &Done) -> anyhow::Result<Report> {
    let mut tasks = Supervisor::default();
    let consents = consent::follow(app, None, &mut tasks).await?;
    let mut report = Report::new(&done.name);
    for (real, shadow) in topics::SHADOWS {
        let from = shadow.name(&app.config.namespace, Some(&done.name));
        let range = Range { parts: &done.parts, stream: done.stream.as_deref() };
        let mut kinds = Kinds::default();
        let group = shadow::reader(app, &done.name);
        let entries = entries_of(app, real, &from, &group, Some(&range), &consents, &mut kinds).await?;
        entries.values().for_each(|entry| {
            let (provider, data_type) = &kinds.0[entry.kind as usize];
            report.add(provider, data_type, entry);
        });
        let standing = real.name(&app.config.namespace, None);
        report.expired |= spans(app, &standing)?.iter().any(|span| span.next > 0) && *real != &topics::DEVICE;
    }
    Ok(report)
}

/// The raw records whose ids are looked at also where the candidate makes none of them.
struct Range<'r> {
    parts: &'r [Part],
    stream: Option<&'r str>,
}

impl Range<'_> {
    fn has(&self, seen: &Seen<'_>) -> bool {
        let Some((topic, partition, offset)) = seen.raw else { return false };
        let within = |part: &Part| {
            &*part.span.topic == topic && part.span.partition == partition && (part.from..part.span.until).contains(&offset)
        };
        self.stream.is_none_or(|stream| stream == seen.stream) && self.parts.iter().any(within)
    }
}

/// What a shadow holds beside what stands, for promoting it: ids that the candidate makes.
pub(super) async fn entries(
    app: &Arc<App>,
    real: &'static Topic,
    shadow: &str,
    group: &str,
    consents: &ConsentTable,
) -> anyhow::Result<HashMap<Uuid, Entry>> {
    entries_of(app, real, shadow, group, None, consents, &mut Kinds::default()).await
}

async fn entries_of(
    app: &Arc<App>,
    real: &'static Topic,
    shadow: &str,
    group: &str,
    range: Option<&Range<'_>>,
    consents: &ConsentTable,
    kinds: &mut Kinds,
) -> anyhow::Result<HashMap<Uuid, Entry>> {
    let mut entries: HashMap<Uuid, Entry> = HashMap::new();
    let now = app.now();
    each(app, real, shadow, group, |seen| {
        if seen.permitted(consents, now) {
            let kind = kinds.of(seen.provider, seen.data_type);
            let entry = entries.entry(seen.id).or_insert(Entry { kind, candidate: None, standing: None });
            newest(&mut entry.candidate, seen.state);
        }
    })
    .await?;
    let standing = real.name(&app.config.namespace, None);
    each(app, real, &standing, group, |seen| {
        let known = entries.contains_key(&seen.id);
        // Whose decision withholds it has no candidate, and is not missed.
        if (known || range.is_some_and(|range| range.has(&seen))) && seen.permitted(consents, now) {
            let kind = kinds.of(seen.provider, seen.data_type);
            let entry = entries.entry(seen.id).or_insert(Entry { kind, candidate: None, standing: None });
            newest(&mut entry.standing, seen.state);
        }
    })
    .await?;
    Ok(entries)
}

fn newest(known: &mut Option<State>, state: State) {
    if known.is_none_or(|known| state.order() >= known.order()) {
        *known = Some(state);
    }
}

/// The partitions of a topic from their beginning to their present end.
pub(super) fn spans(app: &App, topic: &str) -> anyhow::Result<Vec<Span>> {
    let consumer: BaseConsumer = app.config.kafka.reader("headwater-replay").create()?;
    tokio::task::block_in_place(|| {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("kafka does not answer")?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
        let partitions = found.map(|t| t.partitions()).filter(|p| !p.is_empty());
        let partitions = partitions.with_context(|| format!("topic {topic} is missing: expected one that is there"))?;
        let span = |partition: i32| {
            let (next, until) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
            Ok(Span { topic: topic.into(), partition, next, until, note: String::new() })
        };
        partitions.iter().map(|partition| span(partition.id())).collect()
    })
}

/// Shows each record of a topic.
async fn each(app: &App, real: &'static Topic, name: &str, group: &str, mut look: impl FnMut(Seen<'_>)) -> anyhow::Result<()> {
    for span in spans(app, name)? {
        let stop = CancellationToken::new();
        let mut lease = SpanLease::open(&app.config.kafka, group, span, BATCH_RECORDS, stop)?;
        while let Some(batch) = lease.next().await {
            for record in batch.records() {
                if let Some(seen) = body(app, real, record.value).await?.as_deref().and_then(|body| seen(real, body)) {
                    look(seen);
                }
            }
        }
    }
    Ok(())
}

/// A record's body in our layout. `None` where there is none that could be read as such a record.
pub(super) async fn body<'v>(
    app: &App,
    real: &'static Topic,
    value: Option<&'v [u8]>,
) -> Result<Option<std::borrow::Cow<'v, [u8]>>, Unavailable> {
    let Some(Ok((id, framed))) = value.map(wire::split) else { return Ok(None) };
    let reading = app.registry.learn(id, real).await;
    let reading = reading.map_err(|e| Unavailable { what: "registry", why: e.to_string(), retry_after: None })?;
    let mut scratch = Vec::new();
    Ok(match reading.body(framed, &mut scratch) {
        Ok(body) if body.as_ptr() == framed.as_ptr() => Some(framed.into()),
        Ok(body) => Some(body.to_vec().into()),
        Err(_) => None,
    })
}
