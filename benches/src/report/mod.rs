//! What comparisons came to, as a page (`page.rs`) and a picture (`picture.rs`): every program beside ours, each round beside the same round.

mod page;
mod picture;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::results::{Entry, Part, Results, Round, Spread};

const PICTURE: &str = "benchmarks.svg";

#[derive(Debug, Args)]
pub struct Report {
    /// Where `--results` wrote
    folder: PathBuf,
    /// The folder that gets benchmarks.md and benchmarks.svg
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    into: PathBuf,
}

/// One comparison, its programs by what they cost, the least first.
struct Job<'r> {
    results: &'r Results,
    lines: Vec<Line<'r>>,
}

struct Line<'r> {
    entry: &'r Entry,
    ours: bool,
    cpu: Spread,
    cpu_beside: Spread,
    wall_beside: Spread,
}

impl Report {
    pub fn run(&self) -> anyhow::Result<()> {
        let all = Results::read(&self.folder)?;
        let jobs: Vec<Job<'_>> = all.iter().map(Job::of).collect::<anyhow::Result<_>>()?;
        let machine = &all[0].machine;
        for other in &all {
            let one = other.machine == *machine;
            anyhow::ensure!(one, "{} is of {}, {} of {machine}, expected one machine", other.job, other.machine, all[0].job);
        }
        for (name, text) in [("benchmarks.md", page::of(&jobs, machine)), (PICTURE, picture::of(&jobs, machine))] {
            let path = self.into.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
        }
        Ok(())
    }
}

impl<'r> Job<'r> {
    fn of(results: &'r Results) -> anyhow::Result<Self> {
        let job = &results.job;
        anyhow::ensure!(results.same, "{job} is void: not all made the same, so there is nothing to compare");
        let ours =
            results.entries.iter().find(|entry| entry.part == Part::Ours).with_context(|| format!("{job} has none of ours"))?;
        let line = |entry| Line::of(entry, ours).with_context(|| format!("{job} has no rounds of {}", entry.name));
        let mut lines: Vec<Line<'_>> = results.entries.iter().map(line).collect::<anyhow::Result<_>>()?;
        lines.sort_by(|a, b| a.cpu_beside.median.total_cmp(&b.cpu_beside.median));
        Ok(Self { results, lines })
    }
}

impl<'r> Line<'r> {
    fn of(entry: &'r Entry, ours: &Entry) -> Option<Self> {
        let beside =
            |of: fn(&Round) -> f64| Spread::of(entry.rounds.iter().zip(&ours.rounds).map(|(round, ours)| of(round) / of(ours)));
        Some(Self {
            entry,
            ours: std::ptr::eq(entry, ours),
            cpu: Spread::of(entry.rounds.iter().map(|round| round.cpu_seconds_per_million))?,
            cpu_beside: beside(|round| round.cpu_seconds_per_million)?,
            wall_beside: beside(|round| round.wall_seconds_per_million)?,
        })
    }

    /// What it costs beside ours, in words.
    fn ratio(&self, of: Spread) -> String {
        if self.ours { "1".to_owned() } else { spread(of) }
    }
}

/// `1.12 (1.08 to 1.15)`, or the one figure that there is.
fn spread(Spread { least, median, most }: Spread) -> String {
    if least == most { short(median) } else { format!("{} ({} to {})", short(median), short(least), short(most)) }
}

/// With three digits, or with all that stand before the point.
fn short(value: f64) -> String {
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests;
