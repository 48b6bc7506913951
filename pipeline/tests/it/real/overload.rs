//! More webhooks than the door can take, and a log that does not answer: who is not taken is told so at once, who is told yes is there.

use std::collections::HashSet;
use std::time::Duration;

use headwater_schemas::hint::Hint;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{ids, wire};
use headwater_simulator::flood::{Flood, Flooded, flood};

use super::parts_or_skip;
use super::rig::{Parts, Process, Rig, quiet};
use super::server::Server;

const PROVIDER: &str = "polar";
const KEY: &str = "told-when-the-webhook-was-made";
/// So few that a small flood is one.
const PERMITS: (&str, &str) = ("HEADWATER_INGEST__DOOR_PERMITS", "8");

fn provider() -> String {
    format!(
        "[providers.{PROVIDER}]\nclient_id = \"c\"\nclient_secret = \"s\"\n[providers.{PROVIDER}.webhook]\nsigning_key = \"{KEY}\"\n"
    )
}

fn calls(rig: &Rig, rate: Option<f64>, seconds: u64, connections: usize, first: u64) -> Flood {
    Flood {
        url: format!("http://{}/webhooks/{PROVIDER}", rig.receive),
        signing_key: KEY.into(),
        rate,
        length: Duration::from_secs(seconds),
        connections,
        patience: Duration::from_secs(1),
        first,
    }
}

/// Those of `accepted` of whom nothing is on the topic.
fn lost(rig: &Rig, accepted: &[u64]) -> Vec<u64> {
    let values = rig.values(&topics::HINT_LIVE.name(&rig.namespace, None));
    let there: HashSet<uuid::Uuid> = values
        .iter()
        .map(|value| {
            let (_, body) = wire::split(value).expect("framed");
            Hint::decode(body).expect("a hint").connection_id
        })
        .collect();
    accepted.iter().copied().filter(|person| !there.contains(&ids::connection(PROVIDER, &person.to_string()))).collect()
}

fn told(what: &str, flooded: &Flooded, receive: &Process) {
    let at = |times: &hdrhistogram::Histogram<u64>, share| times.value_at_quantile(share) as f64 / 1e3;
    println!(
        "{what}: answers {:?}, unsent {}, accepted p50 {:.0} ms, p99 {:.0} ms, refused p50 {:.0} ms, p99 {:.0} ms, memory {:.0?} MiB",
        flooded.answers,
        flooded.unsent,
        at(&flooded.taken, 0.5),
        at(&flooded.taken, 0.99),
        at(&flooded.refused, 0.5),
        at(&flooded.refused, 0.99),
        receive.memory()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_what_the_door_carries_is_refused_in_part_and_nothing_that_was_accepted_is_lost() {
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, &provider()).await;
    let receive = rig.start_with(&["receive"], &[PERMITS]).await;
    let calm = flood(calls(&rig, None, 3, 4, 0)).await.expect("sent");
    told("calm", &calm, &receive);
    assert_eq!(calm.answers.keys().copied().collect::<Vec<_>>(), [Some(200)], "four at a time are carried");
    let rate = calm.accepted.len() as f64 / calm.took.as_secs_f64() * 10.0;

    let warm = flood(calls(&rig, Some(rate), 4, 200, 1_000_000)).await.expect("sent");
    let (before, _) = receive.memory();
    let high = flood(calls(&rig, Some(rate), 10, 200, 2_000_000)).await.expect("sent");
    told("flood", &high, &receive);
    let refused = high.answers.get(&Some(503)).copied().unwrap_or(0);
    assert!(high.answers.keys().all(|status| matches!(status, Some(200 | 503))), "{:?}", high.answers);
    assert!(refused > 0 && high.told_when == refused, "each refusal says when to come again");
    assert!(!high.accepted.is_empty(), "a flood does not close the door");
    // From when it was due: what the sender lagged behind is in it.
    assert!(high.refused.value_at_quantile(0.5) < 1_500_000, "a refusal takes {} µs", high.refused.value_at_quantile(0.5));
    let (after, most) = receive.memory();
    assert!(
        after < before + 16.0 && most < 256.0,
        "{before:.0} MiB in the flood, {after:.0} MiB ten seconds later, {most:.0} at most"
    );
    let accepted = [&calm, &warm, &high].map(|flooded| flooded.accepted.as_slice()).concat();
    assert_eq!(lost(&rig, &accepted), [0; 0]);
    assert!(receive.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_stands_still_callers_hear_so_in_time_and_what_was_accepted_is_there_afterwards() {
    let parts = parts_or_skip!();
    let kafka = Server::start("kafka");
    let rig = Rig::with(Parts { kafka: kafka.address("KAFKA_BOOTSTRAP"), ..parts }, false, &provider()).await;
    let receive = rig.start(&["receive"]).await;
    let before = flood(calls(&rig, Some(100.0), 2, 50, 0)).await.expect("sent");
    assert_eq!(before.answers.keys().copied().collect::<Vec<_>>(), [Some(200)]);

    kafka.pause();
    let during = flood(calls(&rig, Some(100.0), 10, 600, 1_000_000)).await.expect("sent");
    told("stopped", &during, &receive);
    kafka.resume();
    assert!(during.answers.keys().all(|status| matches!(status, Some(200 | 503))), "{:?}", during.answers);
    let refused = during.answers.get(&Some(503)).copied().unwrap_or(0);
    assert!(refused > 500 && during.told_when == refused, "{refused} refused, {} told when to come again", during.told_when);
    // From when it was sent, which is when a provider begins to wait. It gives up after five seconds.
    assert!(during.heard.max() < 5_000_000, "an answer took {} µs", during.heard.max());
    assert!(during.heard.value_at_quantile(0.2) < 500_000, "with all places taken a refusal is quick");
    let (_, most) = receive.memory();
    assert!(most < 256.0, "{most:.0} MiB");

    let after = super::rig::until("the door to take calls again", async || {
        let after = flood(calls(&rig, Some(50.0), 1, 50, 2_000_000)).await.expect("sent");
        (after.answers.keys().copied().collect::<Vec<_>>() == [Some(200)]).then_some(after)
    })
    .await;
    quiet("what the producer still holds", Duration::from_secs(1), || {
        rig.values(&topics::HINT_LIVE.name(&rig.namespace, None)).len()
    })
    .await;
    let accepted = [&before, &during, &after].map(|flooded| flooded.accepted.as_slice()).concat();
    assert_eq!(lost(&rig, &accepted), [0; 0]);
}
