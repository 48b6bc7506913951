//! Batches that phones, partners and files bring. A batch has a name: brought again it is the same, and is not appended twice.
//!
//! | dies                                     | on restart                                                              |
//! | ---------------------------------------- | ----------------------------------------------------------------------- |
//! | before the raw record is acknowledged    | whoever brought it got no answer and brings it again                    |
//! | after, before the batch is noted         | brought again, it is appended again: same observations, same ids        |
//! | after that                               | brought again, it is told to be known                                   |

mod body;
pub(crate) mod route;

use std::sync::Arc;

use headwater_schemas::Outbox;
use headwater_schemas::raw::{Lane, Origin};
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::Reject;
use headwater_sources::source::digest;
use headwater_store::{Connection, ConnectionState};

use crate::Unavailable;
use crate::push::{self, Pushed};
use crate::shared::Shared;

/// What stands in place of a stream where batches are noted.
pub(crate) const BATCHES: &str = "batches";
/// Rows of a batch that are told to be refused; the rest is counted.
const TOLD: usize = 20;

/// A batch as it is brought.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    pub stream: &'a str,
    /// Named by whoever brings it, unique within the stream of the connection.
    pub id: &'a str,
    /// Unpacked.
    pub body: &'a [u8],
    pub lane: Lane,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    New(Said),
    /// The same batch with the same content was taken before.
    Repeated,
}

/// What a batch says. Rows that were refused are in raw, as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub readings: usize,
    pub refused: usize,
    /// The first of them.
    pub problems: Vec<String>,
    /// Words this build does not know.
    pub unknown: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("provider {0} is not configured, or takes no uploads")]
    NotOffered(String),
    #[error("stream: expected one of {0}")]
    Stream(String),
    #[error("batch: expected 1 to 128 letters, digits, - . _")]
    Name,
    #[error("another content was brought under the name of this batch")]
    Conflict,
    #[error("{0}")]
    NotUnderstood(Reject),
    #[error("expected at most {0} bytes, unpacked")]
    TooLarge(usize),
    #[error("nobody who agreed to it is behind this connection")]
    NoConsent,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<headwater_store::Unavailable> for UploadError {
    fn from(error: headwater_store::Unavailable) -> Self {
        Self::Unavailable(error.into())
    }
}

pub struct Uploads {
    pub(crate) shared: Arc<Shared>,
}

impl Uploads {
    /// Takes one batch: judged, appended, acknowledged, noted.
    ///
    /// # Errors
    /// [`UploadError`]; of a batch that is refused nothing is appended.
    pub async fn take(&self, connection: &Connection, batch: Batch<'_>) -> Result<Taken, UploadError> {
        let not_offered = || UploadError::NotOffered(connection.provider.clone());
        let cloud = self.shared.cloud(&connection.provider).ok_or_else(not_offered)?;
        let upload = cloud.profile().upload.as_ref().ok_or_else(not_offered)?;
        let stream = cloud.profile().stream(batch.stream).ok_or_else(|| {
            let known: Vec<&str> = cloud.profile().streams.iter().map(|s| s.id).collect();
            UploadError::Stream(known.join(", "))
        })?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !(1..=128).contains(&batch.id.len()) || !batch.id.bytes().all(plain) {
            return Err(UploadError::Name);
        }
        if batch.body.len() > upload.body_limit {
            return Err(UploadError::TooLarge(upload.body_limit));
        }
        if connection.state != ConnectionState::Active {
            return Err(UploadError::NoConsent);
        }
        let (place, content) = (place(batch), digest([batch.body]));
        match self.shared.store.digest(connection.id, BATCHES, place).await? {
            Some(known) if known == content => return Ok(Taken::Repeated),
            Some(_) => return Err(UploadError::Conflict),
            None => {}
        }
        let pushed = Pushed {
            stream: stream.id,
            body: batch.body,
            content_type: "application/json",
            origin: Origin::Upload,
            lane: batch.lane,
            now: self.shared.clock.now(),
        };
        // Whoever brings it is still there to mend it; later nobody would be.
        let said = {
            let (subject, mut said) = (connection.subjects.first().map_or("", String::as_str), Normalized::default());
            let raw = push::envelope(&cloud, connection, subject, pushed);
            cloud.source.normalize(&raw, &mut said).map_err(UploadError::NotUnderstood)?;
            Said::of(&said)
        };
        let mut out = Outbox::default();
        if push::put(&self.shared, &cloud, connection, pushed, &mut out).await? == 0 {
            return Err(UploadError::NoConsent);
        }
        self.shared.outlet.append(&out).await.map_err(Unavailable::from)?;
        self.shared.store.put_digest(connection.id, BATCHES, place, content).await?;
        Ok(Taken::New(said))
    }
}

impl Said {
    fn of(said: &Normalized<'_>) -> Self {
        let mut unknown: Vec<String> = said.unknown.iter().map(|word| word.clone().into_owned()).collect();
        unknown.sort();
        unknown.dedup();
        unknown.truncate(TOLD);
        Self {
            readings: said.readings.len() + said.doses.len(),
            refused: said.problems.len(),
            problems: said.problems.iter().take(TOLD).map(ToString::to_string).collect(),
            unknown,
        }
    }
}

/// Where a batch is noted: a number, because windows are noted by one.
fn place(batch: Batch<'_>) -> i64 {
    let digest = digest([batch.stream.as_bytes(), batch.id.as_bytes()]);
    i64::from_le_bytes(digest[..8].try_into().expect("a digest has 16 bytes"))
}
