//! A rolling upgrade with a schema change: some instances write a newer version of a record while others still read it as they know it.

use std::time::Duration;

use headwater_schemas::codes::HEART_RATE;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Topic};
use uuid::Uuid;

use crate::real::feed;
use crate::real::parts_or_skip;
use crate::real::rig::{Rig, until};

const RECORDS: u64 = 600;

/// Registers the next version of a topic's schema, with one more field, and gives its id.
async fn evolved(rig: &Rig, topic: &Topic, name: &str) -> u32 {
    let mut schema: serde_json::Value = serde_json::from_str(topic.schema.expect("a schema")).expect("JSON");
    let added = serde_json::json!({"name": "added_later", "type": ["null", "string"], "default": null});
    schema["fields"].as_array_mut().expect("fields").push(added);
    let body = serde_json::json!({ "schema": schema.to_string(), "schemaType": "AVRO" });
    let url = format!("{}/subjects/{name}-value/versions", rig.parts.registry);
    let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    let said: serde_json::Value = answer.json().await.expect("JSON");
    u32::try_from(said["id"].as_u64().expect("an id")).expect("an id of 32 bits")
}

/// As the newer version writes the new field, which says something.
const NEW: &[u8] = b"\x02\x06new";

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_newer_schema_are_read_by_instances_that_do_not_know_it_yet() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let (raw, observation) =
        (topics::RAW.name(&rig.namespace, Some(feed::PROVIDER)), topics::OBSERVATION.name(&rig.namespace, None));
    let ours = rig.app.producer("feed").expect("a producer");
    let roles = [["process", "normalize"], ["sink", "scylla"]];
    let mut running = Vec::new();
    for instance in ["one", "two"] {
        for role in roles {
            running.push((instance, role, rig.start_with(&role, &[("HEADWATER_INSTANCE", instance)]).await));
        }
    }
    feed::put(&ours, 0, RECORDS / 3).await;
    let (raw_id, observation_id) =
        (evolved(&rig, &topics::RAW, &raw).await, evolved(&rig, &topics::OBSERVATION, &observation).await);

    // Both versions come in turn while every role is restarted, one after the other.
    let mut restarted = Vec::new();
    for (step, (instance, role, process)) in running.into_iter().enumerate() {
        let each = RECORDS / 3 / 4;
        let from = RECORDS / 3 + step as u64 * 2 * each;
        feed::put(&ours, from, from + each).await;
        feed::send_as(&rig, &raw, raw_id, &feed::batch(from + each, from + 2 * each), NEW);
        // An orchestrator waits until an instance is well before it takes the next; and a static member that goes while the group is on the move may
        // leave partitions to nobody until the group moves again.
        feed::complete(&rig, from + 2 * each, Duration::from_secs(120)).await;
        let stopped = tokio::task::spawn_blocking(move || process.stop()).await.expect("it ended");
        assert!(stopped.success());
        restarted.push(rig.start_with(&role, &[("HEADWATER_INSTANCE", instance)]).await);
    }
    feed::complete(&rig, RECORDS, Duration::from_secs(120)).await;

    // And an observation of a newer normalize, for the sink.
    let (id, start) = (Uuid::new_v4(), feed::span(1).0);
    let newest = Observation {
        record_id: "r",
        provider: feed::PROVIDER,
        version: start,
        value: Some(61.0),
        value_text: Some("61"),
        ..Observation::of(&HEART_RATE, "person-0", id, start)
    };
    let mut out = Outbox::default();
    out.put(&topics::OBSERVATION, None, b"person-0", |bytes| newest.encode(bytes));
    feed::send_as(&rig, &observation, observation_id, &out, NEW);
    until("the newer observation", async || rig.rows("person-0", "heart-rate", start, start + 1).await.pop()).await;
    assert!(restarted.iter_mut().all(|process| process.running()), "nobody ends by it");
    assert!(rig.command(&["dead", "list"]).stdout.is_empty(), "a newer version is nobody's fault");
}
