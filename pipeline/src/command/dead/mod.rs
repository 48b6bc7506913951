//! `headwater dead list|show|replay|drop`: what workers could not accept, in groups that fail in the same way.

mod settle;
mod show;

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::app::App;
use crate::dead::letter::Letter;
use crate::dead::read;
use crate::dead::select::{Filter, groups};

#[derive(Debug, Subcommand)]
pub enum Dead {
    /// What is not settled: one group for each worker, provider, path and code
    List {
        #[command(flatten)]
        which: Which,
        /// One line for each letter instead of groups
        #[arg(long)]
        each: bool,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    Show(show::Show),
    Replay(settle::Replay),
    Drop(settle::Drop),
}

/// Which letters.
#[derive(Debug, Args)]
pub struct Which {
    /// Of this group, as `list` prints it
    fingerprint: Option<String>,
    #[command(flatten)]
    filter: Filter,
}

impl Dead {
    /// # Errors
    /// When the cluster does not answer or there is no such letter.
    pub async fn run(self, app: &Arc<App>) -> anyhow::Result<()> {
        match self {
            Self::List { which, each, json } => {
                let letters = which.open(app)?;
                if each { letters.iter().try_for_each(|letter| one(letter, json)) } else { list(&letters, json) }
            }
            Self::Show(command) => tokio::task::block_in_place(|| command.run(app)),
            Self::Replay(command) => command.run(app).await,
            Self::Drop(command) => command.run(app).await,
        }
    }
}

impl Which {
    /// The letters that are meant and not settled.
    fn open(&self, app: &App) -> anyhow::Result<Vec<Letter>> {
        let fits =
            |letter: &Letter| self.fingerprint.as_deref().is_none_or(|f| letter.fingerprint == f) && self.filter.takes(letter);
        let mut letters = found(app, self.filter.worker.as_deref())?;
        letters.retain(|letter| letter.settled.is_none() && fits(letter));
        Ok(letters)
    }

    fn narrows(&self) -> bool {
        self.fingerprint.is_some() || self.filter.narrows()
    }
}

/// All letters of a worker, or of all, settled ones included.
fn found(app: &App, worker: Option<&str>) -> anyhow::Result<Vec<Letter>> {
    let names = match worker {
        None => super::workers(),
        Some(worker) => vec![name(worker)?],
    };
    let mut letters = Vec::new();
    for name in names {
        letters.extend(tokio::task::block_in_place(|| read::letters(app, name))?);
    }
    Ok(letters)
}

fn name(worker: &str) -> anyhow::Result<&'static str> {
    let workers = super::workers();
    workers
        .iter()
        .copied()
        .find(|name| *name == worker)
        .with_context(|| format!("no worker {worker:?}, expected one of {}", workers.join(", ")))
}

fn one(letter: &Letter, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(letter)?);
        return Ok(());
    }
    let Letter { worker, position, fingerprint, at, origin, code, detail, .. } = letter;
    let place = letter.path.as_deref().or(letter.place.as_deref()).map(|p| format!(" at {p}")).unwrap_or_default();
    println!("{fingerprint}  {worker} {position}  {at:.0}  from {origin}  {code}{place}: {detail}");
    Ok(())
}

fn list(letters: &[Letter], json: bool) -> anyhow::Result<()> {
    for group in groups(letters) {
        if json {
            println!("{}", serde_json::to_string(&group)?);
            continue;
        }
        let place = group.path.as_deref().map(|p| format!(" at {p}")).unwrap_or_default();
        let whose = group.provider.as_deref().map(|p| format!(" {p}")).unwrap_or_default();
        println!("{}  {:>6}  {}{whose}  {}{place}", group.fingerprint, group.count, group.worker, group.code);
        println!("          from {:.0} to {:.0}", group.first, group.last);
        println!("          such as {} from {}: {}", group.sample.position, group.sample.origin, group.sample.detail);
    }
    Ok(())
}
