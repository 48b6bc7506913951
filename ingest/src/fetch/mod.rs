//! The one path that asks providers: webhook, schedule, first connection and backfill all end here.
//!
//! | dies                                        | on restart                                                                          |
//! | ------------------------------------------- | ----------------------------------------------------------------------------------- |
//! | before the raw records are acknowledged     | the hint comes again; the same window is asked again. What is new in it is held by   |
//! |                                             | then: if it was deleted since, it is withdrawn, told or not                         |
//! | after, before digest and held are stored    | asked again, the answer is appended again: same observations, same ids              |
//! | after those, before the cursor              | asked again, the answer is the one we hold: nothing is appended                     |
//! | after the cursor, before the hint's offset  | the same                                                                            |

mod ask;
mod job;
mod locate;
pub(crate) mod window;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use headwater_schemas::Outbox;
use headwater_schemas::hint::{Cause, Hint};
use headwater_schemas::raw::Lane;
use headwater_schemas::topics::{self, Subject as _};
use uuid::Uuid;

use crate::Unavailable;
use crate::clock::micros;
use crate::shared::Shared;
use crate::tokens::TokenKeeper;
use job::Job;

/// Windows asked for, by provider and outcome.
pub const WINDOWS: &str = "headwater_fetched_windows_total";
/// Hints that named no connection of ours, or one that is not active.
pub const IDLE_HINTS: &str = "headwater_idle_hints_total";
/// Hints put off, by provider and reason.
pub const PUT_OFF: &str = "headwater_hints_put_off_total";

/// Why what is left of a job waits when its turn is over.
const TURN: &str = "turn";
/// One round of waiting for hints that are not due.
const LATER_ROUND: Duration = Duration::from_secs(5);

pub struct Fetcher {
    shared: Arc<Shared>,
    tokens: Arc<TokenKeeper>,
}

/// A hint that waits, ready to be appended again.
struct Waiting {
    due: i64,
    lane: Lane,
    key: String,
    body: Vec<u8>,
}

impl Fetcher {
    pub(crate) fn new(shared: Arc<Shared>, tokens: Arc<TokenKeeper>) -> Self {
        Self { shared, tokens }
    }

    /// Does what the hints ask for. Hints of one connection are one job; connections are asked side by side.
    ///
    /// # Errors
    /// [`Unavailable`] when store or log do not answer: the same hints are to be given again.
    pub fn run(&self, hints: &[Hint<'_>]) -> BoxFuture<'_, Result<(), Unavailable>> {
        let jobs = Job::coalesce(hints);
        Box::pin(self.jobs(jobs))
    }

    async fn jobs(&self, jobs: Vec<Job>) -> Result<(), Unavailable> {
        let settings = &self.shared.settings;
        let fresh = jobs.first().is_none_or(|job| job.lane == Lane::Live);
        let concurrency = if fresh { settings.live_concurrency } else { settings.history_concurrency };
        let mut flights: Vec<BoxFuture<'_, Result<(), Unavailable>>> = Vec::with_capacity(jobs.len());
        let until = self.shared.clock.now() + micros(settings.turn());
        for job in &jobs {
            flights.push(Box::pin(self.connection(job, until)));
        }
        let done: Vec<Result<(), Unavailable>> = futures::stream::iter(flights).buffer_unordered(concurrency).collect().await;
        done.into_iter().collect()
    }

    /// Hints that wait: those that are due go back to their lane, the others to the end of the queue. Returns after one short round, so that
    /// a drain is never held up.
    ///
    /// # Errors
    /// As [`Fetcher::run`].
    pub fn later(&self, hints: &[Hint<'_>]) -> BoxFuture<'_, Result<(), Unavailable>> {
        let waiting = hints
            .iter()
            .map(|hint| {
                let mut body = Vec::new();
                hint.encode(&mut body);
                Waiting { due: hint.not_before.unwrap_or(0), lane: hint.lane, key: hint.connection_id.to_string(), body }
            })
            .collect();
        Box::pin(self.wait(waiting))
    }

    async fn wait(&self, hints: Vec<Waiting>) -> Result<(), Unavailable> {
        if let Some(first) = hints.iter().map(|hint| hint.due).min() {
            let wait = Duration::from_micros(u64::try_from(first - self.shared.clock.now()).unwrap_or(0));
            self.shared.clock.sleep(wait.min(LATER_ROUND)).await;
        }
        let now = self.shared.clock.now();
        let mut out = Outbox::default();
        for hint in &hints {
            let topic = match (hint.due <= now, hint.lane) {
                (false, _) => &topics::HINT_LATER,
                (true, Lane::Live) => &topics::HINT_LIVE,
                (true, Lane::History | Lane::Replay) => &topics::HINT_HISTORY,
            };
            out.put(topic, None, hint.key.as_bytes(), |bytes| bytes.extend_from_slice(&hint.body));
        }
        Ok(self.shared.outlet.append(&out).await?)
    }

    /// Puts the rest of a job off.
    async fn put_off(&self, job: &Job, rest: &[job::Item], why: &'static str, wait: Duration) -> Result<(), Unavailable> {
        let now = self.shared.clock.now();
        let provider = job.provider.clone();
        metrics::counter!(PUT_OFF, "provider" => provider, "reason" => why).increment(1);
        let mut out = Outbox::default();
        for item in rest {
            let hint = Hint {
                hint_id: Uuid::now_v7(),
                provider: &job.provider,
                connection_id: job.connection,
                cause: Cause::Retry,
                lane: job.lane,
                change: headwater_schemas::hint::Change::Data,
                streams: item.streams.iter().map(String::as_str).collect(),
                window_start: item.window.map(|w| w.start),
                window_end: item.window.map(|w| w.end),
                created_at: now,
                not_before: Some(now + micros(wait)),
                // Waiting for a turn is no failure.
                attempt: job.attempt + i32::from(why != TURN),
                object: item.object.as_deref(),
            };
            out.put(&topics::HINT_LATER, None, job.connection.to_string().as_bytes(), |bytes| hint.encode(bytes));
        }
        Ok(self.shared.outlet.append(&out).await?)
    }
}
