//! The sink against a server that answers by script: what a real one rarely does. The rest is tested on a real one.

use std::collections::VecDeque;

use headwater_schemas::Position;
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use headwater_store::{Identity, Subject};
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::eventhubs::medtech::tests::record;
use crate::testing::{Heard, Receiver};

/// An answer with this body.
fn answer(status: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A searchset of these resources.
fn found(resources: &[serde_json::Value]) -> String {
    let entries: Vec<_> = resources.iter().map(|resource| json!({ "resource": resource })).collect();
    answer("200 OK", &json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries }))
}

/// The outcomes of a bundle's entries.
fn outcomes(statuses: &[&str]) -> String {
    let outcome = json!({ "resourceType": "OperationOutcome", "issue": [
        { "severity": "information", "code": "code-invalid", "diagnostics": "told first" },
        { "severity": "error", "code": "invariant", "diagnostics": "61.5 is somebody's", "expression": ["Observation.value"] },
    ]});
    let entry = |status: &&str| json!({ "response": { "status": status, "outcome": outcome } });
    let entries: Vec<_> = statuses.iter().map(entry).collect();
    answer("200 OK", &json!({ "resourceType": "Bundle", "type": "batch-response", "entry": entries }))
}

fn patient() -> serde_json::Value {
    json!({ "resourceType": "Patient", "id": "person-1" })
}

fn settings(receiver: &Receiver) -> Settings {
    serde_json::from_value(json!({ "url": receiver.url.split("/in?").next(), "erase_settle_seconds": 0 })).unwrap()
}

async fn store() -> Arc<dyn Store> {
    let store = SqliteStore::open(":memory:".as_ref(), Keyring::ephemeral()).await.unwrap();
    store.migrate().await.unwrap();
    Arc::new(store)
}

async fn server(answers: &[String]) -> Receiver {
    Receiver::verbatim(answers.iter().cloned().collect::<VecDeque<_>>()).await
}

async fn write(sink: &FhirSink, ids: &[u128]) -> Result<Vec<Verdict>, Unavailable> {
    let bodies: Vec<Vec<u8>> = ids
        .iter()
        .map(|id| {
            let fhir = format!(
                r#"{{"resourceType":"Observation","id":"{}","subject":{{"reference":"Patient/person-1"}}}}"#,
                Uuid::from_u128(*id)
            );
            let mut body = Vec::new();
            headwater_schemas::observation::Observation {
                id: Uuid::from_u128(*id),
                device_id: None,
                fhir: &fhir,
                ..record(&headwater_schemas::codes::HEART_RATE)
            }
            .encode(&mut body);
            body
        })
        .collect();
    let batch: Vec<Incoming<'_>> = bodies
        .iter()
        .map(|body| Incoming { topic: &topics::OBSERVATION, position: Position::NONE, key: b"person-1", framed: body, body })
        .collect();
    sink.write(&batch).await
}

fn lines(receiver: &Receiver) -> Vec<String> {
    receiver.heard().iter().map(|heard: &Heard| heard.line.replace(" HTTP/1.1", "")).collect()
}

#[tokio::test]
async fn a_patient_is_made_once_before_the_first_reference() {
    let receiver = server(&[
        found(&[]),
        outcomes(&["201 Created"]),
        found(&[]),
        outcomes(&["201", "200 OK"]),
        found(&[]),
        outcomes(&["201"]),
    ])
    .await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    assert_eq!(write(&sink, &[1, 2]).await.unwrap(), [Verdict::Written, Verdict::Written]);
    assert_eq!(write(&sink, &[3]).await.unwrap(), [Verdict::Written]);
    let search = "POST /Observation/_search";
    assert_eq!(lines(&receiver), ["POST /Patient/_search", "POST /", search, "POST /", search, "POST /"]);
    let heard = receiver.heard();
    assert_eq!(heard[1].json()["entry"][0]["request"]["url"], "Patient/person-1");
    let entry = &heard[3].json()["entry"][0];
    assert_eq!(entry["request"], json!({ "method": "PUT", "url": format!("Observation/{}", Uuid::from_u128(1)) }));
    assert!(entry["fullUrl"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(heard[3].headers["content-type"], "application/fhir+json");
}

#[tokio::test]
async fn a_patient_is_found_by_the_platforms_identifier_and_referred_to_by_its_id() {
    let store = store().await;
    let identity = Identity { system: "https://clinic.example/mrn".into(), value: "47|11".into() };
    store.put_subject(&Subject { id: "person-1".into(), identity: Some(identity), created_at: 0 }).await.unwrap();
    let theirs = json!({ "resourceType": "Patient", "id": "12345" });
    let receiver =
        server(&[found(std::slice::from_ref(&theirs)), found(&[]), outcomes(&["201"]), found(&[]), outcomes(&["201"])]).await;
    let sink = FhirSink::new(&settings(&receiver), store.clone()).unwrap();
    assert_eq!(write(&sink, &[1]).await.unwrap(), [Verdict::Written]);
    let heard = receiver.heard();
    let asked = String::from_utf8(heard[0].body.clone()).unwrap();
    assert!(asked.contains("identifier=https%3A%2F%2Fclinic.example%2Fmrn%7C47%5C%7C11"), "{asked}");
    let link = &heard[2].json()["entry"][0]["resource"];
    assert_eq!((&link["id"], &link["link"][0]["other"]["reference"]), (&"person-1".into(), &"Patient/12345".into()));
    assert_eq!(heard[4].json()["entry"][0]["resource"]["subject"]["reference"], "Patient/12345");

    let another = json!({ "resourceType": "Patient", "id": "6" });
    let receiver = server(&[found(&[theirs, another])]).await;
    let sink = FhirSink::new(&settings(&receiver), store).unwrap();
    let verdicts = write(&sink, &[1]).await.unwrap();
    assert!(matches!(&verdicts[0], Verdict::Rejected(reject) if reject.detail.contains("several")), "{verdicts:?}");
}

#[tokio::test]
async fn what_stands_there_is_replaced_by_its_version_and_a_newer_one_is_left() {
    let version = record(&headwater_schemas::codes::HEART_RATE).version;
    let stands = |id: u128, micros: i64| {
        let issued = jiff::Timestamp::from_microsecond(micros).unwrap().to_string();
        json!({ "resourceType": "Observation", "id": Uuid::from_u128(id), "meta": { "versionId": "4" }, "issued": issued })
    };
    let standing = found(&[stands(1, version - 1), stands(2, version + 1)]);
    let receiver = server(&[found(&[patient()]), standing, outcomes(&["200 OK", "201 Created"])]).await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    assert_eq!(write(&sink, &[1, 2, 3]).await.unwrap(), [Verdict::Written, Verdict::Written, Verdict::Written]);
    let entries = receiver.heard()[2].json()["entry"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 2, "the newer one is left alone");
    assert_eq!(entries[0]["request"]["ifMatch"], "W/\"4\"");
    assert_eq!(entries[1]["request"].get("ifMatch"), None);
}

#[tokio::test]
async fn a_conflict_is_read_anew_and_a_refusal_is_told_without_what_was_measured() {
    let receiver = server(&[
        found(&[patient()]),
        found(&[]),
        outcomes(&["422 Unprocessable Entity", "409 Conflict", "201"]),
        // The patient of the refused one is looked for again, in case it was gone, and it is tried once more.
        found(&[patient()]),
        found(&[]),
        outcomes(&["200", "422"]),
    ])
    .await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    let verdicts = write(&sink, &[1, 2, 3]).await.unwrap();
    assert_eq!(verdicts[1..], [Verdict::Written, Verdict::Written]);
    let Verdict::Rejected(reject) = &verdicts[0] else { panic!("{verdicts:?}") };
    assert_eq!(reject.to_string(), "refused_by_sink: the server answered 422, invariant at Observation.value");
}

#[tokio::test]
async fn a_refused_bundle_is_halved_until_the_one_stands_alone() {
    let refused = answer(
        "400 Bad Request",
        &json!({ "resourceType": "OperationOutcome", "issue": [{ "severity": "fatal", "code": "structure" }] }),
    );
    let receiver = server(&[
        found(&[patient()]),
        found(&[]),
        refused.clone(),           // 1 2 3 4
        outcomes(&["201", "201"]), // 1 2
        refused.clone(),           // 3 4
        refused.clone(),           // 3
        outcomes(&["201"]),        // 4
        found(&[patient()]),
        found(&[]),
        refused, // 3
    ])
    .await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    let verdicts = write(&sink, &[1, 2, 3, 4]).await.unwrap();
    let written: Vec<bool> = verdicts.iter().map(|verdict| *verdict == Verdict::Written).collect();
    assert_eq!(written, [true, true, false, true]);
}

#[tokio::test]
async fn an_absent_server_is_no_records_fault_and_its_patience_is_asked_for() {
    for (status, pause) in [
        ("429 Too Many Requests\r\nretry-after: 7", Some(7)),
        ("503 Service Unavailable\r\nretry-after: 2", Some(2)),
        ("502 Bad Gateway", None),
        ("401 Unauthorized", None),
        ("403 Forbidden", None),
    ] {
        let receiver = server(&[found(&[patient()]), found(&[]), answer(status, &json!({}))]).await;
        let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
        let unavailable = write(&sink, &[1]).await.unwrap_err();
        assert_eq!(unavailable.retry_after, pause.map(Duration::from_secs), "{status}");
    }
    let receiver = server(&[found(&[patient()]), found(&[]), outcomes(&["201", "503"])]).await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    assert!(write(&sink, &[1, 2]).await.is_err(), "also where it says so for one entry");
}

#[tokio::test]
async fn what_a_server_cannot_cope_with_is_given_up_only_where_others_are_written() {
    let failing = || (0..ROUNDS).flat_map(|_| [found(&[]), outcomes(&["500 Internal Server Error"])]);
    // It writes nothing: no record's fault, however often.
    let mut answers = vec![found(&[patient()])];
    answers.extend((0..2 * PATIENCE).flat_map(|_| failing()));
    let receiver = server(&answers).await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    for _ in 0..2 * PATIENCE {
        assert!(write(&sink, &[1]).await.is_err());
    }
    // It writes others in between.
    let mut answers = vec![found(&[patient()])];
    for _ in 0..=PATIENCE {
        answers.extend(failing().chain([found(&[]), outcomes(&["201"])]));
    }
    let receiver = server(&answers).await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    for other in 0..PATIENCE {
        assert!(write(&sink, &[1]).await.is_err());
        assert_eq!(write(&sink, &[100 + u128::from(other)]).await.unwrap(), [Verdict::Written]);
    }
    assert!(matches!(&write(&sink, &[1]).await.unwrap()[0], Verdict::Rejected(_)));
}

#[tokio::test]
async fn what_is_written_is_not_written_again_while_its_batch_comes_again_and_is_by_a_replay() {
    let mut answers = vec![found(&[patient()]), found(&[]), outcomes(&["201", "409"])];
    answers.extend((1..ROUNDS).flat_map(|_| [found(&[]), outcomes(&["409"])]));
    answers.extend([found(&[]), outcomes(&["200"]), found(&[]), outcomes(&["200", "200"])]);
    let receiver = server(&answers).await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    assert!(write(&sink, &[1, 2]).await.is_err());
    let bundle = || receiver.heard().last().unwrap().json()["entry"].as_array().unwrap().len();
    for (entries, what) in [(1, "the batch again"), (2, "a replay")] {
        assert_eq!(write(&sink, &[1, 2]).await.unwrap(), [Verdict::Written, Verdict::Written], "{what}");
        assert_eq!(bundle(), entries, "{what}");
    }
}

#[tokio::test]
async fn a_patient_the_server_refuses_takes_only_its_own_with_it() {
    let receiver = server(&[found(&[]), outcomes(&["422"])]).await;
    let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
    let verdicts = write(&sink, &[1]).await.unwrap();
    assert!(matches!(&verdicts[0], Verdict::Rejected(reject) if reject.detail.contains("422")), "{verdicts:?}");
    // A proxy in the server's place is nobody's fault.
    for status in ["404 Not Found", "405 Method Not Allowed", "415 Unsupported Media Type"] {
        let receiver = server(&[found(&[patient()]), found(&[]), answer(status, &json!({}))]).await;
        let sink = FhirSink::new(&settings(&receiver), store().await).unwrap();
        assert!(write(&sink, &[1]).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn an_access_token_is_asked_for_once_and_anew_when_it_is_refused() {
    let token = |text: &str| answer("200 OK", &json!({ "access_token": text, "token_type": "bearer", "expires_in": 3600 }));
    let refused = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (credential, by) in
        [(json!({ "client_secret": "s3cret" }), "basic"), (json!({ "private_key": KEY, "key_id": "k1" }), "assertion")]
    {
        let receiver =
            server(&[token("one"), found(&[patient()]), refused.clone(), token("two"), found(&[]), outcomes(&["201"])]).await;
        let mut oauth =
            json!({ "token_url": format!("{}/token", receiver.url.split("/in?").next().unwrap()), "client_id": "us" });
        oauth.as_object_mut().unwrap().extend(credential.as_object().unwrap().clone());
        let settings = Settings { oauth: Some(serde_json::from_value(oauth).unwrap()), ..settings(&receiver) };
        let sink = FhirSink::new(&settings, store().await).unwrap();
        assert_eq!(write(&sink, &[1]).await.unwrap(), [Verdict::Written], "{by}");
        let heard = receiver.heard();
        let given: Vec<_> =
            heard.iter().filter_map(|heard| heard.headers.get("authorization")).filter(|a| a.starts_with("Bearer")).collect();
        assert_eq!(given, ["Bearer one", "Bearer one", "Bearer two", "Bearer two"], "{by}");
        let form = String::from_utf8(heard[0].body.clone()).unwrap();
        assert!(form.contains("grant_type=client_credentials") && form.contains("scope=system%2FObservation.cruds"), "{form}");
        if by == "basic" {
            assert!(heard[0].headers["authorization"].starts_with("Basic "));
        } else {
            assert!(
                form.contains("client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"),
                "{form}"
            );
            let assertion = form.split("client_assertion=").nth(1).unwrap().split('&').next().unwrap();
            let header = jsonwebtoken::decode_header(assertion).unwrap();
            assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::ES384, Some("k1")));
        }
    }
}

/// A key on P-384 made for this test, and used for nothing else.
const KEY: &str = include_str!("testdata/p384.pem");

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_by_name() {
    let refused = |settings: serde_json::Value| async move {
        let settings: Settings = serde_json::from_value(settings).unwrap();
        FhirSink::new(&settings, store().await).err().expect("a refusal").to_string()
    };
    let url = "https://fhir.example.org/r4";
    let oauth = |more: serde_json::Value| {
        let mut oauth = json!({ "token_url": "https://id.example.org/token", "client_id": "us" });
        oauth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "url": url, "oauth": oauth })
    };
    for (settings, said) in [
        (json!({ "url": "http://fhir.example.org" }), "sinks.fhir.url: expected https"),
        (json!({ "url": "https://fhir.example.org/r4?x=1" }), "without query"),
        (json!({ "url": url, "bundle_size": 0 }), "bundle_size"),
        (json!({ "url": url, "token": "t", "oauth": { "token_url": url, "client_id": "us" } }), "either token or oauth"),
        (oauth(json!({})), "either client_secret or private_key"),
        (oauth(json!({ "private_key": "no key" })), "PEM"),
        (oauth(json!({ "private_key": include_str!("testdata/p256.pem") })), "P-384"),
    ] {
        let told = refused(settings).await;
        assert!(told.contains(said), "{told}");
    }
    let printed = format!(
        "{:?}",
        Settings { token: Some(SecretString::from("s3cret")), ..serde_json::from_value(json!({ "url": url })).unwrap() }
    );
    assert!(!printed.contains("s3cret"), "{printed}");
}

#[test]
fn of_several_states_in_a_batch_the_newest_is_written() {
    let body = |version: i64, mapper_version: i32, id: u128| {
        let mut body = Vec::new();
        let observation = record(&headwater_schemas::codes::HEART_RATE);
        headwater_schemas::observation::Observation { id: Uuid::from_u128(id), version, mapper_version, ..observation }
            .encode(&mut body);
        body
    };
    let bodies = [body(3, 1, 1), body(2, 1, 1), body(1, 1, 2), body(3, 2, 1), body(3, 1, 1)];
    let incoming = bodies.iter().map(|body| Incoming {
        topic: &topics::OBSERVATION,
        position: Position::NONE,
        key: &[],
        framed: body,
        body,
    });
    let items: Vec<Item<'_>> = incoming.enumerate().map(|(index, incoming)| Item::of(index, &incoming).unwrap()).collect();
    let kept: Vec<usize> = newest(items).iter().map(|item| item.index).collect();
    assert_eq!(kept, [2, 3]);
}
