//! `apache-avro` is the judge of our own codec: every record, both ways, under its published schema.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use headwater_schemas::audit::{Audit, AuditOutcome};
use headwater_schemas::avro::Field;
use headwater_schemas::consent::{Consent, Decision};
use headwater_schemas::coverage::{Coverage, Outcome};
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::{Component, Method, Observation, OffsetOrigin, Samples, Status};
use headwater_schemas::raw::{Amended, Encryption, Lane, Origin, Raw};
use headwater_schemas::topics::{self, Subject};
use headwater_schemas::{connection, device};
use proptest::prelude::*;
use uuid::Uuid;

/// Ours written, theirs read and written again, ours read: the same bytes and the same record.
fn agrees<'a, T: Subject<'a> + PartialEq + std::fmt::Debug>(record: &T) -> Value {
    let schema = Schema::parse_str(T::topic().schema.expect("the topic has a schema")).expect("the schema parses");
    let mut ours = Vec::new();
    record.encode(&mut ours);
    let value = GenericDatumReader::builder(&schema)
        .build()
        .and_then(|r| r.read_value(&mut ours.as_slice()))
        .expect("apache-avro reads what we wrote");
    let theirs = GenericDatumWriter::builder(&schema)
        .build()
        .and_then(|w| w.write_value_to_vec(value.clone()))
        .expect("apache-avro writes it");
    // Leaked so that the decoded record may borrow for as long as the test's own does.
    let theirs: &'static [u8] = theirs.leak();
    assert_eq!(ours, theirs);
    assert_eq!(&T::decode(theirs).expect("we read what apache-avro wrote"), record);
    value
}

fn observation() -> Observation<'static> {
    Observation {
        id: Uuid::from_u128(7),
        record_id: "1:1",
        subject_id: "s-1",
        connection_id: Uuid::from_u128(9),
        provider: "p",
        stream: "getmeas",
        lane: Lane::History,
        data_type: "body-weight",
        code: "29463-7",
        code_system: "http://loinc.org",
        category: "vital-signs",
        status: Status::EnteredInError,
        start: -1,
        end: Some(i64::MAX),
        utc_offset: Some(-25_200),
        offset_origin: OffsetOrigin::Zone,
        local_date: Some("2026-11-01"),
        value: Some(61.5),
        value_text: Some("61.50"),
        unit: Some("kg"),
        comparator: Some("<"),
        value_code: None,
        absent_reason: None,
        components: vec![Component {
            data_type: "systolic",
            code: "8480-6",
            value: None,
            value_text: None,
            unit: None,
            value_code: None,
            absent_reason: Some("unknown"),
        }],
        samples: Some(Samples { period_ms: "3.333333", unit: "uV", data: "1 2 E" }),
        device_id: Some(Uuid::from_u128(11)),
        method: Method::Derived,
        source_modified: None,
        version: 3,
        previous_start: Some(2),
        raw_topic: "t",
        raw_partition: 1,
        raw_offset: i64::MIN,
        mapper_version: 1,
        fhir: "{}",
    }
}

#[test]
fn observations_agree_with_their_schema() {
    agrees(&observation());
}

#[test]
fn devices_connections_and_coverage_agree_with_their_schemas() {
    agrees(&device::Device {
        id: Uuid::nil(),
        subject_id: "s",
        connection_id: Uuid::nil(),
        provider: "p",
        kind: Some("Scale"),
        manufacturer: None,
        model: Some("m"),
        firmware: None,
        battery: Some("high"),
        last_sync: Some(1),
        version: 1,
        mapper_version: 1,
        fhir: "{}",
    });
    for state in connection::State::ALL {
        agrees(&connection::Connection {
            connection_id: Uuid::nil(),
            provider: "p",
            subject_id: "s",
            state: *state,
            stream: None,
            since: Some(4),
            at: 1,
            reason: Some("invalid_grant"),
        });
    }
    for outcome in Outcome::ALL {
        agrees(&Coverage {
            connection_id: Uuid::nil(),
            provider: "p",
            subject_id: "s",
            stream: "st",
            window_start: 0,
            window_end: 1,
            outcome: *outcome,
            reason: Some("rate_limited"),
            pages: 1,
            bytes: 2,
            lane: Lane::Replay,
            at: 3,
        });
    }
}

#[test]
fn consent_and_audit_agree_with_their_schemas() {
    for decision in Decision::ALL {
        agrees(&Consent {
            subject_id: "s",
            version: 2,
            decision: *decision,
            data_types: vec!["body-weight", "steps"],
            recipients: vec![],
            until: Some(9),
            actor: "subject:s",
            at: 1,
        });
    }
    for outcome in AuditOutcome::ALL {
        agrees(&Audit {
            audit_id: Uuid::max(),
            at: 1,
            actor: "clinician:c",
            action: "read_observations",
            outcome: *outcome,
            subject_id: Some("s"),
            connection_id: Some(Uuid::nil()),
            detail: None,
        });
    }
}

fn medication() -> Medication<'static> {
    Medication {
        id: Uuid::from_u128(7),
        record_id: "p-1",
        subject_id: "s-1",
        connection_id: Uuid::nil(),
        provider: "p",
        stream: "data",
        lane: Lane::Live,
        data_type: "insulin-bolus",
        status: Status::Final,
        start: 1,
        end: Some(2),
        utc_offset: None,
        offset_origin: OffsetOrigin::None,
        dose: Some(3.5),
        dose_text: Some("3.50"),
        rate: None,
        rate_text: None,
        product: Some("Brand"),
        device_id: None,
        method: Method::Device,
        source_modified: None,
        version: 5,
        raw_topic: "raw.p",
        raw_partition: 0,
        raw_offset: 0,
        mapper_version: 2,
        fhir: "{}",
        delivery: Some("bolus-dual"),
        normal: Some(1.5),
        normal_text: Some("1.50"),
        extended: Some(2.0),
        extended_text: Some("2"),
        expected: Some(6.0),
        expected_text: Some("6"),
        expected_normal: Some(1.5),
        expected_normal_text: Some("1.5"),
        expected_extended: Some(4.5),
        expected_extended_text: Some("4.5"),
        expected_duration_ms: Some(7_200_000),
    }
}

#[test]
fn medications_agree_with_their_schema() {
    let Value::Record(fields) = agrees(&medication()) else { panic!("a record") };
    let at = |name: &str| fields.iter().find(|f| f.0 == name).map(|f| f.1.clone());
    assert_eq!(at("expected_duration_ms"), Some(Value::Union(1, Box::new(Value::Long(7_200_000)))));
}

#[test]
fn a_medication_of_the_first_schema_is_read_and_one_of_ours_is_read_by_it() {
    use headwater_schemas::resolve::Resolver;
    let [first, .., last] = headwater_schemas::released::versions(&topics::MEDICATION) else { panic!("two versions") };
    let (mut ours, mut older, mut again) = (Vec::new(), Vec::new(), Vec::new());
    medication().encode(&mut ours);
    Resolver::new(last, first).unwrap().resolve(&ours, &mut older).unwrap();
    Resolver::new(first, last).unwrap().resolve(&older, &mut again).unwrap();
    let read = Medication::decode(&again).unwrap();
    assert_eq!((read.dose_text, read.delivery, read.expected_duration_ms), (Some("3.50"), None, None));
}

#[test]
fn hints_agree_with_their_schema() {
    for cause in Cause::ALL {
        agrees(&Hint {
            hint_id: Uuid::max(),
            provider: "p",
            connection_id: Uuid::nil(),
            cause: *cause,
            lane: Lane::History,
            change: Change::Revoked,
            streams: vec!["a", "b"],
            window_start: None,
            window_end: Some(5),
            created_at: 1,
            not_before: Some(2),
            attempt: 3,
            object: None,
        });
    }
}

#[test]
fn every_enum_symbol_stands_where_its_schema_has_it() {
    fn symbols(schema: &str, name: &str) -> Vec<String> {
        fn find(value: &serde_json::Value, name: &str) -> Option<Vec<String>> {
            if value["name"] == name && value["type"] == "enum" {
                return serde_json::from_value(value["symbols"].clone()).ok();
            }
            match value {
                serde_json::Value::Object(map) => map.values().find_map(|v| find(v, name)),
                serde_json::Value::Array(items) => items.iter().find_map(|v| find(v, name)),
                _ => None,
            }
        }
        find(&serde_json::from_str(schema).expect("JSON"), name).expect("the enum is in the schema")
    }
    macro_rules! check {
        ($($topic:ident $name:literal $type:ty),*) => { $(
            assert_eq!(symbols(topics::$topic.schema.unwrap(), $name), <$type>::ALL.iter().map(|v| v.as_str().to_owned()).collect::<Vec<_>>());
        )* };
    }
    // Avro names allow no hyphen, so the status symbol of the schema is compared through the resolver test below.
    check!(RAW "Lane" Lane, RAW "Origin" Origin, HINT_LIVE "Cause" Cause, HINT_LIVE "Change" Change, COVERAGE "Outcome" Outcome,
           CONNECTION "State" connection::State, CONSENT "Decision" Decision, AUDIT "AuditOutcome" AuditOutcome, OBSERVATION "OffsetOrigin" OffsetOrigin, OBSERVATION "Method" Method);
}

proptest! {
    #[test]
    fn raw_records_agree_with_their_schema(
        body in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,40}", number in any::<i64>(), some in any::<bool>(), status in any::<i32>(),
    ) {
        agrees(&Raw {
            raw_id: Uuid::from_u128(number.cast_unsigned().into()),
            provider: "p",
            connection_id: Uuid::nil(),
            subject_id: &text,
            stream: "s",
            lane: Lane::Live,
            origin: Origin::Reconcile,
            fetched_at: number,
            window_start: some.then_some(number),
            window_end: None,
            request: some.then_some("GET /x"),
            http_status: some.then_some(status),
            content_type: "application/json",
            headers: if some { vec![("retry-after", &text)] } else { vec![] },
            time_zone: some.then_some("Europe/Paris"),
            amended: vec![Amended { id: Uuid::max(), previous_start: number }; usize::from(some) * 3],
            version_floor: some.then_some(number),
            encryption: some.then_some(Encryption { key_id: "k", algorithm: "a" }),
            body: &body,
        });
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic(cut in 0usize..200, flip in 0usize..200, bit in 0u8..8) {
        let mut bytes = Vec::new();
        observation().write(&mut bytes);
        let at = flip % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(bytes.len().saturating_sub(cut));
        let _ = Observation::decode(&bytes);
    }
}

#[test]
fn a_record_of_an_older_writer_is_resolved_to_ours() {
    use headwater_schemas::resolve::Resolver;
    let ours = topics::COVERAGE.schema.unwrap();
    let mut older: serde_json::Value = serde_json::from_str(ours).unwrap();
    older["fields"].as_array_mut().unwrap().retain(|f| f["name"] != "reason" && f["name"] != "bytes");
    let older_schema = Schema::parse_str(&older.to_string()).unwrap();
    let record = Value::Record(vec![
        ("connection_id".into(), Value::Uuid(Uuid::nil())),
        ("provider".into(), Value::String("p".into())),
        ("subject_id".into(), Value::String("s".into())),
        ("stream".into(), Value::String("st".into())),
        ("window_start".into(), Value::TimestampMicros(1)),
        ("window_end".into(), Value::TimestampMicros(2)),
        ("outcome".into(), Value::Enum(1, "empty".into())),
        ("pages".into(), Value::Int(4)),
        ("lane".into(), Value::Enum(0, "live".into())),
        ("at".into(), Value::TimestampMicros(3)),
    ]);
    let written = GenericDatumWriter::builder(&older_schema).build().and_then(|w| w.write_value_to_vec(record)).unwrap();
    let mut body = Vec::new();
    Resolver::new(&older.to_string(), ours).unwrap().resolve(&written, &mut body).unwrap();
    let coverage = Coverage::decode(&body).unwrap();
    assert_eq!((coverage.outcome, coverage.pages, coverage.bytes, coverage.reason), (Outcome::Empty, 4, 0, None));
}

#[test]
fn a_writer_that_lacks_a_required_field_cannot_be_resolved() {
    use headwater_schemas::resolve::Resolver;
    let ours = topics::COVERAGE.schema.unwrap();
    let mut other: serde_json::Value = serde_json::from_str(ours).unwrap();
    other["fields"].as_array_mut().unwrap().retain(|f| f["name"] != "outcome");
    assert_eq!(Resolver::new(&other.to_string(), ours).unwrap_err().code, "unresolvable_schema");
}
