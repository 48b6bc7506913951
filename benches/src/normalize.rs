//! CPU-seconds per million raw records: `headwater process normalize` and the bare copy, interleaved on the same broker; and what exactly once
//! costs beside at least once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, TIMEOUT};
use crate::payload;
use crate::process::{Cost, Subject};
use crate::rig::namespace;

const PARTITIONS: i32 = 12;

/// Needs a running broker and registry: `set -a; eval "$(infra/local/up kafka registry)"; set +a`.
#[derive(Args)]
pub struct Normalize {
    #[arg(long, env = "KAFKA_BOOTSTRAP")]
    bootstrap: String,
    #[arg(long, env = "SCHEMA_REGISTRY_URL")]
    registry: String,
    /// The `headwater` to measure, built with --release
    #[arg(long, default_value = "target/release/headwater")]
    headwater: PathBuf,
    #[arg(long, default_value_t = 300_000)]
    records: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Also with `processing.guarantee = "exactly_once"`, at a commit interval of 100 ms and of 1 s
    #[arg(long)]
    exactly_once: bool,
}

/// Commit intervals of the exactly-once subjects, in milliseconds, with their names.
const EXACTLY_ONCE: [(u64, &str); 2] = [(100, "eo 100ms"), (1000, "eo 1s")];

impl Normalize {
    pub async fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.headwater.exists(), "no {}, expected one built with --release", self.headwater.display());
        let folder = tempfile::tempdir()?;
        let namespace = namespace();
        let config = folder.path().join("headwater.toml");
        std::fs::write(&config, self.config(&namespace, folder.path()))?;
        let measured = self.measure(&namespace, &config).await;
        // What went wrong first is the reason.
        measured.and(self.broker().clear(&namespace).await)
    }

    async fn measure(&self, namespace: &str, config: &Path) -> anyhow::Result<()> {
        for arguments in [["topics", "apply"], ["schemas", "register"]] {
            let done = self.command(config).args(arguments).output()?;
            anyhow::ensure!(done.status.success(), "headwater {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let (bytes, raw) = (self.broker().fill(namespace, self.records)?, payload::topic(namespace));
        println!(
            "{} raw records of {} bytes on average, {PARTITIONS} partitions, {} rounds",
            self.records,
            bytes / self.records,
            self.rounds
        );
        println!(
            "{:>8} {:>8} {:>14} {:>12} {:>12} {:>10}",
            "round", "subject", "cpu s/million", "wall s", "records/s", "peak MiB"
        );
        let (mut copies, mut normals, mut exact) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        for round in 1..=self.rounds {
            let to = format!("{namespace}.copy{round}");
            self.create(&to).await?;
            let group = format!("{namespace}.copy{round}");
            let copy = Subject::start(Command::new(std::env::current_exe()?).args([
                "copy",
                "--bootstrap",
                &self.bootstrap,
                "--from",
                &raw,
                "--to",
                &to,
                "--group",
                &group,
            ]))?;
            copies.push(self.report(
                round,
                "copy",
                copy.until(Duration::from_secs(600), || Ok(self.broker().total(&to)? >= self.records))?,
            ));

            self.rewind(&format!("{namespace}.normalize"), &raw)?;
            let observations = topics::OBSERVATION.name(namespace, None);
            let goal = self.broker().total(&observations)? + self.records * payload::EACH;
            let normalize = Subject::start(self.command(config).args(["process", "normalize"]))?;
            // Transactions leave markers among the output: beside them the group's offsets say when all is done, for both in the same way.
            let group = format!("{namespace}.normalize");
            let done = || {
                if self.exactly_once {
                    self.broker().through(&group, &raw)
                } else {
                    Ok(self.broker().total(&observations)? >= goal)
                }
            };
            normals.push(self.report(round, "normalize", normalize.until(Duration::from_secs(600), done)?));

            for ((interval, name), costs) in EXACTLY_ONCE.iter().zip(&mut exact).filter(|_| self.exactly_once) {
                self.rewind(&group, &raw)?;
                let mut command = self.command(config);
                command.env("HEADWATER_PROCESSING__GUARANTEE", "exactly_once");
                command.env("HEADWATER_PROCESSING__COMMIT_INTERVAL_MS", interval.to_string());
                let subject = Subject::start(command.args(["process", "normalize"]))?;
                costs.push(self.report(
                    round,
                    name,
                    subject.until(Duration::from_secs(600), || self.broker().through(&group, &raw))?,
                ));
            }
        }
        ratios("copy/normalize", &copies, &normals);
        println!("one record in is three observations out");
        for ((_, name), costs) in EXACTLY_ONCE.iter().zip(&exact).filter(|_| self.exactly_once) {
            ratios(&format!("{name}/normalize"), costs, &normals);
        }
        Ok(())
    }

    fn report(&self, round: usize, subject: &str, cost: Cost) -> Cost {
        let million = self.records as f64 / 1e6;
        println!(
            "{round:>8} {subject:>8} {:>14.1} {:>12.1} {:>12.0} {:>10.0}",
            cost.cpu_seconds / million,
            cost.wall_seconds,
            self.records as f64 / cost.wall_seconds,
            cost.peak_mib
        );
        cost
    }

    fn config(&self, namespace: &str, folder: &Path) -> String {
        format!(
            "namespace = \"{namespace}\"\n[listen]\nops = \"127.0.0.1:0\"\n[kafka]\nbootstrap = \"{}\"\n[registry]\nurl = \"{}\"\n[topics]\nreplication_factor = 1\npartitions = {PARTITIONS}\n[telemetry]\nlog = \"warn\"\n[store]\nkeys = \"bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n[store.sqlite]\npath = \"{}\"\n",
            self.bootstrap,
            self.registry,
            folder.join("store.db").display()
        )
    }

    fn command(&self, config: &Path) -> Command {
        let mut command = Command::new(&self.headwater);
        command.arg("--config").arg(config);
        command
    }

    fn broker(&self) -> Broker<'_> {
        Broker { bootstrap: &self.bootstrap, registry: &self.registry, partitions: PARTITIONS }
    }

    async fn create(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.broker().client().create()?;
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let made = admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(TIMEOUT))).await?;
        made.into_iter().next().context("no answer")?.map_err(|(name, code)| anyhow::anyhow!("cannot create {name}: {code}"))?;
        // Made is not yet known to the broker that is asked for its ends.
        let until = Instant::now() + TIMEOUT;
        while let Err(why) = self.broker().total(topic) {
            anyhow::ensure!(Instant::now() < until, "{topic} was made and is not there: {why}");
        }
        Ok(())
    }

    /// Puts the group back to the beginning.
    fn rewind(&self, group: &str, topic: &str) -> anyhow::Result<()> {
        let consumer: BaseConsumer = self.broker().client().set("group.id", group).set("enable.auto.commit", "false").create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Offset(0))?;
        }
        consumer.commit(&list, rdkafka::consumer::CommitMode::Sync)?;
        Ok(())
    }
}

/// Of each round, the first's cost over the second's: median, least and most.
fn ratios(name: &str, first: &[Cost], second: &[Cost]) {
    for (what, of) in [("CPU", (|c| c.cpu_seconds) as fn(&Cost) -> f64), ("wall", |c| c.wall_seconds)] {
        let mut ratios: Vec<f64> = first.iter().zip(second).map(|(first, second)| of(first) / of(second)).collect();
        ratios.sort_by(f64::total_cmp);
        println!("{name}, {what}: {:.2}  ({:.2} to {:.2})", ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1]);
    }
}
