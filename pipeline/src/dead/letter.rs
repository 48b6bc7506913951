//! A dead letter: the record verbatim, and the reason in its headers. The one place that knows these headers.

use std::fmt;

use headwater_schemas::reject::code;
use headwater_schemas::{Outbox, Position, Reject, topics};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use serde::Serialize;
use uuid::Uuid;

use crate::log::Record;

/// Names of the headers.
pub mod header {
    /// `topic:partition:offset` of the record that was refused.
    pub const ORIGIN: &str = "headwater-origin";
    pub const WORKER: &str = "headwater-worker";
    pub const CODE: &str = "headwater-code";
    pub const DETAIL: &str = "headwater-detail";
    pub const PATH: &str = "headwater-path";
    pub const PLACE: &str = "headwater-place";
    pub const PROBLEMS: &str = "headwater-problems";
    /// Makes a record a marker instead of a letter: `replayed` or `dropped`.
    pub const SETTLED: &str = "headwater-settled";
    /// `partition:offset` of the letter that a marker settles.
    pub const LETTER: &str = "headwater-letter";
}

/// Codes of records that could not be decoded.
const UNREADABLE: &[&str] = &[code::BAD_MAGIC, code::UNKNOWN_SCHEMA, code::BAD_AVRO, code::UNRESOLVABLE_SCHEMA];

/// Puts the record, verbatim, to the dead letters of this worker.
pub fn bury(worker: &'static str, record: &Record<'_>, reject: &Reject, problems: usize, out: &mut Outbox) {
    let Position { topic, partition, offset } = record.position;
    let mut headers = vec![
        (header::ORIGIN, format!("{topic}:{partition}:{offset}")),
        (header::WORKER, worker.to_owned()),
        (header::CODE, reject.code.to_owned()),
        (header::DETAIL, reject.detail.clone()),
        (header::PROBLEMS, problems.to_string()),
    ];
    if let Some(path) = &reject.path {
        headers.push((header::PATH, path.clone()));
    }
    if let (Some(line), Some(column)) = (reject.line, reject.column) {
        headers.push((header::PLACE, format!("line {line}, column {column}")));
    }
    out.put_with(&topics::DEAD, Some(worker), record.key, headers, |bytes| {
        bytes.extend_from_slice(record.value.unwrap_or_default());
    });
}

/// One dead letter without its bytes. Nothing in it is a value of the payload.
#[derive(Debug, Clone, Serialize)]
pub struct Letter {
    pub worker: &'static str,
    pub position: At,
    pub fingerprint: String,
    /// When it was buried.
    pub at: jiff::Timestamp,
    pub provider: Option<String>,
    pub stream: Option<String>,
    pub origin: String,
    pub code: String,
    pub detail: String,
    pub path: Option<String>,
    pub place: Option<String>,
    pub problems: usize,
    pub bytes: usize,
    pub settled: Option<String>,
    #[serde(skip)]
    pub key: Vec<u8>,
}

/// Where a letter stands on its topic: `partition:offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct At(pub i32, pub i64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

impl From<At> for String {
    fn from(at: At) -> Self {
        at.to_string()
    }
}

impl std::str::FromStr for At {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parsed =
            text.split_once(':').and_then(|(partition, offset)| Some(Self(partition.parse().ok()?, offset.parse().ok()?)));
        parsed.ok_or_else(|| anyhow::anyhow!("expected PARTITION:OFFSET, not {text:?}"))
    }
}

/// What a record on a dead-letter topic is.
pub enum Read {
    Letter(Box<Letter>),
    /// Settles the letter at this place, in this way.
    Marker(At, String),
}

/// Reads a record of the dead letters of `worker`. Whose it is, `whose` finds by the origin's topic, and in the record where that could be read
/// when it was buried: a letter keeps its fingerprint when a lost schema is back.
pub fn read(
    worker: &'static str,
    message: &BorrowedMessage<'_>,
    whose: impl FnOnce(&str, Option<&[u8]>) -> (Option<String>, Option<String>),
) -> Read {
    let of = |name: &str| {
        let value = message.headers().and_then(|headers| headers.iter().find(|h| h.key == name)).and_then(|h| h.value);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    if let (Some(how), Some(Ok(at))) = (of(header::SETTLED), of(header::LETTER).map(|at| at.parse())) {
        return Read::Marker(at, how);
    }
    let origin = of(header::ORIGIN).unwrap_or_default();
    let code = of(header::CODE).unwrap_or_default();
    let readable = message.payload().filter(|_| !UNREADABLE.contains(&code.as_str()));
    let (provider, stream) = whose(origin.split(':').next().unwrap_or_default(), readable);
    let mut letter = Letter {
        worker,
        position: At(message.partition(), message.offset()),
        fingerprint: String::new(),
        at: message.timestamp().to_millis().and_then(|at| jiff::Timestamp::from_millisecond(at).ok()).unwrap_or_default(),
        provider,
        stream,
        origin,
        code,
        detail: of(header::DETAIL).unwrap_or_default(),
        path: of(header::PATH),
        place: of(header::PLACE),
        problems: of(header::PROBLEMS).and_then(|n| n.parse().ok()).unwrap_or(1),
        bytes: message.payload_len(),
        settled: None,
        key: message.key().unwrap_or_default().to_vec(),
    };
    letter.fingerprint = letter.fingerprint();
    Read::Letter(Box::new(letter))
}

impl Letter {
    /// Topic, partition and offset of the record that was refused; `None` where somebody else wrote the letter.
    pub fn origin(&self) -> Option<Position<'_>> {
        let mut parts = self.origin.rsplitn(3, ':');
        let (offset, partition) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Position { topic: parts.next()?, partition, offset })
    }

    /// The path without indexes.
    pub fn any_path(&self) -> Option<String> {
        self.path.as_deref().map(any_index)
    }

    /// The same for letters that fail in the same way: of one worker, provider, path and code.
    fn fingerprint(&self) -> String {
        let of =
            [self.worker, self.provider.as_deref().unwrap_or(""), &self.any_path().unwrap_or_default(), &self.code].join("\0");
        Uuid::new_v5(&Uuid::NAMESPACE_OID, of.as_bytes()).simple().to_string()[..8].to_owned()
    }

    /// Puts the marker that settles it. The same key leads to the same partition, so that it stays as long as the letter.
    pub fn settle(&self, how: &str, out: &mut Outbox) {
        let headers = vec![
            (header::SETTLED, how.to_owned()),
            (header::LETTER, self.position.to_string()),
            (header::WORKER, self.worker.to_owned()),
        ];
        out.put_with(&topics::DEAD, Some(self.worker), &self.key, headers, |_| {});
    }
}

/// A path in which an array's index says nothing: `groups[12].value` becomes `groups[*].value`.
pub fn any_index(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at + 1);
        out.push_str(before);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && from[digits..].starts_with(']') {
            out.push('*');
            rest = &from[digits..];
        } else {
            rest = from;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_does_not_tell_two_paths_apart_and_a_name_does() {
        assert_eq!(any_index("body.groups[12].measures[0].value"), "body.groups[*].measures[*].value");
        assert_eq!(any_index("[3]"), "[*]");
        assert_eq!(any_index("a[b].c[1"), "a[b].c[1");
        assert_eq!(any_index("plain"), "plain");
    }
}
