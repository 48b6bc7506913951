//! `headwater replay`: raw records through the mapping of this binary once more, beside live traffic. Into the topics they went to before, or into
//! a shadow that is compared with what stands there and then promoted or discarded.
//!
//! Start at [`Ask`] (what is asked), then [`kept`] (what is remembered of it), [`plan`] (which offsets that is) and [`drive`] (how they are gone
//! through). [`compare`] has the comparison, [`shadow`] where a candidate's records are kept.

mod bound;
pub mod compare;
mod drive;
mod kept;
mod plan;
mod progress;
pub mod shadow;
mod work;

use std::num::NonZeroU32;
use std::sync::Arc;

use clap::{Args, Subcommand};
use headwater_sources::source::digest;

use crate::app::App;
use crate::supervise;
pub use bound::Bound;
pub use drive::{Done, run};
use kept::Begun;
pub use work::LANE;

/// Normalize raw records anew, beside live traffic.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Replay {
    #[command(flatten)]
    range: Range,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Args)]
struct Range {
    /// Whose raw records; several times, or `all`
    #[arg(long = "provider", required = true, value_parser = clap::builder::PossibleValuesParser::new(providers().chain(["all"])))]
    providers: Vec<String>,
    /// Only this stream of the provider's
    #[arg(long)]
    stream: Option<String>,
    /// Where to begin: a time, `earliest`, or `offset:N` of every partition
    #[arg(long, default_value = "earliest", value_name = "TIME|earliest|offset:N")]
    from: Bound,
    /// Where to end, without it: a time, `now`, or `offset:N` of every partition
    #[arg(long, default_value = "now", value_name = "TIME|now|offset:N")]
    until: Bound,
    /// At most so many raw records a second
    #[arg(long, value_name = "RECORDS_PER_SECOND")]
    rate: Option<NonZeroU32>,
    /// What this replay is remembered under; made from the other arguments where absent
    #[arg(long)]
    name: Option<String>,
    /// Begin anew what was begun or finished under this name
    #[arg(long)]
    restart: bool,
    /// Only say what would be read and what would come out of it
    #[arg(long, conflicts_with = "diff")]
    dry_run: bool,
    /// Write to a shadow topic and compare with what stands; exit code 2 where it differs
    #[arg(long)]
    diff: bool,
    /// Print the comparison as JSON
    #[arg(long, requires = "diff")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Put what differs in a comparison's shadow onto the real topics
    Promote { name: String },
    /// Delete a comparison's shadow, and forget how far a replay was
    Discard { name: String },
}

/// What is to be gone through, and how.
#[derive(Debug, Clone)]
pub struct Ask {
    pub providers: Vec<&'static str>,
    pub stream: Option<String>,
    pub from: Bound,
    pub until: Bound,
    pub rate: Option<NonZeroU32>,
    /// `None`: made from the arguments.
    pub name: Option<String>,
    pub restart: bool,
    pub mode: Mode,
}

/// Where what comes out goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Onto the topics it is for.
    Append,
    /// Nowhere: it is counted.
    Count,
    /// Onto a shadow topic.
    Shadow,
}

impl Ask {
    /// All of these providers' records, from the earliest to the present end.
    pub fn of(providers: &[&'static str], mode: Mode) -> Self {
        let (providers, from, until) = (providers.to_vec(), Bound::Earliest, Bound::Now);
        Self { providers, stream: None, from, until, rate: None, name: None, restart: false, mode }
    }

    /// What its offsets are remembered under.
    ///
    /// # Errors
    /// When the name does not fit into that of a topic.
    pub fn name(&self) -> anyhow::Result<String> {
        let name = self.name.clone().unwrap_or_else(|| self.mark()[..10].to_owned());
        check(&name)?;
        Ok(name)
    }

    /// Same arguments, same mark.
    fn mark(&self) -> String {
        digest([Begun::of(self).to_string().as_bytes()]).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn check(name: &str) -> anyhow::Result<()> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    anyhow::ensure!(
        (1..=60).contains(&name.len()) && name.bytes().all(fits),
        "replay name: expected 1 to 60 lower-case letters, digits, - and _, not {name:?}"
    );
    Ok(())
}

/// The group that holds a replay's offsets.
fn group(app: &App, name: &str) -> String {
    format!("{}.replay.{name}", app.config.namespace)
}

fn providers() -> impl Iterator<Item = &'static str> {
    headwater_sources::ALL.iter().map(|source| source.profile().id)
}

impl Replay {
    /// False where a comparison differs.
    ///
    /// # Errors
    /// When Kafka, registry or store do not answer, or the arguments do not fit what was begun under the name.
    pub async fn run(self, app: Arc<App>) -> anyhow::Result<bool> {
        match self.verb {
            Some(Verb::Promote { name }) => {
                check(&name)?;
                let promoted = shadow::promote(&app, &name).await?;
                println!("{name}: {promoted} records promoted; `headwater replay discard {name}` deletes the shadow");
                return Ok(true);
            }
            Some(Verb::Discard { name }) => {
                check(&name)?;
                shadow::discard(&app, &name).await?;
                println!("{name}: discarded");
                return Ok(true);
            }
            None => {}
        }
        let json = self.range.json;
        let ask = self.range.ask();
        let done = run(&app, &ask, &headwater_processors::normalize::Normalize).await?;
        if !json {
            println!("{done}");
        }
        if ask.mode != Mode::Shadow {
            return Ok(true);
        }
        anyhow::ensure!(done.whole, "stopped before its end, so nothing is compared: run it again, it goes on where it was");
        let report = tokio::select! {
            report = compare::report(&app, &done) => report?,
            // Whoever listened for signals once keeps them from ending the process.
            signal = supervise::signal() => anyhow::bail!("stopped by {} while comparing: run it again", signal?),
        };
        if json {
            println!("{}", serde_json::to_string_pretty(&report)?)
        } else {
            println!("{report}")
        }
        Ok(report.same())
    }
}

impl Range {
    fn ask(self) -> Ask {
        let all = self.providers.iter().any(|name| name == "all");
        Ask {
            providers: providers().filter(|id| all || self.providers.iter().any(|name| name == id)).collect(),
            stream: self.stream,
            from: self.from,
            until: self.until,
            rate: self.rate,
            name: self.name,
            restart: self.restart,
            mode: match (self.dry_run, self.diff) {
                (true, _) => Mode::Count,
                (false, true) => Mode::Shadow,
                (false, false) => Mode::Append,
            },
        }
    }
}
