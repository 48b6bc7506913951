//! What is printed, in milliseconds.

use hdrhistogram::Histogram;

use super::Entrant;
use super::floor::LINGERS;
use super::plan::{at, times};
use crate::entrant::Kind;
use crate::process::Cost;

/// Of records of one subject, from when each was due.
pub struct Times {
    /// Until the broker had its first observation.
    pub appended: Histogram<u64>,
    /// Until all its rows could be read, of those that were followed.
    pub stored: Histogram<u64>,
    /// How much of that may be the reader's.
    pub unsure: Histogram<u64>,
}

impl Times {
    pub fn new() -> Self {
        Self { appended: times(), stored: times(), unsure: times() }
    }

    pub fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.appended.add(&other.appended)?;
        self.stored.add(&other.stored)?;
        self.unsure.add(&other.unsure)?;
        Ok(())
    }
}

pub struct Floors {
    /// In the order of [`LINGERS`].
    pub hops: [Histogram<u64>; 2],
    pub row: Histogram<u64>,
}

impl Floors {
    pub fn new() -> Self {
        Self { hops: [times(), times()], row: times() }
    }

    fn sum(&self, share: f64) -> f64 {
        self.hops.iter().chain([&self.row]).map(|times| at(times, share)).sum()
    }
}

/// One run of one entrant.
pub struct Ran {
    pub times: Times,
    /// How late the sender was.
    pub late: Histogram<u64>,
    /// Of both programs, per million raw records.
    pub cost: Cost,
}

pub fn heading() {
    println!(
        "{:>5} {:>20} {:>26} {:>26} {:>9} {:>15} {:>8} {:>13} {:>5}",
        "round",
        "subject",
        "appended p50, p99, p99.9",
        "rows p50, p99, p99.9",
        "followed",
        "reader p50, p99",
        "late p99",
        "cpu s/million",
        "MiB"
    );
}

impl Ran {
    pub fn tell(&self, round: u64, name: &str) {
        let Times { appended, stored, unsure } = &self.times;
        println!(
            "{round:>5} {name:>20} {:>26} {:>26} {:>9} {:>15} {:>8.2} {:>13.1} {:>5.0}",
            three(appended),
            three(stored),
            stored.len(),
            format!("{:.1}, {:.1}", at(unsure, 0.5), at(unsure, 0.99)),
            at(&self.late, 0.99),
            self.cost.cpu_seconds,
            self.cost.peak_mib
        );
    }
}

fn three(times: &Histogram<u64>) -> String {
    [0.5, 0.99, 0.999].map(|share| format!("{:8.1}", at(times, share))).concat()
}

/// All rounds together: the floors and their sum, everybody beside it, and ours beside the others.
pub fn summary<'a>(floors: &Floors, all: impl Iterator<Item = (&'a Entrant, &'a Times)> + Clone) {
    let floor = |name: &str, p50: f64, p99: f64| println!("{name:>44} {p50:>8.1} {p99:>8.1}");
    println!("{:>44} {:>8} {:>8}", "floor", "p50", "p99");
    for (linger, hop) in LINGERS.iter().zip(&floors.hops) {
        floor(&format!("through the broker, linger {} ms", linger.as_millis()), at(hop, 0.5), at(hop, 0.99));
    }
    floor("one prepared insert", at(&floors.row, 0.5), at(&floors.row, 0.99));
    let (p50, p99) = (floors.sum(0.5), floors.sum(0.99));
    floor("sum", p50, p99);
    println!(
        "{:>20} {:>26} {:>15} {:>12} {:>12}",
        "subject", "rows p50, p99, p99.9", "reader p50, p99", "p50 to floor", "p99 to floor"
    );
    for (entrant, Times { stored, unsure, .. }) in all.clone() {
        println!(
            "{:>20} {:>26} {:>15} {:>12.2} {:>12.2}",
            entrant.name,
            three(stored),
            format!("{:.1}, {:.1}", at(unsure, 0.5), at(unsure, 0.99)),
            at(stored, 0.5) / p50,
            at(stored, 0.99) / p99
        );
    }
    let Some((ours, times)) = all.clone().find(|(entrant, _)| entrant.kind == Kind::Ours) else { return };
    for (other, theirs) in all.filter(|(entrant, _)| entrant.name != ours.name) {
        for (what, of) in [("rows", (|t| &t.stored) as fn(&Times) -> &Histogram<u64>), ("appended", |t| &t.appended)] {
            println!("{}/{}, p99 of {what}: {:.2}", ours.name, other.name, at(of(times), 0.99) / at(of(theirs), 0.99));
        }
    }
}
