//! `headwater import`: files people already have, into the raw topics like any other source. Read as a stream: a file of gigabytes needs no more
//! memory than a small one.

mod apple;
mod batches;
mod json;
mod takeout;

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use headwater_schemas::raw::Lane;
use headwater_sources::source::digest;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::App;
use batches::{Batches, Summary};

#[derive(Debug, Subcommand)]
pub enum Import {
    /// The export of Apple's Health app: export.zip, or the export.xml in it
    AppleHealth(Source),
    /// A Google Takeout with Fit in it: takeout.zip
    GoogleTakeout(Source),
    /// An export of Fitbit data, by itself or in a Takeout: the zip
    FitbitExport(Source),
}

#[derive(Debug, Args)]
pub struct Source {
    file: PathBuf,
    /// Whose data they are
    #[arg(long)]
    subject: String,
    /// IANA zone the person lived in, for times without an offset
    #[arg(long)]
    zone: Option<String>,
}

/// Where rows come from, and where they go.
pub(super) struct Reading<'a> {
    pub batches: Batches<'a>,
    pub bar: ProgressBar,
}

impl Import {
    fn provider(&self) -> (&'static str, &Source) {
        match self {
            Self::AppleHealth(file) => ("apple_health", file),
            Self::GoogleTakeout(file) => ("google_fit", file),
            Self::FitbitExport(file) => ("fitbit", file),
        }
    }

    /// # Errors
    /// When the file cannot be read, or store or Kafka do not answer.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let (provider, given) = self.provider();
        if let Some(zone) = &given.zone {
            jiff::tz::TimeZone::get(zone).context("--zone: expected an IANA zone such as Europe/Paris")?;
        }
        let mut file = File::open(&given.file).with_context(|| format!("cannot open {}", given.file.display()))?;
        let mark = fingerprint(&mut file)?;
        let store = app.store().await?;
        let producer = app.producer("import")?;
        let ingest = app.ingest(store, Arc::new(producer))?;
        let connection = ingest.accounts().import(provider, &given.subject, given.zone.clone()).await?;
        let uploads = ingest.uploads();
        let bar = bar();
        let batches = Batches::new(&uploads, &connection, mark, Lane::History);
        let mut reading = Reading { batches, bar };
        let started = std::time::Instant::now();
        let read = tokio::task::block_in_place(|| match &self {
            Self::AppleHealth(_) => apple::read(file, &given.file, &mut reading),
            Self::GoogleTakeout(_) => takeout::fit(file, &mut reading),
            Self::FitbitExport(_) => takeout::fitbit(file, &mut reading),
        });
        reading.bar.finish_and_clear();
        let summary = read.and_then(|()| tokio::task::block_in_place(|| reading.batches.finish()))?;
        print(&given.file, &summary, started.elapsed().as_secs_f64());
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

/// The bytes as they are read move the bar.
pub(super) struct Watched<R> {
    pub inner: R,
    pub bar: ProgressBar,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.bar.inc(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}
