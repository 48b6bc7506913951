//! Rows to write and the rows expected of them.

use headwater_schemas::codes;
use headwater_schemas::device::Device;
use headwater_schemas::observation::{Component, Method, Observation, OffsetOrigin, Samples, Status};
use headwater_schemas::raw::Lane;
use headwater_store::{Connection, ConnectionState, ObservationQuery, Order, StoredObservation};
use uuid::Uuid;

pub const SECOND: i64 = 1_000_000;
pub const HOUR: i64 = 3_600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
/// When everything was written.
pub const STORED_AT: i64 = 5;
/// 2026-03-01T00:00Z, the first instant of a month.
pub const MARCH: i64 = 1_772_323_200 * SECOND;

/// A name no other test has.
pub fn fresh(what: &str) -> String {
    format!("{what}-{}", Uuid::new_v4())
}

/// An observation with every value set.
pub fn full(subject_id: &str, id: Uuid, start: i64) -> Observation<'_> {
    Observation {
        id,
        record_id: "record",
        subject_id,
        connection_id: Uuid::from_u128(1),
        provider: "provider",
        stream: "stream",
        lane: Lane::Live,
        data_type: "heart_rate",
        code: "8867-4",
        code_system: "http://loinc.org",
        category: "vital-signs",
        status: Status::Final,
        start,
        end: Some(start + 1),
        utc_offset: Some(60),
        offset_origin: OffsetOrigin::Source,
        local_date: Some("2026-03-01"),
        value: Some(61.5),
        value_text: Some("text"),
        unit: Some("/min"),
        comparator: Some("<"),
        value_code: Some("code"),
        absent_reason: Some("unknown"),
        components: vec![Component {
            data_type: "systolic",
            code: "8480-6",
            value: Some(120.0),
            value_text: None,
            unit: Some("mm[Hg]"),
            value_code: None,
            absent_reason: None,
        }],
        samples: Some(Samples { period_ms: "1000", unit: "/min", data: "61 62" }),
        device_id: Some(Uuid::from_u128(2)),
        method: Method::Device,
        source_modified: Some(start),
        version: 1_000,
        previous_start: None,
        raw_topic: "topic",
        raw_partition: 3,
        raw_offset: 4,
        mapper_version: 1,
        fhir: r#"{"resourceType":"Observation","note":"full"}"#,
    }
}

/// The same without any value that may be absent.
pub fn bare(subject_id: &str, id: Uuid, start: i64) -> Observation<'_> {
    Observation {
        record_id: "record",
        connection_id: Uuid::from_u128(1),
        provider: "provider",
        stream: "stream",
        data_type: "heart_rate",
        method: Method::Device,
        version: 1_000,
        raw_topic: "topic",
        raw_partition: 3,
        raw_offset: 4,
        mapper_version: 1,
        fhir: r#"{"resourceType":"Observation","note":"bare"}"#,
        ..Observation::of(&codes::HEART_RATE, subject_id, id, start)
    }
}

/// The row that is expected of an observation.
pub fn stored(o: &Observation<'_>) -> StoredObservation {
    StoredObservation::of(o, STORED_AT)
}

/// All heart rates of a subject.
pub fn everything(subject_id: &str) -> ObservationQuery {
    ObservationQuery {
        subject_id: subject_id.to_owned(),
        data_type: "heart_rate".to_owned(),
        from: MARCH - 400 * DAY,
        to: MARCH + 400 * DAY,
        limit: 10_000,
        order: Order::NewestFirst,
        after: None,
    }
}

pub fn device(subject_id: &str, id: Uuid, version: i64) -> Device<'_> {
    Device {
        id,
        subject_id,
        connection_id: Uuid::from_u128(1),
        provider: "provider",
        kind: Some("watch"),
        manufacturer: Some("maker"),
        model: Some("model"),
        firmware: Some("1.0"),
        battery: Some("high"),
        last_sync: Some(7),
        version,
        mapper_version: 1,
        fhir: r#"{"resourceType":"Device"}"#,
    }
}

pub fn connection(id: Uuid) -> Connection {
    Connection {
        id,
        provider: "provider".to_owned(),
        provider_user: "account-4711".to_owned(),
        subjects: vec!["subject-1".to_owned(), "subject-2".to_owned()],
        zone: Some("Europe/Berlin".to_owned()),
        scopes: vec!["heart rate".to_owned()],
        state: ConnectionState::Active,
        reason: Some("reason".to_owned()),
        created_at: 1,
        state_at: 2,
        last_poll: Some(3),
        next_poll: Some(4),
    }
}
