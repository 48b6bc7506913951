//! How many writes are on their way at once: more while answers come quickly, fewer where they are slow or fail. All bulk writes of a store share it,
//! however many partitions they come from, so a cluster that has much to do is pressed less and not more.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::Result;

const LEAST: usize = 8;
const MOST: usize = 512;
const START: usize = 64;
/// Answers that take longer than this have waited in the cluster: a healthy one needs a few milliseconds, also when it is busy.
const SLOW: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Limit {
    permits: Semaphore,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    limit: usize,
    /// Permits that there are: more than the limit until those too many have come back.
    permits: usize,
    /// Since the limit was last looked at, which is after as many answers as it has.
    answers: u32,
    took: Duration,
    failed: bool,
    waited: bool,
}

impl Default for Limit {
    fn default() -> Self {
        Self { permits: Semaphore::new(START), pace: Mutex::new(Pace::new(START)) }
    }
}

impl Limit {
    /// Runs a request when its turn comes.
    pub async fn run<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        let (permit, waited) = match self.permits.try_acquire() {
            Ok(permit) => (permit, false),
            Err(_) => (self.permits.acquire().await.expect("nobody closes it"), true),
        };
        let started = Instant::now();
        let answer = request.await;
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.answered(started.elapsed(), answer.is_err(), waited);
        if pace.permits < pace.limit {
            self.permits.add_permits(pace.limit - pace.permits);
            pace.permits = pace.limit;
        } else if pace.permits > pace.limit {
            permit.forget();
            pace.permits -= 1;
            let idle = pace.permits - pace.limit;
            pace.permits -= self.permits.forget_permits(idle);
        }
        answer
    }
}

impl Pace {
    fn new(limit: usize) -> Self {
        Self { limit, permits: limit, answers: 0, took: Duration::ZERO, failed: false, waited: false }
    }

    fn answered(&mut self, took: Duration, failed: bool, waited: bool) {
        self.answers += 1;
        self.took += took;
        self.failed |= failed;
        self.waited |= waited;
        if (self.answers as usize) < self.limit {
            return;
        }
        let limit = if self.failed {
            self.limit / 2
        } else if self.took / self.answers > SLOW {
            self.limit * 3 / 4
        } else if self.waited {
            self.limit + self.limit.div_ceil(16)
        } else {
            // It holds nobody back: that more would be as quick is not known.
            self.limit
        };
        *self = Self { permits: self.permits, ..Self::new(limit.clamp(LEAST, MOST)) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{StreamExt as _, stream};

    use super::*;
    use crate::Unavailable;

    /// So many requests of a cluster that serves some at once and lets the others wait, and the most that were there together in their last half.
    async fn pressed(limit: &Limit, requests: usize, served: usize, takes: Duration) -> usize {
        let (cluster, here, most) = (Semaphore::new(served), AtomicUsize::new(0), AtomicUsize::new(0));
        let (cluster, here, most) = (&cluster, &here, &most);
        let request = |n: usize| async move {
            let now = here.fetch_add(1, Ordering::Relaxed) + 1;
            if n > requests / 2 {
                most.fetch_max(now, Ordering::Relaxed);
            }
            let _served = cluster.acquire().await.expect("nobody closes it");
            tokio::time::sleep(takes).await;
            here.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        };
        let asked = stream::iter((0..requests).map(|n| limit.run(request(n)))).buffer_unordered(2000);
        asked.for_each(|done| async { done.expect("an answer") }).await;
        most.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_cluster_gets_more_at_once_and_a_slow_one_less() {
        let limit = Limit::default();
        assert_eq!(pressed(&limit, 50_000, 1000, Duration::from_millis(2)).await, MOST);
        // A hundredth of a second each, ten at once: fifty of them take as long as is slow.
        let most = pressed(&limit, 50_000, 10, Duration::from_millis(10)).await;
        assert!((30..=70).contains(&most), "{most}");
        assert_eq!(pressed(&limit, 50_000, 1000, Duration::from_millis(2)).await, MOST, "it recovers");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_make_it_small_and_never_nothing() {
        let limit = Limit::default();
        for _ in 0..1000 {
            let failed: Result<()> = limit.run(async { Err(Unavailable::new("gone")) }).await;
            assert!(failed.is_err());
        }
        assert_eq!(limit.permits.available_permits(), LEAST);
        assert!(pressed(&limit, 1000, 1000, Duration::from_millis(2)).await > LEAST, "it recovers");
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_waits_gets_no_more() {
        let limit = Limit::default();
        for _ in 0..1000 {
            limit.run(async { Ok(()) }).await.expect("an answer");
        }
        assert_eq!(limit.permits.available_permits(), START);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_gives_its_place_back() {
        let limit = Arc::new(Limit::default());
        for _ in 0..START * 2 {
            let stuck = tokio::time::timeout(Duration::from_secs(1), limit.run(std::future::pending::<Result<()>>()));
            assert!(stuck.await.is_err());
        }
        assert_eq!(limit.permits.available_permits(), START);
    }
}
