//! The only place of this crate that reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// The time a simulator lives by: tokens expire, quotas refill and data appear by it. Clones share one time.
#[derive(Clone, Debug)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    follows_system: bool,
    /// Milliseconds: the time itself where the clock stands still, else what is added to the system's time.
    millis: AtomicI64,
}

impl Clock {
    /// Follows the machine's clock.
    pub fn system() -> Self {
        Self { inner: Arc::new(Inner { follows_system: true, millis: AtomicI64::new(0) }) }
    }

    /// Stands still at `at` until [`advance`](Self::advance) is called.
    pub fn fixed(at: Timestamp) -> Self {
        Self { inner: Arc::new(Inner { follows_system: false, millis: AtomicI64::new(at.as_millisecond()) }) }
    }

    /// Moves the time forward, for a test that must not wait.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.inner.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// The present instant, to the millisecond.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.millis()).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn millis(&self) -> i64 {
        let base = if self.inner.follows_system { Timestamp::now().as_millisecond() } else { 0 };
        base.saturating_add(self.inner.millis.load(Ordering::SeqCst))
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.millis().div_euclid(1000)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told_and_its_clones_move_with_it() {
        let clock = Clock::fixed(Timestamp::from_second(1_000).unwrap());
        let clone = clock.clone();
        assert_eq!(clock.now(), clone.now());
        clock.advance(Duration::from_secs(5));
        assert_eq!(clone.seconds(), 1_005);
    }
}
