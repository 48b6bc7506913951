//! `headwater.coverage.v1`: what became of each fetched window.

use uuid::Uuid;

use crate::raw::Lane;
use crate::{avro_enum, avro_record};

avro_enum! {
    pub enum Outcome {
        Fetched = "fetched",
        /// The provider answered, and there was nothing.
        Empty = "empty",
        /// The answer was the one we hold already; it was not appended again.
        Unchanged = "unchanged",
        Failed = "failed",
    }
}

avro_record! {
    /// One coverage record. Times are microseconds since the epoch.
    pub struct Coverage<'a> {
        pub connection_id: Uuid,
        pub provider: &'a str,
        pub subject_id: &'a str,
        pub stream: &'a str,
        pub window_start: i64,
        pub window_end: i64,
        pub outcome: Outcome,
        pub reason: Option<&'a str>,
        pub pages: i32,
        pub bytes: i64,
        pub lane: Lane,
        pub at: i64,
    }
}
