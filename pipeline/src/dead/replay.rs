//! Doing letters again, by the work that refused them.
//!
//! | dies                                     | when it is run again                                              |
//! | ---------------------------------------- | ----------------------------------------------------------------- |
//! | before the output is acknowledged        | the same letters are done again                                   |
//! | after, before their markers are          | the same: all of it arrives twice under the same ids              |
//! | after the markers are acknowledged       | it goes on with the next letters                                  |

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use headwater_ingest::Outlet;
use headwater_schemas::{Outbox, topics};
use rdkafka::message::Message as _;

use super::letter::{At, Letter};
use super::read;
use crate::app::App;
use crate::log::kafka::Producer;
use crate::log::{Batch, Log};
use crate::run::{self, Unavailable, Work};
use crate::telemetry;

/// Most letters and bytes that are done at a time.
const LETTERS: usize = 500;
const BYTES: usize = 4 * 1024 * 1024;
/// What does not answer is asked so often; then nothing more is done, and nothing of these letters is settled.
const TRIES: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub const REPLAYED: &str = "replayed";

/// Letters of one worker, done again.
pub struct Replay<'a> {
    pub app: &'a App,
    pub worker: &'static str,
    /// The topics that the work takes.
    pub topics: &'a [String],
    pub work: &'a dyn Work,
    pub log: &'a Producer,
}

/// What became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Settled, whether they were accepted or not.
    pub done: usize,
    /// Refused once more, and buried as new letters.
    pub again: usize,
    /// Of a topic that this worker does not take here, or without an origin: left as they were.
    pub left: usize,
}

impl Replay<'_> {
    /// Does these letters again, in the order of their positions. `progress` is told how many are settled.
    ///
    /// # Errors
    /// When something does not answer after a few tries. What was settled before stays settled.
    pub async fn run(&self, letters: &[Letter], progress: impl Fn(usize)) -> anyhow::Result<Summary> {
        let open = letters.iter().filter(|letter| letter.settled.is_none());
        let takes = |letter: &Letter| letter.origin().is_some_and(|origin| self.topics.iter().any(|topic| topic == origin.topic));
        let (mut wanted, left): (Vec<&Letter>, Vec<&Letter>) = open.partition(|letter| takes(letter));
        wanted.sort_by_key(|letter| letter.position);
        let mut summary = Summary { left: left.len(), ..Summary::default() };
        for one_partition in wanted.chunk_by(|a, b| a.position.0 == b.position.0) {
            let mut rest = one_partition;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(part(rest));
                let values = tokio::task::block_in_place(|| self.values(now))?;
                for batch in batches(now, values) {
                    summary.again += self.do_again(&batch).await?;
                }
                self.settle(now).await?;
                summary.done += now.len();
                progress(now.len());
                rest = later;
            }
        }
        Ok(summary)
    }

    /// What stands at these places of one partition.
    fn values(&self, letters: &[&Letter]) -> anyhow::Result<HashMap<At, Vec<u8>>> {
        let (Some(first), Some(last)) = (letters.first(), letters.last()) else { return Ok(HashMap::new()) };
        let wanted: HashSet<At> = letters.iter().map(|letter| letter.position).collect();
        let mut values = HashMap::with_capacity(wanted.len());
        read::each(self.app, self.worker, Some((first.position, last.position)), |message| {
            let at = At(message.partition(), message.offset());
            if wanted.contains(&at) {
                values.insert(at, message.payload().unwrap_or_default().to_vec());
            }
            Ok(())
        })?;
        anyhow::ensure!(
            values.len() == wanted.len(),
            "{} of {} letters of {} between {} and {} are gone from the topic: run it again",
            wanted.len() - values.len(),
            wanted.len(),
            self.worker,
            first.position,
            last.position
        );
        Ok(values)
    }

    /// How many of the batch were refused once more.
    async fn do_again(&self, batch: &Batch) -> anyhow::Result<usize> {
        let mut out = Outbox::default();
        self.patiently(async || {
            let mut made = Outbox::default();
            self.work.run(batch, &mut made).await?;
            let appended = Log::append(self.log, batch, &made).await;
            let _proof = appended.map_err(|e| Unavailable { what: "kafka", why: e.why, retry_after: None })?;
            out = made;
            Ok(())
        })
        .await?;
        telemetry::buried(self.worker, &out);
        let again: HashSet<usize> = out.records().iter().filter(|r| r.topic == &topics::DEAD).map(|r| r.cause).collect();
        Ok(again.len())
    }

    async fn settle(&self, letters: &[&Letter]) -> anyhow::Result<()> {
        let mut out = Outbox::default();
        letters.iter().for_each(|letter| letter.settle(REPLAYED, &mut out));
        self.patiently(async || {
            Outlet::append(self.log, &out).await.map_err(|e| Unavailable { what: "kafka", why: e.to_string(), retry_after: None })
        })
        .await
    }

    async fn patiently(&self, mut step: impl AsyncFnMut() -> Result<(), Unavailable>) -> anyhow::Result<()> {
        for attempt in 0.. {
            let Err(failed) = step().await else { return Ok(()) };
            if attempt + 1 == TRIES {
                return Err(failed).context("stopped; these letters are not settled, run it again when it answers");
            }
            let pause = failed.retry_after.unwrap_or_else(|| run::backoff(attempt, self.worker)).min(LONGEST_PAUSE);
            tracing::warn!(worker = self.worker, attempt, pause_ms = pause.as_millis() as u64, "{failed}; the letters wait");
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

/// How many of these letters are done at a time: at least one.
fn part(letters: &[&Letter]) -> usize {
    let mut bytes = 0;
    let fits = letters.iter().take(LETTERS).take_while(|letter| {
        bytes += letter.bytes;
        bytes <= BYTES
    });
    fits.count().max(1)
}

/// One batch for each partition that the letters came from, each in the order of the letters.
fn batches(letters: &[&Letter], mut values: HashMap<At, Vec<u8>>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for letter in letters {
        let (Some(origin), Some(value)) = (letter.origin(), values.remove(&letter.position)) else { continue };
        let same = |batch: &Batch| batch.topic() == origin.topic && batch.partition() == origin.partition;
        let index = batches.iter().position(same).unwrap_or_else(|| {
            batches.push(Batch::new(origin.topic.into(), origin.partition));
            batches.len() - 1
        });
        batches[index].push(origin.offset, &letter.key, Some(&value));
    }
    batches
}
