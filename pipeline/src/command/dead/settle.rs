//! `headwater dead replay|drop`: letters are done again, or settled without.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use headwater_ingest::Outlet;
use headwater_schemas::Outbox;
use headwater_schemas::audit::{Audit, AuditOutcome};
use headwater_schemas::topics::{self, Subject as _};
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

use super::Which;
use crate::app::App;
use crate::dead::letter::Letter;
use crate::dead::replay::{self, Summary};
use crate::dead::select::groups;
use crate::log::kafka::Producer;
use crate::role;
use crate::supervise::Supervisor;

/// How long store and Kafka may take to answer at the start.
const PATIENCE: Duration = Duration::from_secs(60);
const ACTOR: &str = "command-line";
const MARKERS: usize = 1000;

/// Do letters again by the worker that refused them, in their order. What fails again is buried anew, with its new reason
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    which: Which,
    /// All that are not settled
    #[arg(long)]
    all: bool,
    /// Only show which would be done
    #[arg(long)]
    dry_run: bool,
}

impl Replay {
    /// # Errors
    /// When something does not answer after a few tries; what was done until then is settled.
    pub async fn run(&self, app: &Arc<App>) -> anyhow::Result<()> {
        let letters = meant(app, &self.which, self.all)?;
        if self.dry_run {
            super::list(&letters, false)?;
            println!("{} letters would be done again", letters.len());
            return Ok(());
        }
        let bar = bar(letters.len());
        for of_worker in letters.chunk_by(|a, b| a.worker == b.worker) {
            let done = replayed(app, of_worker, &bar).await?;
            let Summary { done, again, left } = done;
            println!("{}: {done} letters done again, {again} of them refused again and buried anew", of_worker[0].worker);
            if left > 0 {
                println!("{}: {left} letters left, their topic is none that this worker takes here", of_worker[0].worker);
            }
        }
        bar.finish_and_clear();
        if letters.is_empty() {
            println!("no letter fits that is not settled");
        }
        Ok(())
    }
}

async fn replayed(app: &Arc<App>, letters: &[Letter], bar: &ProgressBar) -> anyhow::Result<Summary> {
    let (worker, mut tasks, log) = (letters[0].worker, Supervisor::default(), app.producer("dead")?);
    let built = tokio::time::timeout(PATIENCE, role::work(app, worker, &mut tasks)).await;
    let (topics, work) = built.with_context(|| format!("store or kafka do not answer {worker} within {PATIENCE:?}"))??;
    bar.set_message(worker);
    let replay = replay::Replay { app, worker, topics: &topics, work: &*work, log: &log };
    replay.run(letters, |settled| bar.inc(settled as u64)).await
}

/// Settle letters without doing them: they are given up. Recorded on the audit topic
#[derive(Debug, Args)]
pub struct Drop {
    #[command(flatten)]
    which: Which,
    /// All that are not settled
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Drop {
    /// # Errors
    /// When it is not confirmed, or Kafka does not answer.
    pub async fn run(&self, app: &Arc<App>) -> anyhow::Result<()> {
        let letters = meant(app, &self.which, self.all)?;
        if letters.is_empty() {
            println!("no letter fits that is not settled");
            return Ok(());
        }
        if !self.yes {
            super::list(&letters, false)?;
            confirmed(letters.len())?;
        }
        let log = app.producer("dead")?;
        // Recorded first: an act that is not on record is not done.
        audit(app, &log, &letters).await?;
        for some in letters.chunks(MARKERS) {
            let mut out = Outbox::default();
            some.iter().for_each(|letter| letter.settle("dropped", &mut out));
            Outlet::append(&log, &out).await.context("stopped; the rest is not dropped, run it again")?;
        }
        println!("{} letters dropped", letters.len());
        Ok(())
    }
}

fn meant(app: &App, which: &Which, all: bool) -> anyhow::Result<Vec<Letter>> {
    anyhow::ensure!(all != which.narrows(), "expected a FINGERPRINT or a filter, or --all");
    which.open(app)
}

fn confirmed(letters: usize) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    anyhow::ensure!(stdin.is_terminal(), "{letters} letters would be given up: expected --yes where nobody can be asked");
    eprint!("these {letters} letters are given up for good; type their number to go on: ");
    std::io::stderr().flush()?;
    let mut typed = String::new();
    stdin.lock().read_line(&mut typed)?;
    anyhow::ensure!(typed.trim() == letters.to_string(), "not confirmed, nothing is dropped");
    Ok(())
}

async fn audit(app: &App, log: &Producer, letters: &[Letter]) -> anyhow::Result<()> {
    let mut out = Outbox::default();
    for group in groups(letters) {
        let detail = format!(
            "{} letters of {}{}: {}{}, fingerprint {}",
            group.count,
            group.worker,
            group.provider.map(|provider| format!(", {provider}")).unwrap_or_default(),
            group.code,
            group.path.map(|path| format!(" at {path}")).unwrap_or_default(),
            group.fingerprint,
        );
        let record = Audit {
            audit_id: Uuid::now_v7(),
            at: app.now(),
            actor: ACTOR,
            action: "drop_dead_letters",
            outcome: AuditOutcome::Success,
            subject_id: None,
            connection_id: None,
            detail: Some(&detail),
        };
        out.put(&topics::AUDIT, None, b"-", |bytes| record.encode(bytes));
    }
    Outlet::append(log, &out).await.context("the audit topic does not take the record, nothing is dropped")
}

fn bar(letters: usize) -> ProgressBar {
    let style = "{wide_bar} {percent:>3} %  {pos}/{len} letters  {per_sec}  {eta} left  {msg}";
    let bar = ProgressBar::new(letters as u64);
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
