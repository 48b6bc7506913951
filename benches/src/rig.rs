//! Roles of the `headwater` to measure, in a namespace and a keyspace of their own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;
use headwater_store::seal::Keyring;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;

use crate::broker::Broker;
use crate::payload;
use crate::process::{Subject, get};

/// Where the parts are: `set -a; eval "$(infra/local/up kafka cassandra registry)"; set +a`.
#[derive(Debug, Args)]
pub struct Parts {
    #[arg(long, env = "KAFKA_BOOTSTRAP")]
    pub bootstrap: String,
    #[arg(long, env = "SCHEMA_REGISTRY_URL")]
    pub registry: String,
    #[arg(long, env = "CASSANDRA_NODE")]
    pub node: String,
    /// The `headwater` to measure, built with --release
    #[arg(long, default_value = "target/release/headwater")]
    pub headwater: PathBuf,
    /// Leave topics and tables behind
    #[arg(long)]
    pub keep: bool,
}

/// Thirty-two noughts.
const KEYS: &str = "bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

pub struct Rig<'p> {
    parts: &'p Parts,
    partitions: i32,
    /// Of the topics, and the name of the keyspace.
    pub namespace: String,
    pub session: Session,
    folder: tempfile::TempDir,
}

/// A role and where its metrics are.
pub struct Role {
    pub subject: Subject,
    ops: String,
}

impl<'p> Rig<'p> {
    /// Topics, schemas and tables. `more` is further configuration.
    pub async fn new(parts: &'p Parts, partitions: i32, more: &str) -> anyhow::Result<Self> {
        let headwater = parts.headwater.display();
        anyhow::ensure!(parts.headwater.exists(), "no {headwater}, expected one built with --release");
        let session = SessionBuilder::new().known_node(&parts.node).build().await?;
        let rig = Self { parts, partitions, namespace: namespace(), session, folder: tempfile::tempdir()? };
        std::fs::write(rig.config(), rig.text() + more)?;
        for arguments in [["topics", "apply"], ["schemas", "register"], ["store", "migrate"]] {
            if let Err(why) = rig.run(&arguments, &[]) {
                return rig.end(Err(why)).await.map(|()| rig);
            }
        }
        Ok(rig)
    }

    /// Deletes what was made, unless it is to be kept. What went wrong first is the reason.
    pub async fn end(&self, measured: anyhow::Result<()>) -> anyhow::Result<()> {
        let cleared = if self.parts.keep { Ok(()) } else { self.clear().await };
        measured.and(cleared)
    }

    async fn clear(&self) -> anyhow::Result<()> {
        self.broker().clear(&self.namespace).await?;
        drop_keyspace(&self.session, &self.namespace).await
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("headwater.toml")
    }

    fn text(&self) -> String {
        let Self { partitions, namespace, parts: Parts { bootstrap, registry, node, .. }, .. } = self;
        format!(
            "namespace = \"{namespace}\"\n[kafka]\nbootstrap = \"{bootstrap}\"\n\
             [registry]\nurl = \"{registry}\"\ncache_file = \"{}\"\n[topics]\nreplication_factor = 1\npartitions = {partitions}\n\
             [telemetry]\nlog = \"warn\"\n[store]\nkeys = \"{KEYS}\"\n\
             [store.scylla]\nnodes = [\"{node}\"]\nkeyspace = \"{namespace}\"\nreplication_factor = 1\n",
            self.folder.path().join("schema-ids.json").display(),
        )
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.parts.headwater);
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// Runs a command with variables over the configuration to its end, which must be a success.
    pub fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<()> {
        let done = self.command(arguments).envs(variables.iter().copied()).output()?;
        anyhow::ensure!(done.status.success(), "headwater {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Starts a role with variables over the configuration, and does not wait.
    pub fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Role> {
        let ops = address()?;
        let mut command = self.command(arguments);
        command.env("HEADWATER_LISTEN__OPS", &ops).envs(variables.iter().copied());
        Ok(Role { subject: Subject::start(&mut command)?, ops })
    }

    /// Waits until the raw records of [`payload`] that stand on their topic are in the store.
    pub fn stored(&self, patience: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + patience;
        let places = [
            ("normalize", payload::topic(&self.namespace)),
            ("scylla", topics::OBSERVATION.name(&self.namespace, None)),
            ("scylla", topics::DEVICE.name(&self.namespace, None)),
        ];
        for (worker, topic) in places {
            while !self.broker().through(&format!("{}.{worker}", self.namespace), &topic)? {
                anyhow::ensure!(Instant::now() < until, "{worker} is not through {topic} after {patience:?}");
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }

    /// What the rig's store seals with.
    pub fn keys() -> anyhow::Result<Keyring> {
        Keyring::parse(KEYS).map_err(|why| anyhow::anyhow!("the rig's keys: {why}"))
    }

    pub fn broker(&self) -> Broker<'_> {
        Broker { bootstrap: &self.parts.bootstrap, registry: &self.parts.registry, partitions: self.partitions }
    }
}

impl Role {
    /// Waits until the role takes part.
    pub fn ready(&self) -> anyhow::Result<()> {
        let (started, url) = (Instant::now(), format!("http://{}/health/ready", self.ops));
        while get(&url).is_none() {
            anyhow::ensure!(started.elapsed() < Duration::from_secs(60), "a role is not ready after a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let page = get(&format!("http://{}/metrics", self.ops)).unwrap_or_default();
        page.lines().filter(|l| l.starts_with(name)).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// A name for what a run makes.
pub fn namespace() -> String {
    format!("bench{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
}

pub async fn drop_keyspace(session: &Session, name: &str) -> anyhow::Result<()> {
    session.query_unpaged(format!("DROP KEYSPACE IF EXISTS {name}"), ()).await.context("the keyspace")?;
    Ok(())
}

/// An address that nobody listens on.
pub fn address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
