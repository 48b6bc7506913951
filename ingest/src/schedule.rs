//! When a connection is asked again. An instance schedules the connections whose hints it will read itself, so there is no leader and nobody
//! is asked twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use headwater_schemas::Outbox;
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::{Connection, ConnectionState, SHARDS};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Unavailable;
use crate::clock::{Clock, micros};
use crate::cloud::Cloud;
use crate::settings::Maintenance;
use crate::shared::Shared;

/// Each shard of the store is looked at this often.
const LOOK: Duration = Duration::from_secs(60);
const PAGE: usize = 1000;
/// How long nothing is looked at when all that was due is hinted: what becomes due meanwhile is that late.
const TICK: Duration = Duration::from_millis(200);
/// After a store or a log that did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// What is due and another instance's is looked at again after this: its partition may come to us.
const OTHERS: Duration = Duration::from_secs(5);
/// Most hints of one tick, appended at once.
const BATCH: usize = 500;
/// Times that are stored side by side.
const IN_FLIGHT: usize = 32;
/// Shards that are read side by side at the start, when nobody is hinted before all are read.
const AT_START: usize = 8;

pub struct Scheduler {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

/// Who is due when. One entry of 24 bytes per connection, in its shard's heap, soonest first: what changes elsewhere is seen at the shard's next
/// look, and the fetcher judges a connection anew before it asks.
struct State {
    shards: Vec<Shard>,
    /// The shard that is looked at next.
    next: usize,
}

#[derive(Default)]
struct Shard {
    queue: BinaryHeap<Reverse<(i64, Uuid)>>,
    looked: Option<i64>,
}

impl Default for State {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), next: 0 }
    }
}

/// A connection whose hint is to be appended, and what becomes of it afterwards.
struct Due {
    id: Uuid,
    at: i64,
    shard: usize,
}

/// What one tick came to. Not everybody who was due is hinted: some have gone, or were hinted elsewhere.
struct Turn {
    due: usize,
    hinted: usize,
}

impl Scheduler {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, state: Mutex::default() }
    }

    /// Hints whoever is due until `stop`. A tick that has begun comes to its end, so that what was hinted is also noted.
    pub async fn run(&self, owns: &(dyn Fn(Uuid) -> bool + Send + Sync), stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let pause = match self.turn(owns).await {
                // There may be more than one tick takes.
                Ok(turn) if turn.due == BATCH => Duration::ZERO,
                Ok(_) => TICK,
                Err(e) => {
                    tracing::warn!("schedule: {e}; what is due stays due");
                    RETRY
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = self.shared.clock.sleep(pause) => {}
            }
        }
    }

    /// Appends a hint for each connection that is due and ours, at most so many at once. `owns` says whose hints this instance reads.
    ///
    /// # Errors
    /// [`Unavailable`] when store or log do not answer: what is due stays due.
    pub async fn tick(&self, owns: &(dyn Fn(Uuid) -> bool + Send + Sync)) -> Result<usize, Unavailable> {
        self.turn(owns).await.map(|turn| turn.hinted)
    }

    async fn turn(&self, owns: &(dyn Fn(Uuid) -> bool + Send + Sync)) -> Result<Turn, Unavailable> {
        let mut state = self.state.lock().await;
        self.look(&mut state, self.shared.clock.now()).await?;
        // A look takes its time.
        let now = self.shared.clock.now();
        let due = state.due(owns, now);
        let hinted = self.hint(&mut state, &due, now).await;
        if hinted.is_err() {
            // Nothing was appended for certain: all of it stays due.
            for entry in &due {
                state.shards[entry.shard].queue.push(Reverse((entry.at, entry.id)));
            }
        }
        hinted.map(|hinted| Turn { due: due.len(), hinted })
    }

    /// Hints first, then the next times: dying in between asks twice, which is harmless.
    async fn hint(&self, state: &mut State, due: &[Due], now: i64) -> Result<usize, Unavailable> {
        let store = &self.shared.store;
        let found: Vec<_> = futures::stream::iter(due.iter().map(|entry| entry.id).collect::<Vec<_>>())
            .map(|id| async move { store.connection(id).await })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let (mut out, mut nexts, mut entries) = (Outbox::default(), Vec::new(), Vec::new());
        for (entry, connection) in due.iter().zip(found) {
            let connection: Option<Connection> = connection.filter(|c| c.state == ConnectionState::Active);
            let Some(connection) = connection else { continue };
            let Some(cloud) = self.shared.cloud(&connection.provider) else { continue };
            // What we know is as old as our last look: whoever held the partition until now may have hinted since.
            if let Some(next) = connection.next_poll.filter(|next| *next > now) {
                entries.push((entry.shard, next, entry.id));
                continue;
            }
            if let Some(open) = closed_until(&cloud.settings.maintenance, now) {
                entries.push((entry.shard, open + spread(&*self.shared.clock), entry.id));
                continue;
            }
            put(&connection, cloud.profile().id, now, &mut out);
            let next = next_poll(&cloud, &*self.shared.clock, now);
            nexts.push((entry.id, connection.last_poll, next));
            entries.push((entry.shard, next, entry.id));
        }
        if !out.is_empty() {
            self.shared.outlet.append(&out).await?;
        }
        let hinted = nexts.len();
        // A time that cannot be stored is no reason to hint again: the connection would be asked twice, and the next look reads what stands.
        let noted: Result<Vec<()>, _> = futures::stream::iter(nexts)
            .map(|(id, last, next)| async move { store.set_polled(id, last.unwrap_or(now), next).await })
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await;
        if let Err(e) = noted {
            tracing::warn!("next polls are not all noted: {e}");
        }
        for (shard, at, id) in entries {
            state.shards[shard].queue.push(Reverse((at, id)));
        }
        Ok(hinted)
    }

    /// Reads who is there: all shards at the start, then at most one in a tick, so that a tick is never long and no more than one is held twice.
    async fn look(&self, state: &mut State, now: i64) -> Result<(), Unavailable> {
        let unread: Vec<usize> = (0..state.shards.len()).filter(|index| state.shards[*index].looked.is_none()).collect();
        let mut reads = futures::stream::iter(unread)
            .map(|index| async move { self.read(index, now).await.map(|queue| (index, queue)) })
            .buffer_unordered(AT_START);
        while let Some((index, queue)) = reads.try_next().await? {
            // As if they had been read one after the other: their next looks are spread over the time between two.
            let ago = micros(LOOK) * (usize::from(SHARDS) - 1 - index) as i64 / i64::from(SHARDS);
            state.shards[index] = Shard { queue, looked: Some(now - ago) };
        }
        let index = state.next;
        if state.shards[index].looked.is_some_and(|at| now - at >= micros(LOOK)) {
            let queue = self.read(index, now).await?;
            state.shards[index] = Shard { queue, looked: Some(now) };
            state.next = (index + 1) % usize::from(SHARDS);
        }
        Ok(())
    }

    async fn read(&self, shard: usize, now: i64) -> Result<BinaryHeap<Reverse<(i64, Uuid)>>, Unavailable> {
        // A u8 counts the shards.
        let (shard, mut after, mut entries) = (shard as u8, None, Vec::new());
        loop {
            let page = self.shared.store.connections(shard, after, PAGE).await?;
            let active = page.iter().filter(|l| l.state == ConnectionState::Active);
            // A connection never polled is due at once; its first hints are its backfill's anyway.
            entries.extend(active.map(|l| Reverse((l.next_poll.unwrap_or(now), l.id))));
            after = page.last().map(|l| l.id);
            if page.len() < PAGE {
                break;
            }
        }
        entries.shrink_to_fit();
        Ok(BinaryHeap::from(entries))
    }
}

impl State {
    /// Takes what is due and ours, shard by shard. What is due and another instance's waits for the next look.
    fn due(&mut self, owns: &(dyn Fn(Uuid) -> bool + Send + Sync), now: i64) -> Vec<Due> {
        let mut due = Vec::new();
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let mut others = Vec::new();
            while let Some(Reverse((at, id))) = shard.queue.peek().copied().filter(|Reverse((at, _))| *at <= now) {
                if due.len() >= BATCH {
                    break;
                }
                shard.queue.pop();
                if owns(id) {
                    due.push(Due { id, at, shard: index });
                } else {
                    others.push(Reverse((now + micros(OTHERS), id)));
                }
            }
            shard.queue.extend(others);
        }
        due
    }
}

fn put(connection: &Connection, provider: &'static str, now: i64, out: &mut Outbox) {
    let hint = Hint {
        hint_id: Uuid::now_v7(),
        provider,
        connection_id: connection.id,
        cause: Cause::Schedule,
        lane: Lane::Live,
        change: Change::Data,
        streams: vec![],
        window_start: None,
        window_end: None,
        created_at: now,
        not_before: None,
        attempt: 0,
        object: None,
    };
    out.put(&topics::HINT_LIVE, None, connection.id.to_string().as_bytes(), |bytes| hint.encode(bytes));
}

/// Whoever was held back must not come all at once.
fn spread(clock: &dyn Clock) -> i64 {
    between(clock, 0, 10 * MINUTE)
}

fn between(clock: &dyn Clock, least: i64, most: i64) -> i64 {
    least + (clock.chance() * (most - least) as f64) as i64
}

const MINUTE: i64 = 60_000_000;

/// When to ask again: a time drawn from the provider's range, moved out of its maintenance.
pub(crate) fn next_poll(cloud: &Cloud, clock: &dyn Clock, now: i64) -> i64 {
    let (least, most) = cloud.settings.poll_minutes.unwrap_or(cloud.profile().poll_minutes);
    let at = now + between(clock, i64::from(least) * MINUTE, i64::from(most) * MINUTE);
    closed_until(&cloud.settings.maintenance, at).map_or(at, |open| open + spread(clock))
}

/// The end of the maintenance that `at` falls into, if it does.
fn closed_until(maintenance: &[Maintenance], at: i64) -> Option<i64> {
    maintenance.iter().filter_map(|m| m.parse().ok()).filter_map(|(zone, from, to)| end_of(&zone, from, to, at)).max()
}

fn end_of(zone: &TimeZone, from: jiff::civil::Time, to: jiff::civil::Time, at: i64) -> Option<i64> {
    let today = Timestamp::from_microsecond(at).ok()?.to_zoned(zone.clone()).date();
    // A window may begin the day before and end today.
    [today.yesterday().ok()?, today].into_iter().find_map(|day| {
        let ends_on = if to > from { day } else { day.checked_add(1.day()).ok()? };
        // A time that the clock change skips or repeats is taken so that the pause is never shorter than it says.
        let start = zone.to_ambiguous_timestamp(day.to_datetime(from)).earlier().ok()?.as_microsecond();
        let end = zone.to_ambiguous_timestamp(ends_on.to_datetime(to)).later().ok()?.as_microsecond();
        (start <= at && at < end).then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: &str, to: &str) -> Vec<Maintenance> {
        vec![Maintenance { zone: "America/Los_Angeles".into(), from: from.into(), to: to.into() }]
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn until(m: &[Maintenance], text: &str) -> Option<String> {
        closed_until(m, at(text)).map(|end| Timestamp::from_microsecond(end).unwrap().to_string())
    }

    #[test]
    fn the_pause_follows_the_clock_of_its_zone() {
        let m = window("02:45", "03:45");
        assert_eq!(until(&m, "2026-07-01T10:00:00Z").as_deref(), Some("2026-07-01T10:45:00Z"));
        assert_eq!(until(&m, "2026-12-01T10:00:00Z"), None, "at standard time the same hour is 11 o'clock UTC");
        assert_eq!(until(&m, "2026-12-01T11:00:00Z").as_deref(), Some("2026-12-01T11:45:00Z"));
    }

    #[test]
    fn on_the_days_the_clocks_change_the_pause_is_never_shorter() {
        let m = window("01:30", "03:30");
        // 8 March 2026: 02:00 becomes 03:00.
        assert_eq!(until(&m, "2026-03-08T09:45:00Z").as_deref(), Some("2026-03-08T10:30:00Z"));
        // 1 November 2026: 01:30 comes twice; the pause begins at the first.
        assert_eq!(until(&m, "2026-11-01T08:35:00Z").as_deref(), Some("2026-11-01T11:30:00Z"));
    }

    #[test]
    fn a_pause_over_midnight_belongs_to_both_days() {
        let m = window("23:00", "01:00");
        assert!(until(&m, "2026-07-02T06:30:00Z").is_some() && until(&m, "2026-07-02T07:30:00Z").is_some());
        assert!(until(&m, "2026-07-02T08:30:00Z").is_none());
    }
}
