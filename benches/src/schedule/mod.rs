//! How late due polls are hinted when a million connections are asked once an hour each, at real pace: the scheduler, and beside it a task per
//! connection with a sleep of its own (`tasks.rs`), both onto the same log. What is late and whether everybody was hinted once is in `plan.rs`.
//!
//! A task per connection keeps all it knows in memory: it reads and notes nothing, and after a restart it knows nobody. The scheduler reads from the
//! store who is to be hinted and notes when next.

mod plan;
mod tasks;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use headwater::log::kafka::Producer;
use headwater::registry::Registry;
use headwater_ingest::settings::{IngestSettings, Providers};
use headwater_ingest::{Ingest, Outlet, OutletError};
use headwater_schemas::{Outbox, topics};
use headwater_store::scylla::{ScyllaStore, Settings};
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use headwater_store::{Connection, ConnectionState, Store};
use scylla::client::session_builder::SessionBuilder;

use crate::broker::Broker;
use crate::held::held;
use crate::process::cpu_seconds;
use crate::rig::{drop_keyspace, namespace};
use plan::{Late, Plan, Played, Timed};
use tasks::Tasks;

const PROVIDER: &str = "withings";
const PARTITIONS: i32 = 12;
/// The linger of the fetch role's producer.
const LINGER: Duration = Duration::from_millis(5);
const SIDE_BY_SIDE: usize = 64;

#[derive(Debug, Args)]
pub struct Schedule {
    #[arg(long, default_value_t = 1_000_000)]
    connections: u64,
    /// Minutes between two polls of a connection
    #[arg(long, default_value_t = 60)]
    every: u32,
    /// How long each is played, at real pace
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A Cassandra or ScyllaDB node (host:port) instead of SQLite in memory; a keyspace of its own is made there, and deleted
    #[arg(long)]
    node: Option<String>,
    /// Plays all once more on this Kafka (host:port), in a topic that is deleted afterwards
    #[arg(long, requires = "registry")]
    bootstrap: Option<String>,
    #[arg(long, requires = "bootstrap")]
    registry: Option<String>,
}

/// A log that takes everything at once.
struct Nowhere;

#[async_trait]
impl Outlet for Nowhere {
    async fn append(&self, _: &Outbox) -> Result<(), OutletError> {
        Ok(())
    }
}

/// What a play was like.
struct Outcome {
    name: &'static str,
    bytes: usize,
    /// Until all are known and waited for.
    ready: Duration,
    cpu_seconds: f64,
    late: Late,
}

impl Schedule {
    pub async fn run(&self) -> anyhow::Result<()> {
        let Some(node) = &self.node else {
            return self.on(Arc::new(SqliteStore::open(Path::new(":memory:"), Keyring::ephemeral()).await?)).await;
        };
        let keyspace = namespace();
        let settings = Settings { keyspace: keyspace.clone(), replication_factor: 1, ..Settings::new([node.as_str()]) };
        let store = ScyllaStore::connect(settings, Keyring::ephemeral()).await?;
        let played = self.on(Arc::new(store)).await;
        played.and(drop_keyspace(&SessionBuilder::new().known_node(node).build().await?, &keyspace).await)
    }

    async fn on(&self, store: Arc<dyn Store>) -> anyhow::Result<()> {
        let plan = Plan::new(self.connections, Duration::from_secs(u64::from(self.every) * 60))?;
        anyhow::ensure!(
            Duration::from_secs(self.seconds) < plan.every,
            "--seconds: expected less than --every, in which all come once"
        );
        store.migrate().await?;
        println!("filling, some minutes for a million");
        let started = Instant::now();
        fill(&*store, &plan).await?;
        println!(
            "{} connections in {}, filled in {:.0} s; each due every {} min, so {:.0} a second, for {} s",
            self.connections,
            self.node.as_deref().map_or("SQLite in memory", |_| "Cassandra or ScyllaDB"),
            started.elapsed().as_secs_f64(),
            self.every,
            self.connections as f64 / plan.every.as_secs_f64(),
            self.seconds
        );
        self.both("a log that takes all at once", &store, &plan, Arc::new(Nowhere)).await?;
        let (Some(bootstrap), Some(registry)) = (&self.bootstrap, &self.registry) else { return Ok(()) };
        let (broker, namespace) = (Broker { bootstrap, registry, partitions: PARTITIONS }, namespace());
        broker.create(&topics::HINT_LIVE.name(&namespace, None)).await?;
        let played = match producer(bootstrap, registry, &namespace) {
            Ok(producer) => self.both("Kafka", &store, &plan, Arc::new(producer)).await,
            Err(why) => Err(why),
        };
        played.and(broker.clear(&namespace).await)
    }

    async fn both(&self, log: &str, store: &Arc<dyn Store>, plan: &Plan, outlet: Arc<dyn Outlet>) -> anyhow::Result<()> {
        println!("onto {log}:");
        let scheduled = self.scheduler(store, plan, outlet.clone()).await?;
        // The next play finds them due as this one did.
        futures::stream::iter(0..scheduled.late.hinted)
            .map(|i| async move { store.set_polled(plan.id(i), plan.due(i) - 1, plan.due(i)).await })
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect::<()>()
            .await?;
        let tasks = self.tasks(plan, outlet).await?;
        println!(
            "{:>22} {:>16} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>20}",
            "", "bytes/connection", "ready s", "hints", "p50 ms", "p99 ms", "p99.9", "max ms", "CPU s/million hints"
        );
        for Outcome { name, bytes, ready, cpu_seconds, late } in [scheduled, tasks] {
            let at = |share| late.times.value_at_quantile(share) as f64 / 1e3;
            println!(
                "{name:>22} {:>16.1} {:>8.2} {:>8} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>20.1}",
                bytes as f64 / self.connections as f64,
                ready.as_secs_f64(),
                late.hinted,
                at(0.5),
                at(0.99),
                at(0.999),
                late.times.max() as f64 / 1e3,
                cpu_seconds / (late.hinted as f64 / 1e6),
            );
        }
        Ok(())
    }

    async fn scheduler(&self, store: &Arc<dyn Store>, plan: &Plan, outlet: Arc<dyn Outlet>) -> anyhow::Result<Outcome> {
        let clock = Arc::new(Played::default());
        let timed = Arc::new(Timed::new(*plan, clock.clone(), outlet));
        let providers: Providers = serde_json::from_value(serde_json::json!({
            PROVIDER: { "client_id": "c", "client_secret": "s", "poll_minutes": [self.every, self.every] }
        }))?;
        let ingest = Ingest::new(IngestSettings::default(), providers, store.clone(), timed.clone(), clock.clone())?;
        let scheduler = ingest.scheduler();
        let (before, started) = (held(), Instant::now());
        // Time stands still, so nobody is due: the first look alone.
        scheduler.tick(&|_| true).await?;
        let (bytes, ready) = (held().saturating_sub(before), started.elapsed());
        clock.begin(Instant::now());
        let cpu = cpu_seconds(std::process::id())?;
        scheduler.run(&|_| true, tokio::time::sleep(self.played())).await;
        let cpu_seconds = cpu_seconds(std::process::id())? - cpu;
        Ok(Outcome { name: "scheduler", bytes, ready, cpu_seconds, late: timed.late(self.played())? })
    }

    async fn tasks(&self, plan: &Plan, outlet: Arc<dyn Outlet>) -> anyhow::Result<Outcome> {
        let clock = Arc::new(Played::default());
        let timed = Arc::new(Timed::new(*plan, clock.clone(), outlet));
        let (before, started) = (held(), Instant::now());
        let tasks = Tasks::start(*plan, timed.clone())?;
        tasks.wait().await?;
        let (bytes, ready) = (held().saturating_sub(before), started.elapsed());
        clock.begin(tasks.origin);
        tokio::time::sleep_until(tasks.origin.into()).await;
        let cpu = cpu_seconds(std::process::id())?;
        tokio::time::sleep(self.played()).await;
        let cpu_seconds = cpu_seconds(std::process::id())? - cpu;
        let late = timed.late(self.played());
        tasks.end();
        Ok(Outcome { name: "a task per connection", bytes, ready, cpu_seconds, late: late? })
    }

    fn played(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// The product's own producer.
fn producer(bootstrap: &str, registry: &str, namespace: &str) -> anyhow::Result<Producer> {
    let registry: headwater::registry::Settings =
        serde_json::from_value(serde_json::json!({ "url": registry, "auto_register": true }))?;
    let kafka: headwater::log::kafka::Settings = serde_json::from_value(serde_json::json!({ "bootstrap": bootstrap }))?;
    Ok(Producer::new(&kafka, "bench", LINGER, Arc::new(Registry::new(&registry, namespace)?))?)
}

async fn fill(store: &dyn Store, plan: &Plan) -> anyhow::Result<()> {
    let writes = futures::stream::iter(0..plan.connections).map(|i| async move {
        let connection = Connection {
            id: plan.id(i),
            provider: PROVIDER.to_owned(),
            provider_user: i.to_string(),
            subjects: vec![format!("s{i}")],
            zone: None,
            scopes: vec![],
            state: ConnectionState::Active,
            reason: None,
            created_at: plan.due(0),
            state_at: plan.due(0),
            last_poll: None,
            next_poll: Some(plan.due(i)),
        };
        store.put_connection(&connection).await
    });
    Ok(writes.buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?)
}
