//! The trait of a sink.

use std::time::Duration;

use futures::future::BoxFuture;
use headwater_schemas::consent::Consent;
use headwater_schemas::{Position, Reject, Topic};
use jiff::Timestamp;

/// One record to write.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub topic: &'static Topic,
    pub position: Position<'a>,
    pub key: &'a [u8],
    /// The value as it stands on the topic: Confluent frame and Avro body of whatever writer.
    pub framed: &'a [u8],
    /// The Avro body in our own schema's layout.
    pub body: &'a [u8],
}

/// What became of one record, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Written,
    /// This record can never be written here. It becomes a dead letter.
    Rejected(Reject),
}

/// The system does not answer: the whole batch again, as often as it takes. Never a record's fault.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why}")]
pub struct Unavailable {
    pub why: String,
    pub retry_after: Option<Duration>,
}

/// Refuses to go on until `settle` has passed since an erasure: by then whoever was writing of the person has heard of it, and what is swept
/// stays away.
pub(crate) fn settled(consent: &Consent<'_>, settle: Duration) -> Result<(), Unavailable> {
    let now = Timestamp::now().as_microsecond();
    let due = consent.at.saturating_add(i64::try_from(settle.as_micros()).unwrap_or(i64::MAX));
    if now >= due {
        return Ok(());
    }
    let rest = Duration::from_micros(u64::try_from(due - now).unwrap_or(0));
    Err(Unavailable { why: "an erasure settles".into(), retry_after: Some(rest + Duration::from_millis(10)) })
}

/// An idempotent batch writer.
pub trait Sink: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// The topics it takes.
    fn inputs(&self) -> &'static [&'static Topic];
    /// One verdict per record, in order. A batch written in part is [`Unavailable`]: the repeat writes the same rows.
    fn write<'a>(&'a self, batch: &'a [Incoming<'a>]) -> BoxFuture<'a, Result<Vec<Verdict>, Unavailable>>;
}
