//! `headwater replay` over a whole raw topic, twice, on the real parts: what it costs, and that the store holds the very same rows after it.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;

use crate::broker::Broker;
use crate::payload;
use crate::process::{Cost, Subject};
use crate::rows::Digest;

const PARTITIONS: i32 = 12;
/// Observations of one raw record.
const EACH: u64 = 3;

/// Needs running servers: `set -a; eval "$(infra/local/up kafka cassandra registry)"; set +a`.
#[derive(Args)]
pub struct Replay {
    #[arg(long, env = "KAFKA_BOOTSTRAP")]
    bootstrap: String,
    #[arg(long, env = "SCHEMA_REGISTRY_URL")]
    registry: String,
    #[arg(long, env = "CASSANDRA_NODE")]
    node: String,
    /// The `headwater` to measure, built with --release
    #[arg(long, default_value = "target/release/headwater")]
    headwater: PathBuf,
    /// Raw records, of a thousand people with an account each
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Leave topics and tables behind
    #[arg(long)]
    keep: bool,
}

struct Bench {
    settings: Replay,
    namespace: String,
    config: PathBuf,
    session: Session,
}

impl Replay {
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.headwater.exists(), "no {}, expected one built with --release", self.headwater.display());
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.measure())
    }

    async fn measure(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let namespace = format!("bench{}", &Uuid::new_v4().simple().to_string()[..8]);
        let config = folder.path().join("headwater.toml");
        std::fs::write(&config, self.config(&namespace, folder.path()))?;
        let session = SessionBuilder::new().known_node(&self.node).build().await?;
        let bench = Bench { settings: self, namespace, config, session };
        let measured = bench.measure().await;
        let cleared = if bench.settings.keep { Ok(()) } else { bench.clear().await };
        // What went wrong first is the reason.
        measured.and(cleared)
    }

    fn config(&self, namespace: &str, folder: &std::path::Path) -> String {
        format!(
            "namespace = \"{namespace}\"\n[listen]\nops = \"127.0.0.1:0\"\n[kafka]\nbootstrap = \"{}\"\n[registry]\nurl = \"{}\"\ncache_file = \"{}\"\n[topics]\nreplication_factor = 1\npartitions = {PARTITIONS}\n[telemetry]\nlog = \"warn\"\n[store]\nkeys = \"bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n[store.scylla]\nnodes = [\"{}\"]\nkeyspace = \"{namespace}\"\nreplication_factor = 1\n",
            self.bootstrap,
            self.registry,
            folder.join("schema-ids.json").display(),
            self.node,
        )
    }
}

impl Bench {
    fn broker(&self) -> Broker<'_> {
        Broker { bootstrap: &self.settings.bootstrap, registry: &self.settings.registry, partitions: PARTITIONS }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.settings.headwater);
        command.arg("--config").arg(&self.config).args(arguments);
        command
    }

    async fn measure(&self) -> anyhow::Result<()> {
        for arguments in [["topics", "apply"], ["schemas", "register"], ["store", "migrate"]] {
            let done = self.command(&arguments).output()?;
            anyhow::ensure!(done.status.success(), "headwater {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let records = self.settings.records;
        let bytes = self.broker().fill(&self.namespace, records)?;
        println!("{records} raw records of {} bytes on average, {PARTITIONS} partitions", bytes / records.max(1));
        // Both stay: a replay runs beside live traffic.
        let _normalize = Subject::start(&mut self.command(&["process", "normalize"]))?;
        let _scylla = Subject::start(&mut self.command(&["sink", "scylla"]))?;
        let started = Instant::now();
        self.stored()?;
        println!("normalized and stored in {:.1} s", started.elapsed().as_secs_f64());
        let before = Digest::of(&self.session, &self.namespace).await?;
        anyhow::ensure!(before.rows >= records * EACH, "{} rows are stored, expected {}", before.rows, records * EACH);
        println!("before:   {before}");
        for round in 1..=2 {
            let cost = self.replay()?;
            let waited = Instant::now();
            self.stored()?;
            let after = Digest::of(&self.session, &self.namespace).await?;
            println!("replay {round}: {after}");
            println!(
                "          {:.1} s, {:.1} CPU s per million, {:.0} raw records/s, peak {:.0} MiB; the sink was through {:.1} s later",
                cost.wall_seconds,
                cost.cpu_seconds / (records as f64 / 1e6),
                records as f64 / cost.wall_seconds,
                cost.peak_mib,
                waited.elapsed().as_secs_f64()
            );
            anyhow::ensure!(after == before, "the rows are not the same after replay {round}");
        }
        println!("the same rows after both");
        Ok(())
    }

    /// One replay to its end. It must have appended all of it again.
    fn replay(&self) -> anyhow::Result<Cost> {
        let observations = topics::OBSERVATION.name(&self.namespace, None);
        let goal = self.broker().total(&observations)? + self.settings.records * EACH;
        let replay = ["replay", "--provider", payload::PROVIDER, "--name", "bench", "--restart"];
        let cost = Subject::start(&mut self.command(&replay))?.ended(self.patience())?;
        let there = self.broker().total(&observations)?;
        anyhow::ensure!(there == goal, "{there} observations are on the topic after the replay, expected {goal}");
        Ok(cost)
    }

    /// Waits until everything on the topics is in the store.
    fn stored(&self) -> anyhow::Result<()> {
        let until = Instant::now() + self.patience();
        let observations = topics::OBSERVATION.name(&self.namespace, None);
        let places = [
            ("normalize", payload::topic(&self.namespace)),
            ("scylla", observations),
            ("scylla", topics::DEVICE.name(&self.namespace, None)),
        ];
        for (worker, topic) in places {
            while !self.broker().through(&format!("{}.{worker}", self.namespace), &topic)? {
                anyhow::ensure!(Instant::now() < until, "{worker} is not through {topic} after {:?}", self.patience());
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }

    /// Five minutes, and a millisecond for each record.
    fn patience(&self) -> Duration {
        Duration::from_secs(300) + Duration::from_millis(self.settings.records)
    }

    /// Deletes what was made for this run.
    async fn clear(&self) -> anyhow::Result<()> {
        let client = self.broker().client();
        let consumer: BaseConsumer = client.create()?;
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(20))?;
        let prefix = format!("{}.", self.namespace);
        let ours: Vec<&str> =
            metadata.topics().iter().map(|topic| topic.name()).filter(|name| name.starts_with(&prefix)).collect();
        let admin: AdminClient<DefaultClientContext> = client.create()?;
        for deleted in admin.delete_topics(&ours, &AdminOptions::new()).await? {
            deleted.map_err(|(name, code)| anyhow::anyhow!("cannot delete {name}: {code}"))?;
        }
        self.session.query_unpaged(format!("DROP KEYSPACE IF EXISTS {}", self.namespace), ()).await.context("the keyspace")?;
        Ok(())
    }
}
