//! How long a record is under way: from when it was due on its raw topic until the broker has its first observation, and until its rows can be read
//! from Cassandra. `headwater process normalize` with `headwater sink scylla`, and two peers that do the same, at one steady rate; beside them what
//! the broker and Cassandra take at least, from the same run.
//!
//! The loop is open: who is slow does not slow the sender (`feed.rs`). `reader.rs` says when rows are there, `appended.rs` when observations were,
//! `floor.rs` what nobody gets below. Each subject has topics and tables of its own and is sent the same records; their rows are compared at the end.

mod appended;
mod feed;
mod floor;
mod line;
mod plan;
mod reader;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use self::feed::{Feed, To};
use self::floor::LINGERS;
use self::line::{Line, observations};
use self::plan::{Plan, now};
use self::reader::Reader;
use self::table::{Floors, Ran, Times};
use crate::entrant::{Kind, built, same};
use crate::payload;
use crate::process::Cost;
use crate::rig::{Parts, Rig};
use crate::rows::{self, Written};

const PARTITIONS: i32 = 12;
const PATIENCE: Duration = Duration::from_secs(120);
/// Until the first record of a feed is due: its sender and its reader are ready by then.
const HEAD_START: i64 = 1_000_000;
/// One part in so many of the probe is there to warm up.
const WARM: u64 = 5;
/// Most seconds that a round measures a hop of the floor for, a fifth of it to warm up.
const HOP: u64 = 10;

#[derive(Debug, Args)]
pub struct Latency {
    #[command(flatten)]
    parts: Parts,
    /// Raw records per second; half of what ours carries in the probe if not given
    #[arg(long)]
    rate: Option<f64>,
    /// Raw records that the probe finds waiting
    #[arg(long, default_value_t = 60_000)]
    probe: u64,
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// How long each subject is measured in each round
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How long it has the same load before that
    #[arg(long, default_value_t = 20)]
    warm: u64,
    /// Records per second whose rows are asked for
    #[arg(long, default_value_t = 50.0)]
    followed: f64,
    /// Milliseconds from an answer without rows to the next question
    #[arg(long, default_value_t = 3)]
    look_ms: u64,
    /// Also the same binary once more: how much two runs of one thing differ
    #[arg(long)]
    control: bool,
    /// Also these two peers, one that normalizes and one that stores, folders of benches/peers; built first
    #[arg(long = "pipeline", num_args = 2, value_names = ["NORMALIZE", "SINK"])]
    pipelines: Vec<PathBuf>,
}

type Entrant = crate::entrant::Entrant<Written>;

/// Where an entrant works, and what came of it so far.
struct Lane<'r, 'p> {
    rig: &'r Rig<'p>,
    /// The second program of peers.
    sink: Option<PathBuf>,
    times: Times,
}

impl Latency {
    pub async fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.rounds > 0 && self.seconds > 0, "--rounds, --seconds: expected numbers above 0");
        anyhow::ensure!(self.followed > 0.0 && self.rate.is_none_or(|r| r > 0.0), "--followed, --rate: expected numbers above 0");
        let entrants = self.entrants()?;
        let (mut rigs, mut measured) = (vec![], Ok(()));
        // All before anything is measured: making and deleting topics keeps a broker busy.
        for _ in 0..=entrants.len() {
            match Rig::new(&self.parts, PARTITIONS, "").await {
                Ok(rig) => rigs.push(rig),
                Err(why) => {
                    measured = Err(why);
                    break;
                }
            }
        }
        if measured.is_ok() {
            measured = self.measure(&rigs, entrants).await;
        }
        for rig in &rigs {
            measured = rig.end(measured).await;
        }
        measured
    }

    /// Ours first, and the sink of each.
    fn entrants(&self) -> anyhow::Result<Vec<(Entrant, Option<PathBuf>)>> {
        let mut entrants = vec![(Entrant::new("headwater", Kind::Ours), None)];
        if self.control {
            entrants.push((Entrant::new("headwater again", Kind::Ours), None));
        }
        for folders in self.pipelines.chunks_exact(2) {
            let ((normalize, folder), (store, sink)) = (built(&folders[0])?, built(&folders[1])?);
            entrants.push((Entrant::new(&format!("{normalize}, {store}"), Kind::Peer(folder)), Some(sink)));
        }
        Ok(entrants)
    }

    async fn measure(&self, rigs: &[Rig<'_>], entrants: Vec<(Entrant, Option<PathBuf>)>) -> anyhow::Result<()> {
        let (spare, rigs) = rigs.split_first().context("a rig for the probe")?;
        // Also where a rate is named: whoever is the first to use a fresh Cassandra pays for the start of a JVM.
        let half = self.probe(spare)?;
        let rate = self.rate.unwrap_or(half);
        let mut lanes = Vec::new();
        let (mut entrants, sinks): (Vec<_>, Vec<_>) = entrants.into_iter().unzip();
        for (sink, rig) in sinks.into_iter().zip(rigs) {
            rig.broker().stamp(&observations(rig)).await?;
            lanes.push(Lane { rig, sink, times: Times::new() });
        }
        let Self { seconds, warm, rounds, followed, look_ms, .. } = self;
        println!(
            "{rate:.0} raw records a second over {PARTITIONS} partitions, {rounds} rounds of {seconds} s after {warm} s to warm up; \
             {followed} a second are asked for every {look_ms} ms; times in ms from when a record was due"
        );
        table::heading();
        let mut floors = Floors::new();
        for round in 1..=self.rounds {
            self.floors(spare, round, rate, &mut floors).await.with_context(|| format!("the floors in round {round}"))?;
            for (entrant, lane) in entrants.iter().zip(&mut lanes) {
                let ran = self.enter(lane, round, rate, entrant).await;
                ran.with_context(|| format!("{} in round {round}", entrant.name))?.tell(round, &entrant.name);
            }
        }
        for (entrant, Lane { rig, .. }) in entrants.iter_mut().zip(&lanes) {
            entrant.outcome = Some(rows::written(&rig.session, &rig.namespace, &payload::topic(&rig.namespace)).await?);
        }
        let (written, expected) = (same(&entrants)?, self.each_round(rate) * self.rounds * payload::EACH);
        let count = written.observations.count;
        anyhow::ensure!(count == expected, "void: {count} rows of observations were written, expected {expected}");
        println!("all wrote the same: observations {written}");
        table::summary(&floors, entrants.iter().zip(lanes.iter().map(|lane| &lane.times)));
        Ok(())
    }

    /// Records that a subject is sent in a round: the first to see that it takes part.
    fn each_round(&self, rate: f64) -> u64 {
        1 + count(rate, self.warm) + count(rate, self.seconds)
    }

    /// Half of the raw records per second that ours carries from a backlog into Cassandra.
    fn probe(&self, rig: &Rig<'_>) -> anyhow::Result<f64> {
        let (broker, topic, total) = (rig.broker(), observations(rig), self.probe * payload::EACH);
        broker.fill(&rig.namespace, self.probe)?;
        let mut line = Line::ours(rig)?;
        let stored = || broker.committed(&format!("{}.scylla", rig.namespace), &topic);
        line.wait(PATIENCE * 5, || Ok(stored()? >= total / WARM))?;
        let (seen, from) = (stored()?, Instant::now());
        line.wait(PATIENCE * 5, || Ok(stored()? >= total))?;
        let carried = total.saturating_sub(seen) as f64 / payload::EACH as f64 / from.elapsed().as_secs_f64();
        line.stop();
        anyhow::ensure!(carried > 0.0, "the probe was through before it could be looked at, expected more --probe");
        println!("headwater carries {carried:.0} raw records a second from a backlog of {} into Cassandra", self.probe);
        Ok((carried / 2.0).floor().max(1.0))
    }

    async fn floors(&self, rig: &Rig<'_>, round: u64, rate: f64, floors: &mut Floors) -> anyhow::Result<()> {
        let (broker, seconds) = (rig.broker(), self.seconds.min(HOP));
        let schema_id = broker.schema_id(&payload::topic(&rig.namespace))?;
        for (hop, (linger, times)) in LINGERS.into_iter().zip(&mut floors.hops).enumerate() {
            let topic = format!("{}.hop{hop}round{round}", rig.namespace);
            let warm = count(rate, seconds) / WARM;
            let plan = || Plan { first: 0, warm, counted: count(rate, seconds), rate, begins: now() + HEAD_START };
            times.add(floor::hop(&broker, To { topic, schema_id, linger }, plan).await?)?;
        }
        floors.row.add(floor::rows(rig, round * self.each_round(rate)).await?)?;
        Ok(())
    }

    /// One run of one entrant.
    async fn enter(&self, lane: &mut Lane<'_, '_>, round: u64, rate: f64, entrant: &Entrant) -> anyhow::Result<Ran> {
        let Lane { rig, sink, times } = lane;
        let (broker, raw, observations) = (rig.broker(), payload::topic(&rig.namespace), observations(rig));
        let mut line = match (&entrant.kind, sink) {
            (Kind::Peer(normalize), Some(sink)) => Line::peers(rig, &self.parts, (normalize, sink))?,
            _ => Line::ours(rig)?,
        };
        let reader = Reader::new(&rig.session, &rig.namespace, (Duration::from_millis(self.look_ms), PATIENCE)).await?;
        let to = To { schema_id: broker.schema_id(&raw)?, topic: raw.clone(), linger: LINGERS[0] };
        let first = (round - 1) * self.each_round(rate);
        let one = Plan { first, warm: 1, counted: 0, rate, begins: now() };
        Feed::start(&broker, to.clone(), one)?.end()?;
        tokio::select! {
            there = reader.there(first, now()) => there.context("it takes no part")?,
            why = line.ended() => return Err(why),
        };

        let (warm, counted) = (count(rate, self.warm), count(rate, self.seconds));
        let plan = Plan { first: first + 1, warm, counted, rate, begins: now() + HEAD_START };
        let feed = Feed::start(&broker, to, plan)?;
        let spent = async {
            let from = line.cost_at(plan.due(plan.first + warm)).await?;
            anyhow::Ok((from, line.cost_at(plan.due(plan.first + plan.len())).await?))
        };
        let (read, (from, to)) = tokio::try_join!(reader.follow(&plan, self.followed), spent)?;
        let late = feed.end()?;
        let through = |worker, topic| broker.through(&format!("{}.{worker}", rig.namespace), topic);
        let patience = PATIENCE + Duration::from_secs(self.warm + self.seconds);
        line.wait(patience * 2, || Ok(through("normalize", &raw)? && through("scylla", &observations)?))?;
        line.stop();

        let appended = appended::appended(&broker, &observations, &plan)?;
        let million = counted as f64 / 1e6;
        let cost = Cost {
            cpu_seconds: (to.cpu_seconds - from.cpu_seconds) / million,
            wall_seconds: (to.wall_seconds - from.wall_seconds) / million,
            peak_mib: to.peak_mib,
        };
        let ran = Ran { times: Times { appended, stored: read.taken, unsure: read.unsure }, late, cost };
        times.add(&ran.times)?;
        Ok(ran)
    }
}

/// How many are due in so many seconds.
fn count(rate: f64, seconds: u64) -> u64 {
    (rate * seconds as f64).round() as u64
}
