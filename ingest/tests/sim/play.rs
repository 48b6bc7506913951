//! One run, from its number to its verdict.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::instance::Host;
use crate::plan::Plan;
use crate::seeds::{Broken, Counts};
use crate::world::World;
use crate::{actors, check, outages};

/// How long things go wrong, and how long it then takes until everything due has been asked again.
const TROUBLE: Duration = Duration::from_secs(90 * 60);
const CALM: Duration = Duration::from_secs(50 * 60);
/// By how much longer what was put off by a wrong clock waits.
const STEP: Duration = Duration::from_secs(3600);
/// Longest that partitions stay with the dead.
const SESSION: (u64, u64) = (15_000, 45_000);

/// What happened, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    pub deaths: u64,
    pub stalls: u64,
    pub partitions_moved: u64,
    pub appends_failed: u64,
    pub store_failed: u64,
    pub outages: u64,
    pub answers_lost: u64,
    pub webhooks: u64,
    pub uploads: u64,
    pub refreshes: u64,
    pub polls: u64,
    pub reauthorise: u64,
    /// Observations that were compared with the clouds' truth.
    pub compared: u64,
    pub digest: u64,
}

impl Counts for Ran {
    fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.deaths, other.deaths),
            (&mut self.stalls, other.stalls),
            (&mut self.partitions_moved, other.partitions_moved),
            (&mut self.appends_failed, other.appends_failed),
            (&mut self.store_failed, other.store_failed),
            (&mut self.outages, other.outages),
            (&mut self.answers_lost, other.answers_lost),
            (&mut self.webhooks, other.webhooks),
            (&mut self.uploads, other.uploads),
            (&mut self.refreshes, other.refreshes),
            (&mut self.polls, other.polls),
            (&mut self.reauthorise, other.reauthorise),
            (&mut self.compared, other.compared),
        ] {
            *sum += more;
        }
        self.digest ^= other.digest;
    }
}

pub fn play(seed: u64, plan: Plan) -> Result<Ran, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    runtime.block_on(run(seed, plan))
}

async fn run(seed: u64, plan: Plan) -> Result<Ran, Broken> {
    let world = World::new(seed, plan);
    let providers = Arc::new(actors::connect(&world).await);
    let hosts: Vec<Arc<Host>> = (0..world.plan.instances).map(Host::new).collect();
    let mut tasks = JoinSet::new();
    for host in &hosts {
        tasks.spawn(host.clone().run(world.clone(), providers.clone()));
    }
    tasks.spawn(coordinate(world.clone(), hosts.clone()));
    tasks.spawn(actors::live(world.clone(), hosts.clone()));
    if world.plan.steps {
        tasks.spawn(actors::step_clocks(world.clone(), hosts.clone()));
    }
    if world.plan.outages {
        tasks.spawn(outages::come_and_go(world.clone()));
    }
    until(&world, TROUBLE).await;
    world.calm.store(true, Ordering::Relaxed);
    world.tell("calm", "");
    hosts.iter().for_each(|host| host.skew.store(0, Ordering::Relaxed));
    until(&world, if world.plan.steps { CALM + STEP } else { CALM }).await;
    // A schedule never ends: what came in the last moments has its own time.
    for _ in 0..10 {
        if world.log.left() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    check::check(&world).await;
    tasks.shutdown().await;
    let (wrong, trace, digest, ran) = world.account();
    if wrong.is_empty() {
        return Ok(Ran { digest, ..ran });
    }
    let what = format!("{}\n{:?}", wrong.join("\n"), world.plan);
    Err(Broken { what, trace, digest })
}

/// Lets time run, unless something is wrong already.
async fn until(world: &World, how_long: Duration) {
    let while_it_holds = Duration::from_secs(300);
    for _ in 0..how_long.as_secs() / 300 {
        if world.is_wrong() {
            return;
        }
        tokio::time::sleep(while_it_holds).await;
    }
}

/// Gives partitions to who is there: late when somebody dies, and now and then for no reason at all.
async fn coordinate(world: Arc<World>, hosts: Vec<Arc<Host>>) {
    let (mut before, mut turn) = (vec![], 0);
    loop {
        let alive: Vec<usize> = hosts.iter().filter(|host| host.running().is_some()).map(|host| host.instance).collect();
        let moves = world.plan.moves && world.strikes(1, 30);
        if alive != before || moves {
            if moves {
                turn += 1;
                world.count(|ran| ran.partitions_moved += 1);
            }
            world.tell("assigns", format_args!("{alive:?} turn {turn}"));
            world.log.assign(&alive, turn);
            before = alive;
        }
        world.pause(SESSION.0, SESSION.1).await;
    }
}
