//! `headwater normalize`: what a payload comes to, without any server. For people who debug one.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use headwater_processors::normalize;
use headwater_schemas::device::Device;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::{Origin, Raw};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Position, ids};

/// A file tells nothing of when it was fetched; taken as long ago finished, so that every day in it counts as over (the year 2096).
const AFTERWARDS: i64 = 4_000_000_000_000_000;

/// Map provider payloads to FHIR R4 resources, one per line on stdout.
///
/// FILE is the exact body as the provider sent it; `-` reads standard input. Problems go to stderr with file and JSON path. The same file
/// always gives the same bytes. Exit code 1 if anything was refused.
#[derive(Debug, Args)]
pub struct Normalize {
    /// Provider id, see `headwater streams`
    #[arg(long)]
    provider: String,
    /// Stream of the provider, see `headwater streams`
    #[arg(long)]
    stream: String,
    /// IANA zone of the person's profile, for payloads with local times only
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Pseudonymous id of the person, becomes Patient/<ID>
    #[arg(long, value_name = "ID", default_value = "subject")]
    subject: String,
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Normalize {
    /// True if nothing was refused.
    ///
    /// # Errors
    /// When an argument is wrong, or a file cannot be read.
    pub fn run(self) -> anyhow::Result<bool> {
        let known = |ids: Vec<&str>| ids.join(", ");
        let source = headwater_sources::by_id(&self.provider).with_context(|| {
            let all = headwater_sources::ALL.iter().map(|s| s.profile().id).collect();
            format!("unknown provider {:?}: expected one of {}", self.provider, known(all))
        })?;
        source.profile().stream(&self.stream).with_context(|| {
            let all = source.profile().streams.iter().map(|s| s.id).collect();
            format!("unknown stream {:?} of {}: expected one of {}", self.stream, self.provider, known(all))
        })?;
        if let Some(zone) = &self.time_zone {
            headwater_sources::time::zone(zone).map_err(|e| anyhow::anyhow!("--time-zone {zone:?}: {}", e.detail))?;
        }
        anyhow::ensure!(ids::is_fhir(&self.subject), "--subject {:?}: expected 1 to 64 letters, digits, - and .", self.subject);
        let mut clean = true;
        let mut stdout = std::io::stdout().lock();
        for file in &self.files {
            let body = read(file)?;
            clean &= self.one(file, &body, &mut stdout)?;
        }
        Ok(clean)
    }

    fn one(&self, file: &Path, body: &[u8], stdout: &mut impl std::io::Write) -> anyhow::Result<bool> {
        let whose = (ids::connection(&self.provider, &self.subject), &*self.subject);
        let raw = Raw {
            origin: Origin::Upload,
            time_zone: self.time_zone.as_deref(),
            ..Raw::of(&self.provider, &self.stream, whose, AFTERWARDS, body)
        };
        let mut out = Outbox::default();
        let problems = match normalize::normalize(&raw, Position::NONE, &mut out) {
            Ok(report) => report.problems,
            Err(reject) => vec![reject],
        };
        for problem in &problems {
            eprintln!("{}: {problem}", file.display());
        }
        for record in out.records() {
            let fhir = if record.topic == &topics::MEDICATION {
                Medication::decode(out.body(record)).map(|m| m.fhir)
            } else if record.topic == &topics::DEVICE {
                Device::decode(out.body(record)).map(|d| d.fhir)
            } else {
                Observation::decode(out.body(record)).map(|o| o.fhir)
            };
            writeln!(stdout, "{}", fhir.map_err(|e| anyhow::anyhow!("a record of ours does not decode: {e}"))?)?;
        }
        stdout.flush()?;
        Ok(problems.is_empty())
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body).context("cannot read standard input")?;
        Ok(body)
    } else {
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
    }
}
