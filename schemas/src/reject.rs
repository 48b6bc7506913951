//! Why a record can never be accepted. A reject is permanent by construction: nothing that may succeed later is one.

use std::fmt;

/// A permanent refusal of one record or of one row in it.
///
/// `code` comes from a closed set and is a metric label. `detail` says what was expected; it never quotes the payload, so that it may be
/// logged and put in a header. `path` is the JSON path of the offence (`body.measuregrps[3].measures[0].value`), where there is one;
/// `line` and `column` its place in the text, counted from 1, where the parser knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub code: &'static str,
    pub detail: String,
    pub path: Option<String>,
    pub line: Option<usize>,
    pub column: Option<usize>,
}

impl Reject {
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), path: None, line: None, column: None }
    }

    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    #[must_use]
    pub fn position(mut self, line: usize, column: usize) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// Puts `prefix` before the path: a row's parser knows only the path inside the row.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.path = Some(match self.path {
            Some(path) if path.starts_with('[') => format!("{prefix}{path}"),
            Some(path) if !path.is_empty() && path != "." => format!("{prefix}.{path}"),
            _ => prefix.to_owned(),
        });
        self
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(path) = &self.path {
            write!(f, " at {path}")?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, " (line {line}, column {column})")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for Reject {}

/// The closed set of codes.
pub mod code {
    /// Not JSON at all, or cut off.
    pub const MALFORMED_JSON: &str = "malformed_json";
    /// JSON, but not of the documented shape.
    pub const UNEXPECTED_SHAPE: &str = "unexpected_shape";
    /// The provider's own error envelope stored where data was expected.
    pub const ERROR_ENVELOPE: &str = "error_envelope";
    /// A number that is none, or has more digits than a decimal of 28 can hold.
    pub const BAD_NUMBER: &str = "bad_number";
    /// A date, time, offset or zone that is none.
    pub const BAD_TIME: &str = "bad_time";
    /// A time or value no living person's device can have measured.
    pub const IMPLAUSIBLE: &str = "implausible";
    /// The envelope names a provider or stream this build does not know.
    pub const UNKNOWN_STREAM: &str = "unknown_stream";
    /// Not a Confluent-framed record: the first byte is not 0.
    pub const BAD_MAGIC: &str = "bad_magic";
    /// The registry answered that no schema has this id.
    pub const UNKNOWN_SCHEMA: &str = "unknown_schema_id";
    /// The bytes do not decode under the schema they name.
    pub const BAD_AVRO: &str = "bad_avro";
    /// The writer's schema cannot be resolved to ours.
    pub const UNRESOLVABLE_SCHEMA: &str = "unresolvable_schema";
    /// The body is sealed and no key opens it.
    pub const SEALED: &str = "sealed";
    /// Larger than the receiver takes.
    pub const TOO_LARGE: &str = "too_large";
    /// Refused by the receiving system for good.
    pub const REFUSED: &str = "refused_by_sink";
}
