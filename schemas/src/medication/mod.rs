//! `headwater.medication.v1`: what was given to a person, as a device or the person recorded it.

use uuid::Uuid;

use crate::avro_record;
use crate::observation::{Method, OffsetOrigin, Status};
use crate::raw::Lane;

avro_record! {
    /// One administration. Times are microseconds since the epoch; doses are units of insulin, rates units per hour.
    pub struct Medication<'a> {
        pub id: Uuid,
        pub record_id: &'a str,
        pub subject_id: &'a str,
        pub connection_id: Uuid,
        pub provider: &'a str,
        pub stream: &'a str,
        pub lane: Lane,
        pub data_type: &'a str,
        pub status: Status,
        pub start: i64,
        pub end: Option<i64>,
        pub utc_offset: Option<i32>,
        pub offset_origin: OffsetOrigin,
        pub dose: Option<f64>,
        pub dose_text: Option<&'a str>,
        pub rate: Option<f64>,
        pub rate_text: Option<&'a str>,
        pub product: Option<&'a str>,
        pub device_id: Option<Uuid>,
        pub method: Method,
        pub source_modified: Option<i64>,
        pub version: i64,
        pub raw_topic: &'a str,
        pub raw_partition: i32,
        pub raw_offset: i64,
        pub mapper_version: i32,
        pub fhir: &'a str,
        pub delivery: Option<&'a str>,
        pub normal: Option<f64>,
        pub normal_text: Option<&'a str>,
        pub extended: Option<f64>,
        pub extended_text: Option<&'a str>,
        pub expected: Option<f64>,
        pub expected_text: Option<&'a str>,
        pub expected_normal: Option<f64>,
        pub expected_normal_text: Option<&'a str>,
        pub expected_extended: Option<f64>,
        pub expected_extended_text: Option<&'a str>,
        pub expected_duration_ms: Option<i64>,
    }
}
