//! `headwater streams`: every provider and stream with what it becomes.

use clap::Args;
use headwater_sources::profile::Status;
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
    /// `poll`, or `stored` for payloads that are no longer asked for.
    delivery: &'static str,
    /// `live` or `legacy`.
    status: &'static str,
    description: &'static str,
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
                    delivery: if stream.poll.is_some() { "poll" } else { "stored" },
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
            println!("{:providers$}  {:streams$}  {:6}  {}", row.provider, row.stream, row.status, row.becomes.join(", "));
        }
        Ok(())
    }
}
