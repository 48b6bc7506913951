//! `headwater import`: files people already have, into the raw topics like any other source. Read as a stream: a file of gigabytes needs no more
//! memory than a small one.

mod batches;

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use clap::builder::PossibleValue;
use headwater_schemas::raw::Lane;
use headwater_sources::Source;
use headwater_sources::files::Watch;
use headwater_sources::source::digest;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::App;
use batches::{Batches, Summary};

/// Bring in files that people already have.
#[derive(Debug, Args)]
pub struct Import {
    /// What the file is
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(kinds().map(|(_, files)| PossibleValue::new(files.name).help(files.doc))))]
    kind: String,
    file: PathBuf,
    /// Whose data they are
    #[arg(long)]
    subject: String,
    /// IANA zone the person lived in, for times without an offset
    #[arg(long)]
    zone: Option<String>,
}

/// The files that are understood, by the sources they are of.
fn kinds() -> impl Iterator<Item = (&'static dyn Source, &'static headwater_sources::files::Files)> {
    headwater_sources::ALL.iter().filter_map(|source| Some((*source, source.files()?)))
}

impl Import {
    /// # Errors
    /// When the file cannot be read, or store or Kafka do not answer.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let (source, files) = kinds().find(|(_, files)| files.name == self.kind).context("clap checked the kind")?;
        if let Some(zone) = &self.zone {
            jiff::tz::TimeZone::get(zone).context("--zone: expected an IANA zone such as Europe/Paris")?;
        }
        let mut file = File::open(&self.file).with_context(|| format!("cannot open {}", self.file.display()))?;
        let mark = fingerprint(&mut file)?;
        let store = app.store().await?;
        let producer = app.producer("import")?;
        let ingest = app.ingest(store, Arc::new(producer))?;
        let connection = ingest.accounts().import(source.profile().id, &self.subject, self.zone.clone()).await?;
        let uploads = ingest.uploads();
        let bar = bar();
        let watch = Watch {
            total: &|bytes| bar.set_length(bytes),
            read: &|bytes| bar.inc(bytes),
            part: &|name| bar.set_message(name.to_owned()),
        };
        let mut batches = Batches::new(&uploads, &connection, mark, Lane::History);
        let started = std::time::Instant::now();
        let read = tokio::task::block_in_place(|| (files.read)(&mut file, &watch, &mut batches));
        bar.finish_and_clear();
        read.map_err(|wrong| anyhow::anyhow!("{}: {wrong}", self.file.display()))?;
        let summary = tokio::task::block_in_place(|| batches.finish())?;
        print(&self.file, &summary, started.elapsed().as_secs_f64());
        Ok(())
    }
}

/// What makes a file the same file: length, beginning and end. Batches are named by it, so that a second run knows what the first one did.
fn fingerprint(file: &mut File) -> anyhow::Result<String> {
    const PIECE: u64 = 64 * 1024;
    let length = file.metadata()?.len();
    let mut piece = |from: u64| -> anyhow::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(PIECE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let (first, last) = (piece(0)?, piece(length.saturating_sub(PIECE))?);
    file.seek(SeekFrom::Start(0))?;
    Ok(digest([length.to_le_bytes().as_slice(), &first, &last]).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bar() -> ProgressBar {
    let style = "{wide_bar} {percent:>3} %  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn print(file: &Path, summary: &Summary, seconds: f64) {
    println!(
        "{}: {} records in {} batches, {} batches known from before, {} readings, {} rows refused, {seconds:.1} s",
        file.display(),
        summary.rows,
        summary.taken,
        summary.repeated,
        summary.readings,
        summary.refused,
    );
    for problem in &summary.problems {
        println!("  refused: {problem}");
    }
    let mut unknown: Vec<_> = summary.unknown.iter().collect();
    unknown.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (what, count) in unknown {
        println!("  left or not understood, {count} times: {what}");
    }
}
