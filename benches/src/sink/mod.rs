//! CPU-seconds per million observations: `headwater sink scylla`, the bare driver with the same rows in memory already, and peers that do the same job
//! with the best tools of other ecosystems; interleaved, each with a keyspace of its own. Entrants are in `../entrant.rs`, the floor in `floor.rs`,
//! whether they wrote the same in `../rows.rs`.

mod floor;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;

use crate::broker::Broker;
use crate::entrant::{Contest, Kind, heading, ratios, same};
use crate::payload;
use crate::process::Subject;
use crate::rig::{Parts, Rig, address, drop_keyspace};
use crate::rows::{self, Written};

pub use floor::{BareSink, insert};

const PARTITIONS: i32 = 12;
const PATIENCE: Duration = Duration::from_secs(900);
/// One in so many records is there to warm up: a JVM compiles, caches fill. It counts for nobody.
const WARM: u64 = 5;
const KEYSPACE: &str = "HEADWATER_STORE__SCYLLA__KEYSPACE";

#[derive(Debug, Args)]
pub struct Sink {
    #[command(flatten)]
    parts: Parts,
    /// Raw records that the observations are made of, three of each
    #[arg(long, default_value_t = 50_000)]
    records: u64,
    #[command(flatten)]
    contest: Contest,
}

type Entrant = crate::entrant::Entrant<Written>;

/// What every run reads, and how much of it there is.
struct Feed {
    topic: String,
    total: u64,
}

impl Sink {
    pub async fn run(&self) -> anyhow::Result<()> {
        let entrants = self.contest.entrants("bare driver", "sink scylla")?;
        let rig = Rig::new(&self.parts, PARTITIONS, "").await?;
        rig.end(self.measure(&rig, entrants).await).await
    }

    async fn measure(&self, rig: &Rig<'_>, mut entrants: Vec<Entrant>) -> anyhow::Result<()> {
        let feed = self.feed(rig)?;
        println!(
            "{} observations of a thousand people, {PARTITIONS} partitions, {} rounds, a {WARM}th of each run to warm up",
            feed.total, self.contest.rounds
        );
        heading();
        for round in 1..=self.contest.rounds {
            for entrant in &mut entrants {
                self.enter(rig, &feed, round, entrant).await.with_context(|| format!("{} in round {round}", entrant.name))?;
            }
        }
        let written = self.contest.note("sink", "observations", &entrants, wrote(&entrants, feed.total))?;
        println!("all wrote the same: observations {written}");
        ratios(&entrants);
        Ok(())
    }

    /// Observations as `headwater process normalize` makes them.
    fn feed(&self, rig: &Rig<'_>) -> anyhow::Result<Feed> {
        let (broker, raw) = (rig.broker(), payload::topic(&rig.namespace));
        broker.fill(&rig.namespace, self.records)?;
        let mut normalize = rig.start(&["process", "normalize"], &[])?;
        let until = Instant::now() + PATIENCE;
        while !broker.through(&format!("{}.normalize", rig.namespace), &raw)? {
            anyhow::ensure!(Instant::now() < until, "normalize is not through after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        normalize.subject.stop();
        let topic = topics::OBSERVATION.name(&rig.namespace, None);
        let (total, expected) = (broker.total(&topic)?, self.records * payload::EACH);
        anyhow::ensure!(total == expected, "{total} observations are on the topic, expected {expected}");
        Ok(Feed { topic, total })
    }

    /// One run of one entrant, into tables that are made for it and dropped after it.
    async fn enter(&self, rig: &Rig<'_>, feed: &Feed, round: usize, entrant: &mut Entrant) -> anyhow::Result<()> {
        let keyspace = format!("{}_{round}_{}", rig.namespace, entrant.label().replace('-', "_"));
        rig.run(&["store", "migrate"], &[(KEYSPACE, &keyspace)])?;
        let done = self.cost(rig, feed, round, entrant, &keyspace).await;
        let dropped = if self.parts.keep { Ok(()) } else { drop_keyspace(&rig.session, &keyspace).await };
        done.and(dropped)
    }

    async fn cost(&self, rig: &Rig<'_>, feed: &Feed, round: usize, entrant: &mut Entrant, keyspace: &str) -> anyhow::Result<()> {
        let broker = rig.broker();
        let group = match entrant.kind {
            Kind::Ours => format!("{}.scylla", rig.namespace),
            _ => keyspace.to_owned(),
        };
        if entrant.kind == Kind::Ours {
            broker.rewind(&group, &feed.topic)?;
        }
        let subject = Subject::start(&mut self.contest.pinned(self.command(rig, feed, entrant, &group, keyspace)?))?;
        // Committed offsets say how far everybody is in the same way: what is behind them is written.
        let committed = || broker.committed(&group, &feed.topic);
        let warm = || Ok(committed()? >= feed.total / WARM);
        let done = || Ok(committed()? >= feed.total);
        let (start, seen, end) = subject.between(PATIENCE, warm, committed, done)?;
        if round == 1 {
            entrant.outcome = Some(rows::written(&rig.session, keyspace, &payload::topic(&rig.namespace)).await?);
        }
        entrant.ran(round, feed.total.saturating_sub(seen), &start, &end)
    }

    fn command(&self, rig: &Rig<'_>, feed: &Feed, entrant: &Entrant, group: &str, keyspace: &str) -> anyhow::Result<Command> {
        let mut command = match &entrant.kind {
            Kind::Ours => {
                let mut ours = rig.command(&["sink", "scylla"]);
                ours.env("HEADWATER_LISTEN__OPS", address()?).env(KEYSPACE, keyspace);
                return Ok(ours);
            }
            Kind::Floor => {
                let mut bare = Command::new(std::env::current_exe()?);
                bare.arg("bare-sink");
                bare
            }
            Kind::Peer(folder) => Command::new(folder.join("run")),
            Kind::Written | Kind::ExactlyOnce(_) | Kind::PeerExactlyOnce(..) => anyhow::bail!("only to a topic"),
        };
        let Broker { bootstrap, registry, .. } = rig.broker();
        command.args(["--bootstrap", bootstrap, "--registry", registry, "--from", &feed.topic, "--group", group]);
        command.args(["--node", &self.parts.node, "--keyspace", keyspace]);
        Ok(command)
    }
}

/// All that was expected, the same of all.
fn wrote(entrants: &[Entrant], expected: u64) -> anyhow::Result<Written> {
    let written = same(entrants)?;
    let rows = written.observations.count;
    anyhow::ensure!(rows == expected, "{rows} rows of observations were written, expected {expected}");
    Ok(written)
}
