//! When a connection is asked again. An instance schedules the connections whose hints it will read itself, so there is no leader and nobody
//! is asked twice.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use headwater_schemas::Outbox;
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::{ConnectionState, SHARDS};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rand::Rng as _;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Unavailable;
use crate::clock::micros;
use crate::cloud::Cloud;
use crate::settings::Maintenance;
use crate::shared::Shared;

/// How often the store is asked who is there.
const LOOK: Duration = Duration::from_secs(60);
const PAGE: usize = 1000;
/// Most hints in one append.
const BATCH: usize = 500;

pub struct Scheduler {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who is due when, soonest first. Entries that no longer agree with `due` are passed over.
    queue: BinaryHeap<Reverse<(i64, Uuid)>>,
    due: HashMap<Uuid, i64>,
    looked: Option<i64>,
}

impl Scheduler {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, state: Mutex::default() }
    }

    /// Appends a hint for each connection that is due and ours. `owns` says whose hints this instance reads.
    ///
    /// # Errors
    /// [`Unavailable`] when store or log do not answer: what is due stays due.
    pub async fn tick(&self, owns: &(dyn Fn(Uuid) -> bool + Send + Sync)) -> Result<usize, Unavailable> {
        let mut state = self.state.lock().await;
        let now = self.shared.clock.now();
        if state.looked.is_none_or(|at| now - at >= micros(LOOK)) {
            self.look(&mut state, owns, now).await?;
        }
        let mut hinted = 0;
        while let Some(Reverse((due, id))) = state.queue.peek().copied() {
            if due > now || hinted >= BATCH {
                break;
            }
            if state.due.get(&id) == Some(&due) && owns(id) {
                hinted += usize::from(self.hint(&mut state, id, now).await?);
            } else {
                state.queue.pop();
            }
        }
        Ok(hinted)
    }

    /// One due connection: hint first, then the next time. Dying in between asks twice, which is harmless.
    async fn hint(&self, state: &mut State, id: Uuid, now: i64) -> Result<bool, Unavailable> {
        let connection = self.shared.store.connection(id).await?.filter(|c| c.state == ConnectionState::Active);
        let Some((connection, cloud)) = connection.and_then(|c| self.shared.cloud(&c.provider).map(|cloud| (c, cloud))) else {
            state.queue.pop();
            state.due.remove(&id);
            return Ok(false);
        };
        if let Some(open) = closed_until(&cloud.settings.maintenance, now) {
            state.queue.pop();
            state.due.insert(id, open);
            state.queue.push(Reverse((open, id)));
            return Ok(false);
        }
        let mut out = Outbox::default();
        let hint = Hint {
            hint_id: Uuid::now_v7(),
            provider: &connection.provider,
            connection_id: id,
            cause: Cause::Schedule,
            lane: Lane::Live,
            change: Change::Data,
            streams: vec![],
            window_start: None,
            window_end: None,
            created_at: now,
            not_before: None,
            attempt: 0,
        };
        out.put(&topics::HINT_LIVE, None, id.to_string().as_bytes(), |bytes| hint.encode(bytes));
        self.shared.outlet.append(&out).await?;
        let next = next_poll(&cloud, now);
        self.shared.store.set_polled(id, connection.last_poll.unwrap_or(now), next).await?;
        state.queue.pop();
        state.due.insert(id, next);
        state.queue.push(Reverse((next, id)));
        Ok(true)
    }

    /// Reads who is there, shard by shard.
    async fn look(&self, state: &mut State, owns: &(dyn Fn(Uuid) -> bool + Send + Sync), now: i64) -> Result<(), Unavailable> {
        let (mut due, mut queue) = (HashMap::new(), BinaryHeap::new());
        for shard in 0..SHARDS {
            let mut after = None;
            loop {
                let page = self.shared.store.connections(shard, after, PAGE).await?;
                for listed in page.iter().filter(|l| l.state == ConnectionState::Active && owns(l.id)) {
                    // A connection never polled is due at once; its first hints are its backfill's anyway.
                    let at = listed.next_poll.unwrap_or(now);
                    due.insert(listed.id, at);
                    queue.push(Reverse((at, listed.id)));
                }
                after = page.last().map(|l| l.id);
                if page.len() < PAGE {
                    break;
                }
            }
        }
        *state = State { queue, due, looked: Some(now) };
        Ok(())
    }
}

/// When to ask again: a time drawn from the provider's range, moved out of its maintenance.
pub(crate) fn next_poll(cloud: &Cloud, now: i64) -> i64 {
    let (least, most) = cloud.settings.poll_minutes.unwrap_or(cloud.profile().poll_minutes);
    let minute = 60_000_000;
    let at = now + rand::rng().random_range(i64::from(least) * minute..=i64::from(most) * minute);
    match closed_until(&cloud.settings.maintenance, at) {
        None => at,
        // Spread over the next minutes: whoever was held back must not come all at once.
        Some(open) => open + rand::rng().random_range(0..=10 * minute),
    }
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
