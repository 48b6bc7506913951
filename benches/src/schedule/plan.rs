//! Who is due when, what time it is, and how late each was hinted.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hdrhistogram::Histogram;
use headwater_ingest::clock::Clock;
use headwater_ingest::{Outlet, OutletError};
use headwater_schemas::Outbox;
use uuid::Uuid;

/// When every play begins: 1 January 2026, midnight UTC.
const BEGIN: i64 = 1_767_225_600_000_000;
/// Microseconds; nothing is late by more than is played.
const LONGEST: u64 = 3_600_000_000;
/// Of what became due so shortly before the end, some may be under way.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// So many connections, evenly over the time between two polls of one.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub connections: u64,
    pub every: Duration,
}

impl Plan {
    pub fn new(connections: u64, every: Duration) -> anyhow::Result<Self> {
        anyhow::ensure!(connections > 0 && !every.is_zero(), "--connections, --every: expected numbers above 0");
        Ok(Self { connections, every })
    }

    /// Spread over the shards as if drawn, and still telling which one it is.
    pub fn id(&self, i: u64) -> Uuid {
        Uuid::from_u64_pair(i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15), i)
    }

    /// When, after the beginning.
    pub fn after(&self, i: u64) -> Duration {
        let micros = self.every.as_micros() * u128::from(i) / u128::from(self.connections);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)) + Duration::from_micros(1)
    }

    /// When, in microseconds since the epoch.
    pub fn due(&self, i: u64) -> i64 {
        BEGIN + i64::try_from(self.after(i).as_micros()).unwrap_or(i64::MAX - BEGIN)
    }

    /// How many are due by then.
    fn due_by(&self, at: Duration) -> u64 {
        let share = at.as_micros() * u128::from(self.connections) / self.every.as_micros();
        u64::try_from(share).unwrap_or(u64::MAX).min(self.connections)
    }
}

/// Time that stands still until it begins, and then goes as it does outside.
#[derive(Default)]
pub struct Played(OnceLock<Instant>);

impl Played {
    pub fn begin(&self, at: Instant) {
        self.0.get_or_init(|| at);
    }
}

#[async_trait]
impl Clock for Played {
    fn now(&self) -> i64 {
        let elapsed = self.0.get().map_or(Duration::ZERO, Instant::elapsed);
        BEGIN + i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX - BEGIN)
    }

    async fn sleep(&self, how_long: Duration) {
        tokio::time::sleep(how_long).await;
    }
}

/// A log, and when what was appended to it had been due.
pub struct Timed {
    plan: Plan,
    clock: Arc<Played>,
    log: Arc<dyn Outlet>,
    seen: Mutex<Seen>,
}

struct Seen {
    /// Microseconds from when a poll was due until the log had its hint.
    times: Histogram<u64>,
    hinted: Vec<bool>,
    count: u64,
    wrong: u64,
}

/// What was late by how much.
pub struct Late {
    pub times: Histogram<u64>,
    pub hinted: u64,
}

impl Timed {
    pub fn new(plan: Plan, clock: Arc<Played>, log: Arc<dyn Outlet>) -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, 3).expect("three digits can be kept");
        let hinted = vec![false; usize::try_from(plan.connections).unwrap_or(usize::MAX)];
        Self { plan, clock, log, seen: Mutex::new(Seen { times, hinted, count: 0, wrong: 0 }) }
    }

    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// After so long. Void where somebody who was due is not hinted, is hinted twice, or before the time.
    pub fn late(&self, played: Duration) -> anyhow::Result<Late> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = self.plan.due_by(played.saturating_sub(UNDER_WAY));
        let missing = seen.hinted.iter().zip(0..expected).filter(|(hinted, _)| !**hinted).count();
        anyhow::ensure!(missing == 0, "void: of {expected} connections that were due {missing} are not hinted");
        anyhow::ensure!(seen.wrong == 0, "void: {} hints are a second one, or too early", seen.wrong);
        anyhow::ensure!(seen.count > 0, "nobody was hinted, expected a longer play");
        Ok(Late { times: seen.times.clone(), hinted: seen.count })
    }
}

#[async_trait]
impl Outlet for Timed {
    async fn append(&self, outbox: &Outbox) -> Result<(), OutletError> {
        self.log.append(outbox).await?;
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for record in outbox.records() {
            let id = Uuid::try_parse_ascii(outbox.key(record)).ok();
            let i = id.map_or(u64::MAX, |id| id.as_u64_pair().1);
            let late = u64::try_from(now.saturating_sub(self.plan.due(i))).ok();
            let first =
                usize::try_from(i).ok().and_then(|i| seen.hinted.get_mut(i)).is_some_and(|seen| !std::mem::replace(seen, true));
            match late.filter(|_| first) {
                Some(late) => {
                    seen.times.saturating_record(late);
                    seen.count += 1;
                }
                None => seen.wrong += 1,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_schemas::topics;

    struct All;

    #[async_trait]
    impl Outlet for All {
        async fn append(&self, _: &Outbox) -> Result<(), OutletError> {
            Ok(())
        }
    }

    /// Ten connections, a second apart, of which these are hinted when ten seconds have gone by.
    async fn played(hinted: &[u64]) -> anyhow::Result<Late> {
        let plan = Plan::new(10, Duration::from_secs(10)).unwrap();
        let clock = Arc::new(Played::default());
        clock.begin(Instant::now().checked_sub(Duration::from_secs(8)).unwrap());
        let timed = Timed::new(plan, clock, Arc::new(All));
        for i in hinted {
            let mut outbox = Outbox::default();
            outbox.put(&topics::HINT_LIVE, None, plan.id(*i).to_string().as_bytes(), |_| {});
            timed.append(&outbox).await.unwrap();
        }
        timed.late(Duration::from_secs(8))
    }

    #[tokio::test]
    async fn late_is_from_when_each_was_due() {
        let late = played(&[0, 1, 2]).await.unwrap();
        assert_eq!(late.hinted, 3);
        assert!((5.9e6..6.5e6).contains(&(late.times.min() as f64)), "{}", late.times.min());
        assert!((7.9e6..8.5e6).contains(&(late.times.max() as f64)), "{}", late.times.max());
    }

    #[tokio::test]
    async fn a_play_is_void_where_one_is_left_out_hinted_twice_or_too_early() {
        for wrong in [&[0, 1][..], &[0, 1, 2, 2], &[0, 1, 2, 9]] {
            assert!(played(wrong).await.is_err(), "{wrong:?}");
        }
    }
}
