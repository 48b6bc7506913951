//! `processing.guarantee = "exactly_once"`: what a reader of committed records sees holds each observation once, whatever dies and whoever
//! comes and goes. Counted against a run at least once, so that the counting is known to see what it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::Duration;

use headwater::log::kafka::finds_record;
use headwater_ingest::Outlet as _;
use headwater_schemas::Outbox;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::environment::long;
use super::feed;
use super::parts_or_skip;
use super::rig::{Parts, Process, Rig, until, until_within};
use super::server::Server;

const EXACTLY_ONCE: &str = "[processing]\nguarantee = \"exactly_once\"\n";
const NORMALIZE: &[&str] = &["process", "normalize"];

/// What stands on the observation topic for the records of a feed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lost: usize,
    duplicates: usize,
}

/// Counts by id and version, and by whose and when, which is what the feed knows.
fn tally(rig: &Rig, records: u64) -> Tally {
    let mut states: BTreeMap<(String, i64), usize> = BTreeMap::new();
    let mut places: BTreeMap<(String, i64), usize> = BTreeMap::new();
    for value in rig.values(&topics::OBSERVATION.name(&rig.namespace, None)) {
        let observation = Observation::decode(wire::split(&value).expect("a frame").1).expect("an observation");
        *states.entry((observation.id.to_string(), observation.version)).or_default() += 1;
        *places.entry((observation.subject_id.to_owned(), observation.start)).or_default() += 1;
    }
    let lost = (0..records).filter(|n| !places.contains_key(&(feed::subject(*n), feed::expected(*n).1 * 1_000_000))).count();
    assert_eq!(states.len() + lost, usize::try_from(records).expect("a small number"), "an observation of no record of ours");
    Tally { lost, duplicates: states.values().map(|n| n - 1).sum() }
}

/// Waits until nothing is missing, and a moment longer than a transaction may be open: what could still arrive twice has arrived.
async fn settled(rig: &Rig, records: u64) -> Tally {
    until_within("all observations", Duration::from_secs(90), async || {
        let there = tally(rig, records);
        (there.lost == 0).then_some(())
    })
    .await;
    tally(rig, records)
}

fn instance(rig: &Rig, name: &str, fixed: bool) -> Process {
    let fixed = if fixed { "true" } else { "false" };
    rig.launch_with(
        NORMALIZE,
        &[
            ("HEADWATER_INSTANCE", name),
            ("HEADWATER_GROUP__STATIC_MEMBERSHIP", fixed),
            ("HEADWATER_GROUP__SESSION_TIMEOUT_MS", "3000"),
            ("HEADWATER_GROUP__DRAIN_MS", "1000"),
        ],
    )
}

/// Kills one of two instances in the middle of its work, again and again, while the second comes and goes and the broker is killed once.
async fn chaos(rig: &Rig, kafka: &Server, kills: u64, fixed: bool, random: &mut StdRng) -> u64 {
    const EACH: u64 = 1500;
    let observations = topics::OBSERVATION.name(&rig.namespace, None);
    let producer = rig.app.producer("feed").expect("a producer");
    let mut one = instance(rig, "one", fixed);
    let mut two: Option<Process> = None;
    for round in 0..kills {
        let before = rig.grown(&observations);
        feed::put(&producer, round * EACH, (round + 1) * EACH).await;
        until("some output", async || (rig.grown(&observations) > before).then_some(())).await;
        // The moment of the kill is the test's matter, not something to wait for.
        tokio::time::sleep(Duration::from_millis(random.random_range(0..150))).await;
        match round % 4 {
            0 => two = Some(instance(rig, "two", fixed)),
            1 if round > kills / 2 => {
                kafka.kill();
                kafka.up();
            }
            2 => drop(two.take().map(Process::stop)),
            _ => {}
        }
        let (killed, name) = match &mut two {
            Some(two) if random.random_bool(0.3) => (two, "two"),
            _ => (&mut one, "one"),
        };
        killed.kill();
        *killed = instance(rig, name, fixed);
    }
    kills * EACH
}

/// A rig on a broker of its own.
async fn rig(parts: &Parts, kafka: &Server, more: &str) -> Rig {
    Rig::with(Parts { kafka: kafka.address("KAFKA_BOOTSTRAP"), ..parts.clone() }, false, more).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_scaled_and_cut_off_each_observation_stands_once_where_at_least_once_leaves_duplicates() {
    let parts = parts_or_skip!();
    let kafka = Server::start("kafka");
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let runs = if long() { [(40, true), (20, false)] } else { [(10, true), (4, false)] };
    for (kills, fixed) in runs {
        let rig = rig(&parts, &kafka, EXACTLY_ONCE).await;
        let records = chaos(&rig, &kafka, kills, fixed, &mut random).await;
        let _last = instance(&rig, "one", fixed);
        let found = settled(&rig, records).await;
        println!("exactly once, static membership {fixed}: {records} records, {kills} kills, {found:?}");
        assert_eq!(found, Tally::default(), "seed {seed}");
    }
    for attempt in 0.. {
        let rig = rig(&parts, &kafka, "").await;
        let records = chaos(&rig, &kafka, 4, true, &mut random).await;
        let _last = instance(&rig, "one", true);
        let found = settled(&rig, records).await;
        println!("at least once: {records} records, 4 kills, {found:?}");
        if found.duplicates > 0 {
            break;
        }
        assert!(
            attempt < 5,
            "no kill left a duplicate: the counting sees none, or the kills come at the wrong time; seed {seed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_sleeps_past_its_session_and_wakes_up_writes_nothing_twice() {
    let parts = parts_or_skip!();
    for fixed in if long() { &[false, true][..] } else { &[false] } {
        // Long enough that the pause comes into the middle of a transaction.
        let rig = Rig::with(parts.clone(), false, &format!("{EXACTLY_ONCE}commit_interval_ms = 1000\n")).await;
        let (producer, observations) =
            (rig.app.producer("feed").expect("a producer"), topics::OBSERVATION.name(&rig.namespace, None));
        let mut one = instance(&rig, "one", *fixed);
        // More than is taken at once, so that partitions are paused when they are lost.
        feed::put(&producer, 0, 12_000).await;
        until("some output", async || (rig.grown(&observations) > 0).then_some(())).await;
        one.pause();
        let mut two = instance(&rig, "two", *fixed);
        // Its partitions go to the other when its session is over, its open transaction when that has timed out.
        assert_eq!(settled(&rig, 12_000).await, Tally::default());
        feed::put(&producer, 12_000, 13_000).await;
        one.resume();
        feed::put(&producer, 13_000, 14_000).await;
        assert_eq!(settled(&rig, 14_000).await, Tally::default());
        // It takes part again: alone it does the rest.
        until("the first to be back", async || (one.metric("headwater_rebalances_total") > 1.0).then_some(())).await;
        two.kill();
        feed::put(&producer, 14_000, 16_000).await;
        assert_eq!(settled(&rig, 16_000).await, Tally::default());
        assert!(one.running());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_of_one_name_the_older_ends_and_says_why() {
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, EXACTLY_ONCE).await;
    let (producer, observations) =
        (rig.app.producer("feed").expect("a producer"), topics::OBSERVATION.name(&rig.namespace, None));
    let mut older = instance(&rig, "same", false);
    feed::put(&producer, 0, 100).await;
    until("some output", async || (rig.grown(&observations) > 0).then_some(())).await;
    let mut newer = instance(&rig, "same", false);
    let mut fed = 100;
    until("the older to end", async || {
        feed::put(&producer, fed, fed + 100).await;
        fed += 100;
        (!older.running()).then_some(())
    })
    .await;
    let said = std::fs::read_to_string(&older.log).expect("a log");
    assert!(said.contains("another process has taken this name"), "{said}");
    assert_eq!(settled(&rig, fed).await, Tally::default());
    assert!(newer.running());
}

/// A transaction that has taken the group's offsets where they stand, and neither commits nor aborts them: what somebody leaves who dies in the middle.
fn left_open(rig: &Rig) -> BaseProducer {
    const ANSWER: Duration = Duration::from_secs(20);
    let group = format!("{}.normalize", rig.namespace);
    let reader: BaseConsumer = rig.kafka().set("group.id", &group).create().expect("a consumer");
    let raw = topics::RAW.name(&rig.namespace, Some(feed::PROVIDER));
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range(&raw, 0, i32::try_from(rig.ends(&raw).len()).expect("a small number") - 1);
    let found = reader.committed_offsets(wanted, ANSWER).expect("an answer");
    let mut stand = TopicPartitionList::new();
    for place in found.elements().iter().filter(|place| matches!(place.offset(), Offset::Offset(_))) {
        stand.add_partition_offset(place.topic(), place.partition(), place.offset()).expect("an offset");
    }
    assert!(stand.count() > 1, "{found:?}");
    let producer: BaseProducer = rig.kafka().set("transactional.id", "somebody who died").create().expect("a producer");
    producer.init_transactions(ANSWER).expect("a name");
    producer.begin_transaction().expect("a transaction");
    let group = reader.group_metadata().expect("a group");
    producer.send_offsets_to_transaction(&stand, &group, ANSWER).expect("offsets");
    producer
}

/// librdkafka asks again while the broker says that offsets are held back, and where the group moves meanwhile it took that for "there are none" and began
/// at the topic's beginning.
#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_a_transaction_holds_back_are_waited_for_also_when_the_group_moves() {
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, EXACTLY_ONCE).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let first = instance(&rig, "one", false);
    feed::put(&producer, 0, 500).await;
    assert_eq!(settled(&rig, 500).await, Tally::default());
    assert!(first.stop().success());
    let open = left_open(&rig);
    let in_the_group = |process: &Process| process.metric("headwater_rebalances_total") > 0.0;
    let one = instance(&rig, "one", false);
    until("the first in the group", async || in_the_group(&one).then_some(())).await;
    let two = instance(&rig, "two", false);
    until("the second in the group", async || in_the_group(&two).then_some(())).await;
    feed::put(&producer, 500, 1000).await;
    let observations = topics::OBSERVATION.name(&rig.namespace, None);
    let before = rig.grown(&observations);
    // Only time tells that nobody goes on before the transaction has ended.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.grown(&observations), before, "while it is open");
    open.abort_transaction(Duration::from_secs(20)).expect("an end");
    assert_eq!(settled(&rig, 1000).await, Tally::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_reader_behind_a_transaction_is_no_stall() {
    const STALL: Duration = Duration::from_secs(2);
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, EXACTLY_ONCE).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let _normalize = rig.start(NORMALIZE).await;
    let stall = STALL.as_millis().to_string();
    let mut scylla = rig.launch_with(&["sink", "scylla"], &[("HEADWATER_GROUP__STALL_MS", stall.as_str())]);
    feed::put(&producer, 0, 200).await;
    feed::complete(&rig, 200, Duration::from_secs(60)).await;
    // What the watchdog stands on: behind the last record there is something, and it is no record.
    let observations = topics::OBSERVATION.name(&rig.namespace, None);
    let kafka = &rig.app.config.kafka;
    let ends = rig.ends(&observations);
    let (id, end) = *ends.iter().max_by_key(|(_, end)| *end).expect("a partition");
    let looks = |at: i64| finds_record(kafka, "look", (&observations, id), at, end).expect("an answer");
    assert!(looks(0) && !looks(end - 1), "partition {id} ends at {end}");
    // Only time tells that it does not end: each quarter of the stall it looks.
    tokio::time::sleep(STALL * 4).await;
    assert!(scylla.running(), "{}", std::fs::read_to_string(&scylla.log).unwrap_or_default());
    feed::put(&producer, 200, 400).await;
    feed::complete(&rig, 400, Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_buried_is_buried_once_together_with_what_its_neighbours_become() {
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, EXACTLY_ONCE).await;
    let (producer, letters) =
        (rig.app.producer("feed").expect("a producer"), topics::DEAD.name(&rig.namespace, Some("normalize")));
    const ROUNDS: u64 = 4;
    let mut one = instance(&rig, "one", true);
    for round in 0..ROUNDS {
        let before = rig.grown(&letters);
        let mut out = Outbox::default();
        for person in 0..100 {
            let heavy = format!(r#"{{"dataPoints":[{{"weight":{{"weightGrams":"heavy {person}"}}}}]}}"#);
            feed::append(&mut out, &format!("person-{}", person % 5), heavy.as_bytes());
        }
        producer.append(&out).await.expect("taken");
        feed::put(&producer, round * 500, (round + 1) * 500).await;
        until("a letter", async || (rig.grown(&letters) > before).then_some(())).await;
        one.kill();
        one = instance(&rig, "one", true);
    }
    assert_eq!(settled(&rig, ROUNDS * 500).await, Tally::default());
    until("all letters", async || {
        let listed = rig.command(&["dead", "list", "--each", "--json"]);
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let lines = String::from_utf8_lossy(&listed.stdout).into_owned();
        let letters: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let origins: BTreeSet<&str> = letters.iter().filter_map(|letter| letter["origin"].as_str()).collect();
        assert_eq!(origins.len(), letters.len(), "a record is buried twice");
        (letters.len() == 100 * usize::try_from(ROUNDS).expect("a small number")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_transactions_ends_the_process_at_its_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = || Command::new(env!("CARGO_BIN_EXE_headwater"));
    let data = folder.path().join("data");
    let mut dev =
        binary().arg("dev").arg("--data").arg(&data).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let file = data.join("headwater.toml");
    until("its configuration", async || file.exists().then_some(())).await;
    let variables = [("HEADWATER_PROCESSING__GUARANTEE", "exactly_once"), ("HEADWATER_LISTEN__OPS", "127.0.0.1:0")];
    let mut normalize = binary();
    normalize.arg("--config").arg(&file).args(NORMALIZE).envs(variables).stdout(Stdio::null()).stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || normalize.output()).await.expect("no panic");
    dev.kill().and_then(|()| dev.wait()).expect("it ran");
    let ended = ended.expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("expected a broker with transactions"), "{said}");
}
