//! Where an instance touches the world: store, log, clouds, time. Here it may die, and here things fail before or after they took effect.
//!
//! A death is a kill -9: whatever the process had under way, its token flights too, makes no further call and hears no further answer. What was
//! on its way out at that moment arrives or does not.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Request;
use headwater_ingest::clock::Clock;
use headwater_ingest::http::{Answer, Line, NoAnswer};
use headwater_ingest::{Outlet, OutletError};
use headwater_schemas::Outbox;
use headwater_store::memory::{Gate, Written};
use headwater_store::{Result, Unavailable};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use crate::cloud::Wrong;
use crate::outages::{self, How, Outage};
use crate::world::World;

/// How long a request may take: [`headwater_ingest::settings::IngestSettings::request_timeout_ms`].
const TIMEOUT: Duration = Duration::from_secs(30);

/// One process, from its start to its death.
pub struct Life {
    pub world: Arc<World>,
    pub instance: usize,
    /// How wrong its clock is, in microseconds. Outlives the process.
    pub skew: Arc<AtomicI64>,
    /// When it died.
    died: watch::Sender<Option<i64>>,
    /// From when to when calls of it stood still for longer than a lease lasts.
    stood: Mutex<Vec<(i64, i64)>>,
}

impl Life {
    pub fn new(world: Arc<World>, instance: usize, skew: Arc<AtomicI64>) -> Arc<Self> {
        Arc::new(Self { world, instance, skew, died: watch::channel(None).0, stood: Mutex::default() })
    }

    pub fn died(&self) -> Option<i64> {
        *self.died.borrow()
    }

    pub async fn death(&self) {
        let mut died = self.died.subscribe();
        let _ = died.wait_for(Option::is_some).await;
    }

    /// Whether a call of it stood still at some time between these.
    pub fn stood_still(&self, from: i64, to: i64) -> bool {
        self.stood.lock().expect("nothing panics under this lock").iter().any(|(begun, over)| *begun < to && *over > from)
    }

    /// Never returns to a process that is dead.
    pub async fn lives(&self) {
        if self.died().is_some() {
            std::future::pending::<()>().await;
        }
    }

    /// Now and then this is the process's end.
    async fn may_die(&self, at: &'static str) {
        let world = &self.world;
        if self.died().is_none() && world.strikes(world.plan.deaths, 10_000) {
            self.died.send_replace(Some(world.now()));
            world.tell("dies", format_args!("{} at {at}", self.instance));
            world.count(|ran| ran.deaths += 1);
            self.lives().await;
        }
    }

    /// A call on its way out: it takes a while, may never be made, and may be the process's last.
    async fn sends(&self, at: &'static str) {
        self.lives().await;
        self.takes_time(at).await;
        // Where another task was the process's end meanwhile, this call had left before, or never did.
        if self.died().is_some() && self.world.draw(0, 1) == 0 {
            self.lives().await;
        }
        self.may_die(at).await;
    }

    /// An answer on its way back: the dead do not hear it.
    async fn hears(&self, at: &'static str) {
        self.lives().await;
        self.takes_time(at).await;
        self.may_die(at).await;
        self.lives().await;
    }

    async fn takes_time(&self, at: &'static str) {
        let world = &self.world;
        if world.strikes(world.plan.stalls, 10_000) {
            world.count(|ran| ran.stalls += 1);
            world.tell("stalls", format_args!("{} at {at}", self.instance));
            let begun = world.now();
            let long = world.draw(65_000, 400_000);
            let over = begun + i64::try_from(long).expect("minutes are few") * 1000;
            self.stood.lock().expect("nothing panics under this lock").push((begun, over));
            tokio::time::sleep(Duration::from_millis(long)).await;
        } else if world.draw(0, 3) == 0 {
            // Not every time: a timer is what a step of a run costs most of.
            world.pause(1, 40).await;
        }
    }
}

#[async_trait]
impl Clock for Life {
    fn now(&self) -> i64 {
        self.world.now() + self.skew.load(Ordering::Relaxed)
    }

    async fn sleep(&self, how_long: Duration) {
        tokio::time::sleep(how_long).await;
        self.lives().await;
    }

    fn chance(&self) -> f64 {
        self.world.unit()
    }
}

/// The store as one process reaches it.
pub struct StoreGate(pub Arc<Life>);

impl StoreGate {
    fn fails(&self, request: &'static str, how: &'static str) -> Result<()> {
        let world = &self.0.world;
        if world.strikes(world.plan.store, 2000) {
            world.tell("store fails", format_args!("{how} {request} of {}", self.0.instance));
            world.count(|ran| ran.store_failed += 1);
            return Err(Unavailable::new("played"));
        }
        Ok(())
    }

    fn outage(&self) -> Option<Outage> {
        self.0.world.outage(self.0.instance)
    }
}

#[async_trait]
impl Gate for StoreGate {
    async fn before(&self, request: &'static str) -> Result<()> {
        let world = &self.0.world;
        self.0.sends(request).await;
        if let Some(outage) = self.outage().filter(|outage| outage.how != How::Mute) {
            if outage.how == How::Hangs {
                outage.is_over(world).await;
            }
            if outage.how == How::Refuses || world.draw(0, 1) == 0 {
                self.0.lives().await;
                return Err(Unavailable::new("away"));
            }
        }
        self.fails(request, "before")
    }

    fn wrote(&self, what: &Written<'_>) {
        let (world, at) = (&self.0.world, self.0.instance);
        match what {
            Written::Tokens { connection, tokens } => {
                world.tell("stores a pair", format_args!("{at} generation {}", tokens.generation));
                world.clouds().stored(*connection, tokens.access.expose_secret());
            }
            Written::Cursor { connection, stream, cursor } => {
                if cursor.fetched_to > world.log.covered_to(*connection, stream) {
                    world.wrong(format!("the cursor of {stream} is ahead of what is appended"));
                }
            }
            // All zero: of no answer.
            Written::Digest { digest, .. } if *digest == [0; 16] => {}
            Written::Digest { connection, stream, window_start, .. } => {
                // What uploads note under names is judged by what is on raw.
                let noted = world.clouds().noted(*connection, stream, *window_start);
                if noted > world.log.covered(*connection, stream, *window_start) && *stream != "batches" {
                    world.wrong(format!("an answer of {stream} is noted before it is appended"));
                }
            }
        }
    }

    async fn after(&self, request: &'static str) -> Result<()> {
        self.0.may_die(request).await;
        self.0.lives().await;
        if let Some(outage) = self.outage().filter(|outage| outage.how == How::Mute) {
            outage.is_over(&self.0.world).await;
            self.0.lives().await;
            return Err(Unavailable::new("away"));
        }
        self.fails(request, "after")
    }
}

/// The log as one process reaches it.
pub struct LogOutlet(pub Arc<Life>);

#[async_trait]
impl Outlet for LogOutlet {
    async fn append(&self, outbox: &Outbox) -> std::result::Result<(), OutletError> {
        let world = &self.0.world;
        self.0.sends("append").await;
        let all = outbox.len();
        let (arriving, how) = match world.strikes(world.plan.log, 1000).then(|| world.draw(0, 3)) {
            None => (all, None),
            Some(0) => (0, Some("refused")),
            Some(1) => (all / 2, Some("torn")),
            Some(2) => (all, Some("unacknowledged")),
            Some(_) => (0, Some("full")),
        };
        world.log.arrive(outbox, arriving, world.now());
        world.tell("appends", format_args!("{} {arriving} of {all}", self.0.instance));
        self.0.hears("acknowledgement").await;
        let Some(how) = how else { return Ok(()) };
        world.count(|ran| ran.appends_failed += 1);
        if how == "full" {
            return Err(OutletError::Full { retry_after: Duration::from_secs(1) });
        }
        world.pause(0, 5000).await;
        self.0.lives().await;
        Err(OutletError::Unavailable { why: how.to_owned() })
    }
}

/// The way to the clouds of one process.
pub struct CloudLine(pub Arc<Life>);

impl CloudLine {
    async fn asked(&self, request: Request<Vec<u8>>) -> std::result::Result<Answer, NoAnswer> {
        let (world, me) = (&self.0.world, &self.0);
        self.0.sends("request").await;
        let fault = world.strikes(world.plan.cloud, 1000).then(|| world.draw(0, 6));
        let plain = |status, headers| Answer { status, headers, body: b"{}".to_vec() };
        match fault {
            Some(0) => return Err(NoAnswer { why: "no_connection" }),
            Some(1) => return Ok(plain(503, vec![])),
            Some(2) => {
                let after = world.draw(0, 1).eq(&1).then(|| ("retry-after".to_owned(), world.draw(1, 120).to_string()));
                return Ok(plain(429, after.into_iter().collect()));
            }
            _ => {}
        }
        if fault == Some(3) {
            world.pause(500, 40_000).await;
        }
        let answered = world.clouds().answer(world.now(), &request, me);
        world.tell("asks", format_args!("{} {} {} {}", me.instance, request.method(), request.uri().path(), answered.status));
        if request.uri().path() == "/token" {
            outages::may_begin_with_a_pair_in_hand(world);
        }
        let wrong = std::mem::take(&mut world.clouds().wrong);
        for wrong in wrong {
            match wrong {
                Wrong::Never(what) => world.wrong(what),
                Wrong::Together(what) if !world.plan.leases_break() => world.wrong(what),
                Wrong::Together(_) => {}
            }
        }
        self.0.hears("answer").await;
        let mut answer = answered;
        match fault {
            Some(4) => {
                world.pause(0, 60_000).await;
                world.tell("loses an answer", me.instance);
                world.count(|ran| ran.answers_lost += 1);
                return Err(NoAnswer { why: "cut_off" });
            }
            Some(5) => answer.body.truncate(answer.body.len() / 2),
            _ => {}
        }
        world.clouds().arrived(&answer, me.clone(), world.now());
        Ok(answer)
    }
}

#[async_trait]
impl Line for CloudLine {
    async fn carry(&self, request: Request<Vec<u8>>) -> std::result::Result<Answer, NoAnswer> {
        tokio::time::timeout(TIMEOUT, self.asked(request)).await.unwrap_or(Err(NoAnswer { why: "timeout" }))
    }
}
