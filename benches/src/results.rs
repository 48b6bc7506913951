//! What a comparison came to, in a file that `report` reads: `FOLDER/<job>.json`. It says who took part on which machine, and what each round cost.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    pub job: String,
    /// What is counted in millions, such as `raw records`.
    pub of: String,
    pub machine: Machine,
    pub command: String,
    /// Whether all made the same. Where they did not, there is nothing to compare.
    pub same: bool,
    pub entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    pub part: Part,
    pub rounds: Vec<Round>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The least that anybody pays.
    Floor,
    /// The first of them is what all others are told beside.
    Ours,
    Peer,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Round {
    pub cpu_seconds_per_million: f64,
    pub wall_seconds_per_million: f64,
    pub records_per_second: f64,
    pub peak_mib: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// Of the round's second run, at a rate that is the same for all.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Latency {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
}

/// The median of the rounds, with the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Results {
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(format!("{}.json", self.job));
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// All of a folder, by name.
    pub fn read(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut paths: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        anyhow::ensure!(!paths.is_empty(), "no results in {}, expected what --results wrote", folder.display());
        let one = |path: &Path| anyhow::Ok(serde_json::from_slice(&std::fs::read(path)?)?);
        paths.iter().map(|path| one(path).with_context(|| format!("cannot read {}", path.display()))).collect()
    }
}

impl Machine {
    /// This one, as the kernel tells it.
    pub fn here() -> anyhow::Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let (cpus, memory) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?);
        let kib = fields(&memory, "MemTotal")
            .next()
            .and_then(|value| value.split(' ').next())
            .context("no MemTotal in /proc/meminfo")?;
        Ok(Self {
            // Not every architecture has a name for it.
            cpu: fields(&cpus, "model name").next().unwrap_or(std::env::consts::ARCH).to_owned(),
            // All there are: this process may be held to some of them.
            cores: fields(&cpus, "processor").count(),
            memory_mib: kib.parse::<u64>()? / 1024,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpu, cores, memory_mib, kernel } = self;
        write!(f, "{cpu}, {cores} cores, {:.0} GiB, Linux {kernel}", *memory_mib as f64 / 1024.0)
    }
}

impl Spread {
    /// None of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Some(Self { least: *values.first()?, median: values[values.len() / 2], most: *values.last()? })
    }
}

/// The command that this process was called by, as it is printed beside figures: whatever folder it is in, and without where the results go.
pub fn command() -> String {
    shown(std::env::args())
}

fn shown(mut words: impl Iterator<Item = String>) -> String {
    let program = words.next().unwrap_or_default();
    let mut shown = vec![program.rsplit('/').next().unwrap_or_default().to_owned()];
    while let Some(word) = words.next() {
        if word == "--results" {
            words.next();
        } else if !word.starts_with("--results=") {
            shown.push(word);
        }
    }
    shown.join(" ")
}

fn fields<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.filter(move |(field, _)| field.trim() == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_rounds() {
        assert_eq!(Spread::of([3.0, 1.0, 10.0]), Some(Spread { least: 1.0, median: 3.0, most: 10.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn the_machine_is_told_by_its_kernel() {
        let here = Machine::here().expect("a Linux machine");
        assert!(here.cores >= std::thread::available_parallelism().map_or(1, usize::from), "{here:?}");
        assert!(here.memory_mib > 100 && !here.kernel.is_empty() && !here.cpu.is_empty(), "{here:?}");
    }

    #[test]
    fn a_command_is_shown_without_the_places_of_one_machine() {
        let called =
            ["/some/where/headwater-bench", "door", "--results", "/tmp/x", "--cpu", "1", "--results=/tmp/y", "--control"];
        assert_eq!(shown(called.into_iter().map(str::to_owned)), "headwater-bench door --cpu 1 --control");
    }
}
