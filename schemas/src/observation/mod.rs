//! `headwater.observation.v1`: normalized observations, as analysts and sinks read them.

use uuid::Uuid;

use crate::codes::Measure;
use crate::raw::Lane;
use crate::{avro_enum, avro_record};

avro_enum! {
    /// FHIR ObservationStatus, as far as a device can bring one about.
    pub enum Status {
        /// Not finished, or not surely this person's.
        Preliminary = "preliminary",
        Final = "final",
        Amended = "amended",
        /// Deleted at the source.
        EnteredInError = "entered-in-error",
        Unknown = "unknown",
    }
}

avro_enum! {
    /// Where the UTC offset of a time came from.
    pub enum OffsetOrigin {
        /// The source gave the offset of this very time.
        Source = "source",
        /// The source gave a zone; the offset follows from it.
        Zone = "zone",
        /// Only the person's present zone is known; the person may have been elsewhere.
        Profile = "profile",
        None = "none",
    }
}

avro_enum! {
    pub enum Method {
        Device = "device",
        Manual = "manual",
        Derived = "derived",
        Unknown = "unknown",
    }
}

avro_record! {
    pub struct Component<'a> {
        pub data_type: &'a str,
        pub code: &'a str,
        pub value: Option<f64>,
        pub value_text: Option<&'a str>,
        pub unit: Option<&'a str>,
        pub value_code: Option<&'a str>,
        pub absent_reason: Option<&'a str>,
    }
}

avro_record! {
    pub struct Samples<'a> {
        pub period_ms: &'a str,
        pub unit: &'a str,
        pub data: &'a str,
    }
}

avro_record! {
    /// One observation. Times are microseconds since the epoch.
    pub struct Observation<'a> {
        pub id: Uuid,
        pub record_id: &'a str,
        pub subject_id: &'a str,
        pub connection_id: Uuid,
        pub provider: &'a str,
        pub stream: &'a str,
        pub lane: Lane,
        pub data_type: &'a str,
        pub code: &'a str,
        pub code_system: &'a str,
        pub category: &'a str,
        pub status: Status,
        pub start: i64,
        pub end: Option<i64>,
        pub utc_offset: Option<i32>,
        pub offset_origin: OffsetOrigin,
        pub local_date: Option<&'a str>,
        pub value: Option<f64>,
        pub value_text: Option<&'a str>,
        pub unit: Option<&'a str>,
        pub comparator: Option<&'a str>,
        pub value_code: Option<&'a str>,
        pub absent_reason: Option<&'a str>,
        pub components: Vec<Component<'a>>,
        pub samples: Option<Samples<'a>>,
        pub device_id: Option<Uuid>,
        pub method: Method,
        pub source_modified: Option<i64>,
        pub version: i64,
        pub previous_start: Option<i64>,
        pub raw_topic: &'a str,
        pub raw_partition: i32,
        pub raw_offset: i64,
        pub mapper_version: i32,
        pub fhir: &'a str,
    }
}

impl<'a> Observation<'a> {
    /// A final point in time of which nothing else is said yet; the rest is set by field.
    pub fn of(measure: &'static Measure, subject_id: &'a str, id: Uuid, start: i64) -> Self {
        Self {
            id,
            record_id: "",
            subject_id,
            connection_id: Uuid::nil(),
            provider: "",
            stream: "",
            lane: Lane::Live,
            data_type: measure.slug,
            code: measure.main().code,
            code_system: measure.main().system,
            category: measure.category.as_str(),
            status: Status::Final,
            start,
            end: None,
            utc_offset: None,
            offset_origin: OffsetOrigin::None,
            local_date: None,
            value: None,
            value_text: None,
            unit: None,
            comparator: None,
            value_code: None,
            absent_reason: None,
            components: Vec::new(),
            samples: None,
            device_id: None,
            method: Method::Unknown,
            source_modified: None,
            version: 0,
            previous_start: None,
            raw_topic: "",
            raw_partition: 0,
            raw_offset: 0,
            mapper_version: 0,
            fhir: "{}",
        }
    }
}
