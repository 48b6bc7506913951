//! What single steps of the hot path cost, beside the same step with a library that is made for everybody: `cargo bench -p headwater-benches`. All of
//! them take the same record, of `src/payload.rs`, and before anything is timed each pair is held to have made the same of it.

use std::hint::black_box;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use divan::Bencher;
use headwater_processors::normalize::normalize;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::Subject;
use headwater_schemas::{Outbox, Position, wire};

#[path = "../src/payload.rs"]
#[allow(dead_code, reason = "the benches beside it use more of it")]
mod payload;

fn main() {
    decode_raw::same();
    normalize_payload::complete();
    render_fhir::same();
    encode_observation::same();
    webhook_signature::same();
    divan::main();
}

/// A raw record as it stands on its topic, without its frame.
static RECORD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (_, value) = payload::record(1, 1);
    wire::split(&value).expect("a framed record").1.to_vec()
});

/// The first observation of it.
static OBSERVATION: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut out = Outbox::default();
    normalize(&raw(), place(), &mut out).expect("a payload that is understood");
    out.body(&out.records()[0]).to_vec()
});

fn raw() -> Raw<'static> {
    Raw::decode(&RECORD).expect("a raw record")
}

fn place() -> Position<'static> {
    static TOPIC: LazyLock<String> = LazyLock::new(|| payload::topic("headwater"));
    Position { topic: &TOPIC, partition: 3, offset: 4_200_000 }
}

fn schema<T: Subject<'static>>() -> Schema {
    Schema::parse_str(T::topic().schema.expect("a topic with a schema")).expect("an Avro schema")
}

/// Made once, as a program that is careful does: its schema is resolved by then.
fn apache_reader(schema: &Schema) -> GenericDatumReader<'_> {
    GenericDatumReader::builder(schema).build().expect("a reader")
}

fn apache_writer(schema: &Schema) -> GenericDatumWriter<'_> {
    GenericDatumWriter::builder(schema).build().expect("a writer")
}

/// Body of a raw record to its fields.
mod decode_raw {
    use super::*;

    pub fn same() {
        let (schema, mut ours) = (schema::<Raw>(), Vec::new());
        raw().encode(&mut ours);
        let theirs = apache_reader(&schema).read_value(&mut RECORD.as_slice()).expect("a raw record");
        let theirs = apache_writer(&schema).write_value_to_vec(theirs).expect("a raw record");
        assert!(ours == *RECORD && theirs == *RECORD, "a record decoded and encoded is the same, by ours and by apache-avro");
    }

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        bencher.bench(|| {
            black_box(Raw::decode(black_box(&RECORD)).expect("a raw record"));
        });
    }

    #[divan::bench]
    fn apache_avro_value(bencher: Bencher<'_, '_>) {
        let schema = schema::<Raw>();
        let reader = apache_reader(&schema);
        bencher.bench_local(|| {
            black_box(reader.read_value(&mut black_box(RECORD.as_slice())).expect("a raw record"));
        });
    }
}

/// The fields of a raw record to its observations: JSON read, ids, FHIR, columns, Avro.
mod normalize_payload {
    use super::*;

    pub fn complete() {
        let mut out = Outbox::default();
        normalize(&raw(), place(), &mut out).expect("a payload that is understood");
        assert_eq!(out.len() as u64, payload::EACH, "observations of one record");
    }

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let (raw, mut out) = (raw(), Outbox::default());
        bencher.bench_local(|| {
            out.clear();
            black_box(normalize(black_box(&raw), place(), &mut out).expect("a payload that is understood"));
        });
    }
}

/// One reading to its FHIR resource, ids included: written straight into a buffer, and by way of a tree.
mod render_fhir {
    use headwater_processors::normalize::resource;
    use headwater_schemas::codes::{self, Measure};
    use headwater_schemas::ids;
    use headwater_schemas::reading::{Effective, Normalized, Reading, Value};
    use jiff::Timestamp;
    use jiff::tz::Offset;
    use serde_json::json;

    use super::*;

    fn reading(raw: &Raw<'static>) -> Reading<'static> {
        let mut said = Normalized::default();
        let source = headwater_sources::by_id(payload::PROVIDER).expect("a provider");
        source.normalize(raw, &mut said).expect("a payload that is understood");
        said.readings.swap_remove(0)
    }

    pub fn same() {
        let (raw, mut ours) = (raw(), String::new());
        let reading = reading(&raw);
        resource(&raw, place(), &reading, &mut ours);
        let ours: serde_json::Value = serde_json::from_str(&ours).expect("JSON");
        let theirs: serde_json::Value = serde_json::from_str(&by_tree(&raw, &reading)).expect("JSON");
        assert_eq!(ours, theirs, "the same resource");
    }

    /// For readings like this one.
    fn by_tree(raw: &Raw<'_>, reading: &Reading<'_>) -> String {
        let measure: &Measure = reading.measure;
        let (Value::Quantity(number), Effective::At(at)) = (&reading.value, reading.effective) else {
            panic!("expected a quantity at a moment")
        };
        let id = ids::observation(raw.connection_id, raw.subject_id, measure.slug, &reading.record_id);
        let device = ids::device(raw.connection_id, raw.subject_id, reading.device.as_deref().expect("a device"));
        let number = f64::try_from(*number).expect("a number");
        let (unit, start) = (measure.unit.expect("a unit"), Timestamp::from_microsecond(at.micros).expect("a time"));
        let zone = Offset::from_seconds(at.offset.expect("an offset")).expect("an offset");
        let issued = Timestamp::from_microsecond(reading.modified.expect("a time of change")).expect("a time");
        let coding: Vec<_> = measure.coding.iter().map(|c| json!({ "system": c.system, "code": c.code })).collect();
        json!({
            "resourceType": "Observation",
            "id": id,
            "meta": {
                "source": format!("urn:headwater:{}:{}:{}", place().topic, place().partition, place().offset),
                "profile": [format!("http://hl7.org/fhir/StructureDefinition/{}", measure.profile.expect("a profile"))],
                "tag": [{ "system": codes::TAGS, "code": raw.provider }],
            },
            "identifier": [{ "system": format!("urn:headwater:record:{}", raw.provider), "value": id }],
            "status": reading.status.as_str(),
            "category": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": measure.category.as_str(),
            }] }],
            "code": { "coding": coding, "text": measure.text },
            "subject": { "reference": format!("Patient/{}", raw.subject_id) },
            "effectiveDateTime": start.display_with_offset(zone).to_string(),
            "issued": issued.to_string(),
            "valueQuantity": { "value": number, "unit": unit.text, "system": codes::UCUM, "code": unit.ucum },
            "device": { "reference": format!("Device/{device}") },
        })
        .to_string()
    }

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let (raw, mut out) = (raw(), String::new());
        let reading = reading(&raw);
        bencher.bench_local(|| {
            out.clear();
            resource(black_box(&raw), place(), black_box(&reading), &mut out);
            black_box(&out);
        });
    }

    #[divan::bench]
    fn serde_json_value(bencher: Bencher<'_, '_>) {
        let raw = raw();
        let reading = reading(&raw);
        bencher.bench_local(|| {
            black_box(by_tree(black_box(&raw), black_box(&reading)));
        });
    }
}

/// An observation to its body. Theirs is given its tree of values, which a program would have to build first.
mod encode_observation {
    use super::*;

    fn observation() -> Observation<'static> {
        Observation::decode(&OBSERVATION).expect("an observation")
    }

    fn tree(schema: &Schema) -> Value {
        apache_reader(schema).read_value(&mut OBSERVATION.as_slice()).expect("an observation")
    }

    pub fn same() {
        let (schema, mut ours) = (schema::<Observation>(), Vec::new());
        observation().encode(&mut ours);
        let theirs = apache_writer(&schema).write_value_to_vec(tree(&schema)).expect("an observation");
        assert!(ours == theirs, "one observation is the same bytes, by ours and by apache-avro");
    }

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let (record, mut out) = (observation(), Vec::new());
        bencher.bench_local(|| {
            out.clear();
            black_box(&record).encode(&mut out);
            black_box(&out);
        });
    }

    #[divan::bench]
    fn apache_avro_value(bencher: Bencher<'_, '_>) {
        let schema = schema::<Observation>();
        let (writer, tree, mut out) = (apache_writer(&schema), tree(&schema), Vec::new());
        bencher.bench_local(|| {
            out.clear();
            writer.write_value_ref(&mut out, black_box(&tree)).expect("an observation");
            black_box(&out);
        });
    }
}

/// HMAC-SHA256 over the bytes of a call, held to the signature it came with.
mod webhook_signature {
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use headwater_sources::sign::{Written, hmac_sha256};

    use super::*;

    const KEY: &str = "a key as long as they tend to be";

    fn call() -> (&'static [u8], String) {
        let body = raw().body;
        (body, STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), body)))
    }

    fn theirs(body: &[u8], given: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
        STANDARD.decode(given).is_ok_and(|given| hmac::verify(&key, body, &given).is_ok())
    }

    fn own(body: &[u8], given: &[u8]) -> bool {
        hmac_sha256(Some(KEY), &[body], given, Written::Base64).is_ok()
    }

    pub fn same() {
        let (body, given) = call();
        assert!(own(body, given.as_bytes()) && theirs(body, given.as_bytes()), "a signature that fits");
        let less = &body[1..];
        assert!(!own(less, given.as_bytes()) && !theirs(less, given.as_bytes()), "a signature that does not fit");
    }

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let (body, given) = call();
        bencher.bench(|| own(black_box(body), black_box(given.as_bytes())));
    }

    #[divan::bench]
    fn aws_lc(bencher: Bencher<'_, '_>) {
        let (body, given) = call();
        bencher.bench(|| theirs(black_box(body), black_box(given.as_bytes())));
    }
}
