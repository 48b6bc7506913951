//! Time and chance, as arguments. [`System`] is the one place of this crate that asks the machine.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng as _;

#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since the epoch.
    fn now(&self) -> i64;
    async fn sleep(&self, how_long: Duration);
    /// A number in [0, 1), drawn anew: many who wait for the same must not come back at once.
    fn chance(&self) -> f64 {
        rand::rng().random()
    }
}

pub struct System;

#[async_trait]
impl Clock for System {
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_microsecond()
    }

    async fn sleep(&self, how_long: Duration) {
        tokio::time::sleep(how_long).await;
    }
}

/// A clock that a test moves. Sleeping moves it too, at once.
pub struct Manual(Mutex<i64>);

impl Manual {
    pub fn at(micros: i64) -> Self {
        Self(Mutex::new(micros))
    }

    pub fn advance(&self, by: Duration) {
        *self.0.lock().expect("nothing panics under this lock") += micros(by);
    }
}

#[async_trait]
impl Clock for Manual {
    fn now(&self) -> i64 {
        *self.0.lock().expect("nothing panics under this lock")
    }

    async fn sleep(&self, how_long: Duration) {
        self.advance(how_long);
        tokio::task::yield_now().await;
    }
}

pub(crate) fn micros(of: Duration) -> i64 {
    i64::try_from(of.as_micros()).unwrap_or(i64::MAX)
}
