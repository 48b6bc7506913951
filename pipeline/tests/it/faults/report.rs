//! The table: one line per fault, over all its runs.

use std::fmt::Write as _;

/// What the checker counted in one run.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Outcome {
    pub fault: &'static str,
    pub seed: u64,
    pub records: u64,
    pub lost: u64,
    /// The loop's own repetitions on the observation topic.
    pub duplicates_upstream: u64,
    pub duplicates_in_store: u64,
    pub stale: u64,
    /// Values that nobody brought.
    pub wrong: u64,
    pub reordered: u64,
    /// Offsets committed before what follows was written.
    pub ahead: u64,
    /// Roles that ended by themselves and were started again.
    pub ended: u64,
    /// From when everything was whole again and accepted until all of it stood in the store.
    pub recovery: f64,
}

impl Outcome {
    /// What must never be.
    pub fn bad(&self) -> u64 {
        self.lost + self.duplicates_in_store + self.stale + self.wrong + self.reordered + self.ahead
    }

    pub fn line(&self) -> String {
        format!(
            "{}: seed {}, {} records, lost {}, duplicates upstream {}, in store {}, stale {}, wrong {}, reordered {}, offset ahead {}, ended by themselves {}, {:.1} s",
            self.fault,
            self.seed,
            self.records,
            self.lost,
            self.duplicates_upstream,
            self.duplicates_in_store,
            self.stale,
            self.wrong,
            self.reordered,
            self.ahead,
            self.ended,
            self.recovery
        )
    }
}

/// Markdown, in the order in which the faults first ran.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| fault | runs | records | lost | duplicates upstream | duplicates in store | stale | wrong | reordered | offset ahead | roles that ended | recovery s (median, worst) |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut names: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !names.contains(&outcome.fault) {
            names.push(outcome.fault);
        }
    }
    for name in names {
        let runs: Vec<&Outcome> = outcomes.iter().filter(|o| o.fault == name).collect();
        line(&mut text, name, &runs);
    }
    line(&mut text, "all", &outcomes.iter().collect::<Vec<_>>());
    text
}

fn line(text: &mut String, name: &str, runs: &[&Outcome]) {
    let sum = |of: fn(&Outcome) -> u64| runs.iter().map(|o| of(o)).sum::<u64>();
    let mut times: Vec<f64> = runs.iter().map(|o| o.recovery).collect();
    times.sort_by(f64::total_cmp);
    let _ = writeln!(
        text,
        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1}, {:.1} |",
        runs.len(),
        sum(|o| o.records),
        sum(|o| o.lost),
        sum(|o| o.duplicates_upstream),
        sum(|o| o.duplicates_in_store),
        sum(|o| o.stale),
        sum(|o| o.wrong),
        sum(|o| o.reordered),
        sum(|o| o.ahead),
        sum(|o| o.ended),
        times.get(times.len() / 2).copied().unwrap_or_default(),
        times.last().copied().unwrap_or_default(),
    );
}
