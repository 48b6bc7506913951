//! `headwater streams`: every provider and stream with what it becomes.

use clap::Args;
use headwater_sources::profile::{Profile, Status, Stream};
use serde::Serialize;

/// List every provider and stream with what it becomes.
#[derive(Debug, Args)]
pub struct Streams {
    /// Print a JSON array instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    provider: &'static str,
    stream: &'static str,
    /// Slugs of data types, and `device` where devices come out of it.
    becomes: Vec<&'static str>,
    /// `poll`, `push` where the provider brings it, `upload`, or `stored` for payloads that are no longer asked for.
    delivery: &'static str,
    /// `live` or `legacy`.
    status: &'static str,
    description: &'static str,
}

fn delivery(profile: &Profile, stream: &Stream) -> &'static str {
    match stream.poll {
        Some(poll) if poll.trailing_hours == 0 => "push",
        Some(_) => "poll",
        None if profile.live() && profile.upload.is_some() => "upload",
        None => "stored",
    }
}

/// A line holds the first of them; `--json` has all.
fn shown(becomes: &[&str]) -> String {
    const SHOWN: usize = 6;
    match becomes.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{}, and {more} more", becomes[..SHOWN].join(", ")),
        _ => becomes.join(", "),
    }
}

impl Streams {
    /// # Errors
    /// When stdout is closed.
    pub fn run(&self) -> anyhow::Result<()> {
        let rows: Vec<Row> = headwater_sources::ALL
            .iter()
            .flat_map(|source| {
                let profile = source.profile();
                profile.streams.iter().map(|stream| Row {
                    provider: profile.id,
                    stream: stream.id,
                    becomes: stream.becomes.iter().map(|m| m.slug).chain(stream.devices.then_some("device")).collect(),
                    delivery: delivery(profile, stream),
                    status: if profile.status == Status::Live { "live" } else { "legacy" },
                    description: stream.doc,
                })
            })
            .collect();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&rows)?);
            return Ok(());
        }
        let width = |name: fn(&Row) -> &'static str| rows.iter().map(|r| name(r).len()).max().unwrap_or(0);
        let (providers, streams) = (width(|r| r.provider), width(|r| r.stream));
        for row in &rows {
            println!("{:providers$}  {:streams$}  {:6}  {}", row.provider, row.stream, row.delivery, shown(&row.becomes));
        }
        let mut providers: Vec<&str> = rows.iter().map(|row| row.provider).collect();
        providers.dedup();
        println!("\n{} providers, {} streams", providers.len(), rows.len());
        Ok(())
    }
}
