//! `headwater.audit.v1`: who did what with a person's data or account links.

use uuid::Uuid;

use crate::{avro_enum, avro_record};

avro_enum! {
    pub enum AuditOutcome {
        Success = "success",
        /// The caller may not.
        Denied = "denied",
        Failure = "failure",
    }
}

avro_record! {
    /// One act. Times are microseconds since the epoch.
    pub struct Audit<'a> {
        pub audit_id: Uuid,
        pub at: i64,
        pub actor: &'a str,
        pub action: &'a str,
        pub outcome: AuditOutcome,
        pub subject_id: Option<&'a str>,
        pub connection_id: Option<Uuid>,
        pub detail: Option<&'a str>,
    }
}
