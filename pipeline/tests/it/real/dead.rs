//! Dead letters on real parts: grouped, shown without a value, done again, given up.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use headwater::dead::letter::Letter;
use headwater::dead::read;
use headwater::dead::replay::{Replay, Summary};
use headwater::log::Batch;
use headwater::run::{Unavailable, Work};
use headwater_ingest::Outlet as _;
use headwater_schemas::audit::Audit;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Topic, ids, wire};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::Value;

use super::feed;
use super::parts_or_skip;
use super::rig::{Rig, until};

/// The worker buries whatever comes: these tests want many letters.
pub const NO_BREAKER: &str = "\n[group.breaker]\nshare = 0\n";
/// A schema that no registry has.
const UNKNOWN: u32 = 999_997;

fn text(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn dead(rig: &Rig, arguments: &[&str]) -> String {
    text(&rig.command(&[&["dead"], arguments].concat()))
}

fn lines(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    dead(rig, &[&["list", "--json"], arguments].concat()).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Count and fingerprint of the only group with this code.
fn group(rig: &Rig, code: &str) -> Option<(u64, String)> {
    let found = lines(rig, &["--code", code]);
    assert!(found.len() < 2, "{found:?}");
    found
        .first()
        .map(|group| (group["count"].as_u64().expect("a number"), group["fingerprint"].as_str().expect("text").to_owned()))
}

/// The registry is mended: what it answered is in the cache file, as if it had been asked.
fn know(rig: &Rig, id: u32, topic: &Topic) {
    let file = rig.folder.path().join("schema-ids.json");
    let read = std::fs::read(&file).unwrap_or_else(|_| br#"{"schemas":{},"writers":{}}"#.to_vec());
    let mut cache: Value = serde_json::from_slice(&read).expect("JSON");
    cache["schemas"][id.to_string()] = topic.schema.expect("a schema").into();
    std::fs::write(&file, cache.to_string()).expect("written");
}

/// Letters of two providers and for three reasons, and one page of which the rest went on.
async fn buried(rig: &Rig) {
    let producer = rig.app.producer("feed").expect("a producer");
    let mut out = Outbox::default();
    // One bad row between good ones, at different places.
    let bad = |records: &[u64], at: usize| {
        let mut page: Value = serde_json::from_str(&feed::page(records)).expect("JSON");
        page["dataPoints"][at]["weight"]["weightGrams"] = "heavy-4711".into();
        page.to_string()
    };
    feed::append(&mut out, "person-0", bad(&[0, 5, 10], 1).as_bytes());
    feed::append(&mut out, "person-0", bad(&[15, 20, 25], 2).as_bytes());
    let connection = ids::connection("withings", "person-1");
    let cut = br#"{"status":0,"body":{"measuregrps":[{"grpid":815,"comment":"of Ann Example"#;
    let raw = Raw {
        raw_id: uuid::Uuid::now_v7(),
        ..Raw::of("withings", "getmeas", (connection, "person-1"), 1_780_272_000_000_000, cut)
    };
    out.put(&topics::RAW, Some("withings"), connection.to_string().as_bytes(), |bytes| raw.encode(bytes));
    producer.append(&out).await.expect("taken");
    let topic = topics::RAW.name(&rig.namespace, Some(feed::PROVIDER));
    let value = br#"{"user":"Ann Example","pulse":[61,62]}"#.as_slice();
    feed::send(rig, &topic, [("k", value)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_grouped_filtered_shown_without_a_value_and_dropped_on_record() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    buried(&rig).await;
    let normalize = rig.start(&["process", "normalize"]).await;
    let _scylla = rig.start(&["sink", "scylla"]).await;
    until("all letters", async || Some(()).filter(|()| lines(&rig, &["--each"]).len() == 4)).await;
    // A bad row never takes its page with it: of six rows of two pages, four.
    until("the other rows of the pages", async || {
        let (from, to) = feed::span(100);
        let rows = rig.rows("person-0", "body-weight", from, to).await;
        let starts: Vec<i64> = rows.iter().map(|row| row.start / 1_000_000).collect();
        (starts == [20, 15, 10, 0].map(|n| feed::expected(n).1)).then_some(())
    })
    .await;
    assert!(normalize.stop().success());

    // Two places of an array are one group.
    let groups = lines(&rig, &[]);
    let seen: Vec<(u64, &str, &str)> = groups
        .iter()
        .map(|g| {
            (
                g["count"].as_u64().expect("a count"),
                g["provider"].as_str().expect("a provider"),
                g["code"].as_str().expect("a code"),
            )
        })
        .collect();
    assert_eq!(seen[0], (2, feed::PROVIDER, "unexpected_shape"), "{groups:?}");
    assert!(groups[0]["path"].as_str().is_some_and(|path| path.starts_with("dataPoints[*]")), "{groups:?}");
    assert!(
        seen.contains(&(1, "withings", "malformed_json")) && seen.contains(&(1, feed::PROVIDER, "bad_magic")) && seen.len() == 3
    );

    // Filters, the same for all verbs.
    let count = |arguments: &[&str]| lines(&rig, &[&["--each"], arguments].concat()).len();
    for (arguments, expected) in [
        (&["--provider", "withings"][..], 1),
        (&["--stream", "getmeas"], 1),
        (&["--stream", "weight"], 2),
        (&["--worker", "normalize"], 4),
        (&["--worker", "scylla"], 0),
        (&["--code", "bad_magic"], 1),
        (&["--code", "bad_magic", "--provider", "withings"], 0),
        (&["--since", "1h"], 4),
        (&["--until", "1h"], 0),
        (&["--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z"], 0),
        (&[groups[0]["fingerprint"].as_str().expect("text")], 2),
    ] {
        assert_eq!(count(arguments), expected, "{arguments:?}");
    }

    // No value of any payload unless it is asked for.
    let each = lines(&rig, &["--each"]);
    let told = [&["list"][..], &["list", "--each"], &["show", "--worker", "normalize"]].map(|arguments| dead(&rig, arguments));
    let said = format!("{}{groups:?}{each:?}", told.concat());
    for secret in ["heavy", "4711", "Ann", "815", "61,", "60000", "person-", "2026-06-01T00:35"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    let of =
        |code: &str| each.iter().find(|l| l["code"] == code).expect("a letter")["position"].as_str().expect("text").to_owned();
    let shown: Value = serde_json::from_str(&dead(&rig, &["show", "normalize", &of("unexpected_shape")])).expect("JSON");
    let point = serde_json::json!({"weight": {"weightGrams": "number|string", "sampleTime": {"physicalTime": "string", "utcOffset": "string"}}});
    assert_eq!(shown["body"]["shape"], serde_json::json!({ "dataPoints": [point] }));
    assert_eq!((&shown["envelope"]["provider"], &shown["envelope"]["stream"]), (&feed::PROVIDER.into(), &"weight".into()));
    let cut = rig.command(&["dead", "show", "normalize", &of("malformed_json"), "--body"]);
    assert!(cut.stdout.ends_with(b"of Ann Example") && String::from_utf8_lossy(&cut.stderr).contains("a person's data"));
    let whole = rig.command(&["dead", "show", "normalize", &of("bad_magic"), "--envelope"]);
    assert_eq!(whole.stdout, br#"{"user":"Ann Example","pulse":[61,62]}"#);

    // Giving up needs a yes and leaves a record.
    let fingerprint = groups[0]["fingerprint"].as_str().expect("text");
    for refused in [&["dead", "drop", fingerprint][..], &["dead", "drop"], &["dead", "drop", "--yes"], &["dead", "replay"]] {
        assert_eq!(rig.command(refused).status.code(), Some(1), "{refused:?}");
    }
    assert_eq!(lines(&rig, &["--each"]).len(), 4);
    assert!(dead(&rig, &["drop", fingerprint, "--yes"]).contains("2 letters dropped"));
    assert_eq!(group(&rig, "unexpected_shape"), None);
    assert_eq!(lines(&rig, &["--each"]).len(), 2, "the others are as they were");
    let audit = rig.values(&topics::AUDIT.name(&rig.namespace, None));
    let told =
        audit.iter().filter_map(|value| Audit::decode(wire::split(value).ok()?.1).ok()).find(|a| a.action == "drop_dead_letters");
    assert!(told.expect("a record").detail.is_some_and(|detail| detail.contains(fingerprint) && detail.starts_with("2 letters")));
    assert!(dead(&rig, &["replay", fingerprint]).contains("no letter fits"));
    // What is settled can still be looked at.
    let dropped = each.iter().find(|l| l["code"] == "unexpected_shape").expect("a letter")["position"].as_str().expect("text");
    assert!(dead(&rig, &["show", "normalize", dropped]).contains("\"settled\": \"dropped\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_mended_is_done_again_in_order_and_what_was_not_gets_its_new_reason() {
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, NO_BREAKER).await;
    feed::put_as(&rig, UNKNOWN, (0, 300));
    let mut nonsense = Vec::new();
    wire::frame(UNKNOWN, &mut nonsense);
    nonsense.extend_from_slice(b"no avro of ours");
    let topic = topics::RAW.name(&rig.namespace, Some(feed::PROVIDER));
    feed::send(&rig, &topic, [("k", nonsense)]);
    let normalize = rig.start(&["process", "normalize"]).await;
    let (_, fingerprint) =
        until("all letters", async || group(&rig, "unknown_schema_id").filter(|(count, _)| *count == 301)).await;
    assert!(normalize.stop().success());
    assert!(rig.values(&topics::OBSERVATION.name(&rig.namespace, None)).is_empty());

    // Nothing is mended: the same number stands there for the same reason, and none twice.
    assert!(dead(&rig, &["replay", &fingerprint, "--dry-run"]).contains("301 letters would be done again"));
    assert!(dead(&rig, &["replay", &fingerprint]).contains("301 letters done again, 301 of them refused again"));
    assert_eq!(group(&rig, "unknown_schema_id"), Some((301, fingerprint.clone())));

    know(&rig, UNKNOWN, &topics::RAW);
    assert!(dead(&rig, &["replay", &fingerprint]).contains("301 letters done again, 1 of them refused again"));
    assert_eq!(group(&rig, "unknown_schema_id"), None);
    assert_eq!(group(&rig, "bad_avro").map(|(count, _)| count), Some(1));
    let mut order: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for value in rig.values(&topics::OBSERVATION.name(&rig.namespace, None)) {
        let observation = Observation::decode(wire::split(&value).expect("a frame").1).expect("an observation");
        assert!(observation.raw_topic == topic, "it says where it came from, not where it was buried");
        order.entry(observation.subject_id.to_owned()).or_default().push(observation.start);
    }
    assert_eq!(order.values().map(Vec::len).sum::<usize>(), 300);
    assert!(order.len() == 5 && order.values().all(|starts| starts.is_sorted()), "in the order of each person's records");
    let _scylla = rig.start(&["sink", "scylla"]).await;
    feed::complete(&rig, 300, Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_in_the_middle_goes_on_where_it_was() {
    const LETTERS: u64 = 8000;
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, NO_BREAKER).await;
    feed::put_as(&rig, UNKNOWN, (0, LETTERS));
    let normalize = rig.start(&["process", "normalize"]).await;
    until("all letters", async || group(&rig, "unknown_schema_id").filter(|(count, _)| *count == LETTERS)).await;
    assert!(normalize.stop().success());
    know(&rig, UNKNOWN, &topics::RAW);
    let all = ["dead", "replay", "--code", "unknown_schema_id"];
    let look: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &rig.parts.kafka).set("group.id", "look").create().expect("a consumer");
    let topic = topics::DEAD.name(&rig.namespace, Some("normalize"));
    let end = || -> i64 {
        let of = |partition| look.fetch_watermarks(&topic, partition, Duration::from_secs(10)).expect("kafka answers").1;
        (0..4).map(of).sum()
    };
    for life in 1..=2 {
        let before = end();
        let mut replay = rig.spawned(&all, Stdio::null());
        until("markers of this life", async || (end() > before).then_some(())).await;
        replay.kill().expect("it ran");
        replay.wait().expect("it is ours");
        let left = group(&rig, "unknown_schema_id").map_or(0, |(count, _)| count);
        println!("life {life}: {left} of {LETTERS} letters are left");
        assert!(left > 0, "killed before its end, or this test shows nothing");
    }
    let started = std::time::Instant::now();
    println!("{} in {:.1} s", text(&rig.command(&all)).trim(), started.elapsed().as_secs_f64());
    assert_eq!(lines(&rig, &[]), Vec::<Value>::new());
    let _scylla = rig.start(&["sink", "scylla"]).await;
    feed::complete(&rig, LETTERS, Duration::from_secs(120)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_refused_is_written_by_the_sink() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    feed::put(&producer, 0, 1).await;
    let normalize = rig.start(&["process", "normalize"]).await;
    let topic = topics::OBSERVATION.name(&rig.namespace, None);
    let made = until("an observation", async || rig.values(&topic).pop()).await;
    assert!(normalize.stop().success());
    // The same of somebody else, under a schema that is lost.
    let made = Observation::decode(wire::split(&made).expect("a frame").1).expect("an observation");
    let other = Observation { subject_id: "person-9", id: uuid::Uuid::new_v4(), ..made };
    let mut value = Vec::new();
    wire::frame(UNKNOWN, &mut value);
    other.encode(&mut value);
    feed::send(&rig, &topic, [("person-9", value)]);
    let scylla = rig.start(&["sink", "scylla"]).await;
    let (_, fingerprint) = until("the letter", async || group(&rig, "unknown_schema_id")).await;
    assert!(scylla.stop().success());
    know(&rig, UNKNOWN, &topics::OBSERVATION);
    assert_eq!(group(&rig, "unknown_schema_id"), Some((1, fingerprint.clone())), "it keeps its name when it can be read");
    let (from, to) = feed::span(1);
    assert!(rig.rows("person-9", "body-weight", from, to).await.is_empty());
    assert!(dead(&rig, &["replay", &fingerprint]).contains("scylla: 1 letters done again, 0 of them refused again"));
    assert_eq!(rig.rows("person-9", "body-weight", from, to).await.len(), 1);
    assert_eq!(lines(&rig, &[]), Vec::<Value>::new());
}

/// Away for so many tries, then well.
struct Away(AtomicUsize);

#[async_trait]
impl Work for Away {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        assert!(batch.records().all(|record| record.position.offset >= 0 && !batch.topic().contains(".dead.")));
        if self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(Unavailable { what: "store", why: "away".into(), retry_after: Some(Duration::from_millis(1)) });
        }
        out.clear();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_settles_nothing_however_often_it_is_tried() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    buried(&rig).await;
    let normalize = rig.start(&["process", "normalize"]).await;
    let open = || -> Vec<Letter> {
        let letters = tokio::task::block_in_place(|| read::letters(&rig.app, "normalize")).expect("kafka answers");
        letters.into_iter().filter(|letter| letter.settled.is_none()).collect()
    };
    until("all letters", async || Some(()).filter(|()| open().len() == 4)).await;
    assert!(normalize.stop().success());
    let log = rig.app.producer("dead").expect("a producer");
    let topics: Vec<String> = ["withings", feed::PROVIDER].map(|p| topics::RAW.name(&rig.namespace, Some(p))).into();
    let again = async |topics: &[String], away: usize| {
        let work = Away(AtomicUsize::new(away));
        let replay = Replay { app: &rig.app, worker: "normalize", topics, work: &work, log: &log };
        replay.run(&open(), |_| {}).await
    };
    let why = again(&topics, usize::MAX).await.expect_err("the store is away");
    assert!(format!("{why:#}").contains("store unavailable: away"), "{why:#}");
    assert_eq!(open().len(), 4);
    // One topic is not this worker's any more: its letter is left. The other's are done, although the store was away twice.
    assert_eq!(again(&topics[1..], 2).await.expect("done"), Summary { done: 3, again: 0, left: 1 });
    assert_eq!(open().iter().map(|letter| letter.provider.as_deref()).collect::<Vec<_>>(), [Some("withings")]);
    assert_eq!(again(&topics, 0).await.expect("done"), Summary { done: 1, again: 0, left: 0 });
    assert!(open().is_empty());
}
