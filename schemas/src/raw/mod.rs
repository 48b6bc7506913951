//! `headwater.raw.<provider>.v1`: the exact bytes a provider sent.

use uuid::Uuid;

use crate::{avro_enum, avro_record};

avro_enum! {
    /// How urgent a record is: a year of history never delays a fresh reading.
    pub enum Lane {
        Live = "live",
        History = "history",
        Replay = "replay",
    }
}

avro_enum! {
    /// Who appended a raw record.
    pub enum Origin {
        Fetch = "fetch",
        Webhook = "webhook",
        Upload = "upload",
        /// Not a provider's words: the observations that a complete re-read of a window no longer contained ([`Gone`] rows).
        Reconcile = "reconcile",
    }
}

avro_record! {
    /// An observation that was appended before with other content.
    pub struct Amended {
        pub id: Uuid,
        /// Microseconds since the epoch.
        pub previous_start: i64,
    }
}

avro_record! {
    pub struct Encryption<'a> {
        pub key_id: &'a str,
        pub algorithm: &'a str,
    }
}

avro_record! {
    /// One raw record. Times are microseconds since the epoch.
    pub struct Raw<'a> {
        pub raw_id: Uuid,
        pub provider: &'a str,
        pub connection_id: Uuid,
        pub subject_id: &'a str,
        pub stream: &'a str,
        pub lane: Lane,
        pub origin: Origin,
        pub fetched_at: i64,
        pub window_start: Option<i64>,
        pub window_end: Option<i64>,
        pub request: Option<&'a str>,
        pub http_status: Option<i32>,
        pub content_type: &'a str,
        pub headers: Vec<(&'a str, &'a str)>,
        pub time_zone: Option<&'a str>,
        pub amended: Vec<Amended>,
        pub version_floor: Option<i64>,
        pub encryption: Option<Encryption<'a>>,
        pub body: &'a [u8],
    }
}

impl<'a> Raw<'a> {
    /// A JSON answer of which nothing else is known; the rest is set by field. `whose` is connection and subject. What writes the topic lists
    /// every field instead, so that none is forgotten.
    pub fn of(provider: &'a str, stream: &'a str, whose: (Uuid, &'a str), fetched_at: i64, body: &'a [u8]) -> Self {
        Self {
            raw_id: Uuid::nil(),
            provider,
            connection_id: whose.0,
            subject_id: whose.1,
            stream,
            lane: Lane::Live,
            origin: Origin::Fetch,
            fetched_at,
            window_start: None,
            window_end: None,
            request: None,
            http_status: None,
            content_type: "application/json",
            headers: Vec::new(),
            time_zone: None,
            amended: Vec::new(),
            version_floor: None,
            encryption: None,
            body,
        }
    }
}

/// The body of a reconcile record: a JSON array of these.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    /// The observation's id.
    pub id: Uuid,
    /// Slug of its data type.
    pub data_type: String,
    /// Microseconds since the epoch.
    pub start: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
}
