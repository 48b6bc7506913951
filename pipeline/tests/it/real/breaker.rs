//! The breaker on real Kafka: a registry that lost a schema, and gets it back.

use std::time::Duration;

use headwater_schemas::topics;
use serde_json::json;

use super::feed;
use super::parts_or_skip;
use super::rig::{Parts, Rig, until};
use super::server::Server;

const RECORDS: u64 = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_registry_lost_a_schema_waits_and_goes_on_when_it_is_back() {
    let parts = parts_or_skip!();
    // Its own registry, so that the next id is known.
    let registry = Server::start("registry");
    let rig = Rig::with(
        Parts { registry: registry.address("SCHEMA_REGISTRY_URL"), ..parts },
        false,
        "\n[group.breaker]\npause_ms = 300\n",
    )
    .await;
    let http = reqwest::Client::new();
    let register = async |doc: &str| -> u32 {
        let mut schema: serde_json::Value = serde_json::from_str(topics::RAW.schema.expect("a schema")).expect("JSON");
        schema["doc"] = doc.into();
        let url = format!("{}/subjects/{doc}-value/versions", rig.parts.registry);
        let body = json!({ "schema": schema.to_string(), "schemaType": "AVRO" });
        let answer: serde_json::Value = http.post(url).json(&body).send().await.expect("an answer").json().await.expect("JSON");
        u32::try_from(answer["id"].as_u64().expect("an id")).expect("a small number")
    };
    let next = register("before").await + 1;
    feed::put_as(&rig, next, (0, RECORDS));
    let mut normalize = rig.start(&["process", "normalize"]).await;
    let _scylla = rig.start(&["sink", "scylla"]).await;
    until("the breaker to open", async || (normalize.metric("headwater_breaker_open") > 0.5).then_some(())).await;
    // It is tried again and again, and buries nothing by that.
    until("some tries", async || (normalize.metric("headwater_batch_retries_total") > 8.0).then_some(())).await;
    let letters = || rig.values(&topics::DEAD.name(&rig.namespace, Some("normalize"))).len();
    let buried = letters();
    assert!(buried < 100, "{buried} of {RECORDS} records are buried");
    assert!(normalize.running());
    let log = std::fs::read_to_string(&normalize.log).expect("a log");
    assert!(
        log.contains("breaker open") && log.contains("most for unknown_schema_id") && log.contains("group.breaker.share"),
        "{log}"
    );
    // A restart takes part at once, and stops again as nothing is mended.
    assert!(normalize.stop().success(), "a drain is not held up");
    let before = letters();
    let normalize = rig.start(&["process", "normalize"]).await;
    until("the breaker to open", async || (normalize.metric("headwater_breaker_open") > 0.5).then_some(())).await;
    assert!(letters() - before < 100);

    assert_eq!(register("after").await, next, "the registry gives ids in their order");
    until("the breaker to close", async || (normalize.metric("headwater_breaker_open") < 0.5).then_some(())).await;
    let buried = u64::try_from(letters()).expect("a number");
    println!("{buried} of {RECORDS} records were buried before it stopped");
    until("the rest", async || (feed::present(&rig, RECORDS).await == RECORDS - buried).then_some(())).await;
    assert!(normalize.stop().success());
    if buried > 0 {
        let out = rig.command(&["dead", "replay", "--all"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    feed::complete(&rig, RECORDS, Duration::from_secs(60)).await;
}
