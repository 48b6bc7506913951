//! One connection's hints, as one piece of work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_schemas::Outbox;
use headwater_schemas::connection::State;
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_sources::profile::Stream;
use headwater_sources::source::Window;
use headwater_store::seal::DataKey;
use headwater_store::vault::Owner;
use headwater_store::{Connection, ConnectionState, Cursor};
use tracing::Instrument as _;
use uuid::Uuid;

use super::window::{Stop, Target};
use super::{Fetcher, IDLE_HINTS, TURN};
use crate::Unavailable;
use crate::account::{Synced, Tally, consent, subscriptions, sync};
use crate::clock::micros;
use crate::cloud::Cloud;
use crate::events::{self, Told};
use crate::limits::backoff;
use crate::schedule::next_poll;
use crate::window::{aligned, trailing};

/// One instance at a time works on a connection: then what was seen later is newer. It is renewed while it is held; this long a connection of an instance
/// that died waits.
const LEASE: Duration = Duration::from_secs(8);
const LEASE_WAIT: Duration = Duration::from_secs(20);
/// A history that begins this much later than asked for is as good as whole.
const SLACK: i64 = 3_600_000_000;
/// Hints that failed this often for another reason than the provider's pace are left to the schedule.
const ATTEMPTS: i32 = 12;

/// Streams and a window; no window means the trailing one, no streams means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub streams: Vec<String>,
    pub window: Option<Window>,
    pub object: Option<String>,
}

#[derive(Debug)]
pub(super) struct Job {
    pub connection: Uuid,
    pub provider: String,
    pub lane: Lane,
    pub attempt: i32,
    revoked: bool,
    items: Vec<Item>,
    /// Hints that somebody waits for.
    syncs: Vec<Uuid>,
}

/// Who the answers are for: the subjects whose consent stands, with the keys that seal what is theirs.
pub(super) struct People {
    pub connection: Connection,
    pub keys: HashMap<String, Arc<DataKey>>,
}

impl Job {
    /// One job per connection, in the order they first came; hints that say the same are one.
    pub(super) fn coalesce(hints: &[Hint<'_>]) -> Vec<Self> {
        let mut jobs: Vec<Self> = Vec::new();
        for hint in hints {
            let window = hint.window_start.zip(hint.window_end).map(|(start, end)| Window { start, end });
            let item = Item {
                streams: hint.streams.iter().map(|s| (*s).to_owned()).collect(),
                window,
                object: hint.object.map(str::to_owned),
            };
            let index = jobs.iter().position(|job| job.connection == hint.connection_id).unwrap_or_else(|| {
                jobs.push(Self {
                    connection: hint.connection_id,
                    provider: hint.provider.to_owned(),
                    lane: hint.lane,
                    attempt: 0,
                    revoked: false,
                    items: vec![],
                    syncs: vec![],
                });
                jobs.len() - 1
            });
            let job = &mut jobs[index];
            job.attempt = job.attempt.max(hint.attempt);
            job.revoked |= hint.change == Change::Revoked;
            if hint.cause == Cause::SyncNow {
                job.syncs.push(hint.hint_id);
            }
            if !job.items.contains(&item) {
                job.items.push(item);
            }
        }
        jobs
    }
}

impl Fetcher {
    /// Does one connection's job, for a turn. None begins later than `until`.
    pub(super) async fn connection(&self, job: &Job, until: i64) -> Result<(), Unavailable> {
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
            self.keep(job, "not_active", None, &Tally::default()).await?;
            return idle("not_active");
        }
        // Those before it took the whole turn.
        if self.shared.clock.now() >= until {
            return self.put_off(job, &job.items, TURN, Duration::ZERO).await;
        }
        let Some(lease) = self.shared.lease(&format!("fetch/{}", connection.id), LEASE, LEASE_WAIT).await? else {
            return self.put_off(job, &job.items, "busy", Duration::from_secs(10)).await;
        };
        // From when the connection is ours: who waits for the history of the same account has not had a turn by that.
        let until = self.shared.clock.now() + micros(self.shared.settings.turn());
        let span = tracing::info_span!(
            "fetch connection",
            otel.kind = "client",
            provider = connection.provider,
            lane = job.lane.as_str()
        );
        let work = self.held(job, connection, &cloud, until).instrument(span);
        let lost = || Unavailable { why: "the connection's lease could not be kept".into() };
        self.shared.under(&lease, LEASE, work).await.unwrap_or_else(|| Err(lost()))
    }

    /// Under the connection's lease.
    async fn held(&self, job: &Job, connection: Connection, cloud: &Cloud, until: i64) -> Result<(), Unavailable> {
        let Some(people) = self.people(connection).await? else {
            self.keep(job, "not_active", Some("no_consent"), &Tally::default()).await?;
            return idle("no_consent");
        };
        let tally = Mutex::new(Tally::default());
        let why = self.work(job, &people, cloud, (&tally, until)).await?;
        let (id, now) = (people.connection.id, self.shared.clock.now());
        let tally = *tally.lock().expect("nothing panics under this lock");
        match why {
            Some("ended") => self.keep(job, "not_active", None, &tally).await?,
            Some(TURN) => self.keep(job, "later", Some(TURN), &tally).await?,
            Some(why) => {
                self.shared.store.set_synced(id, Some(why), now).await?;
                self.keep(job, "later", Some(why), &tally).await?;
            }
            None => {
                self.shared.store.set_synced(id, None, now).await?;
                self.keep(job, "done", None, &tally).await?;
            }
        }
        if job.lane == Lane::Live {
            subscriptions::look_after(&self.shared, &self.tokens, cloud, &people.connection).await;
        }
        Ok(())
    }

    /// Nothing is asked for somebody who withdrew or was erased. `None` where nobody is left.
    async fn people(&self, mut connection: Connection) -> Result<Option<People>, Unavailable> {
        let (store, now) = (&self.shared.store, self.shared.clock.now());
        let mut keys = HashMap::new();
        for subject in std::mem::take(&mut connection.subjects) {
            if !consent::in_force(&**store, &subject).await?.stands(now) {
                continue;
            }
            if self.shared.settings.seal_raw {
                let Some(key) = store.sealing_key(&Owner::Subject(subject.clone()), now).await? else { continue };
                keys.insert(subject.clone(), key);
            } else if !store.erasure(&subject).await?.is_empty() {
                continue;
            }
            connection.subjects.push(subject);
        }
        Ok((!connection.subjects.is_empty()).then_some(People { connection, keys }))
    }

    async fn keep(&self, job: &Job, outcome: &str, reason: Option<&str>, tally: &Tally) -> Result<(), Unavailable> {
        if job.syncs.is_empty() {
            return Ok(());
        }
        let result =
            Synced { outcome: outcome.to_owned(), reason: reason.map(str::to_owned), at: self.shared.clock.now(), tally: *tally };
        sync::keep(&self.shared, &job.syncs, &result).await
    }

    /// Why something of the job was left undone, if something was.
    async fn work(
        &self,
        job: &Job,
        people: &People,
        cloud: &Cloud,
        (tally, until): (&Mutex<Tally>, i64),
    ) -> Result<Option<&'static str>, Unavailable> {
        let connection = &people.connection;
        for (index, item) in job.items.iter().enumerate() {
            let streams = streams(cloud, connection, item);
            for (place, stream) in streams.iter().copied().enumerate() {
                let target = Target { people, cloud, stream, lane: job.lane, tally, until };
                let over = (index, place) != (0, 0) && self.shared.clock.now() >= until;
                let done = match (&item.object, &stream.poll) {
                    _ if over => Err(Stop::Later { why: TURN, after: Some(Duration::ZERO), pace: true }),
                    (Some(object), Some(poll)) if poll.trailing_hours > 0 => match self.span_of(&target, *poll, object).await {
                        Ok(span) => self.stream(&target, span.or(item.window)).await,
                        Err(stop) => Err(stop),
                    },
                    (Some(object), _) => self.pointed(&target, object).await,
                    // Only the past of it may be asked for.
                    (None, Some(poll)) if poll.trailing_hours == 0 && item.window.is_none() => Ok(()),
                    (None, _) => self.stream(&target, item.window).await,
                };
                match done {
                    Ok(()) => {}
                    Err(Stop::Unavailable(e)) => return Err(e),
                    Err(Stop::Ended) => return Ok(Some("ended")),
                    Err(Stop::Left { window, why, after, pace }) => {
                        let mut rest = vec![Item { streams: vec![stream.id.to_owned()], window: Some(window), object: None }];
                        if streams.len() > place + 1 {
                            rest.push(Item { streams: names(&streams[place + 1..]), ..item.clone() });
                        }
                        rest.extend_from_slice(&job.items[index + 1..]);
                        return self.leave_rest(job, &rest, (why, after, pace)).await.map(Some);
                    }
                    Err(Stop::Later { why, after, pace }) => {
                        let mut rest = vec![Item { streams: names(&streams[place..]), ..item.clone() }];
                        rest.extend_from_slice(&job.items[index + 1..]);
                        return self.leave_rest(job, &rest, (why, after, pace)).await.map(Some);
                    }
                }
            }
            // Only what asks all streams puts the next poll off: a notification of one says nothing about the others.
            if item.window.is_none() && item.object.is_none() && item.streams.is_empty() {
                let now = self.shared.clock.now();
                self.shared.store.set_polled(connection.id, now, next_poll(cloud, &*self.shared.clock, now)).await?;
            }
        }
        Ok(None)
    }

    /// Puts off what is left of a job, and says why.
    async fn leave_rest(
        &self,
        job: &Job,
        rest: &[Item],
        (why, after, pace): (&'static str, Option<Duration>, bool),
    ) -> Result<&'static str, Unavailable> {
        if !pace && job.attempt >= ATTEMPTS {
            tracing::warn!(provider = job.provider, connection = %job.connection, why, "given up for now; the schedule comes back to it");
            return Ok(why);
        }
        let attempt = u32::try_from(job.attempt).unwrap_or(0);
        let chance = self.shared.clock.chance();
        let wait = after.unwrap_or_else(|| backoff(attempt, Duration::from_secs(5), Duration::from_secs(900), chance));
        self.put_off(job, rest, why, wait).await?;
        Ok(why)
    }

    /// One stream over the span of a hint, window by window; the cursor follows what was appended.
    async fn stream(&self, target: &Target<'_>, span: Option<Window>) -> Result<(), Stop> {
        let (connection, stream) = (&target.people.connection, target.stream);
        let Some(poll) = &stream.poll else { return Ok(()) };
        let (store, now) = (&self.shared.store, self.shared.clock.now());
        let cursor = store.cursor(connection.id, stream.id).await?;
        let span = span.unwrap_or_else(|| trailing(poll, cursor.map(|c| c.fetched_to), now));
        let to = span.end.min(now);
        // Newest first, so that what somebody waits for does not queue behind a gap.
        let windows = aligned(poll, Window { start: span.start, end: to });
        let (mut span, mut left) = (span, None);
        for (place, window) in windows.iter().enumerate().rev() {
            match self.window(target, *poll, *window).await {
                Ok(()) => {}
                // What was done is done: only the rest is for later.
                Err(Stop::Later { why, after, pace }) if place + 1 < windows.len() => {
                    left = Some(Stop::Left { window: Window { start: span.start, end: window.end }, why, after, pace });
                    span.start = window.end;
                    break;
                }
                Err(stop) => return Err(stop),
            }
            if place > 0 && self.shared.clock.now() >= target.until {
                let rest = Window { start: span.start, end: window.start };
                left = Some(Stop::Left { window: rest, why: TURN, after: Some(Duration::ZERO), pace: true });
                span.start = window.start;
                break;
            }
        }
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
        match left {
            Some(left) => Err(left),
            None if target.lane == Lane::History => Ok(self.stage(target, span.start, now).await?),
            None => Ok(()),
        }
    }

    /// One stream's history is in; with the last one's, what follows is increments.
    async fn stage(&self, target: &Target<'_>, since: i64, now: i64) -> Result<(), Unavailable> {
        let connection = &target.people.connection;
        let complete = Told { stream: Some(target.stream.id), since: Some(since), ..Told::state(State::HistoryComplete) };
        let mut out = Outbox::default();
        events::put(connection, complete, now, &mut out);
        let cursors = self.shared.store.cursors(connection.id).await?;
        // The first request for history was made a little after the connection.
        let wanted = connection.created_at - target.cloud.history() + SLACK;
        let all = streams(target.cloud, connection, &Item { streams: vec![], window: None, object: None });
        let whole = all.iter().all(|stream| {
            cursors.iter().any(|(name, cursor)| name == stream.id && cursor.history_from.is_some_and(|from| from <= wanted))
        });
        if whole {
            events::put(connection, Told::state(State::Incremental), now, &mut out);
        }
        Ok(self.shared.outlet.append(&out).await?)
    }
}

fn names(streams: &[&Stream]) -> Vec<String> {
    streams.iter().map(|stream| stream.id.to_owned()).collect()
}

fn streams(cloud: &Cloud, connection: &Connection, item: &Item) -> Vec<&'static Stream> {
    let wanted = &item.streams;
    cloud
        .profile()
        .streams
        .iter()
        .filter(|s| (s.poll.is_some() || item.object.is_some()) && cloud.covered(connection, s))
        .filter(|s| wanted.is_empty() || wanted.iter().any(|w| w == s.id))
        .collect()
}

#[allow(clippy::unnecessary_wraps, reason = "the caller returns it")]
fn idle(why: &'static str) -> Result<(), Unavailable> {
    metrics::counter!(IDLE_HINTS, "reason" => why).increment(1);
    Ok(())
}
