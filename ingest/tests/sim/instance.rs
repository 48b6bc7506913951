//! A process: door, uploads, scheduler, three kinds of fetch workers, and somebody who needs a token now and then. It dies and is started anew.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use headwater_ingest::Ingest;
use headwater_ingest::settings::{IngestSettings, Providers};
use headwater_schemas::hint::Hint;
use headwater_schemas::topics::Subject as _;
use headwater_store::Store;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::log::{HINTS, PARTITIONS, Place, partition};
use crate::seams::{CloudLine, Life, LogOutlet, StoreGate};
use crate::world::World;

/// Everybody outside reaches an instance through this.
pub struct Host {
    pub instance: usize,
    pub skew: Arc<AtomicI64>,
    running: Mutex<Option<(Arc<Life>, Arc<Ingest>)>>,
}

/// How often the schedule is looked at.
const TICK: Duration = Duration::from_secs(60);

impl Host {
    pub fn new(instance: usize) -> Arc<Self> {
        Arc::new(Self { instance, skew: Arc::default(), running: Mutex::default() })
    }

    pub fn running(&self) -> Option<(Arc<Life>, Arc<Ingest>)> {
        self.running.lock().expect("nothing panics under this lock").clone().filter(|(life, _)| life.died().is_none())
    }

    /// Lives until it dies, and again.
    pub async fn run(self: Arc<Self>, world: Arc<World>, providers: Arc<Providers>) {
        loop {
            let life = Life::new(world.clone(), self.instance, self.skew.clone());
            let ingest = Arc::new(ingest(&world, &life, &providers));
            *self.running.lock().expect("nothing panics under this lock") = Some((life.clone(), ingest.clone()));
            let mut tasks = JoinSet::new();
            tasks.spawn(schedule(life.clone(), ingest.clone()));
            tasks.spawn(need_tokens(life.clone(), ingest.clone()));
            for topic in 0..HINTS.len() {
                for number in 0..PARTITIONS {
                    tasks.spawn(work(life.clone(), ingest.clone(), (topic, number)));
                }
            }
            life.death().await;
            tasks.shutdown().await;
            world.pause(500, 60_000).await;
        }
    }

    /// A call from outside; `None` where the process died over it, or is not there.
    pub async fn call(&self, request: Request<Vec<u8>>) -> Option<StatusCode> {
        let (life, ingest) = self.running()?;
        let router = ingest.receive_router().merge(ingest.upload_router());
        let request = request.map(Body::from);
        tokio::select! {
            biased;
            () = life.death() => None,
            answer = router.oneshot(request) => answer.ok().map(|answer| answer.status()),
        }
    }
}

fn ingest(world: &Arc<World>, life: &Arc<Life>, providers: &Providers) -> Ingest {
    let store: Arc<dyn Store> = Arc::new(world.store.behind(Arc::new(StoreGate(life.clone()))));
    let settings = IngestSettings { seal_raw: false, ..IngestSettings::default() };
    let (line, outlet) = (Arc::new(CloudLine(life.clone())), Arc::new(LogOutlet(life.clone())));
    Ingest::over(line, settings, providers.clone(), store, outlet, life.clone()).expect("settings that can be meant")
}

async fn schedule(life: Arc<Life>, ingest: Arc<Ingest>) {
    let scheduler = ingest.scheduler();
    loop {
        let world = life.world.clone();
        let owns = |id| world.log.holds(life.instance, (0, partition(id)), None);
        let _ = scheduler.tick(&owns).await;
        tokio::time::sleep(TICK).await;
    }
}

/// As the loop of the pipeline has it: a batch until it is done, then its offset.
async fn work(life: Arc<Life>, ingest: Arc<Ingest>, place: Place) {
    let (world, fetcher) = (life.world.clone(), ingest.fetcher());
    let mut changed = world.log.watch(place);
    loop {
        changed.borrow_and_update();
        let Some((epoch, bodies, to)) = world.log.next(life.instance, place) else {
            let _ = changed.changed().await;
            continue;
        };
        let hints: Vec<Hint<'_>> = bodies.iter().map(|body| Hint::decode(body).expect("our own record")).collect();
        loop {
            let done = if place.0 == 2 { fetcher.later(&hints).await } else { fetcher.run(&hints).await };
            if done.is_ok() {
                break;
            }
            world.pause(100, 10_000).await;
            if !world.log.holds(life.instance, place, Some(epoch)) {
                break;
            }
        }
        // An offset is committed a while after it was advanced.
        world.pause(0, 250).await;
        life.lives().await;
        world.log.commit(life.instance, place, epoch, to);
    }
}

/// Others than the fetcher need a token as well: announcements, and ends of connections.
async fn need_tokens(life: Arc<Life>, ingest: Arc<Ingest>) {
    let (world, tokens) = (life.world.clone(), ingest.tokens());
    loop {
        world.pause(60_000, 600_000).await;
        let Some((id, provider)) = world.clouds().someone(world.draw(0, 1000)) else { return };
        let _ = tokens.access(id, provider, None).await;
    }
}
