//! CPU-seconds per million raw records: `headwater process normalize`, the bare copy, what exactly once costs, and peers that do the same job with the
//! best tools of other ecosystems; interleaved on the same broker. Entrants are in `../entrant.rs`, whether they made the same in `outcome.rs`.

mod outcome;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;

use crate::broker::Broker;
use crate::digest::Digest;
use crate::entrant::{Contest, Kind, built, heading, ratios, same};
use crate::payload;
use crate::process::Subject;
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
    #[command(flatten)]
    contest: Contest,
    /// Also with `processing.guarantee = "exactly_once"`, at a commit interval of 100 ms and of 1 s
    #[arg(long)]
    exactly_once: bool,
    /// Also this peer exactly once, at 100 ms and at 1 s; one that takes `--exactly-once`
    #[arg(long, value_name = "FOLDER")]
    exactly_once_peer: Option<PathBuf>,
}

type Entrant = crate::entrant::Entrant<Digest>;

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

    fn entrants(&self) -> anyhow::Result<Vec<Entrant>> {
        let mut entrants = self.contest.entrants("copy", "normalize")?;
        entrants.push(Entrant::new("copy of output", Kind::Written));
        let peer = self.exactly_once_peer.as_deref().map(built).transpose()?;
        for (label, every) in [("eo 100ms", 100), ("eo 1s", 1000)] {
            if self.exactly_once {
                entrants.push(Entrant::new(label, Kind::ExactlyOnce(every)));
            }
            if let Some((name, folder)) = &peer {
                entrants.push(Entrant::new(&format!("{name} {label}"), Kind::PeerExactlyOnce(folder.clone(), every)));
            }
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
            self.contest.rounds
        );
        let mut written = vec![0; PARTITIONS as usize];
        heading();
        for round in 1..=self.contest.rounds {
            for entrant in &mut entrants {
                self.enter(at, round, entrant, &mut written)
                    .await
                    .with_context(|| format!("{} in round {round}", entrant.name))?;
            }
        }
        let made = self.contest.note("normalize", "raw records", &entrants, self.made(&entrants))?;
        println!("one record in is three observations out, and all made the same: {made} records");
        ratios(&entrants);
        Ok(())
    }

    /// All that was expected, the same of all.
    fn made(&self, entrants: &[Entrant]) -> anyhow::Result<Digest> {
        let (made, expected) = (same(entrants)?, self.records * payload::EACH);
        anyhow::ensure!(made.count == expected, "normalize made {made} records, expected {expected}");
        Ok(made)
    }

    /// One run of one entrant. `written`: where the output of ours begins.
    async fn enter(&self, at: &Place<'_>, round: usize, entrant: &mut Entrant, written: &mut Vec<i64>) -> anyhow::Result<()> {
        let (broker, name) = (self.broker(), entrant.label());
        let ours = matches!(entrant.kind, Kind::Ours | Kind::ExactlyOnce(_));
        let observations = topics::OBSERVATION.name(at.namespace, None);
        let from = if entrant.kind == Kind::Written { &observations } else { at.raw };
        let (to, group) = if ours {
            let group = format!("{}.normalize", at.namespace);
            broker.rewind(&group, at.raw)?;
            *written = broker.ends(&observations)?;
            (observations.clone(), group)
        } else {
            let to = format!("{}.{name}{round}", at.namespace);
            broker.create(&to).await?;
            (to.clone(), to)
        };
        if entrant.kind == Kind::Written {
            broker.put_back(&group, from, written)?;
        }
        // Of copies there is nothing to compare, and once is enough.
        let compared = round == 1 && !matches!(entrant.kind, Kind::Floor | Kind::Written);
        let before = if compared && ours { outcome::of(&broker, &to)? } else { Digest::default() };
        let (began, each) = (broker.total(&to)?, if entrant.kind == Kind::Floor { 1 } else { payload::EACH });
        let subject = Subject::start(&mut self.contest.pinned(self.command(at, entrant, from, &to, &group)?))?;
        // Committed offsets say when all is done, for all in the same way: transactions leave markers among the output.
        let done = || broker.through(&group, from);
        let warm = || Ok(broker.total(&to)? - began >= self.records * each / WARM);
        let (start, seen, end) = subject.between(PATIENCE, warm, || Ok((broker.total(&to)? - began) / each), done)?;
        if compared {
            entrant.outcome = Some(outcome::of(&broker, &to)?.without(before));
        }
        entrant.ran(round, self.records.saturating_sub(seen), &start, &end)
    }

    fn command(&self, at: &Place<'_>, entrant: &Entrant, from: &str, to: &str, group: &str) -> anyhow::Result<Command> {
        let mut command = match &entrant.kind {
            Kind::Ours | Kind::ExactlyOnce(_) => {
                let mut ours = self.ours(at);
                if let Kind::ExactlyOnce(every) = entrant.kind {
                    ours.env("HEADWATER_PROCESSING__GUARANTEE", "exactly_once");
                    ours.env("HEADWATER_PROCESSING__COMMIT_INTERVAL_MS", every.to_string());
                }
                ours.args(["process", "normalize"]);
                return Ok(ours);
            }
            Kind::Floor | Kind::Written => {
                let mut copy = Command::new(std::env::current_exe()?);
                copy.arg("copy");
                copy
            }
            Kind::Peer(folder) | Kind::PeerExactlyOnce(folder, _) => {
                let mut peer = Command::new(folder.join("run"));
                peer.args(["--registry", &self.registry]);
                if let Kind::PeerExactlyOnce(_, every) = entrant.kind {
                    peer.args(["--exactly-once", &every.to_string()]);
                }
                peer
            }
        };
        command.args(["--bootstrap", &self.bootstrap, "--from", from, "--to", to, "--group", group]);
        Ok(command)
    }

    fn ours(&self, at: &Place<'_>) -> Command {
        let mut command = Command::new(&self.headwater);
        command.arg("--config").arg(at.config);
        command
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
}
