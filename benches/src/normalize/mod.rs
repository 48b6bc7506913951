//! CPU-seconds per million raw records: `headwater process normalize`, the bare copy, what exactly once costs, and peers that do the same job with the
//! best tools of other ecosystems; interleaved on the same broker. Entrants are in `entrant.rs`, whether they made the same in `outcome.rs`.

mod entrant;
mod outcome;

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

use self::entrant::{Entrant, Kind};
use crate::broker::{Broker, TIMEOUT};
use crate::digest::Digest;
use crate::payload;
use crate::process::{Cost, Subject};
use crate::rig::namespace;

const PARTITIONS: i32 = 12;
const PATIENCE: Duration = Duration::from_secs(600);
/// One in so many records is there to warm up: a JVM compiles, caches fill. It counts for nobody.
const WARM: u64 = 5;

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
    /// Also these peers, each a folder such as benches/peers/python; built first
    #[arg(long = "peer", value_name = "FOLDER")]
    peers: Vec<PathBuf>,
    /// Also the same binary once more: how much two runs of one thing differ
    #[arg(long)]
    control: bool,
    /// The one CPU that each subject runs on, by taskset; the broker belongs on another
    #[arg(long)]
    cpu: Option<usize>,
}

/// Where a run's subjects read and write.
struct Place<'a> {
    namespace: &'a str,
    config: &'a Path,
    raw: &'a str,
}

impl Normalize {
    pub async fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.headwater.exists(), "no {}, expected one built with --release", self.headwater.display());
        let entrants = self.entrants()?;
        let folder = tempfile::tempdir()?;
        let namespace = namespace();
        let config = folder.path().join("headwater.toml");
        std::fs::write(&config, self.config(&namespace, folder.path()))?;
        let raw = payload::topic(&namespace);
        let measured = self.measure(&Place { namespace: &namespace, config: &config, raw: &raw }, entrants).await;
        // What went wrong first is the reason.
        measured.and(self.broker().clear(&namespace).await)
    }

    /// Ours is the second: the others are told beside it.
    fn entrants(&self) -> anyhow::Result<Vec<Entrant>> {
        let mut entrants = vec![Entrant::new("copy", Kind::Copy), Entrant::new("normalize", Kind::Ours(None))];
        if self.control {
            entrants.push(Entrant::new("normalize again", Kind::Ours(None)));
        }
        for folder in &self.peers {
            let folder = folder.canonicalize().with_context(|| format!("no peer at {}", folder.display()))?;
            let name = folder.file_name().context("a folder with a name")?.to_string_lossy().into_owned();
            let built = Command::new(folder.join("build")).status()?;
            anyhow::ensure!(built.success(), "{}/build: {built}", folder.display());
            entrants.push(Entrant::new(&name, Kind::Peer(folder)));
        }
        if self.exactly_once {
            entrants.push(Entrant::new("eo 100ms", Kind::Ours(Some(100))));
            entrants.push(Entrant::new("eo 1s", Kind::Ours(Some(1000))));
        }
        Ok(entrants)
    }

    async fn measure(&self, at: &Place<'_>, mut entrants: Vec<Entrant>) -> anyhow::Result<()> {
        for arguments in [["topics", "apply"], ["schemas", "register"]] {
            let done = self.ours(at).args(arguments).output()?;
            anyhow::ensure!(done.status.success(), "headwater {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let bytes = self.broker().fill(at.namespace, self.records)?;
        println!(
            "{} raw records of {} bytes on average, {PARTITIONS} partitions, {} rounds, a {WARM}th of each run to warm up",
            self.records,
            bytes / self.records,
            self.rounds
        );
        println!(
            "{:>5} {:>16} {:>14} {:>8} {:>12} {:>10}",
            "round", "subject", "cpu s/million", "wall s", "records/s", "peak MiB"
        );
        for round in 1..=self.rounds {
            for entrant in &mut entrants {
                self.enter(at, round, entrant).await.with_context(|| format!("{} in round {round}", entrant.name))?;
            }
        }
        println!("one record in is three observations out, and all made the same: {} records", self.same(&entrants)?);
        let ours = &entrants[1];
        for other in entrants.iter().filter(|other| other.name != ours.name) {
            ratios(&format!("{}/{}", other.name, ours.name), &other.costs, &ours.costs);
        }
        Ok(())
    }

    /// One run of one entrant.
    async fn enter(&self, at: &Place<'_>, round: usize, entrant: &mut Entrant) -> anyhow::Result<()> {
        let (broker, name) = (self.broker(), entrant.name.replace(' ', "-"));
        let ours = matches!(entrant.kind, Kind::Ours(_));
        let (to, group) = if ours {
            let group = format!("{}.normalize", at.namespace);
            self.rewind(&group, at.raw)?;
            (topics::OBSERVATION.name(at.namespace, None), group)
        } else {
            let to = format!("{}.{name}{round}", at.namespace);
            self.create(&to).await?;
            (to.clone(), to)
        };
        // Of copies there is nothing to compare, and once is enough.
        let compared = round == 1 && entrant.kind != Kind::Copy;
        let before = if compared && ours { outcome::of(&broker, &to)? } else { Digest::default() };
        let (began, each) = (broker.total(&to)?, if entrant.kind == Kind::Copy { 1 } else { payload::EACH });
        let subject = Subject::start(&mut self.pinned(self.command(at, entrant, &to, &group)?))?;
        // Committed offsets say when all is done, for all in the same way: transactions leave markers among the output.
        let done = || broker.through(&group, at.raw);
        let warm = || Ok(broker.total(&to)? - began >= self.records * each / WARM);
        let (start, seen, end) = subject.between(PATIENCE, warm, || Ok((broker.total(&to)? - began) / each), done)?;
        if compared {
            entrant.outcome = Some(outcome::of(&broker, &to)?.without(before));
        }
        let counted = self.records.saturating_sub(seen);
        anyhow::ensure!(counted > 0, "through before it could be looked at, expected more --records");
        let million = counted as f64 / 1e6;
        let cost = Cost {
            cpu_seconds: (end.cpu_seconds - start.cpu_seconds) / million,
            wall_seconds: (end.wall_seconds - start.wall_seconds) / million,
            peak_mib: end.peak_mib,
        };
        println!(
            "{round:>5} {:>16} {:>14.1} {:>8.1} {:>12.0} {:>10.0}",
            entrant.name,
            cost.cpu_seconds,
            end.wall_seconds,
            1e6 / cost.wall_seconds,
            cost.peak_mib
        );
        entrant.costs.push(cost);
        Ok(())
    }

    /// The outcome of all of them, if there is one.
    fn same(&self, entrants: &[Entrant]) -> anyhow::Result<Digest> {
        let ours = entrants[1].outcome.context("ours made nothing")?;
        let expected = self.records * payload::EACH;
        anyhow::ensure!(ours.count == expected, "normalize made {ours} records, expected {expected}");
        for other in entrants {
            if let Some(theirs) = other.outcome.filter(|theirs| *theirs != ours) {
                anyhow::bail!("void: {} made {theirs} records, normalize {ours}", other.name);
            }
        }
        Ok(ours)
    }

    fn command(&self, at: &Place<'_>, entrant: &Entrant, to: &str, group: &str) -> anyhow::Result<Command> {
        let mut command = match &entrant.kind {
            Kind::Ours(every) => {
                let mut ours = self.ours(at);
                if let Some(every) = every {
                    ours.env("HEADWATER_PROCESSING__GUARANTEE", "exactly_once");
                    ours.env("HEADWATER_PROCESSING__COMMIT_INTERVAL_MS", every.to_string());
                }
                ours.args(["process", "normalize"]);
                return Ok(ours);
            }
            Kind::Copy => {
                let mut copy = Command::new(std::env::current_exe()?);
                copy.arg("copy");
                copy
            }
            Kind::Peer(folder) => {
                let mut peer = Command::new(folder.join("run"));
                peer.args(["--registry", &self.registry]);
                peer
            }
        };
        command.args(["--bootstrap", &self.bootstrap, "--from", at.raw, "--to", to, "--group", group]);
        Ok(command)
    }

    fn ours(&self, at: &Place<'_>) -> Command {
        let mut command = Command::new(&self.headwater);
        command.arg("--config").arg(at.config);
        command
    }

    /// The same command on its CPU. `taskset` becomes what it starts, so it costs nothing that is counted later.
    fn pinned(&self, command: Command) -> Command {
        let Some(cpu) = self.cpu else { return command };
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &cpu.to_string()]).arg(command.get_program()).args(command.get_args());
        pinned.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        pinned
    }

    fn config(&self, namespace: &str, folder: &Path) -> String {
        format!(
            "namespace = \"{namespace}\"\n[listen]\nops = \"127.0.0.1:0\"\n[kafka]\nbootstrap = \"{}\"\n[registry]\nurl = \"{}\"\n[topics]\nreplication_factor = 1\npartitions = {PARTITIONS}\n[telemetry]\nlog = \"warn\"\n[store]\nkeys = \"bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n[store.sqlite]\npath = \"{}\"\n",
            self.bootstrap,
            self.registry,
            folder.join("store.db").display()
        )
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
