//! Rows become batches, each with a name that follows from the file and its place in it.

use std::collections::{BTreeMap, HashMap};

use headwater_ingest::Uploads;
use headwater_ingest::upload::{Batch, Taken, UploadError};
use headwater_schemas::raw::Lane;
use headwater_sources::files::{Rows, Wrong};
use headwater_store::Connection;
use tokio::runtime::Handle;

/// A batch is closed at so many rows or bytes.
const ROWS: usize = 2000;
const BYTES: usize = 512 * 1024;
/// Kept of what was refused.
const TOLD: usize = 10;

#[derive(Debug, Default)]
pub struct Summary {
    pub rows: u64,
    pub taken: u64,
    pub repeated: u64,
    pub readings: u64,
    pub refused: u64,
    pub problems: Vec<String>,
    /// How often it was met: once for each batch or element.
    pub unknown: BTreeMap<String, u64>,
}

/// One stream's rows so far.
struct Open {
    body: Vec<u8>,
    rows: usize,
    number: u64,
    /// What stands before and after the rows.
    frame: (String, &'static str),
}

pub struct Batches<'a> {
    uploads: &'a Uploads,
    connection: &'a Connection,
    mark: String,
    lane: Lane,
    open: HashMap<&'static str, Open>,
    summary: Summary,
}

impl<'a> Batches<'a> {
    pub fn new(uploads: &'a Uploads, connection: &'a Connection, mark: String, lane: Lane) -> Self {
        Self { uploads, connection, mark, lane, open: HashMap::new(), summary: Summary::default() }
    }

    fn close(&mut self, stream: &'static str) -> anyhow::Result<()> {
        let Some(open) = self.open.get_mut(stream).filter(|open| open.rows > 0) else { return Ok(()) };
        open.body.extend_from_slice(open.frame.1.as_bytes());
        let name = format!("{}.{stream}.{}", self.mark, open.number);
        let batch = Batch { stream, id: &name, body: &open.body, lane: self.lane };
        let taken = Handle::current().block_on(self.uploads.take(self.connection, batch));
        open.body.clear();
        (open.rows, open.number) = (0, open.number + 1);
        match taken {
            Ok(Taken::Repeated) => self.summary.repeated += 1,
            Ok(Taken::New(said)) => {
                self.summary.taken += 1;
                self.summary.readings += said.readings as u64;
                self.summary.refused += said.refused as u64;
                let room = TOLD.saturating_sub(self.summary.problems.len());
                self.summary.problems.extend(said.problems.into_iter().take(room));
                said.unknown.iter().for_each(|word| self.left(word));
            }
            Err(UploadError::Conflict) => {
                anyhow::bail!("batch {name} was imported with other content before: was the file changed in between?")
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Closes what is open.
    ///
    /// # Errors
    /// When a batch cannot be appended.
    pub fn finish(&mut self) -> anyhow::Result<Summary> {
        let mut streams: Vec<&'static str> = self.open.keys().copied().collect();
        streams.sort_unstable();
        for stream in streams {
            self.close(stream)?;
        }
        Ok(std::mem::take(&mut self.summary))
    }
}

impl Rows for Batches<'_> {
    fn row(&mut self, stream: &'static str, field: &str, row: &[u8]) -> Result<(), Wrong> {
        let open = self.open.entry(stream).or_insert_with(|| Open {
            body: Vec::with_capacity(BYTES + BYTES / 4),
            rows: 0,
            number: 0,
            frame: (format!("{{\"{field}\":["), "]}"),
        });
        if open.rows == 0 {
            open.body.extend_from_slice(open.frame.0.as_bytes());
        } else {
            open.body.push(b',');
        }
        open.body.extend_from_slice(row);
        open.rows += 1;
        self.summary.rows += 1;
        if open.rows >= ROWS || open.body.len() >= BYTES { Ok(self.close(stream)?) } else { Ok(()) }
    }

    fn left(&mut self, what: &str) {
        *self.summary.unknown.entry(what.to_owned()).or_default() += 1;
    }
}
