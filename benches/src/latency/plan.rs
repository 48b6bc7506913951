//! Which record is due when. Times are microseconds since the epoch, by the clock that the broker stamps with.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Microseconds; nothing is waited for longer.
const LONGEST: u64 = 300_000_000;

/// Records one after the other at a steady rate: some to warm up, then those that count.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The number of the first record.
    pub first: u64,
    pub warm: u64,
    pub counted: u64,
    /// Records per second.
    pub rate: f64,
    /// When the first is due.
    pub begins: i64,
}

impl Plan {
    /// As many numbers as it has.
    pub fn len(&self) -> u64 {
        self.warm + self.counted
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.first..self.first + self.len()
    }

    pub fn has(&self, n: u64) -> bool {
        (self.first..self.first + self.len()).contains(&n)
    }

    pub fn counts(&self, n: u64) -> bool {
        self.has(n) && n >= self.first + self.warm
    }

    /// When record `n` is due; of the number after the last, when all were.
    pub fn due(&self, n: u64) -> i64 {
        self.begins + ((n - self.first) as f64 / self.rate * 1e6) as i64
    }

    /// Notes when something was so of record `n`, if it counts.
    pub fn note(&self, times: &mut Histogram<u64>, n: u64, at: i64) {
        if self.counts(n) {
            // The broker's times are whole milliseconds, rounded down.
            times.saturating_record(u64::try_from(at - self.due(n)).unwrap_or(0));
        }
    }
}

pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// How long it is until then.
pub fn until(moment: i64) -> Duration {
    Duration::from_micros(u64::try_from(moment - now()).unwrap_or(0))
}

/// Microseconds.
pub fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("three digits can be kept")
}

/// Milliseconds at a share of all.
pub fn at(times: &Histogram<u64>, share: f64) -> f64 {
    times.value_at_quantile(share) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_warms_up_is_due_and_does_not_count() {
        let plan = Plan { first: 10, warm: 2, counted: 3, rate: 1000.0, begins: 5_000_000 };
        assert_eq!(
            plan.numbers().map(|n| (n, plan.counts(n))).collect::<Vec<_>>(),
            [(10, false), (11, false), (12, true), (13, true), (14, true)]
        );
        assert_eq!((plan.due(10), plan.due(12), plan.due(15)), (5_000_000, 5_002_000, 5_005_000));
        let mut noted = times();
        for n in [9, 11, 12, 15] {
            plan.note(&mut noted, n, 5_003_000);
        }
        assert_eq!((noted.len(), at(&noted, 1.0)), (1, 1.0), "only record 12, a millisecond after it was due");
    }
}
