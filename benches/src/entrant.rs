//! Who takes part in a comparison, what it has cost, and what it made. Entrants are told beside one of them: ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::process::Cost;
use crate::results::{self, Entry, Latency, Machine, Part, Results, Round, Spread};

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// The least that any program pays for it, ours in this binary.
    Floor,
    /// What ours wrote last, moved: the least that anybody pays who writes as much.
    Written,
    Ours,
    /// Exactly once, at this commit interval in milliseconds.
    ExactlyOnce(u64),
    /// The same job by others, in this folder.
    Peer(PathBuf),
    /// A peer exactly once, at this commit interval in milliseconds.
    PeerExactlyOnce(PathBuf, u64),
}

pub struct Entrant<O> {
    pub name: String,
    pub kind: Kind,
    /// Per million records, one of each round.
    pub costs: Vec<Cost>,
    /// One of each round, where anybody waits for an answer.
    pub latencies: Vec<Latency>,
    /// What it made in the first round.
    pub outcome: Option<O>,
}

impl<O> Entrant<O> {
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, costs: vec![], latencies: vec![], outcome: None }
    }

    /// As part of the name of a topic.
    pub fn label(&self) -> String {
        self.name.replace(' ', "-")
    }

    /// Takes note of a run: what so many records cost, between one look at the subject and another.
    pub fn ran(&mut self, round: usize, records: u64, start: &Cost, end: &Cost) -> anyhow::Result<()> {
        anyhow::ensure!(records > 0, "through before it could be looked at, expected more --records");
        let million = records as f64 / 1e6;
        let cost = Cost {
            cpu_seconds: (end.cpu_seconds - start.cpu_seconds) / million,
            wall_seconds: (end.wall_seconds - start.wall_seconds) / million,
            peak_mib: end.peak_mib,
        };
        println!(
            "{round:>5} {:>16} {:>14.1} {:>8.1} {:>12.0} {:>10.0}",
            self.name,
            cost.cpu_seconds,
            end.wall_seconds,
            1e6 / cost.wall_seconds,
            cost.peak_mib
        );
        self.costs.push(cost);
        Ok(())
    }

    fn entry(&self) -> Entry {
        let part = match self.kind {
            Kind::Floor | Kind::Written => Part::Floor,
            Kind::Ours | Kind::ExactlyOnce(_) => Part::Ours,
            Kind::Peer(_) | Kind::PeerExactlyOnce(..) => Part::Peer,
        };
        let round = |(round, cost): (usize, &Cost)| Round {
            cpu_seconds_per_million: cost.cpu_seconds,
            wall_seconds_per_million: cost.wall_seconds,
            records_per_second: 1e6 / cost.wall_seconds,
            peak_mib: cost.peak_mib,
            latency: self.latencies.get(round).copied(),
        };
        Entry { name: self.name.clone(), part, rounds: self.costs.iter().enumerate().map(round).collect() }
    }
}

#[derive(Debug, Args)]
pub struct Contest {
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Also these peers, each a folder of benches/peers; built first
    #[arg(long = "peer", value_name = "FOLDER")]
    peers: Vec<PathBuf>,
    /// Also the same binary once more: how much two runs of one thing differ
    #[arg(long)]
    control: bool,
    /// The one CPU that each subject runs on, by taskset; the servers belong on another
    #[arg(long)]
    cpu: Option<usize>,
    /// Also writes what each round cost, into this folder, for `report`
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
}

impl Contest {
    /// The floor, ours, and the peers, which are built here.
    pub fn entrants<O>(&self, floor: &str, ours: &str) -> anyhow::Result<Vec<Entrant<O>>> {
        if let Some(folder) = &self.results {
            // Before all the rounds, not after them.
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut entrants = vec![Entrant::new(floor, Kind::Floor), Entrant::new(ours, Kind::Ours)];
        if self.control {
            entrants.push(Entrant::new(&format!("{ours} again"), Kind::Ours));
        }
        for folder in &self.peers {
            let (name, folder) = built(folder)?;
            entrants.push(Entrant::new(&name, Kind::Peer(folder)));
        }
        Ok(entrants)
    }

    /// Writes what a job cost in millions `of` something, where that is asked for: also where not all made the `same`, which is passed on.
    pub fn note<O, S>(&self, job: &str, of: &str, entrants: &[Entrant<O>], same: anyhow::Result<S>) -> anyhow::Result<S> {
        let Some(folder) = &self.results else { return same };
        let written = Machine::here().and_then(|machine| {
            let entries = entrants.iter().map(Entrant::entry).collect();
            let (job, of, command) = (job.to_owned(), of.to_owned(), results::command());
            Results { job, of, machine, command, same: same.is_ok(), entries }.write(folder)
        });
        // What went wrong first is the reason.
        same.and_then(|same| written.map(|()| same))
    }

    /// The same command on its CPU. `taskset` becomes what it starts, so it costs nothing that is counted later.
    pub fn pinned(&self, command: Command) -> Command {
        let Some(cpu) = self.cpu else { return command };
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &cpu.to_string()]).arg(command.get_program()).args(command.get_args());
        pinned.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        pinned
    }
}

/// Prints what stands in the columns of each run.
pub fn heading() {
    println!("{:>5} {:>16} {:>14} {:>8} {:>12} {:>10}", "round", "subject", "cpu s/million", "wall s", "records/s", "peak MiB");
}

/// A peer's name, and its folder, in which it is built.
pub fn built(folder: &Path) -> anyhow::Result<(String, PathBuf)> {
    let folder = folder.canonicalize().with_context(|| format!("no peer at {}", folder.display()))?;
    let name = folder.file_name().context("a folder with a name")?.to_string_lossy().into_owned();
    let built = Command::new(folder.join("build")).status()?;
    anyhow::ensure!(built.success(), "{}/build: {built}", folder.display());
    Ok((name, folder))
}

/// The outcome of all of them, which is that of ours. Where one made something else, there is nothing to compare.
pub fn same<O: Copy + PartialEq + std::fmt::Display>(entrants: &[Entrant<O>]) -> anyhow::Result<O> {
    let ours = entrants.iter().find(|entrant| entrant.kind == Kind::Ours).context("ours takes part")?;
    let outcome = ours.outcome.context("ours made nothing")?;
    for other in entrants {
        if let Some(theirs) = other.outcome.filter(|theirs| *theirs != outcome) {
            anyhow::bail!("void: {} made {theirs} records, {} {outcome}", other.name, ours.name);
        }
    }
    Ok(outcome)
}

/// Prints what every other cost over what ours did, of each round: median, least and most.
pub fn ratios<O>(entrants: &[Entrant<O>]) {
    let Some(ours) = entrants.iter().find(|entrant| entrant.kind == Kind::Ours) else { return };
    for other in entrants.iter().filter(|other| other.name != ours.name) {
        for (what, of) in [("CPU", (|c| c.cpu_seconds) as fn(&Cost) -> f64), ("wall", |c| c.wall_seconds)] {
            let ratios = other.costs.iter().zip(&ours.costs).map(|(other, ours)| of(other) / of(ours));
            let Some(Spread { least, median, most }) = Spread::of(ratios) else { continue };
            println!("{}/{}, {what}: {median:.2}  ({least:.2} to {most:.2})", other.name, ours.name);
        }
    }
}
