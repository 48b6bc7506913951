//! The page: a table for each job.

use super::{Job, Line, PICTURE, spread};
use crate::results::{Latency, Machine, Round, Spread};

pub fn of(jobs: &[Job<'_>], machine: &Machine) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         What stages cost beside their floor, and beside programs that do the same job with the tools of other ecosystems. `infra/bench` takes\n\
         all of it again and writes this page; [measurements.md](measurements.md) says how each job is measured, and what else is.\n\n\
         ![CPU-seconds of every program beside ours]({PICTURE})\n\n\
         Machine: {machine}.\n\n\
         CPU is user and system time of the program's own process. Figures are the median of all rounds, in brackets the least and the most; a\n\
         ratio is taken within a round. Ours once more (`again`) says how much two runs of one thing differ. All programs of a table made the same.\n"
    );
    for job in jobs {
        page += &section(job);
    }
    page
}

fn section(job: &Job<'_>) -> String {
    let (results, of) = (job.results, &job.results.of);
    let mut heads = vec![
        "program".to_owned(),
        format!("CPU s per million {of}"),
        "CPU beside ours".to_owned(),
        "wall time beside ours".to_owned(),
        format!("{of}/s"),
        "peak MiB".to_owned(),
    ];
    let waited = job.lines.iter().flat_map(|line| &line.entry.rounds).find_map(|round| round.latency);
    if let Some(Latency { per_second, .. }) = waited {
        heads.extend([format!("p50 ms at {per_second:.0}/s"), "p99 ms".to_owned(), "p99.9 ms".to_owned()]);
    }
    let mut text = format!(
        "\n## {}\n\n```sh\n{}\n```\n\n{}{}",
        results.job,
        results.command,
        row(&heads),
        row(&vec!["---".to_owned(); heads.len()])
    );
    for line in &job.lines {
        text += &row(&cells(line, waited.is_some()));
    }
    text
}

fn cells(line: &Line<'_>, waited: bool) -> Vec<String> {
    let rounds = || line.entry.rounds.iter();
    let name = &line.entry.name;
    let median =
        |of: fn(&Round) -> f64| Spread::of(rounds().map(of)).map_or_else(String::new, |all| format!("{:.0}", all.median));
    let most = |of: fn(&Round) -> f64| format!("{:.0}", rounds().map(of).fold(0.0, f64::max));
    let mut cells = vec![
        if line.ours { format!("**{name}**") } else { name.clone() },
        spread(line.cpu),
        line.ratio(line.cpu_beside),
        line.ratio(line.wall_beside),
        median(|round| round.records_per_second),
        most(|round| round.peak_mib),
    ];
    if waited {
        let quantile = |of: fn(Latency) -> f64| {
            Spread::of(rounds().filter_map(|round| round.latency).map(of)).map_or_else(String::new, spread)
        };
        cells.extend([quantile(|all| all.p50_ms), quantile(|all| all.p99_ms), quantile(|all| all.p999_ms)]);
    }
    cells
}

fn row(cells: &[String]) -> String {
    // A name with a bar in it would be two cells.
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}
