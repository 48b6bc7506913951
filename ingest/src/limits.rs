//! How often a provider may be asked: documented limits, what its answers say, and a breaker that leaves it alone when it is down.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use headwater_schemas::raw::Lane;
use uuid::Uuid;

use crate::clock::micros;

const MINUTE: i64 = 60_000_000;
/// Users whose buckets are kept; the fullest ones are forgotten first, which only ever allows what is allowed anyway.
const USERS: usize = 100_000;

/// Why not now, and when again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The documented rate, or the provider's word.
    Rate(Duration),
    /// The provider failed too often in a row.
    Open(Duration),
}

impl Wait {
    pub fn how_long(self) -> Duration {
        match self {
            Self::Rate(wait) | Self::Open(wait) => wait,
        }
    }
}

/// A bucket that refills evenly over a minute.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: i64,
}

impl Bucket {
    fn take(&mut self, per_minute: u32, now: i64, reserve: f64) -> Result<(), Duration> {
        let capacity = f64::from(per_minute);
        let rate = capacity / MINUTE as f64;
        self.tokens = (self.tokens + (now - self.at).max(0) as f64 * rate).min(capacity);
        self.at = now;
        let missing = 1.0 + reserve * capacity - self.tokens;
        if missing <= 0.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_micros((missing / rate).ceil() as u64))
        }
    }
}

#[derive(Debug, Default)]
struct State {
    app: Option<Bucket>,
    users: HashMap<Uuid, Bucket>,
    /// The provider said: not before.
    not_before: i64,
    user_not_before: HashMap<Uuid, i64>,
    failures: u32,
    open_until: i64,
}

/// One provider's limits, shared by all of the process.
#[derive(Debug)]
pub struct Limiter {
    pub app_per_minute: Option<u32>,
    pub user_per_minute: Option<u32>,
    pub breaker_failures: u32,
    pub breaker_pause: Duration,
    state: Mutex<State>,
}

impl Limiter {
    pub fn new(
        app_per_minute: Option<u32>,
        user_per_minute: Option<u32>,
        breaker_failures: u32,
        breaker_pause: Duration,
    ) -> Self {
        Self { app_per_minute, user_per_minute, breaker_failures, breaker_pause, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    /// Leave to make one request. History leaves half of each limit to fresh data.
    ///
    /// # Errors
    /// [`Wait`] says when to ask again.
    pub fn take(&self, user: Uuid, lane: Lane, now: i64) -> Result<(), Wait> {
        let mut state = self.state();
        if state.open_until > now {
            return Err(Wait::Open(until(state.open_until, now)));
        }
        let said = state.not_before.max(state.user_not_before.get(&user).copied().unwrap_or(0));
        if said > now {
            return Err(Wait::Rate(until(said, now)));
        }
        let reserve = if lane == Lane::Live { 0.0 } else { 0.5 };
        if let Some(per_minute) = self.user_per_minute {
            if state.users.len() >= USERS {
                state.users.retain(|_, bucket| now - bucket.at < MINUTE);
            }
            let bucket = state.users.entry(user).or_insert(Bucket { tokens: f64::from(per_minute), at: now });
            bucket.take(per_minute, now, reserve).map_err(Wait::Rate)?;
        }
        if let Some(per_minute) = self.app_per_minute {
            let bucket = state.app.get_or_insert(Bucket { tokens: f64::from(per_minute), at: now });
            bucket.take(per_minute, now, reserve).map_err(Wait::Rate)?;
        }
        Ok(())
    }

    /// The provider said that it was asked too often.
    pub fn limited(&self, user: Uuid, after: Duration, now: i64) {
        let mut state = self.state();
        let until = now + micros(after);
        if self.user_per_minute.is_some() {
            state.user_not_before.retain(|_, at| *at > now);
            state.user_not_before.insert(user, until);
        } else {
            state.not_before = state.not_before.max(until);
        }
    }

    /// It answered, with whatever.
    pub fn answered(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.open_until = 0;
    }

    /// It failed. True when this opened the breaker: one request may probe it after the pause.
    pub fn failed(&self, now: i64) -> bool {
        let mut state = self.state();
        state.failures += 1;
        let opens = state.failures >= self.breaker_failures;
        if opens {
            state.open_until = now + micros(self.breaker_pause);
        }
        opens
    }
}

fn until(at: i64, now: i64) -> Duration {
    Duration::from_micros(u64::try_from(at - now).unwrap_or(0))
}

/// The pause after this many failures: doubled from `base` up to `most`, with jitter so that many do not come back at once. `chance` is
/// [`crate::clock::Clock::chance`].
pub fn backoff(attempt: u32, base: Duration, most: Duration, chance: f64) -> Duration {
    let grown = base.saturating_mul(1 << attempt.min(16)).min(most);
    grown.mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Uuid = Uuid::nil();

    fn limiter() -> Limiter {
        Limiter::new(Some(10), Some(6), 3, Duration::from_secs(30))
    }

    #[test]
    fn a_user_gets_the_documented_rate_and_then_waits_for_the_refill() {
        let limiter = limiter();
        (0..6).for_each(|_| limiter.take(USER, Lane::Live, 0).unwrap());
        let Err(Wait::Rate(wait)) = limiter.take(USER, Lane::Live, 0) else { panic!("the bucket is empty") };
        assert_eq!(wait, Duration::from_secs(10));
        limiter.take(USER, Lane::Live, 10_000_000).unwrap();
    }

    #[test]
    fn history_leaves_half_to_fresh_data() {
        let limiter = limiter();
        let taken = (0..10).filter(|_| limiter.take(USER, Lane::History, 0).is_ok()).count();
        assert_eq!(taken, 3);
        limiter.take(USER, Lane::Live, 0).unwrap();
    }

    #[test]
    fn the_providers_word_counts_more_than_the_documented_rate() {
        let limiter = limiter();
        limiter.limited(USER, Duration::from_secs(120), 0);
        assert_eq!(limiter.take(USER, Lane::Live, 0), Err(Wait::Rate(Duration::from_secs(120))));
        limiter.take(Uuid::max(), Lane::Live, 0).unwrap();
    }

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_and_closes_by_one_answer() {
        let limiter = limiter();
        assert!(!limiter.failed(0) && !limiter.failed(0));
        limiter.answered();
        assert!(!limiter.failed(0) && !limiter.failed(0) && limiter.failed(0));
        assert_eq!(limiter.take(USER, Lane::Live, 1), Err(Wait::Open(Duration::from_micros(29_999_999))));
        limiter.take(USER, Lane::Live, 30_000_001).unwrap();
        assert!(limiter.failed(30_000_002), "a failed probe opens it again");
        limiter.answered();
        limiter.take(USER, Lane::Live, 30_000_003).unwrap();
    }
}
