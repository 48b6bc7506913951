//! What the sink makes of a record, short of sending it.

use headwater_schemas::Position;
use headwater_schemas::codes;
use serde_json::{Value, json};

use super::medtech::tests::{dose, quantity};
use super::*;

fn sink(format: &str) -> EventHubsSink {
    let settings = json!({ "bootstrap": "127.0.0.1:1", "connection_string": "none", "topic": "hub", "format": format });
    EventHubsSink::new(&serde_json::from_value(settings).unwrap()).unwrap()
}

fn incoming<'a>(topic: &'static Topic, body: &'a [u8]) -> Incoming<'a> {
    Incoming { topic, position: Position::NONE, key: b"person-1", framed: b"framed", body }
}

#[test]
fn every_format_sends_its_own_form_of_a_record() {
    let (mut observation, mut medication) = (Vec::new(), Vec::new());
    let (weight, insulin) = (quantity(&codes::WEIGHT, "80.0"), dose(headwater_schemas::observation::Status::Final));
    weight.encode(&mut observation);
    insulin.encode(&mut medication);
    let (observation, medication) = (incoming(&topics::OBSERVATION, &observation), incoming(&topics::MEDICATION, &medication));
    for (format, kind, expected) in
        [("fhir_json", "application/fhir+json", [weight.fhir, insulin.fhir]), ("avro", "avro/binary", ["framed", "framed"])]
    {
        let sink = sink(format);
        assert_eq!(sink.format.content_type(), kind);
        for (incoming, expected) in [&observation, &medication].into_iter().zip(expected) {
            assert_eq!(sink.value(incoming, &mut Vec::new()).unwrap(), Some(expected.as_bytes()));
        }
    }
    // One buffer for all: what was in it is gone.
    let (sink, mut scratch) = (sink("medtech"), Vec::new());
    for (incoming, expected) in
        [(&medication, "insulin-bolus.medication"), (&observation, "body-weight"), (&medication, "insulin-bolus.medication")]
    {
        let value = sink.value(incoming, &mut scratch).unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(value).unwrap()["type"], expected);
    }
    assert_eq!(sink.format.content_type(), "application/json");
}

#[test]
fn what_does_not_decode_and_what_does_not_fit_is_refused() {
    let sink = sink("medtech");
    let refused = |incoming: &Incoming<'_>| sink.value(incoming, &mut Vec::new()).unwrap_err().code;
    for topic in [&topics::OBSERVATION, &topics::MEDICATION, &topics::CONSENT] {
        assert_eq!(refused(&incoming(topic, b"\x02")), code::BAD_AVRO);
    }
    let (long, mut body) = ("x".repeat(LIMIT), Vec::new());
    Observation { provider: &long, ..quantity(&codes::WEIGHT, "80") }.encode(&mut body);
    assert_eq!(refused(&incoming(&topics::OBSERVATION, &body)), code::TOO_LARGE);
}

#[test]
fn an_erased_person_is_an_empty_value_in_every_format() {
    for format in ["fhir_json", "avro", "medtech"] {
        for (decision, expected) in [(Decision::Erased, Some(&b""[..])), (Decision::Granted, None)] {
            let mut body = Vec::new();
            let (data_types, recipients) = (vec![], vec![]);
            Consent {
                subject_id: "person-1",
                version: 1,
                decision,
                data_types,
                recipients,
                until: None,
                actor: "person-1",
                at: 0,
            }
            .encode(&mut body);
            let value = sink(format).value(&incoming(&topics::CONSENT, &body), &mut Vec::new()).unwrap().map(<[u8]>::to_vec);
            assert_eq!(value.as_deref(), expected);
        }
    }
}
