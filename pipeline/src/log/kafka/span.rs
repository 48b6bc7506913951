//! Part of a partition, read once from one offset to another beside whoever else reads it: its group has offsets and no members, so nobody's
//! assignment moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::ClientContext;
use rdkafka::consumer::{CommitMode, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::Settings;
use crate::log::{Batch, Lease, Lost, Proof};

const COMMIT_EVERY: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(20);
const BATCH_BYTES: usize = 512 * 1024;

/// Records of one partition, `next` up to and without `until`.
#[derive(Debug, Clone)]
pub struct Span {
    pub topic: Arc<str>,
    pub partition: i32,
    pub next: i64,
    pub until: i64,
    /// Stands beside the committed offset.
    pub note: String,
}

impl Span {
    /// Offsets that are left to read.
    pub fn left(&self) -> u64 {
        u64::try_from(self.until - self.next).unwrap_or(0)
    }

    /// The committed offset as it is written to the group.
    pub fn list<'s>(spans: impl IntoIterator<Item = &'s Self>) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for span in spans {
            let mut element = list.add_partition(&span.topic, span.partition);
            element.set_offset(Offset::Offset(span.next))?;
            element.set_metadata(span.note.as_str());
        }
        Ok(list)
    }
}

struct Context;

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is what is waited for.
        if !matches!(error, KafkaError::Global(rdkafka::types::RDKafkaErrorCode::PartitionEOF)) {
            super::complain(&error, reason);
        }
    }
}

impl ConsumerContext for Context {}

/// The right to a span. Nobody takes it away; it ends at the span's end, or when it is stopped.
pub struct SpanLease {
    consumer: StreamConsumer<Context>,
    span: Span,
    batch_records: usize,
    stop: CancellationToken,
    committed: Instant,
    /// Advanced since the last commit.
    behind: bool,
    /// Nothing comes any more before the span's end.
    over: bool,
    /// From where on the partition was said to have ended, once.
    ended: Option<i64>,
}

impl SpanLease {
    /// `batch_records` is the most records of a batch.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn open(
        kafka: &Settings,
        group: &str,
        span: Span,
        batch_records: usize,
        stop: CancellationToken,
    ) -> Result<Self, KafkaError> {
        let mut config = kafka.reader(&format!("{group}-{}", span.partition));
        config
            .set("group.id", group)
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "4096")
            .set("enable.partition.eof", "true");
        let consumer: StreamConsumer<Context> = config.create_with_context(Context)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&span.topic, span.partition, Offset::Offset(span.next))?;
        consumer.assign(&list)?;
        Ok(Self {
            consumer,
            span,
            batch_records: batch_records.max(1),
            stop,
            committed: Instant::now(),
            behind: false,
            over: false,
            ended: None,
        })
    }

    /// Where it stands. At its end, nothing is left of it.
    pub fn span(&self) -> &Span {
        &self.span
    }

    fn commit(&mut self, mode: CommitMode) -> Result<(), KafkaError> {
        (self.committed, self.behind) = (Instant::now(), false);
        self.consumer.commit(&Span::list([&self.span])?, mode)
    }

    /// Commits what was advanced, and waits for the answer.
    ///
    /// # Errors
    /// When the group's coordinator does not take it: what was done since comes again.
    pub fn close(mut self) -> Result<Span, KafkaError> {
        if self.behind {
            tokio::task::block_in_place(|| self.commit(CommitMode::Sync))?;
        }
        Ok(self.span)
    }

    /// The partition is said to end at `at`, before the span does. That is so where the last offsets are none of records, but a transaction's
    /// marker or compacted away. It is also said for a moment by a new leader that does not know yet how far it is, and then records follow. So the
    /// partition has to reach the span's end, and nothing to be there in a second reading that began after that was known.
    async fn ends(&mut self, at: i64, wait: bool) {
        let (topic, partition) = (self.span.topic.clone(), self.span.partition);
        let end = tokio::task::block_in_place(|| self.consumer.fetch_watermarks(&topic, partition, TIMEOUT));
        match end {
            Ok((_, end)) if end >= self.span.until => {
                if self.ended.replace(at) == Some(at) {
                    self.over = true;
                    return;
                }
            }
            said => {
                self.ended = None;
                if !wait {
                    return self.again(at);
                }
                let end = said.map_or_else(|why| why.to_string(), |(_, end)| end.to_string());
                tracing::warn!(
                    topic = &*topic,
                    partition,
                    at,
                    "partition ends before the plan does: expected {}, not {end}",
                    self.span.until
                );
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
        self.again(at);
    }

    /// Reads from here once more; the partition's end is told once more as well.
    fn again(&self, at: i64) {
        if let Err(why) = self.consumer.seek(&self.span.topic, self.span.partition, Offset::Offset(at), Duration::ZERO) {
            tracing::warn!(topic = &*self.span.topic, partition = self.span.partition, "kafka: {why}");
        }
    }

    /// Takes a record into the batch. False where the span is over.
    fn take(span: &Span, message: &rdkafka::message::BorrowedMessage<'_>, batch: &mut Batch) -> bool {
        if message.offset() >= span.until {
            return false;
        }
        batch.push(message.offset(), message.key().unwrap_or_default(), message.payload());
        message.offset() + 1 < span.until
    }
}

#[async_trait]
impl Lease for SpanLease {
    async fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::new(self.span.topic.clone(), self.span.partition);
        self.over |= self.span.left() == 0;
        while !self.over && batch.len() < self.batch_records && batch.size() < BATCH_BYTES {
            // Only the first is waited for.
            let received = if batch.is_empty() {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return None,
                    received = self.consumer.recv() => received,
                }
            } else {
                tokio::select! {
                    biased;
                    received = self.consumer.recv() => received,
                    () = std::future::ready(()) => break,
                }
            };
            match received {
                Ok(message) => self.over = !Self::take(&self.span, &message, &mut batch),
                Err(KafkaError::PartitionEOF(_)) => {
                    let at = batch.next_offset().unwrap_or(self.span.next);
                    self.ends(at, batch.is_empty()).await;
                    if !batch.is_empty() {
                        break;
                    }
                }
                Err(why) => {
                    tracing::warn!(topic = &*self.span.topic, partition = self.span.partition, "kafka: {why}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        if !batch.is_empty() {
            return Some(batch);
        }
        if self.over && self.span.left() > 0 {
            (self.span.next, self.behind) = (self.span.until, true);
        }
        None
    }

    async fn advance(&mut self, _batch: Batch, proof: Proof) -> Result<(), Lost> {
        (self.span.next, self.behind) = (proof.next, true);
        if self.committed.elapsed() >= COMMIT_EVERY
            && let Err(why) = self.commit(CommitMode::Async)
        {
            // Only late by this: the next commit carries it, or the batch is done again.
            tracing::warn!(topic = &*self.span.topic, partition = self.span.partition, "commit failed: {why}");
            self.behind = true;
        }
        Ok(())
    }

    async fn gone(&self) {
        self.stop.cancelled().await;
    }

    fn waiting(&self, _waits: bool) {}
}
