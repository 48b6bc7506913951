//! What all of a run share: time, chance, the log, the clouds, and what was seen to be wrong.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use headwater_store::memory::MemoryStore;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use crate::cloud::Clouds;
use crate::log::Log;
use crate::outages::Outage;
use crate::plan::Plan;
use crate::play::Ran;

/// 2026-03-15T06:00:00Z
pub const EPOCH: i64 = 1_773_554_400_000_000;

pub struct World {
    pub plan: Plan,
    pub store: MemoryStore,
    pub log: Log,
    /// From here on nothing goes wrong.
    pub calm: AtomicBool,
    started: Instant,
    dice: Mutex<StdRng>,
    clouds: Mutex<Clouds>,
    outage: Mutex<Option<Outage>>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    hasher: DefaultHasher,
    lines: Vec<(i64, &'static str, String)>,
    wrong: Vec<String>,
    ran: Ran,
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> Arc<Self> {
        let clouds = Clouds::new(&plan);
        Arc::new(Self {
            store: MemoryStore::default(),
            log: Log::default(),
            calm: AtomicBool::new(false),
            started: Instant::now(),
            dice: Mutex::new(StdRng::seed_from_u64(seed)),
            clouds: Mutex::new(clouds),
            outage: Mutex::default(),
            told: Mutex::default(),
            plan,
        })
    }

    /// The true time.
    pub fn now(&self) -> i64 {
        EPOCH + i64::try_from(self.started.elapsed().as_micros()).expect("a run takes hours")
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub fn clouds(&self) -> MutexGuard<'_, Clouds> {
        self.clouds.lock().expect("nothing panics under this lock")
    }

    pub fn begins(&self, outage: Outage) {
        *self.outage.lock().expect("nothing panics under this lock") = Some(outage);
    }

    /// The one in which this instance finds the store; none once all is calm.
    pub fn outage(&self, instance: usize) -> Option<Outage> {
        let outage = *self.outage.lock().expect("nothing panics under this lock");
        outage.filter(|outage| !self.is_calm() && outage.meets(instance, self.now()))
    }

    pub fn unit(&self) -> f64 {
        self.dice.lock().expect("nothing panics under this lock").random()
    }

    /// Both ends included.
    pub fn draw(&self, least: u64, most: u64) -> u64 {
        self.dice.lock().expect("nothing panics under this lock").random_range(least..=most)
    }

    /// True so many times of so many; never once all is calm.
    pub fn strikes(&self, times: u32, of: u32) -> bool {
        times > 0 && !self.is_calm() && self.draw(1, of.into()) <= times.into()
    }

    pub async fn pause(&self, least_ms: u64, most_ms: u64) {
        let pause = self.draw(least_ms, most_ms);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("nothing panics under this lock")
    }

    /// A thing that happened. What it is told with must follow from the run's number alone.
    pub fn tell(&self, what: &'static str, of: impl std::fmt::Display) {
        let (at, of) = (self.now() - EPOCH, of.to_string());
        let mut told = self.told();
        (at, what, &of).hash(&mut told.hasher);
        told.lines.push((at, what, of));
    }

    /// A thing that must never happen.
    pub fn wrong(&self, what: String) {
        self.tell("WRONG", &what);
        self.told().wrong.push(what);
    }

    pub fn count(&self, count: impl FnOnce(&mut Ran)) {
        count(&mut self.told().ran);
    }

    pub fn is_wrong(&self) -> bool {
        !self.told().wrong.is_empty()
    }

    /// What is wrong, the trace, its digest, and the counts.
    pub fn account(&self) -> (Vec<String>, String, u64, Ran) {
        let told = self.told();
        let lines: Vec<String> =
            told.lines.iter().map(|(at, what, of)| format!("{:>11.3} {what} {of}", *at as f64 / 1e6)).collect();
        (told.wrong.clone(), lines.join("\n"), told.hasher.finish(), told.ran.clone())
    }
}
