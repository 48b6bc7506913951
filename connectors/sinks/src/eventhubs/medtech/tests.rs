//! Messages against the published mappings, applied as MedTech applies them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin, Samples};
use headwater_schemas::raw::Lane;
use serde_json::{Value, json};
use serde_json_path::JsonPath;

use super::*;

const START: i64 = 1_767_225_600_000_000;
const HOUR: i64 = 3_600_000_000;
const FHIR: &str = r#"{"resourceType":"Observation","note":[{"text":"as it is, 1.50"}]}"#;

fn published(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/medtech").join(file);
    fs::read_to_string(path).unwrap_or_default()
}

fn templates(file: &str) -> Vec<Value> {
    let mapping: Value = serde_json::from_str(&published(file)).unwrap();
    mapping["template"].as_array().unwrap().iter().map(|named| named["template"].clone()).collect()
}

pub(crate) fn record(measure: &'static Measure) -> Observation<'static> {
    Observation {
        connection_id: Uuid::from_u128(2),
        provider: "acme_band",
        utc_offset: Some(3600),
        offset_origin: OffsetOrigin::Zone,
        device_id: Some(Uuid::from_u128(3)),
        method: Method::Device,
        version: 7,
        fhir: FHIR,
        ..Observation::of(measure, "person-1", Uuid::from_u128(1), START)
    }
}

pub(crate) fn quantity(measure: &'static Measure, digits: &'static str) -> Observation<'static> {
    let unit = measure.unit.map(|u| u.ucum);
    Observation { value: digits.parse().ok(), value_text: Some(digits), unit, ..record(measure) }
}

pub(crate) fn dose(status: Status) -> Medication<'static> {
    Medication {
        id: Uuid::from_u128(1),
        record_id: "r",
        subject_id: "person-1",
        connection_id: Uuid::from_u128(2),
        provider: "acme_pump",
        stream: "s",
        lane: Lane::Live,
        data_type: INSULIN_BOLUS,
        status,
        start: START,
        end: None,
        utc_offset: None,
        offset_origin: OffsetOrigin::None,
        dose: Some(1.5),
        dose_text: Some("1.50"),
        rate: None,
        rate_text: None,
        product: None,
        device_id: None,
        method: Method::Manual,
        source_modified: None,
        version: 7,
        raw_topic: "t",
        raw_partition: 0,
        raw_offset: 0,
        mapper_version: 1,
        fhir: r#"{"resourceType":"MedicationAdministration","dosage":{"dose":{"value":1.50}}}"#,
        delivery: None,
        normal: None,
        normal_text: None,
        extended: None,
        extended_text: None,
        expected: None,
        expected_text: None,
        expected_normal: None,
        expected_normal_text: None,
        expected_extended: None,
        expected_extended_text: None,
        expected_duration_ms: None,
    }
}

fn word(measure: &'static Measure, word: &'static str) -> Observation<'static> {
    Observation { value_code: Some(word), ..record(measure) }
}

fn nothing(measure: &'static Measure) -> Component<'static> {
    let (data_type, code) = (measure.slug, measure.main().code);
    Component { data_type, code, value: None, value_text: None, unit: None, value_code: None, absent_reason: None }
}

fn part(measure: &'static Measure, digits: &'static str) -> Component<'static> {
    let unit = measure.unit.map(|u| u.ucum);
    Component { value: digits.parse().ok(), value_text: Some(digits), unit, ..nothing(measure) }
}

fn with(components: Vec<Component<'static>>, whole: Observation<'static>) -> Observation<'static> {
    Observation { components, ..whole }
}

fn sent(o: &Observation<'_>) -> Value {
    let mut out = Vec::new();
    observation(o, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// What MedTech reads out of one event by the published device mapping.
#[derive(Debug, PartialEq, Eq)]
struct Measurement {
    name: String,
    device: String,
    patient: String,
    at: String,
    correlation: String,
    values: Vec<(String, String)>,
}

/// Text only: other tokens lose something on their way.
fn text(event: &Value, expression: &Value) -> Option<String> {
    let path = JsonPath::parse(expression.as_str().unwrap()).unwrap();
    let found = path.query(event).at_most_one().unwrap()?;
    Some(found.as_str().unwrap_or_else(|| panic!("{expression} finds {found}, expected text")).to_owned())
}

fn normalize(body: &Value) -> Vec<Measurement> {
    let event = json!({ "Body": body, "Properties": { "content-type": "application/json" }, "SystemProperties": {} });
    let mut measurements = Vec::new();
    for template in templates("device-mapping.json") {
        let matches = JsonPath::parse(template["typeMatchExpression"].as_str().unwrap()).unwrap();
        for matched in matches.query(&event).all() {
            let mut event = event.clone();
            event["matchedToken"] = matched.clone();
            let needed = |name: &str| text(&event, &template[name]).unwrap_or_else(|| panic!("{name} finds nothing"));
            let values = template["values"].as_array().unwrap().iter().filter_map(|value| {
                let found = text(&event, &value["valueExpression"]);
                assert!(found.is_some() || value["required"] == false, "{} is missing", value["valueName"]);
                Some((value["valueName"].as_str()?.to_owned(), found?))
            });
            measurements.push(Measurement {
                name: template["typeName"].as_str().unwrap().to_owned(),
                device: needed("deviceIdExpression"),
                patient: needed("patientIdExpression"),
                at: needed("timestampExpression"),
                correlation: needed("correlationIdExpression"),
                values: values.collect(),
            });
        }
    }
    measurements
}

/// What the published FHIR mapping makes of it: `codes = value`, of the whole and of each component.
fn transform(measurement: &Measurement) -> Vec<String> {
    let template = templates("fhir-mapping.json").into_iter().find(|t| t["typeName"] == measurement.name.as_str()).unwrap();
    let mut said = Vec::new();
    let mut left = measurement.values.clone();
    let mut say = |codes: &Value, value: &Value| {
        let codes: Vec<&str> = codes.as_array().unwrap().iter().map(|c| c["code"].as_str().unwrap()).collect();
        let found = left.iter().position(|(name, _)| value["valueName"] == name.as_str()).map(|at| left.remove(at).1);
        let value = match (found, value["valueType"].as_str()) {
            (Some(digits), Some("Quantity")) => {
                assert!(digits.bytes().all(|b| b.is_ascii_digit() || b"-.".contains(&b)), "{digits} is no decimal of .NET");
                format!("{digits} {}", value["code"].as_str().unwrap())
            }
            (Some(word), Some("String")) => format!("\"{word}\""),
            (None, Some("Quantity" | "String")) => return,
            (_, other) => panic!("no value type: {other:?}"),
        };
        said.push(format!("{} = {value}", codes.join("+")));
    };
    if let Some(value) = template.get("value") {
        say(&template["codes"], value);
    }
    for component in template.get("components").and_then(Value::as_array).into_iter().flatten() {
        say(&component["codes"], &component["value"]);
    }
    assert!(left.is_empty(), "{left:?} has no place in the FHIR mapping");
    said
}

/// Message, mappings and back.
fn said(o: &Observation<'_>) -> Vec<String> {
    let measurements = normalize(&sent(o));
    assert_eq!(measurements.len(), 1, "{measurements:?}");
    assert_eq!(measurements[0].name, o.data_type);
    transform(&measurements[0])
}

#[test]
fn the_published_mappings_are_the_present_ones() {
    assert_eq!(published("device-mapping.json"), mapping::device(), "docs/medtech/device-mapping.json is stale");
    assert_eq!(published("fhir-mapping.json"), mapping::fhir(), "docs/medtech/fhir-mapping.json is stale");
}

#[test]
fn a_message_is_flat_and_names_person_device_and_time() {
    let mut out = Vec::new();
    observation(&Observation { end: Some(START + HOUR + 1), ..quantity(&HEART_RATE, "61.50") }, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"{"type":"heart-rate","deviceId":"00000000-0000-0000-0000-000000000003","deviceIs":"device","patientId":"person-1","#,
            r#""measuredAt":"2026-01-01T00:00:00Z","endedAt":"2026-01-01T01:00:00.000001Z","value":"61.50","unit":"/min","status":"final","#,
            r#""method":"device","provider":"acme_band","id":"00000000-0000-0000-0000-000000000001","#,
            r#""correlationId":"00000000-0000-0000-0000-000000000001.1767225600000000","version":7}"#,
        )
    );
}

#[test]
fn medtech_reads_person_device_time_and_identity() {
    let measurement = normalize(&sent(&quantity(&WEIGHT, "80"))).remove(0);
    assert_eq!(
        measurement,
        Measurement {
            name: "body-weight".into(),
            device: Uuid::from_u128(3).to_string(),
            patient: "person-1".into(),
            at: "2026-01-01T00:00:00Z".into(),
            correlation: format!("{}.{START}", Uuid::from_u128(1)),
            values: vec![("body-weight".into(), "80".into())],
        }
    );
}

#[test]
fn every_data_type_is_said_under_its_codes_and_in_its_unit() {
    for &measure in ALL {
        let codes: Vec<_> = measure.coding.iter().map(|c| c.code).collect();
        let (record, value) = match measure.unit {
            Some(unit) => (quantity(measure, "12.0"), format!("12.0 {}", unit.ucum)),
            None if measure == &BLOOD_PRESSURE => continue,
            None => (word(measure, "asleep"), "\"asleep\"".to_owned()),
        };
        assert_eq!(said(&record), [format!("{} = {value}", codes.join("+"))]);
    }
}

#[test]
fn digits_arrive_as_the_source_wrote_them() {
    for digits in ["72.10", "-0.5", "0.0000001", "79228162514264337593543950335", "0.10000000000000000000000000001"] {
        assert_eq!(said(&quantity(&WEIGHT, digits)), [format!("29463-7 = {digits} kg")]);
    }
}

#[test]
fn both_halves_of_a_blood_pressure_are_components() {
    let both = with(vec![part(&SYSTOLIC, "121"), part(&DIASTOLIC, "79.5")], record(&BLOOD_PRESSURE));
    assert_eq!(said(&both), ["8480-6 = 121 mm[Hg]", "8462-4 = 79.5 mm[Hg]"]);
}

#[test]
fn a_missing_half_is_left_out_and_the_other_said() {
    let absent = Component { absent_reason: Some("unknown"), ..nothing(&DIASTOLIC) };
    let half = with(vec![part(&SYSTOLIC, "121"), absent.clone()], record(&BLOOD_PRESSURE));
    assert_eq!(sent(&half)["components"]["diastolic"], json!({ "absent": "unknown" }));
    assert_eq!(said(&half), ["8480-6 = 121 mm[Hg]"]);
    let neither = with(vec![Component { data_type: "systolic", ..absent.clone() }, absent], record(&BLOOD_PRESSURE));
    assert_eq!(sent(&neither)["type"], "blood-pressure.absent");
}

#[test]
fn numbers_and_words_stand_beside_a_value() {
    let kind = Component { value_code: Some("nap"), ..nothing(&SLEEP_KIND) };
    let night = with(vec![part(&TIME_IN_BED, "31.5"), kind], quantity(&SLEEP, "25"));
    assert_eq!(said(&night), ["93832-4 = 25 min", "sleep-kind = \"nap\"", "103213-5 = 31.5 min"]);
    let run = with(vec![part(&DISTANCE, "5000.4")], word(&EXERCISE, "Ski \"touring\" \u{1F3BF}"));
    assert_eq!(said(&run)[0], "73985-4 = \"Ski \"touring\" \u{1F3BF}\"");
    let arm = Component { value_code: Some("left-arm"), ..nothing(&BODY_SEGMENT) };
    let limb = with(vec![arm], quantity(&SEGMENTAL_FAT_MASS, "1.2"));
    assert_eq!(said(&limb), ["segmental-fat-mass = 1.2 kg", "body-segment = \"left-arm\""]);
}

#[test]
fn an_amended_record_is_the_same_observation_with_its_new_value() {
    let (first, second) = (quantity(&WEIGHT, "80"), Observation { status: Status::Amended, ..quantity(&WEIGHT, "81") });
    let (first, second) = (normalize(&sent(&first)).remove(0), normalize(&sent(&second)).remove(0));
    assert_eq!((&first.correlation, &first.at), (&second.correlation, &second.at));
    assert_eq!(second.values, [("body-weight".to_owned(), "81".to_owned())]);
}

#[test]
fn a_record_without_a_device_has_its_persons_connection() {
    let of = |subject_id| sent(&Observation { device_id: None, subject_id, ..quantity(&WEIGHT, "80") });
    let (one, two) = (of("person-1"), of("person-2"));
    assert_eq!((&one["deviceIs"], &one["deviceId"]), (&json!("connection"), &of("person-1")["deviceId"]));
    assert_ne!(one["deviceId"], two["deviceId"], "a device is of one person");
    assert_eq!(normalize(&one).len(), 1);
}

/// Every record that MedTech cannot say, and its type.
fn unsayable() -> Vec<(&'static str, Observation<'static>)> {
    let weight = || quantity(&WEIGHT, "80");
    let samples = Samples { period_ms: "4", unit: "uV", data: "1 2 E" };
    let systolic = || part(&SYSTOLIC, "121");
    vec![
        ("body-weight.entered-in-error", Observation { status: Status::EnteredInError, ..weight() }),
        ("body-weight.preliminary", Observation { status: Status::Preliminary, ..weight() }),
        ("body-weight.unknown", Observation { status: Status::Unknown, ..weight() }),
        ("body-weight.moved", Observation { previous_start: Some(START - HOUR), status: Status::Amended, ..weight() }),
        ("body-weight.absent", Observation { absent_reason: Some("error"), ..record(&WEIGHT) }),
        ("body-weight.limit", Observation { comparator: Some("<"), ..weight() }),
        ("ecg-lead-i.samples", Observation { samples: Some(samples), ..record(&ECG_LEAD_I) }),
        // A range has no column.
        ("vo2-max.form", record(&VO2_MAX)),
        ("body-weight.form", Observation { unit: Some("[lb_av]"), ..weight() }),
        ("body-weight.form", Observation { unit: None, ..weight() }),
        ("body-weight.form", word(&WEIGHT, "heavy")),
        ("exercise.form", word(&EXERCISE, " ")),
        ("exercise.form", record(&EXERCISE)),
        ("exercise.form", Observation { value_text: Some("1"), ..record(&EXERCISE) }),
        ("not-of-this-build.form", Observation { data_type: "not-of-this-build", ..weight() }),
        ("ecg.form", with(vec![nothing(&ECG_LEAD_I)], word(&ECG, "no-atrial-fibrillation"))),
        ("body-weight.form", with(vec![part(&BMI, "22")], weight())),
        ("blood-pressure.form", with(vec![systolic(), systolic()], record(&BLOOD_PRESSURE))),
        ("blood-pressure.form", with(vec![Component { unit: Some("kPa"), ..systolic() }], record(&BLOOD_PRESSURE))),
        ("blood-pressure.form", with(vec![systolic()], Observation { value_text: Some("1"), ..record(&BLOOD_PRESSURE) })),
        ("blood-pressure.absent", record(&BLOOD_PRESSURE)),
    ]
}

#[test]
fn what_cannot_be_said_is_sent_whole_where_no_mapping_looks() {
    for (name, record) in unsayable() {
        let mut out = Vec::new();
        observation(&record, &mut out).unwrap();
        let message: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(message["type"], name);
        assert_eq!(message["status"], record.status.as_str());
        for field in ["value", "unit", "code", "components"] {
            assert_eq!(message.get(field), None, "{field} of {name}");
        }
        assert!(String::from_utf8(out).unwrap().ends_with(&format!(r#""resource":{FHIR}}}"#)), "{name}");
        assert_eq!(normalize(&message), [], "{name}");
    }
}

#[test]
fn a_dose_is_no_observation() {
    for (status, name) in
        [(Status::Final, "insulin-bolus.medication"), (Status::EnteredInError, "insulin-bolus.entered-in-error")]
    {
        let (dose, mut out) = (dose(status), Vec::new());
        medication(&dose, &mut out).unwrap();
        let message: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(message["type"], name);
        assert_eq!(normalize(&message), []);
        assert!(String::from_utf8(out).unwrap().contains(dose.fhir));
    }
}

#[test]
fn what_cannot_be_written_is_refused_with_its_place() {
    let refused = |o: &Observation<'_>| observation(o, &mut Vec::new()).unwrap_err();
    let late = refused(&Observation { start: i64::MAX, ..quantity(&WEIGHT, "80") });
    assert_eq!((late.code, late.path.as_deref()), (code::BAD_TIME, Some("start")));
    let torn = refused(&Observation { fhir: "{\"resourceType\":", ..record(&VO2_MAX) });
    assert_eq!((torn.code, torn.path.as_deref()), (code::MALFORMED_JSON, Some("fhir")));
}

#[test]
fn the_fhir_mapping_has_the_codes_units_and_categories_of_the_code_table() {
    let templates = templates("fhir-mapping.json");
    assert_eq!(templates.len(), ALL.len());
    let coded = |measure: &Measure| -> Value {
        measure.coding.iter().map(|c| json!({ "code": c.code, "system": c.system })).collect::<Vec<_>>().into()
    };
    let mut components = 0;
    for (template, measure) in templates.iter().zip(ALL) {
        assert_eq!(template["typeName"], measure.slug);
        assert_eq!(template["codes"], coded(measure), "{}", measure.slug);
        assert_eq!(template["category"][0]["codes"][0]["code"], measure.category.as_str());
        if let Some(unit) = measure.unit {
            let expected = json!({ "valueType": "Quantity", "valueName": measure.slug, "unit": unit.text, "system": UCUM, "code": unit.ucum });
            assert_eq!(template["value"], expected);
        }
        for component in template.get("components").and_then(Value::as_array).into_iter().flatten() {
            let part = by_slug(component["value"]["valueName"].as_str().unwrap()).unwrap();
            assert_eq!(component["codes"], coded(part), "{} of {}", part.slug, measure.slug);
            components += 1;
        }
    }
    assert!(components > 40, "{components}");
}

/// The dot parts a data type from a reason, and quotes end a path's name.
#[test]
fn data_types_have_no_dot_and_no_quote() {
    for slug in ALL.iter().map(|m| m.slug).chain(MEDICATIONS.iter().copied()) {
        assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{slug}");
    }
}

/// A component that a source begins to bring and no mapping names would keep its records from MedTech.
#[test]
fn every_component_of_the_documented_records_has_its_place() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../processors/tests/it/snapshots");
    // Without a coding where R4's profile has no room for the value.
    let measure = |concept: &Value| -> Option<&'static Measure> {
        let coding = &concept["code"]["coding"][0];
        ALL.iter().copied().find(|m| coding["code"] == m.main().code && coding["system"] == m.main().system)
    };
    let (mut seen, mut homeless) = (BTreeSet::new(), BTreeSet::new());
    for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        // No source's records, but what our own code could be given.
        if file.ends_with("what-no-profile-has-room-for.snap") {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        let resources = text.lines().filter(|line| line.starts_with(r#"{"resourceType":"Observation""#));
        for resource in resources.map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let Some(whole) = measure(&resource) else { continue };
            for component in resource.get("component").and_then(Value::as_array).into_iter().flatten() {
                let Some(part) = measure(component) else { continue };
                let pair = (whole.slug, part.slug);
                seen.insert(pair);
                if !mapping::parts(whole).iter().any(|part| part.slug == pair.1) {
                    homeless.insert(pair);
                }
            }
        }
    }
    assert!(seen.len() > 30, "{}", seen.len());
    // A curve is a series.
    assert_eq!(homeless, BTreeSet::from([("ecg", "ecg-lead-i")]));
}
