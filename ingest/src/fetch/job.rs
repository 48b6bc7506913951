//! One connection's hints, as one piece of work.

use std::time::Duration;

use headwater_schemas::Outbox;
use headwater_schemas::connection::State;
use headwater_schemas::hint::{Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_sources::profile::Stream;
use headwater_sources::source::Window;
use headwater_store::{Connection, ConnectionState, Cursor, Lease};
use tracing::Instrument as _;
use uuid::Uuid;

use super::window::{Stop, Target};
use super::{Fetcher, IDLE_HINTS};
use crate::clock::micros;
use crate::cloud::Cloud;
use crate::limits::backoff;
use crate::schedule::next_poll;
use crate::window::{aligned, trailing};
use crate::{Unavailable, events};

/// One instance at a time works on a connection: then what was seen later is newer.
const LEASE: Duration = Duration::from_secs(300);
const LEASE_LOOK: Duration = Duration::from_millis(200);
const LEASE_WAIT: Duration = Duration::from_secs(20);
/// Hints that failed this often for another reason than the provider's pace are left to the schedule.
const ATTEMPTS: i32 = 12;

/// Streams and a window; no window means the trailing one, no streams means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub streams: Vec<String>,
    pub window: Option<Window>,
}

#[derive(Debug)]
pub(super) struct Job {
    pub connection: Uuid,
    pub provider: String,
    pub lane: Lane,
    pub attempt: i32,
    revoked: bool,
    items: Vec<Item>,
}

impl Job {
    /// One job per connection, in the order they first came; hints that say the same are one.
    pub(super) fn coalesce(hints: &[Hint<'_>]) -> Vec<Self> {
        let mut jobs: Vec<Self> = Vec::new();
        for hint in hints {
            let window = hint.window_start.zip(hint.window_end).map(|(start, end)| Window { start, end });
            let item = Item { streams: hint.streams.iter().map(|s| (*s).to_owned()).collect(), window };
            let index = jobs.iter().position(|job| job.connection == hint.connection_id).unwrap_or_else(|| {
                jobs.push(Self {
                    connection: hint.connection_id,
                    provider: hint.provider.to_owned(),
                    lane: hint.lane,
                    attempt: 0,
                    revoked: false,
                    items: vec![],
                });
                jobs.len() - 1
            });
            let job = &mut jobs[index];
            job.attempt = job.attempt.max(hint.attempt);
            job.revoked |= hint.change == Change::Revoked;
            if !job.items.contains(&item) {
                job.items.push(item);
            }
        }
        jobs
    }
}

impl Fetcher {
    /// Does one connection's job.
    pub(super) async fn connection(&self, job: &Job) -> Result<(), Unavailable> {
        let store = &self.shared.store;
        let Some(connection) = store.connection(job.connection).await? else { return idle("unknown_connection") };
        let Some(cloud) = self.shared.cloud(&connection.provider) else { return idle("provider_not_configured") };
        if job.revoked {
            return events::state(
                &self.shared,
                connection.id,
                ConnectionState::NeedsReauth,
                State::NeedsReauth,
                "revoked_at_provider",
            )
            .await;
        }
        if connection.state != ConnectionState::Active {
            return idle("not_active");
        }
        let Some(lease) = self.lease(connection.id).await? else {
            return self.put_off(job, &job.items, "busy", Duration::from_secs(10)).await;
        };
        let span = tracing::info_span!(
            "fetch connection",
            otel.kind = "client",
            provider = connection.provider,
            lane = job.lane.as_str()
        );
        let done = self.work(job, &connection, &cloud).instrument(span).await;
        let _ = store.release(&lease).await;
        done
    }

    async fn lease(&self, connection: Uuid) -> Result<Option<Lease>, Unavailable> {
        let clock = &self.shared.clock;
        let (name, until) = (format!("fetch/{connection}"), clock.now() + micros(LEASE_WAIT));
        // An owner per flight: lanes of one instance exclude each other as instances do.
        let owner = Uuid::new_v5(&self.owner, Uuid::new_v4().as_bytes());
        loop {
            let now = clock.now();
            if let Some(lease) = self.shared.store.lease(&name, owner, now, now + micros(LEASE)).await? {
                return Ok(Some(lease));
            }
            if now >= until {
                return Ok(None);
            }
            clock.sleep(LEASE_LOOK).await;
        }
    }

    async fn work(&self, job: &Job, connection: &Connection, cloud: &Cloud) -> Result<(), Unavailable> {
        for (index, item) in job.items.iter().enumerate() {
            let streams = streams(cloud, item);
            for (place, stream) in streams.iter().copied().enumerate() {
                match self.stream(job, connection, cloud, stream, item.window).await {
                    Ok(()) => {}
                    Err(Stop::Unavailable(e)) => return Err(e),
                    Err(Stop::Ended) => return Ok(()),
                    Err(Stop::Later { why, after, pace }) => {
                        if !pace && job.attempt >= ATTEMPTS {
                            tracing::warn!(provider = connection.provider, connection = %connection.id, why, "given up for now; the schedule comes back to it");
                            return Ok(());
                        }
                        let mut rest = vec![Item {
                            streams: streams[place..].iter().map(|s| s.id.to_owned()).collect(),
                            window: item.window,
                        }];
                        rest.extend_from_slice(&job.items[index + 1..]);
                        let attempt = u32::try_from(job.attempt).unwrap_or(0);
                        let wait = after.unwrap_or_else(|| backoff(attempt, Duration::from_secs(5), Duration::from_secs(900)));
                        return self.put_off(job, &rest, why, wait).await;
                    }
                }
            }
            if item.window.is_none() {
                let now = self.shared.clock.now();
                self.shared.store.set_polled(connection.id, now, next_poll(cloud, now)).await?;
            }
        }
        Ok(())
    }

    /// One stream over the span of a hint, window by window; the cursor follows what was appended.
    async fn stream(
        &self,
        job: &Job,
        connection: &Connection,
        cloud: &Cloud,
        stream: &'static Stream,
        span: Option<Window>,
    ) -> Result<(), Stop> {
        let Some(poll) = &stream.poll else { return Ok(()) };
        let (store, now) = (&self.shared.store, self.shared.clock.now());
        let cursor = store.cursor(connection.id, stream.id).await?;
        let span = span.unwrap_or_else(|| trailing(poll, cursor.map(|c| c.fetched_to), now));
        let target = Target { connection, cloud, stream, lane: job.lane };
        // Newest first for fresh data, so that what somebody waits for does not queue behind a gap.
        let windows = aligned(poll, Window { start: span.start, end: span.end.min(now) });
        for window in windows {
            self.window(&target, *poll, window).await?;
        }
        let to = span.end.min(now);
        let moved = match cursor {
            None => Cursor { fetched_to: to, history_from: Some(span.start) },
            Some(c) => Cursor {
                // A window beyond a gap does not close the gap.
                fetched_to: if span.start <= c.fetched_to { c.fetched_to.max(to) } else { c.fetched_to },
                history_from: c
                    .history_from
                    .map(|from| if span.end >= from { from.min(span.start) } else { from })
                    .or(Some(span.start)),
            },
        };
        if cursor != Some(moved) {
            store.put_cursor(connection.id, stream.id, &moved).await?;
        }
        if job.lane == Lane::History {
            let mut out = Outbox::default();
            events::put(connection, State::HistoryComplete, Some(stream.id), Some(span.start), now, &mut out);
            self.shared.outlet.append(&out).await.map_err(Unavailable::from)?;
        }
        Ok(())
    }
}

fn streams(cloud: &Cloud, item: &Item) -> Vec<&'static Stream> {
    let wanted = &item.streams;
    cloud
        .profile()
        .streams
        .iter()
        .filter(|s| s.poll.is_some() && (wanted.is_empty() || wanted.iter().any(|w| w == s.id)))
        .collect()
}

#[allow(clippy::unnecessary_wraps, reason = "the caller returns it")]
fn idle(why: &'static str) -> Result<(), Unavailable> {
    metrics::counter!(IDLE_HINTS, "reason" => why).increment(1);
    Ok(())
}
