//! Input that cannot be right: a clear error each, and nothing lost.

use std::process::Command;

use headwater_ingest::Outlet as _;
use headwater_schemas::{Outbox, topics};
use headwater_simulator::{Addition, Content, Fault, Provider};

use super::feed;
use super::parts_or_skip;
use super::rig::{PATH_SECRET, Rig, until};

fn letters(rig: &Rig) -> Vec<serde_json::Value> {
    let out = rig.command(&["dead", "list", "--each", "--json"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_refuses_what_is_not_genuine_or_too_large_and_counts_it() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let receive = rig.start(&["receive"]).await;
    let http = reqwest::Client::new();
    let url = |tail: &str| format!("http://{}/webhooks/{tail}", rig.receive);
    let status = async |url: String, body: Vec<u8>| http.post(url).body(body).send().await.expect("an answer").status().as_u16();
    assert_eq!(status(url("withings/not-the-secret"), b"userid=1&appli=1".to_vec()).await, 401);
    assert_eq!(status(url("google_health"), b"{}".to_vec()).await, 401);
    assert_eq!(status(url(&format!("withings/{PATH_SECRET}")), vec![b'x'; 1_000_000]).await, 413);
    assert_eq!(status(url("nobody"), vec![]).await, 404);
    assert_eq!(status(url(&format!("withings/{PATH_SECRET}")), b"userid=1&appli=1&startdate=1&enddate=2".to_vec()).await, 200);
    assert!(receive.metric("headwater_webhook_refused_total") >= 4.0);
    assert_eq!(rig.values(&topics::HINT_LIVE.name(&rig.namespace, None)).len(), 1, "only the genuine call left a hint");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_is_kept_and_told_with_its_place() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let _receive = rig.start(&["receive"]).await;
    let _normalize = rig.start(&["process", "normalize"]).await;
    let (control, person) = (rig.control(), rig.person(Provider::GoogleHealth));
    rig.connect(&person, "person-1").await;
    control.fault_at(Provider::GoogleHealth, "weight", Fault::CutJson, 1);
    let at = jiff::Timestamp::now().as_second() - 3600;
    let addition = Addition { start: at, end: at, content: Content::Value(70_000.0) };
    control.add(Provider::GoogleHealth, &person.user_id, "weight", addition).await.expect("added");
    let _fetch = rig.start(&["fetch"]).await;
    let letter = until("the dead letter", async || letters(&rig).into_iter().next()).await;
    assert_eq!((letter["worker"].as_str(), letter["code"].as_str()), (Some("normalize"), Some("malformed_json")));
    assert!(letter["place"].as_str().is_some_and(|place| place.contains("column")), "{letter}");
    let shown = rig.command(&["dead", "show", "normalize", letter["position"].as_str().expect("a position"), "--body"]);
    assert!(
        shown.stdout.starts_with(b"{") && serde_json::from_slice::<serde_json::Value>(&shown.stdout).is_err(),
        "the provider's bytes, cut off as they came"
    );
    // The question is asked again, and this time answered.
    until("the measurement", async || {
        let out = rig.values(&topics::OBSERVATION.name(&rig.namespace, None));
        out.iter().any(|v| v.windows(11).any(|w| w == b"body-weight")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_bytes_on_the_topic_are_buried_with_the_reason_and_their_neighbours_go_on() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let topic = topics::RAW.name(&rig.namespace, Some(feed::PROVIDER));
    feed::send(&rig, &topic, [("k", b"{\"json\":true}".as_slice()), ("k", b"\x00\x00\x0f\x42\x3fbody"), ("k", b"\x00\x01")]);
    let producer = rig.app.producer("feed").expect("a producer");
    let mut out = Outbox::default();
    feed::append(&mut out, "person-1", br#"{"dataPoints":[{"weight":{"weightGrams":"heavy"}}]}"#);
    producer.append(&out).await.expect("taken");
    feed::put(&producer, 0, 10).await;
    let _normalize = rig.start(&["process", "normalize"]).await;
    let _scylla = rig.start(&["sink", "scylla"]).await;
    feed::complete(&rig, 10, std::time::Duration::from_secs(60)).await;
    let found = until("all letters", async || Some(letters(&rig)).filter(|l| l.len() == 4)).await;
    let mut codes: Vec<&str> = found.iter().filter_map(|l| l["code"].as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["bad_magic", "bad_magic", "unexpected_shape", "unknown_schema_id"], "{found:?}");
    let magic = found.iter().find(|l| l["detail"].as_str().is_some_and(|d| d.contains("0x7b"))).expect("the JSON");
    let shown = rig.command(&["dead", "show", "normalize", magic["position"].as_str().expect("a position"), "--envelope"]);
    assert_eq!(shown.stdout, b"{\"json\":true}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incompatible_schema_is_refused_at_registration() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    // Somebody registered a version that needs a field our records have not.
    let subject = format!("{}-value", topics::COVERAGE.name(&rig.namespace, None));
    let mut schema: serde_json::Value = serde_json::from_str(topics::COVERAGE.schema.expect("a schema")).expect("JSON");
    schema["fields"].as_array_mut().expect("fields").push(serde_json::json!({"name": "needed", "type": "string"}));
    let http = reqwest::Client::new();
    let base = &rig.parts.registry;
    let level =
        |level: &str| http.put(format!("{base}/config/{subject}")).json(&serde_json::json!({ "compatibility": level })).send();
    level("NONE").await.expect("an answer");
    let body = serde_json::json!({ "schema": schema.to_string(), "schemaType": "AVRO" });
    let registered = http.post(format!("{base}/subjects/{subject}/versions")).json(&body).send().await.expect("an answer");
    assert!(registered.status().is_success());
    level("FULL_TRANSITIVE").await.expect("an answer");
    for verb in ["check", "register"] {
        let refused = rig.command(&["schemas", verb]);
        let text = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("refused  {subject}")), "{text}");
    }
}

#[test]
fn wrong_configuration_names_key_file_and_what_was_expected() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("headwater.toml");
    let good = "[kafka]\nbootstrap = \"127.0.0.1:1\"\n[registry]\nurl = \"http://127.0.0.1:1\"\n[store]\nkeys = \"t:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n[store.sqlite]\npath = \"x\"\n";
    let run = |text: &str| {
        std::fs::write(&file, text).expect("a writable folder");
        Command::new(env!("CARGO_BIN_EXE_headwater")).args(["config", "--config"]).arg(&file).output().expect("it runs")
    };
    assert!(run(good).status.success());
    for (bad, expected) in [
        ("nonsense = 1\n".to_owned() + good, vec!["unknown key nonsense", "headwater.toml"]),
        (good.replace("path = \"x\"", "path = 7"), vec!["store.sqlite.path", "expected", "headwater.toml"]),
        (
            good.to_owned() + "[providers.nobody]\nclient_id = \"a\"\nclient_secret = \"b\"\n",
            vec!["providers.nobody", "expected one of"],
        ),
        (good.to_owned() + "[providers.withings]\nclient_id = \"a\"\n", vec!["client_secret"]),
        (
            good.to_owned() + "[processing]\nguarantee = \"twice\"\n",
            vec!["processing.guarantee", "expected one of", "exactly_once"],
        ),
        (
            good.to_owned() + "[processing]\ncommit_interval_ms = 60000\n",
            vec!["processing.commit_interval_ms", "expected 1 to 5000"],
        ),
        (good.to_owned() + "[group]\ndrain_ms = 90000\n", vec!["group.drain_ms", "expected less than"]),
        (good.to_owned() + "[group.breaker]\nshare = 50\n", vec!["group.breaker.share", "less than 1"]),
    ] {
        let out = run(&bad);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{text}");
        assert!(expected.iter().all(|part| text.contains(part)), "{text} should say {expected:?}");
    }
}
