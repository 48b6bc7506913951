//! What is read and what is written, by serde. Fields of the observation stand in the order of its schema, which spares the writer a buffer.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is needed of a raw record.
#[derive(Deserialize)]
pub struct Raw {
    pub provider: String,
    pub connection_id: Uuid,
    pub subject_id: String,
    pub stream: String,
    pub lane: Lane,
    pub origin: Origin,
    pub fetched_at: i64,
    pub time_zone: Option<String>,
    pub amended: Vec<Amended>,
    pub version_floor: Option<i64>,
    pub encryption: Option<Encryption>,
    #[serde(with = "apache_avro::serde::bytes")]
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
pub struct Amended {}

#[derive(Deserialize)]
pub struct Encryption {}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    Live,
    History,
    Replay,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Fetch,
    Webhook,
    Upload,
    Reconcile,
}

#[derive(Serialize)]
pub struct Observation<'a> {
    pub id: Uuid,
    pub record_id: String,
    pub subject_id: &'a str,
    pub connection_id: Uuid,
    pub provider: &'a str,
    pub stream: &'a str,
    pub lane: Lane,
    pub data_type: &'static str,
    pub code: &'static str,
    pub code_system: &'static str,
    pub category: &'static str,
    pub status: Status,
    pub start: i64,
    pub end: Option<i64>,
    pub utc_offset: Option<i32>,
    pub offset_origin: OffsetOrigin,
    pub local_date: Option<String>,
    pub value: Option<f64>,
    pub value_text: Option<String>,
    pub unit: Option<&'static str>,
    pub comparator: Option<&'static str>,
    pub value_code: Option<&'static str>,
    pub absent_reason: Option<&'static str>,
    pub components: Vec<Component>,
    pub samples: Option<Samples>,
    pub device_id: Option<Uuid>,
    pub method: Method,
    pub source_modified: Option<i64>,
    pub version: i64,
    pub previous_start: Option<i64>,
    pub raw_topic: &'a str,
    pub raw_partition: i32,
    pub raw_offset: i64,
    pub mapper_version: i32,
    pub fhir: String,
}

/// A scale has none.
#[derive(Serialize)]
pub enum Component {}

/// A scale has none.
#[derive(Serialize)]
pub enum Samples {}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Preliminary,
    Final,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preliminary => "preliminary",
            Self::Final => "final",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetOrigin {
    #[expect(dead_code, reason = "variants stand where the schema's symbols stand")]
    Source,
    Zone,
    Profile,
    None,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Device,
    Manual,
    #[expect(dead_code, reason = "variants stand where the schema's symbols stand")]
    Derived,
    Unknown,
}
