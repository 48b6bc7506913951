//! Who takes part in a comparison, what it has cost, and what it made. Entrants are told beside one of them: ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::process::Cost;

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
}

pub struct Entrant<O> {
    pub name: String,
    pub kind: Kind,
    /// Per million records, one of each round.
    pub costs: Vec<Cost>,
    /// What it made in the first round.
    pub outcome: Option<O>,
}

impl<O> Entrant<O> {
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, costs: vec![], outcome: None }
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
}

impl Contest {
    /// The floor, ours, and the peers, which are built here.
    pub fn entrants<O>(&self, floor: &str, ours: &str) -> anyhow::Result<Vec<Entrant<O>>> {
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
            let mut ratios: Vec<f64> = other.costs.iter().zip(&ours.costs).map(|(other, ours)| of(other) / of(ours)).collect();
            ratios.sort_by(f64::total_cmp);
            let (Some(least), Some(most)) = (ratios.first(), ratios.last()) else { continue };
            println!("{}/{}, {what}: {:.2}  ({least:.2} to {most:.2})", other.name, ours.name, ratios[ratios.len() / 2]);
        }
    }
}
