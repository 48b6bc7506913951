//! Roles of the `headwater` to measure, in a namespace of their own, and what they leave on their topics.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message as _};

use crate::process::Subject;

pub const TIMEOUT: Duration = Duration::from_secs(20);

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
}

pub struct Rig<'p> {
    parts: &'p Parts,
    pub namespace: String,
    /// Of `receive`.
    pub door: String,
    folder: tempfile::TempDir,
}

/// A role and where its metrics are.
pub struct Role {
    pub subject: Subject,
    ops: String,
}

impl<'p> Rig<'p> {
    /// Topics, schemas and tables. `more` is further configuration.
    pub fn new(parts: &'p Parts, partitions: i32, more: &str) -> anyhow::Result<Self> {
        let headwater = parts.headwater.display();
        anyhow::ensure!(parts.headwater.exists(), "no {headwater}, expected one built with --release");
        let namespace = format!("bench{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let rig = Self { parts, namespace, door: address()?, folder: tempfile::tempdir()? };
        std::fs::write(rig.config(), rig.text(partitions) + more)?;
        for arguments in [["topics", "apply"], ["schemas", "register"], ["store", "migrate"]] {
            let done = rig.command(&arguments).output()?;
            anyhow::ensure!(done.status.success(), "headwater {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(rig)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("headwater.toml")
    }

    fn text(&self, partitions: i32) -> String {
        let (namespace, Parts { bootstrap, registry, node, .. }) = (&self.namespace, self.parts);
        format!(
            "namespace = \"{namespace}\"\n[listen]\nreceive = \"{}\"\n[kafka]\nbootstrap = \"{bootstrap}\"\n\
             [registry]\nurl = \"{registry}\"\ncache_file = \"{}\"\n[topics]\nreplication_factor = 1\npartitions = {partitions}\n\
             [telemetry]\nlog = \"warn\"\n[store]\nkeys = \"bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n\
             [store.scylla]\nnodes = [\"{node}\"]\nkeyspace = \"{namespace}\"\nreplication_factor = 1\n",
            self.door,
            self.folder.path().join("schema-ids.json").display(),
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.parts.headwater);
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// Starts a role with variables over the configuration, and does not wait.
    pub fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Role> {
        let ops = address()?;
        let mut command = self.command(arguments);
        command.env("HEADWATER_LISTEN__OPS", &ops).envs(variables.iter().copied());
        Ok(Role { subject: Subject::start(&mut command)?, ops })
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.parts.bootstrap);
        config
    }

    /// The topics whose names begin with this.
    pub fn topics(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let consumer: BaseConsumer = self.client().create()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
        let mut names: Vec<String> =
            metadata.topics().iter().map(|t| t.name().to_owned()).filter(|n| n.starts_with(prefix)).collect();
        names.sort();
        Ok(names)
    }

    /// The id the registry gave a topic's schema, asked with the tool at hand.
    pub fn schema_id(&self, topic: &str) -> anyhow::Result<u32> {
        let url = format!("{}/subjects/{topic}-value/versions/latest", self.parts.registry);
        let answer = Command::new("curl").args(["-fsS", &url]).output()?;
        let json: serde_json::Value = serde_json::from_slice(&answer.stdout).context("the registry's answer")?;
        u32::try_from(json["id"].as_u64().context("no id in the registry's answer")?).context("a schema id of 32 bits")
    }

    /// Shows everything on a topic from its beginning to its end as it is now.
    pub fn each(&self, topic: &str, mut look: impl FnMut(&BorrowedMessage<'_>)) -> anyhow::Result<()> {
        let group = format!("{}.look", self.namespace);
        let consumer: BaseConsumer = self.client().set("group.id", group).set("enable.auto.commit", "false").create()?;
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        let partitions = metadata.topics().first().context("no such topic")?.partitions();
        let (mut list, mut ends) = (TopicPartitionList::new(), HashMap::new());
        for partition in partitions {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
            if high > low {
                list.add_partition_offset(topic, partition.id(), Offset::Offset(low))?;
                ends.insert(partition.id(), high);
            }
        }
        consumer.assign(&list)?;
        while !ends.is_empty() {
            let message = consumer.poll(TIMEOUT).with_context(|| format!("{topic} has more, and nothing comes"))??;
            let Some(end) = ends.get(&message.partition()) else { continue };
            if message.offset() + 1 >= *end {
                ends.remove(&message.partition());
            }
            look(&message);
        }
        Ok(())
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

/// A GET without a runtime.
fn get(url: &str) -> Option<String> {
    let out = Command::new("curl").args(["-fsS", "-m", "2", url]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// An address that nobody listens on.
fn address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
