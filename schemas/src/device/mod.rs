//! `headwater.device.v1`: the devices that measured.

use uuid::Uuid;

use crate::avro_record;

avro_record! {
    /// One device's state. Times are microseconds since the epoch.
    pub struct Device<'a> {
        pub id: Uuid,
        pub subject_id: &'a str,
        pub connection_id: Uuid,
        pub provider: &'a str,
        pub kind: Option<&'a str>,
        pub manufacturer: Option<&'a str>,
        pub model: Option<&'a str>,
        pub firmware: Option<&'a str>,
        pub battery: Option<&'a str>,
        pub last_sync: Option<i64>,
        pub version: i64,
        pub mapper_version: i32,
        pub fhir: &'a str,
    }
}
