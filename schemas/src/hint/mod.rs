//! `headwater.hint.live.v1`, `headwater.hint.history.v1` and `headwater.hint.later.v1`: go and look.

use uuid::Uuid;

use crate::raw::Lane;
use crate::{avro_enum, avro_record};

avro_enum! {
    /// What made us look.
    pub enum Cause {
        Webhook = "webhook",
        Schedule = "schedule",
        SyncNow = "sync_now",
        Backfill = "backfill",
        /// A hint that came back because the provider asked for patience.
        Retry = "retry",
    }
}

avro_enum! {
    pub enum Change {
        /// Data may have been added, changed or removed in the window.
        Data = "data",
        /// The person withdrew the permission at the provider.
        Revoked = "revoked",
    }
}

avro_record! {
    /// One hint. Times are microseconds since the epoch.
    pub struct Hint<'a> {
        pub hint_id: Uuid,
        pub provider: &'a str,
        pub connection_id: Uuid,
        pub cause: Cause,
        pub lane: Lane,
        pub change: Change,
        pub streams: Vec<&'a str>,
        pub window_start: Option<i64>,
        pub window_end: Option<i64>,
        pub created_at: i64,
        pub not_before: Option<i64>,
        pub attempt: i32,
        pub object: Option<&'a str>,
    }
}
