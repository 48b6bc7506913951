//! Raw records put straight onto the topic: what the fetcher would append, at a pace and a number of the test's choosing.

use std::time::Duration;

use headwater::log::kafka::Producer;
use headwater_ingest::Outlet as _;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, ids, wire};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use uuid::Uuid;

use super::rig::{Rig, until_within};

pub const PROVIDER: &str = "google_health";
/// 1 June 2026, midnight UTC.
const START: i64 = 1_780_272_000;

/// The weight in grams and the second of record `n`.
pub fn expected(n: u64) -> (u64, i64) {
    (60_000 + n * 7 % 40_000, START + i64::try_from(n).expect("a small number") * 60)
}

pub fn subject(n: u64) -> String {
    format!("person-{}", n % 5)
}

/// Where the rows of a test lie in time.
pub fn span(records: u64) -> (i64, i64) {
    (expected(0).1 * 1_000_000, (expected(records).1) * 1_000_000)
}

/// Appends records `from..to`.
pub async fn put(producer: &Producer, from: u64, to: u64) {
    // Acknowledged, or the test's own premise is wrong.
    producer.append(&batch(from, to)).await.expect("kafka takes it");
}

/// The provider's page with these records.
pub fn page(records: &[u64]) -> String {
    let points = records.iter().map(|n| {
        let (grams, at) = expected(*n);
        point(grams, at)
    });
    format!(r#"{{"dataPoints":[{}]}}"#, points.collect::<Vec<_>>().join(","))
}

/// The provider's page with one weight.
pub fn weight(grams: u64, at: i64) -> String {
    format!(r#"{{"dataPoints":[{}]}}"#, point(grams, at))
}

fn point(grams: u64, at: i64) -> String {
    let time = jiff::Timestamp::from_second(at).expect("a time").to_string();
    format!(r#"{{"weight":{{"weightGrams":{grams},"sampleTime":{{"physicalTime":"{time}","utcOffset":"7200s"}}}}}}"#)
}

/// Puts records `from..to` as if somebody had written them with the schema of this id.
pub fn put_as(rig: &Rig, schema_id: u32, (from, to): (u64, u64)) {
    send_as(rig, &topics::RAW.name(&rig.namespace, Some(PROVIDER)), schema_id, &batch(from, to), b"");
}

/// The records of an outbox as somebody writes them whose schema has this id and more fields at its end, with these bytes.
pub fn send_as(rig: &Rig, topic: &str, schema_id: u32, out: &Outbox, more: &[u8]) {
    let framed = |record| {
        let mut value = Vec::new();
        wire::frame(schema_id, &mut value);
        value.extend_from_slice(out.body(record));
        value.extend_from_slice(more);
        (out.key(record), value)
    };
    send(rig, topic, out.records().iter().map(framed));
}

/// Keys and values that no part of ours wrote, on the partitions that ours would take.
pub fn send(rig: &Rig, topic: &str, records: impl IntoIterator<Item = (impl AsRef<[u8]>, impl AsRef<[u8]>)>) {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &rig.parts.kafka)
        .set("partitioner", "murmur2_random")
        .create()
        .expect("a producer");
    for (key, value) in records {
        producer.send(BaseRecord::to(topic).key(key.as_ref()).payload(value.as_ref())).map_err(|(e, _)| e).expect("taken");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");
}

/// Records `from..to`.
pub fn batch(from: u64, to: u64) -> Outbox {
    let mut out = Outbox::default();
    (from..to).for_each(|n| append(&mut out, &subject(n), page(&[n]).as_bytes()));
    out
}

/// Puts one raw record with this body.
pub fn append(out: &mut Outbox, subject: &str, body: &[u8]) {
    put_raw(out, &of(PROVIDER, "weight", subject, body));
}

/// A raw record as the fetcher would have made it.
pub fn of<'a>(provider: &'a str, stream: &'a str, subject: &'a str, body: &'a [u8]) -> Raw<'a> {
    Raw {
        raw_id: Uuid::now_v7(),
        http_status: Some(200),
        ..Raw::of(provider, stream, (ids::connection(provider, subject), subject), (START + 10_000_000) * 1_000_000, body)
    }
}

pub fn put_raw(out: &mut Outbox, raw: &Raw<'_>) {
    let provider = headwater_sources::by_id(raw.provider).expect("a provider of this build").profile().id;
    out.put(&topics::RAW, Some(provider), raw.connection_id.to_string().as_bytes(), |bytes| raw.encode(bytes));
}

/// How many of the records are in the store, each with the value it must have. Panics on a row that is wrong.
pub async fn present(rig: &Rig, records: u64) -> u64 {
    let (from, to) = span(records);
    let mut rows = 0;
    for person in 0..5 {
        let name = format!("person-{person}");
        let mut seen = std::collections::BTreeSet::new();
        for row in rig.rows(&name, "body-weight", from, to).await {
            let n = u64::try_from((row.start / 1_000_000 - START) / 60).expect("a row of ours");
            assert_eq!(subject(n), name, "a row of somebody else");
            let grams = expected(n).0;
            let value: f64 = row.value_text.as_deref().and_then(|v| v.parse().ok()).expect("a value");
            assert!((value * 1000.0 - grams as f64).abs() < 1e-6, "record {n} has {value} kg instead of {grams} g");
            assert!(row.fhir.contains(&row.id.to_string()) && row.status == "final");
            assert!(seen.insert(n), "record {n} stands twice");
        }
        rows += seen.len() as u64;
    }
    rows
}

/// Waits until all are there.
pub async fn complete(rig: &Rig, records: u64, patience: Duration) {
    let mut there = 0;
    until_within(&format!("{records} records in the store"), patience, async || {
        let now = present(rig, records).await;
        if now != there {
            println!("{now} of {records} records are in the store");
        }
        there = now;
        (there == records).then_some(())
    })
    .await;
}
