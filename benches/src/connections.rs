//! Many connections: what the scheduler keeps of them in memory, how fast it hints, and how fast they are listed and looked at.
//!
//! Memory is counted by the allocator of this process, in which SQLite and the driver's C code have no part: what is counted is ours.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use clap::Args;
use futures::StreamExt as _;
use headwater_ingest::clock::System as Clock;
use headwater_ingest::settings::{IngestSettings, Providers};
use headwater_ingest::{Ingest, Outlet, OutletError};
use headwater_schemas::{Outbox, ids};
use headwater_store::scylla::{ScyllaStore, Settings};
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use headwater_store::{Connection, ConnectionState, SHARDS, Store};
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;

use crate::held::held;
use crate::rig::{drop_keyspace, namespace};

const PROVIDER: &str = "withings";
/// Connections that are due at the start.
const DUE: usize = 5000;
const ASKED: usize = 2000;

/// What a number of connections cost
#[derive(Debug, Args)]
pub struct Connections {
    #[arg(long, default_value_t = 100_000)]
    connections: usize,
    /// A Cassandra or ScyllaDB node (host:port) instead of SQLite in memory; a keyspace of its own is made there, and deleted
    #[arg(long)]
    node: Option<String>,
}

/// A log that takes everything.
#[derive(Default)]
struct Counting(AtomicUsize);

#[async_trait]
impl Outlet for Counting {
    async fn append(&self, outbox: &Outbox) -> Result<(), OutletError> {
        self.0.fetch_add(outbox.len(), Ordering::Relaxed);
        Ok(())
    }
}

impl Connections {
    pub async fn run(&self) -> anyhow::Result<()> {
        let Some(node) = &self.node else {
            return self.measure(Arc::new(SqliteStore::open(Path::new(":memory:"), Keyring::ephemeral()).await?)).await;
        };
        let keyspace = namespace();
        let settings = Settings { keyspace: keyspace.clone(), replication_factor: 1, ..Settings::new([node.as_str()]) };
        let measured = self.measure(Arc::new(ScyllaStore::connect(settings, Keyring::ephemeral()).await?)).await;
        measured.and(drop_keyspace(&SessionBuilder::new().known_node(node).build().await?, &keyspace).await)
    }

    async fn measure(&self, store: Arc<dyn Store>) -> anyhow::Result<()> {
        store.migrate().await?;
        let n = self.connections;
        println!("store: {}, connections: {n}", self.node.as_deref().unwrap_or("SQLite in memory"));
        let started = Instant::now();
        fill(&*store, n).await?;
        println!("filled in {:.1} s", started.elapsed().as_secs_f64());

        let log = Arc::new(Counting::default());
        let providers: Providers =
            serde_json::from_value(serde_json::json!({ PROVIDER: { "client_id": "c", "client_secret": "s" } }))?;
        let ingest = Ingest::new(IngestSettings::default(), providers, store.clone(), log.clone(), Arc::new(Clock))?;
        let scheduler = ingest.scheduler();
        let (before, started) = (held(), Instant::now());
        // Owns nobody: the look alone.
        scheduler.tick(&|_| false).await?;
        let bytes = held().saturating_sub(before);
        println!(
            "scheduler: first look {:.2} s, {} bytes held, {:.1} bytes per connection",
            started.elapsed().as_secs_f64(),
            bytes,
            bytes as f64 / n as f64
        );
        drop(scheduler);
        let scheduler = ingest.scheduler();
        let started = Instant::now();
        let mut slowest = Duration::ZERO;
        let (mut hinted, mut first) = (0, true);
        let mut hinting = Duration::ZERO;
        loop {
            let tick = Instant::now();
            let some = scheduler.tick(&|_| true).await?;
            if !first {
                hinting += tick.elapsed();
                slowest = slowest.max(tick.elapsed());
                hinted += some;
            }
            first = false;
            if some == 0 {
                break;
            }
        }
        println!(
            "hints: {} in {:.2} s, {:.0} per second, slowest tick {:.0} ms (with the look: {:.2} s)",
            log.0.load(Ordering::Relaxed),
            hinting.as_secs_f64(),
            hinted as f64 / hinting.as_secs_f64().max(1e-9),
            slowest.as_secs_f64() * 1e3,
            started.elapsed().as_secs_f64()
        );
        times("list, a page of 100", ASKED / 10, async |i| {
            let after = id(i * 7 % n);
            store.connections(headwater_store::shard(after), Some(after), 100).await.map(drop)
        })
        .await?;
        times("status: connection, health, cursors", ASKED, async |i| {
            let id = id(i * 31 % n);
            store.connection(id).await?;
            store.health(id).await?;
            store.cursors(id).await.map(drop)
        })
        .await?;
        times("of a subject", ASKED, async |i| store.connections_of(&format!("s{}", i * 13 % n)).await.map(drop)).await
    }
}

fn id(i: usize) -> Uuid {
    ids::connection(PROVIDER, &i.to_string())
}

async fn fill(store: &dyn Store, n: usize) -> anyhow::Result<()> {
    let now = headwater_ingest::clock::Clock::now(&Clock);
    let writes = futures::stream::iter(0..n).map(|i| async move {
        // The first ones are due, the others over the next hour.
        let next = if i < DUE { now - 1 } else { now + 60_000_000 * 60 + i as i64 };
        let connection = Connection {
            id: id(i),
            provider: PROVIDER.to_owned(),
            provider_user: i.to_string(),
            subjects: vec![format!("s{i}")],
            zone: None,
            scopes: vec![],
            state: ConnectionState::Active,
            reason: None,
            created_at: now,
            state_at: now,
            last_poll: None,
            next_poll: Some(next),
        };
        store.put_connection(&connection).await
    });
    let mut writes = writes.buffer_unordered(64);
    while let Some(written) = writes.next().await {
        written?;
    }
    assert_eq!(usize::from(SHARDS), 64, "the figures are for 64 shards");
    Ok(())
}

async fn times(what: &str, rounds: usize, ask: impl AsyncFn(usize) -> headwater_store::Result<()>) -> anyhow::Result<()> {
    let mut took = Vec::with_capacity(rounds);
    for i in 0..rounds {
        let started = Instant::now();
        ask(i).await?;
        took.push(started.elapsed());
    }
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99));
    Ok(())
}
