//! `headwater coverage`: what is stored and not understood, and what became of the windows that were asked for.
//!
//! It reads the raw topics from their beginning to their present end and says what this build makes of them, so a word that was unknown when a
//! record came in, and is known now, is no longer listed: a replay would bring it.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use headwater_schemas::raw::{Origin, Raw};
use headwater_schemas::reading::Normalized;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use headwater_store::vault::Owner;
use headwater_store::{Store, body};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use serde::Serialize;

use crate::app::App;

const PATIENCE: Duration = Duration::from_secs(20);

/// List what is stored and not understood: types, fields and values this build does not know, by provider and stream.
#[derive(Debug, Args)]
pub struct Coverage {
    /// Only this provider
    #[arg(long)]
    provider: Option<String>,
    /// Print a JSON array instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Row {
    provider: String,
    stream: String,
    records: u64,
    readings: u64,
    /// Rows that were refused.
    refused: u64,
    /// Bodies of which nothing was understood, and that cannot be opened any more.
    rejected: u64,
    erased: u64,
    /// How often each was met.
    unknown: BTreeMap<String, u64>,
}

impl Coverage {
    /// # Errors
    /// When Kafka or the store do not answer.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let store = app.store().await?;
        let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
        let wanted = |id: &str| self.provider.as_deref().is_none_or(|only| only == id);
        for source in headwater_sources::ALL.iter().filter(|s| wanted(s.profile().id)) {
            let topic = topics::RAW.name(&app.config.namespace, Some(source.profile().id));
            each(app, &topic, &*store, &mut rows).await?;
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&rows.into_values().collect::<Vec<_>>())?);
            return Ok(());
        }
        for row in rows.values() {
            let Row { provider, stream, records, readings, refused, rejected, erased, .. } = row;
            println!(
                "{provider}/{stream}: {records} records, {readings} readings, {refused} rows refused, {rejected} records refused, {erased} erased"
            );
            let mut unknown: Vec<_> = row.unknown.iter().collect();
            unknown.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            for (what, count) in unknown {
                println!("  {count:>8}  {what}");
            }
        }
        if rows.is_empty() {
            println!("nothing is stored");
        }
        Ok(())
    }
}

async fn look(store: &dyn Store, value: &[u8], rows: &mut BTreeMap<(String, String), Row>) -> anyhow::Result<()> {
    let Ok((_, framed)) = wire::split(value) else { return Ok(()) };
    let Ok(mut raw) = Raw::decode(framed) else { return Ok(()) };
    if raw.origin == Origin::Reconcile {
        return Ok(());
    }
    let key = (raw.provider.to_owned(), raw.stream.to_owned());
    let row =
        rows.entry(key).or_insert_with(|| Row { provider: raw.provider.into(), stream: raw.stream.into(), ..Row::default() });
    row.records += 1;
    let opened;
    if let Some(encryption) = raw.encryption.take() {
        let id = body::key_id(&encryption);
        let key = match id {
            Some(id) => store.opening_key(&Owner::Subject(raw.subject_id.to_owned()), id).await?,
            None => None,
        };
        let Some(key) = key else {
            // The key went with the person.
            row.erased += 1;
            return Ok(());
        };
        raw.encryption = Some(encryption);
        opened = body::open(&key, &raw)?;
        (raw.body, raw.encryption) = (opened.as_slice(), None);
    }
    let Some(source) = headwater_sources::by_id(raw.provider) else { return Ok(()) };
    let mut said = Normalized::default();
    if source.normalize(&raw, &mut said).is_err() {
        row.rejected += 1;
    }
    row.readings += (said.readings.len() + said.doses.len()) as u64;
    row.refused += said.problems.len() as u64;
    for word in said.unknown {
        *row.unknown.entry(word.into_owned()).or_default() += 1;
    }
    Ok(())
}

/// Each record of a topic, from its beginning to its end as it is now.
async fn each(app: &App, topic: &str, store: &dyn Store, rows: &mut BTreeMap<(String, String), Row>) -> anyhow::Result<()> {
    let mut settings = app.config.kafka.reader("headwater-coverage");
    settings.set("group.id", "headwater.coverage").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = settings.create()?;
    let metadata = tokio::task::block_in_place(|| consumer.fetch_metadata(Some(topic), PATIENCE))?;
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let marks = tokio::task::block_in_place(|| consumer.fetch_watermarks(topic, partition.id(), PATIENCE));
        // A topic that was never made holds nothing.
        let Some((low, high)) = marks.ok().filter(|(low, high)| low < high) else { continue };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition.id(), Offset::Offset(low))?;
        consumer.assign(&list)?;
        let mut at = low;
        while at < high {
            let message = tokio::task::block_in_place(|| consumer.poll(PATIENCE));
            let Some(message) = message else { anyhow::bail!("{topic} does not give its records") };
            let message = match message {
                Ok(message) => message,
                // Also where the last thing is no record but a transaction's marker.
                Err(KafkaError::PartitionEOF(_)) => break,
                Err(e) => return Err(e.into()),
            };
            at = message.offset() + 1;
            if let Some(value) = message.payload() {
                look(store, value, rows).await?;
            }
        }
    }
    Ok(())
}
