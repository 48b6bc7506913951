//! The FHIR sink on a real FHIR server, which refuses references that lead nowhere.

use std::sync::Arc;
use std::time::Duration;

use headwater_schemas::Position;
use headwater_schemas::codes;
use headwater_schemas::consent::{Consent, Decision};
use headwater_schemas::observation::{Observation, Status};
use headwater_schemas::topics::{self, Subject as _};
use headwater_sinks::fhir::{FhirSink, Settings};
use headwater_sinks::{Incoming, Sink as _, Verdict};
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use headwater_store::{Identity, Store as _, Subject};
use serde_json::Value;
use uuid::Uuid;

use super::environment::long;
use super::feed;
use super::parts_or_skip;
use super::rig::{Parts, Rig, until, until_within};
use super::server::Server;

/// Observations that go through while the server is killed. More with `HEADWATER_TEST_LONG=1`.
fn many() -> u64 {
    if long() { 50_000 } else { 3_000 }
}

struct Hapi {
    server: Server,
    url: String,
    http: reqwest::Client,
}

impl Hapi {
    fn start() -> Self {
        let server = Server::start("fhir");
        Self { url: server.address("FHIR_SERVER_URL"), server, http: reqwest::Client::new() }
    }

    async fn get(&self, path: &str) -> Value {
        let asked = self.http.get(format!("{}/{path}", self.url)).header("cache-control", "no-cache");
        asked.send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn count(&self, path: &str) -> Option<u64> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let asked = self.http.get(format!("{}/{path}{joint}_summary=count", self.url)).header("cache-control", "no-cache");
        asked.send().await.ok()?.json::<Value>().await.ok()?["total"].as_u64()
    }

    async fn put(&self, kind: &str, id: &str, resource: &Value) {
        let asked = self.http.put(format!("{}/{kind}/{id}", self.url)).header("content-type", "application/fhir+json");
        assert!(asked.body(resource.to_string()).send().await.expect("an answer").status().is_success());
    }

    async fn delete(&self, kind: &str, id: &str) {
        let answer = self.http.delete(format!("{}/{kind}/{id}", self.url)).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    async fn sink(&self) -> (FhirSink, Arc<SqliteStore>) {
        let store = Arc::new(SqliteStore::open(":memory:".as_ref(), Keyring::ephemeral()).await.expect("a store"));
        store.migrate().await.expect("tables");
        let settings = serde_json::json!({ "url": self.url, "erase_settle_seconds": 0 });
        let settings: Settings = serde_json::from_value(settings).expect("settings");
        (FhirSink::new(&settings, store.clone()).expect("a sink"), store)
    }
}

async fn killed_in_the_middle_it_has_every_observation_in_the_end(hapi: &Hapi, parts: Parts) {
    let before = hapi.count("Observation").await.expect("a number");
    let there = async || hapi.count("Observation").await.map(|n| n - before);
    let rig = Rig::with(parts, false, &format!("\n[sinks.fhir]\nurl = \"{}\"\n", hapi.url)).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let _normalize = rig.start(&["process", "normalize"]).await;
    let mut sink = rig.start(&["sink", "fhir"]).await;
    for first in (0..many()).step_by(4000) {
        feed::put(&producer, first, (first + 4000).min(many())).await;
    }
    let patience = Duration::from_millis(20 * many()) + Duration::from_secs(90);
    let written = until_within("a third", patience, async || there().await.filter(|n| *n > many() / 3)).await;
    hapi.server.kill();
    until("the sink to notice", async || (sink.metric("headwater_batch_retries_total") > 0.0).then_some(())).await;
    assert!(sink.running(), "it waits and does not end");
    hapi.server.up();
    until_within("the rest", patience, async || there().await.filter(|n| *n == many())).await;
    println!("{} observations, {written} of them written when the server was killed", many());
    for person in 0..5 {
        let subject = feed::subject(person);
        let expected = (0..many()).filter(|n| feed::subject(*n) == subject).count() as u64;
        assert_eq!(hapi.count(&format!("Observation?subject=Patient/{subject}")).await, Some(expected));
    }
    // Values, and not only numbers of them.
    for n in (0..many()).step_by(97) {
        let (grams, at) = feed::expected(n);
        let time = jiff::Timestamp::from_second(at).expect("a time").to_string();
        let found = hapi.get(&format!("Observation?subject=Patient/{}&date={time}", feed::subject(n))).await;
        let value = found["entry"][0]["resource"]["valueQuantity"]["value"].as_f64().expect("a value");
        assert!((value * 1000.0 - grams as f64).abs() < 1e-6, "record {n}: {found}");
    }
    assert!(rig.command(&["dead", "list"]).stdout.is_empty(), "an outage is nobody's fault");
}

/// One state of an observation, as the processor renders it.
struct State {
    id: Uuid,
    status: Status,
    version: i64,
    value: Option<&'static str>,
    device: Option<Uuid>,
    code: &'static str,
}

impl State {
    fn fhir(&self) -> String {
        let issued = jiff::Timestamp::from_microsecond(self.version).expect("a time");
        let value = match self.value {
            Some(value) => format!(r#""valueQuantity":{{"value":{value},"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"#),
            None => r#""dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"unknown"}]}"#.into(),
        };
        let device = self.device.map_or_else(String::new, |id| format!(r#","device":{{"reference":"Device/{id}"}}"#));
        format!(
            r#"{{"resourceType":"Observation","id":"{}","meta":{{"tag":[{{"system":"urn:headwater:codesystem:tag","code":"withings"}}]}},"identifier":[{{"system":"urn:headwater:record:withings","value":"{}"}}],"status":"{}","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{}"}}]}},"subject":{{"reference":"Patient/person-9"}},"effectiveDateTime":"2026-11-01T07:00:00Z","issued":"{issued}",{value}{device}}}"#,
            self.id, self.id, self.status, self.code
        )
    }

    fn body(&self) -> Vec<u8> {
        let fhir = self.fhir();
        let observation = Observation {
            provider: "withings",
            status: self.status,
            value_text: self.value,
            device_id: self.device,
            version: self.version,
            mapper_version: 1,
            fhir: &fhir,
            ..Observation::of(&codes::WEIGHT, "person-9", self.id, 0)
        };
        let mut body = Vec::new();
        observation.encode(&mut body);
        body
    }
}

async fn write(sink: &FhirSink, states: &[State]) -> Vec<Verdict> {
    let bodies: Vec<Vec<u8>> = states.iter().map(State::body).collect();
    let batch: Vec<Incoming<'_>> = bodies
        .iter()
        .map(|body| Incoming { topic: &topics::OBSERVATION, position: Position::NONE, key: b"person-9", framed: body, body })
        .collect();
    sink.write(&batch).await.expect("the server is there")
}

/// The four states of an observation's life.
fn life(id: Uuid) -> [State; 4] {
    let state = |status, version, value| State { id, status, version, value, device: None, code: "29463-7" };
    [
        state(Status::Preliminary, 1_790_000_000_000_001, Some("70.1")),
        state(Status::Final, 1_790_000_000_000_002, Some("70.2")),
        state(Status::Amended, 1_790_000_000_500_000, Some("70.3")),
        state(Status::EnteredInError, 1_790_000_001_000_000, None),
    ]
}

/// All orders of 0 to 3.
fn orders() -> Vec<[usize; 4]> {
    let mut all = vec![];
    for n in 0..256 {
        let order = [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3];
        if (0..4).all(|state| order.contains(&state)) {
            all.push(order);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_has_the_newest_of_everything_whatever_happens() {
    let parts = parts_or_skip!();
    let hapi = Hapi::start();
    every_order_of_states_ends_in_the_newest(&hapi).await;
    one_that_is_refused_takes_nobody_with_it(&hapi).await;
    what_was_deleted_there_is_made_again(&hapi).await;
    an_erased_person_is_gone_and_what_others_wrote_stays(&hapi).await;
    killed_in_the_middle_it_has_every_observation_in_the_end(&hapi, parts).await;
}

async fn every_order_of_states_ends_in_the_newest(hapi: &Hapi) {
    let (sink, _) = hapi.sink().await;
    let orders = orders();
    assert_eq!(orders.len(), 24);
    // Twice: a replay brings all of them once more, in the same order.
    for _ in 0..2 {
        for turn in 0..4 {
            let states: Vec<State> = orders
                .iter()
                .enumerate()
                .map(|(n, order)| {
                    let [a, b, c, d] = life(Uuid::from_u128(1000 + n as u128));
                    [a, b, c, d].into_iter().nth(order[turn]).expect("one of four")
                })
                .collect();
            assert!(write(&sink, &states).await.iter().all(|verdict| *verdict == Verdict::Written));
        }
        for (n, order) in orders.iter().enumerate() {
            let stands = hapi.get(&format!("Observation/{}", Uuid::from_u128(1000 + n as u128))).await;
            assert_eq!((&stands["status"], &stands["valueQuantity"]), (&"entered-in-error".into(), &Value::Null), "{order:?}");
        }
    }
}

async fn one_that_is_refused_takes_nobody_with_it(hapi: &Hapi) {
    let (sink, _) = hapi.sink().await;
    // The server has never heard of either device, and cannot read the status of the second.
    let state =
        |n, status, device| State { id: Uuid::from_u128(n), status, version: 5, value: Some("70.5"), device, code: "29463-7" };
    let states = [
        state(2001, Status::Final, Some(Uuid::from_u128(71))),
        State { code: "no code \u{0}", ..state(2002, Status::Final, None) },
        state(2003, Status::Final, Some(Uuid::from_u128(72))),
    ];
    let verdicts = write(&sink, &states).await;
    let Verdict::Rejected(reject) = &verdicts[1] else { panic!("{verdicts:?}") };
    assert_eq!(reject.code, "refused_by_sink", "{reject}");
    assert!(verdicts[0] == Verdict::Written && verdicts[2] == Verdict::Written, "{verdicts:?}");
    let device = hapi.get(&format!("Device/{}", Uuid::from_u128(71))).await;
    assert_eq!(device["patient"]["reference"], "Patient/person-9", "its place is held until its record comes: {device}");
}

async fn what_was_deleted_there_is_made_again(hapi: &Hapi) {
    let (sink, _) = hapi.sink().await;
    let state = |n| State {
        id: Uuid::from_u128(n),
        status: Status::Final,
        version: 5,
        value: Some("70.6"),
        device: Some(Uuid::from_u128(73)),
        code: "29463-7",
    };
    assert_eq!(write(&sink, &[state(3001)]).await, [Verdict::Written]);
    hapi.delete("Observation", &Uuid::from_u128(3001).to_string()).await;
    hapi.delete("Device", &Uuid::from_u128(73).to_string()).await;
    assert_eq!(write(&sink, &[state(3002), state(3001)]).await, [Verdict::Written, Verdict::Written]);
    assert_eq!(hapi.get(&format!("Observation/{}", Uuid::from_u128(3001))).await["status"], "final");
}

async fn an_erased_person_is_gone_and_what_others_wrote_stays(hapi: &Hapi) {
    let (sink, store) = hapi.sink().await;
    let theirs = serde_json::json!({ "resourceType": "Observation", "id": "theirs", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/person-9" } });
    hapi.put("Observation", "theirs", &theirs).await;
    assert!(hapi.count("Observation?subject=Patient/person-9").await > Some(20));
    let consent = Consent {
        subject_id: "person-9",
        version: i64::MAX,
        decision: Decision::Erased,
        data_types: vec![],
        recipients: vec![],
        until: None,
        actor: "subject:person-9",
        at: 0,
    };
    let mut body = Vec::new();
    consent.encode(&mut body);
    let erased = [Incoming { topic: &topics::CONSENT, position: Position::NONE, key: b"person-9", framed: &body, body: &body }];
    for _ in 0..2 {
        assert_eq!(sink.write(&erased).await.expect("the server is there"), [Verdict::Written]);
        assert_eq!(hapi.count("Observation?subject=Patient/person-9").await, Some(1), "theirs");
        assert_eq!(hapi.count("Device").await, Some(0));
    }
    assert_eq!(hapi.get("Patient/person-9").await["resourceType"], "Patient", "theirs refers to it");

    // A patient whom the server knows by a platform's identifier is found, referred to, and never touched.
    let patient = serde_json::json!({ "resourceType": "Patient", "id": "p-4711", "name": [{ "family": "Ada" }],
        "identifier": [{ "system": "https://clinic.example/mrn", "value": "4711" }] });
    hapi.put("Patient", "p-4711", &patient).await;
    let identity = Identity { system: "https://clinic.example/mrn".into(), value: "4711".into() };
    store.put_subject(&Subject { id: "person-9".into(), identity: Some(identity), created_at: 0 }).await.expect("the store");
    let [_, fine, ..] = life(Uuid::from_u128(4001));
    assert_eq!(write(&sink, &[fine]).await, [Verdict::Written]);
    let stands = hapi.get(&format!("Observation/{}", Uuid::from_u128(4001))).await;
    assert_eq!(stands["subject"]["reference"], "Patient/p-4711");
    assert_eq!(hapi.get("Patient/p-4711").await["name"][0]["family"], "Ada");

    // A sink that was started since, and a store that knows nothing of them any more, still find what is theirs.
    let (sink, _) = hapi.sink().await;
    assert_eq!(sink.write(&erased).await.expect("the server is there"), [Verdict::Written]);
    assert_eq!(hapi.count("Observation?subject=Patient/p-4711").await, Some(0));
    assert_eq!(hapi.get("Patient/p-4711").await["name"][0]["family"], "Ada");
}
