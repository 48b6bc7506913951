//! `headwater.connection.v1`: where each account link stands.

use uuid::Uuid;

use crate::{avro_enum, avro_record};

avro_enum! {
    pub enum State {
        Connected = "connected",
        /// One stream's history was looked through to its configured depth, also where it was empty.
        HistoryComplete = "history_complete",
        Incremental = "incremental",
        /// The provider no longer accepts our tokens; only the person can mend it.
        NeedsReauth = "needs_reauth",
        /// The provider's service was switched off (HTTP 410); there is nothing to retry.
        Migrated = "migrated",
        Disconnected = "disconnected",
        Erased = "erased",
        /// Paused from our side: nothing is asked until it is reactivated.
        Inactive = "inactive",
    }
}

avro_record! {
    /// One connection event. Times are microseconds since the epoch.
    pub struct Connection<'a> {
        pub connection_id: Uuid,
        pub provider: &'a str,
        pub subject_id: &'a str,
        pub state: State,
        pub stream: Option<&'a str>,
        pub since: Option<i64>,
        pub at: i64,
        pub reason: Option<&'a str>,
    }
}
