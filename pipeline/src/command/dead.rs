//! `headwater dead list|show`: what workers could not accept, with the reason, and the bytes where they are asked for.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use headwater_store::body;
use headwater_store::vault::Owner;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::App;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub enum Dead {
    /// One line per dead letter: worker, position, origin, code and reason
    List {
        /// Only this worker's
        #[arg(long)]
        worker: Option<String>,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Write the record's bytes to stdout, exactly
    Show {
        worker: String,
        /// PARTITION:OFFSET as `list` prints it
        position: String,
        /// Of a raw record, the provider's own bytes instead of the whole envelope
        #[arg(long)]
        body: bool,
    },
}

/// One dead letter without its bytes.
#[derive(Debug, Serialize)]
pub struct Letter {
    worker: String,
    position: String,
    origin: String,
    code: String,
    detail: String,
    path: Option<String>,
    place: Option<String>,
    problems: usize,
    bytes: usize,
}

impl Dead {
    /// # Errors
    /// When the cluster does not answer or there is no such letter.
    pub fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::List { worker, json } => {
                for name in super::workers().into_iter().filter(|name| worker.as_deref().is_none_or(|w| w == *name)) {
                    each(app, name, |message| {
                        let letter = letter(name, message);
                        if json {
                            println!("{}", serde_json::to_string(&letter)?);
                        } else {
                            let at = letter
                                .path
                                .as_deref()
                                .or(letter.place.as_deref())
                                .map(|p| format!(" at {p}"))
                                .unwrap_or_default();
                            println!(
                                "{name} {}  from {}  {}{at}: {}",
                                letter.position, letter.origin, letter.code, letter.detail
                            );
                        }
                        Ok(())
                    })?;
                }
                Ok(())
            }
            Self::Show { worker, position, body } => {
                let name =
                    super::workers().into_iter().find(|name| *name == worker).with_context(|| format!("no worker {worker:?}"))?;
                let mut found = false;
                each(app, name, |message| {
                    if format!("{}:{}", message.partition(), message.offset()) == position {
                        found = true;
                        let value = message.payload().unwrap_or_default();
                        if body {
                            let raw = Raw::decode(wire::split(value)?.1)?;
                            let opened = tokio::runtime::Handle::current().block_on(opened(app, &raw))?;
                            std::io::stdout().write_all(opened.as_ref().map_or(raw.body, |bytes| bytes.as_slice()))?;
                        } else {
                            std::io::stdout().write_all(value)?;
                        }
                    }
                    Ok(())
                })?;
                anyhow::ensure!(found, "no dead letter of {worker} at {position}");
                Ok(())
            }
        }
    }
}

/// The provider's bytes of a record whose body is sealed. The person's key is in the store, unless the person was erased.
async fn opened(app: &App, raw: &Raw<'_>) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(sealed) = &raw.encryption else { return Ok(None) };
    let id = body::key_id(sealed).context("the body is sealed in a way this build does not know")?;
    let key = app.store().await?.opening_key(&Owner::Subject(raw.subject_id.to_owned()), id).await?;
    let key = key.context("the body is sealed and its key is not there: was the person erased?")?;
    Ok(Some(body::open(&key, raw)?))
}

fn letter(worker: &str, message: &BorrowedMessage<'_>) -> Letter {
    let header = |name: &str| {
        message.headers().and_then(|headers| {
            headers.iter().find(|h| h.key == name).and_then(|h| h.value).map(|v| String::from_utf8_lossy(v).into_owned())
        })
    };
    Letter {
        worker: worker.to_owned(),
        position: format!("{}:{}", message.partition(), message.offset()),
        origin: header("headwater-origin").unwrap_or_default(),
        code: header("headwater-code").unwrap_or_default(),
        detail: header("headwater-detail").unwrap_or_default(),
        path: header("headwater-path"),
        place: header("headwater-place"),
        problems: header("headwater-problems").and_then(|n| n.parse().ok()).unwrap_or(1),
        bytes: message.payload_len(),
    }
}

/// Reads the worker's dead letters from their beginning to their end as it is now.
fn each(app: &App, worker: &'static str, mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let topic = topics::DEAD.name(&app.config.namespace, Some(worker));
    let mut config = app.config.kafka.reader("headwater-dead");
    config.set("group.id", format!("headwater-dead-{}", uuid::Uuid::new_v4())).set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT).context("kafka does not answer")?;
    let partitions: Vec<i32> =
        metadata.topics().iter().flat_map(|t| t.partitions()).map(rdkafka::metadata::MetadataPartition::id).collect();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, TIMEOUT)?;
        if low == high {
            continue;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, Offset::Offset(low))?;
        consumer.assign(&list)?;
        loop {
            let message = match consumer.poll(TIMEOUT).context("kafka does not answer")? {
                Ok(message) => message,
                // Also where the last thing is no letter but a transaction's marker.
                Err(KafkaError::PartitionEOF(_)) => break,
                Err(e) => return Err(e.into()),
            };
            take(&message)?;
            if message.offset() + 1 >= high {
                break;
            }
        }
    }
    Ok(())
}
