//! What taking a signed webhook costs: `headwater receive`, a bare handler that keeps nothing, and peers that do the same job with the best tools of
//! other ecosystems. Each gets calls as fast as it answers, and then at one rate for all. Entrants are in `../entrant.rs`, whether the same is on
//! everybody's topic in `outcome.rs`.

mod bare;
mod outcome;

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;
use headwater_simulator::flood::{Flood, Flooded, flood};

pub use self::bare::BareDoor;
use crate::digest::Digest;
use crate::entrant::{Contest, Kind, ratios, same};
use crate::process::{Cost, Subject, cpu_seconds};
use crate::results::{Latency, Spread};
use crate::rig::{Parts, Rig, address};

const PROVIDER: &str = "polar";
const ROUTE: &str = "/webhooks/polar";
const KEY: &str = "told-when-the-webhook-was-made";
const PATIENCE: Duration = Duration::from_secs(60);
/// One part in so many of each run is there to warm up. It counts for nobody.
const WARM: u32 = 5;
/// People whom every run begins with, and their calls per second. Theirs are the hints that are compared.
const PEOPLE: u64 = 500;
const GENTLY: f64 = 500.0;

/// Needs a running broker, registry and Cassandra: `set -a; eval "$(infra/local/up kafka cassandra registry)"; set +a`.
#[derive(Debug, Args)]
pub struct Door {
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    contest: Contest,
    /// Connections the calls are sent on: the most that wait for an answer at once
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long each run lasts, its warming up included
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Calls per second of the open loop; half of what the slowest carries in the first round if not given
    #[arg(long)]
    rate: Option<f64>,
}

type Entrant = crate::entrant::Entrant<Digest>;

/// What one run of one entrant came to.
struct Ran {
    cost: Cost,
    accepted_per_second: f64,
    done: Flooded,
}

/// A run's place among all: its people are its own.
struct Run<'r, 'p> {
    rig: &'r Rig<'p>,
    number: u64,
    rate: Option<f64>,
}

impl Door {
    pub async fn run(&self) -> anyhow::Result<()> {
        let entrants = self.contest.entrants("bare", "receive")?;
        let permits = self.connections.max(256);
        let more = format!(
            "[listen]\nconnections = {}\n[ingest]\ndoor_permits = {permits}\n[providers.{PROVIDER}]\nclient_id = \"c\"\nclient_secret = \"s\"\n\
             [providers.{PROVIDER}.webhook]\nsigning_key = \"{KEY}\"\n",
            // The last run's connections may not be known to be gone.
            2 * permits,
        );
        let rig = Rig::new(&self.parts, 12, &more).await?;
        rig.end(self.measure(&rig, entrants).await).await
    }

    async fn measure(&self, rig: &Rig<'_>, mut entrants: Vec<Entrant>) -> anyhow::Result<()> {
        println!(
            "{} connections, {} s each time, {} rounds, a {WARM}th of each run to warm up; times in ms from when a call was due",
            self.connections, self.seconds, self.contest.rounds
        );
        println!(
            "{:>5} {:>14} {:>7} {:>10} {:>13} {:>13} {:>7} {:>7} {:>7} {:>8} {:>8} {:>6} {:>5}",
            "round",
            "subject",
            "due/s",
            "accepted/s",
            "cpu s/million",
            "sender's own",
            "p50",
            "p99",
            "p99.9",
            "late p50",
            "late p99",
            "not ok",
            "MiB"
        );
        let (mut number, mut rate) = (0, self.rate);
        for round in 1..=self.contest.rounds {
            let mut slowest = f64::INFINITY;
            for entrant in &mut entrants {
                let ran = self.enter(&Run { rig, number, rate: None }, round, entrant).await;
                let ran = ran.with_context(|| format!("{} in round {round}, as fast as it answers", entrant.name))?;
                slowest = slowest.min(ran.accepted_per_second);
                entrant.costs.push(ran.cost);
                number += 1;
            }
            let rate = *rate.get_or_insert((slowest / 2.0).floor());
            for entrant in &mut entrants {
                let ran = self.enter(&Run { rig, number, rate: Some(rate) }, round, entrant).await;
                let ran = ran.with_context(|| format!("{} in round {round}, at {rate} a second", entrant.name))?;
                entrant.latencies.push(ran.latency(rate));
                number += 1;
            }
        }
        let made = self.contest.note("door", "accepted calls", &entrants, compared(&entrants))?;
        println!("everybody who was told yes is on the topic, with the same hint of all: compared by {made}");
        ratios(&entrants);
        beside_the_floor(&entrants);
        Ok(())
    }

    /// One run of one entrant, from its start to its end.
    async fn enter(&self, run: &Run<'_, '_>, round: usize, entrant: &mut Entrant) -> anyhow::Result<Ran> {
        let (broker, listen) = (run.rig.broker(), address()?);
        let topic = match entrant.kind {
            Kind::Peer(_) => {
                let topic = format!("{}.{}{}", run.rig.namespace, entrant.label(), run.number);
                broker.create(&topic).await?;
                topic
            }
            _ => topics::HINT_LIVE.name(&run.rig.namespace, None),
        };
        let mut subject = Subject::start(&mut self.contest.pinned(self.command(run.rig, entrant, &topic, &listen)?))?;
        subject.wait(PATIENCE, || Ok(TcpStream::connect(&listen).is_ok()))?;

        let first = run.number << 32;
        let gently = Duration::from_secs_f64(PEOPLE as f64 / GENTLY);
        let began = flood(self.calls(&listen, Some(GENTLY), gently, first)).await?;
        let all = began.accepted.len() as u64 == PEOPLE;
        anyhow::ensure!(all, "answers to the first calls: {:?}, expected {PEOPLE} times 200", began.answers);
        let whole = Duration::from_secs(self.seconds);
        let warm = flood(self.calls(&listen, run.rate, whole / WARM, first + PEOPLE)).await?;
        let (from, own) = (subject.cost()?, cpu_seconds(std::process::id())?);
        let done = flood(self.calls(&listen, run.rate, whole - whole / WARM, first + (1 << 31))).await?;
        let (to, own) = (subject.cost()?, cpu_seconds(std::process::id())? - own);
        subject.stop();

        // A floor keeps nothing that could be compared.
        if entrant.kind != Kind::Floor {
            let accepted: Vec<u64> = [&began, &warm, &done].into_iter().flat_map(|some| some.accepted.iter().copied()).collect();
            let outcome = outcome::of(&broker, &topic, first, &accepted, PEOPLE)?;
            let before = *entrant.outcome.get_or_insert(outcome);
            anyhow::ensure!(before == outcome, "void: other hints ({outcome}) than before ({before})");
        }
        let accepted = done.accepted.len();
        anyhow::ensure!(accepted > 0, "nothing was accepted: {:?}", done.answers);
        let million = accepted as f64 / 1e6;
        let cost = Cost {
            cpu_seconds: (to.cpu_seconds - from.cpu_seconds) / million,
            wall_seconds: done.took.as_secs_f64() / million,
            peak_mib: to.peak_mib,
        };
        let ran = Ran { cost, accepted_per_second: accepted as f64 / done.took.as_secs_f64(), done };
        ran.tell(round, &entrant.name, run.rate, own / million);
        Ok(ran)
    }

    fn command(&self, rig: &Rig<'_>, entrant: &Entrant, topic: &str, listen: &str) -> anyhow::Result<Command> {
        let mut command = match &entrant.kind {
            Kind::Ours => {
                let mut ours = rig.command(&["receive"]);
                ours.env("HEADWATER_LISTEN__RECEIVE", listen).env("HEADWATER_LISTEN__OPS", address()?);
                return Ok(ours);
            }
            Kind::Floor => {
                let mut floor = Command::new(std::env::current_exe()?);
                floor.arg("bare-door");
                floor
            }
            Kind::Peer(folder) => {
                let mut peer = Command::new(folder.join("run"));
                peer.args(["--bootstrap", &self.parts.bootstrap, "--registry", &self.parts.registry, "--to", topic]);
                peer
            }
            Kind::Written | Kind::ExactlyOnce(_) | Kind::PeerExactlyOnce(..) => anyhow::bail!("only from a topic"),
        };
        command.args(["--listen", listen, "--key", KEY]);
        Ok(command)
    }

    fn calls(&self, listen: &str, rate: Option<f64>, length: Duration, first: u64) -> Flood {
        Flood {
            url: format!("http://{listen}{ROUTE}"),
            signing_key: KEY.into(),
            rate,
            length,
            connections: self.connections,
            // However late: what is not sent would stand in no figure.
            patience: Duration::MAX,
            first,
        }
    }
}

impl Ran {
    fn latency(&self, per_second: f64) -> Latency {
        let [p50_ms, p99_ms, p999_ms] = [0.5, 0.99, 0.999].map(|share| millis(&self.done, share));
        Latency { per_second, p50_ms, p99_ms, p999_ms }
    }

    fn tell(&self, round: usize, name: &str, rate: Option<f64>, own: f64) {
        let late = |share| self.done.late.value_at_quantile(share) as f64 / 1e3;
        let all: u64 = self.done.answers.values().sum();
        println!(
            "{round:>5} {name:>14} {:>7} {:>10.0} {:>13.1} {own:>13.1} {:>7.1} {:>7.1} {:>7.1} {:>8.2} {:>8.2} {:>6} {:>5.0}",
            rate.map_or("any".to_owned(), |rate| format!("{rate:.0}")),
            self.accepted_per_second,
            self.cost.cpu_seconds,
            millis(&self.done, 0.5),
            millis(&self.done, 0.99),
            millis(&self.done, 0.999),
            late(0.5),
            late(0.99),
            all - self.done.accepted.len() as u64,
            self.cost.peak_mib
        );
    }
}

/// How long it took until so many of those who were accepted were told, from when they were due.
fn millis(done: &Flooded, share: f64) -> f64 {
    done.taken.value_at_quantile(share) as f64 / 1e3
}

/// As many as were to be compared, the same of all.
fn compared(entrants: &[Entrant]) -> anyhow::Result<Digest> {
    let made = same(entrants)?;
    anyhow::ensure!(made.count == PEOPLE, "{} hints are compared, expected {PEOPLE}", made.count);
    Ok(made)
}

/// The floor's rate to everybody's, and what everybody adds to its p99: medians over the rounds.
fn beside_the_floor(entrants: &[Entrant]) {
    let Some((floor, others)) = entrants.split_first() else { return };
    for other in others {
        let rates = other.costs.iter().zip(&floor.costs).map(|(other, floor)| other.wall_seconds / floor.wall_seconds);
        let added = other.latencies.iter().zip(&floor.latencies).map(|(other, floor)| other.p99_ms - floor.p99_ms);
        let (Some(rate), Some(added)) = (Spread::of(rates), Spread::of(added)) else { continue };
        let (rate, added) = (rate.median, added.median);
        println!("{}: its p99 is {added:.1} ms above that of {}, whose rate is {rate:.2} times its own", other.name, floor.name);
    }
}
