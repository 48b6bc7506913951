//! The loop in played time: partitions of good and bad records, workers that die at any await, leases that are lost while their holders work on,
//! appends that are refused, torn or not acknowledged, and something outside that does not answer. The work is the real one: records are
//! normalized, and what cannot be becomes a dead letter.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use headwater::consent::ConsentTable;
use headwater::log::Batch;
use headwater::log::memory::{Fault, MemoryLog};
use headwater::registry::{Registry, Settings};
use headwater::run::{Unavailable, Work, run};
use headwater::work::{Desk, Process};
use headwater_processors::normalize::Normalize;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, ids, wire};
use headwater_store::memory::MemoryStore;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

#[path = "../../../ingest/tests/sim/seeds.rs"]
mod seeds;

use seeds::{Broken, Counts};

const COMMAND: &str = "cargo test -p headwater --ignore-rust-version --test it";
/// The input topic of the model, and the schema id its records are framed with.
pub const TOPIC: &str = "test.input.v1";
pub const SCHEMA: u32 = 7;
const CONNECTION: &str = "a device";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ran {
    records: u64,
    dead_letters: u64,
    duplicates: u64,
    failed_appends: u64,
    killed: u64,
    taken_over: u64,
    digest: u64,
}

impl Counts for Ran {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.dead_letters += other.dead_letters;
        self.duplicates += other.duplicates;
        self.failed_appends += other.failed_appends;
        self.killed += other.killed;
        self.taken_over += other.taken_over;
        self.digest ^= other.digest;
    }
}

#[test]
fn whatever_dies_each_record_is_answered_for_in_order_and_no_offset_is_ahead() {
    let name = "sim::whatever_dies_each_record_is_answered_for_in_order_and_no_offset_is_ahead";
    let registry = registry();
    let ran = seeds::play((COMMAND, name), 1000, |seed| play(seed, &registry));
    let Some(ran) = ran else { return };
    assert!(ran.records > 0 && ran.dead_letters > 0 && ran.duplicates > 0 && ran.failed_appends > 0, "{ran:?}");
    assert!(ran.killed > 0 && ran.taken_over > 0, "{ran:?}");
}

#[test]
fn the_same_number_is_the_same_run() {
    let registry = registry();
    for seed in 0..50 {
        let digest = || play(seed, &registry).map(|ran| ran.digest).map_err(|broken| broken.digest);
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}

/// One that knows our schema from its file: nobody is asked.
pub fn registry() -> Arc<Registry> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("schemas.json");
    let known = serde_json::json!({ "schemas": { SCHEMA.to_string(): topics::RAW.schema }, "writers": {} });
    std::fs::write(&file, known.to_string()).expect("written");
    let settings = serde_json::json!({ "url": "http://127.0.0.1:1", "cache_file": file });
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let registry = Registry::new(&settings, "test").expect("a registry");
    // Learnt before the runs: they share it, and one that waited for another's turn would not be the same run again.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
    runtime.block_on(registry.learn(SCHEMA, &topics::RAW)).expect("it stands in the file");
    Arc::new(registry)
}

/// Chance, shared by all of a run.
#[derive(Clone)]
struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    fn draw(&self, least: u64, most: u64) -> u64 {
        self.0.lock().expect("nothing panics under this lock").random_range(least..=most)
    }

    async fn pause(&self, most: u64) {
        let pause = self.draw(0, most);
        sleep(Duration::from_millis(pause)).await;
    }
}

/// The real work, slow at both ends, and now and then without what it needs.
struct Slow {
    work: Process,
    dice: Dice,
    fails: u64,
}

#[async_trait]
impl Work for Slow {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        self.dice.pause(300).await;
        self.work.run(batch, out).await?;
        self.dice.pause(300).await;
        if self.dice.draw(1, 100) <= self.fails {
            return Err(Unavailable { what: "test", why: "played".into(), retry_after: None });
        }
        Ok(())
    }
}

/// A partition and what was put into it: the observation of each record, or that there can be none.
struct Partition {
    log: MemoryLog,
    keys: Vec<u64>,
    good: Vec<bool>,
    /// Batches that may have been done once more.
    again: u64,
}

fn play(seed: u64, registry: &Arc<Registry>) -> Result<Ran, Broken> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime without I/O");
    runtime.block_on(turn(seed, registry))
}

async fn turn(seed: u64, registry: &Arc<Registry>) -> Result<Ran, Broken> {
    let dice = Dice(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))));
    let (batch, fails, kills) = (dice.draw(1, 5), dice.draw(0, 25), dice.draw(0, 8));
    let mut ran = Ran::default();
    let mut partitions: Vec<Partition> = (0..dice.draw(1, 3)).map(|_| filled(&dice)).collect();
    for partition in &mut partitions {
        let faults: Vec<Fault> = (0..dice.draw(0, 8))
            .map(|_| [Fault::Refused, Fault::Torn, Fault::Unacknowledged, Fault::None][dice.draw(0, 3) as usize])
            .collect();
        let failing = faults.iter().filter(|fault| **fault != Fault::None).count() as u64;
        ran.failed_appends += failing;
        partition.again = failing;
        partition.log.faults(&faults);
    }
    let desk = || Desk { worker: "normalize", registry: registry.clone(), topics: vec![(TOPIC.to_owned(), &topics::RAW)] };
    let work = || Process {
        desk: desk(),
        processor: &Normalize,
        stream: None,
        consents: Arc::new(ConsentTable::default()),
        store: Arc::new(MemoryStore::default()),
    };
    let hold = |partition: &Partition| {
        let (log, dice) = (partition.log.clone(), dice.clone());
        let slow = Slow { work: work(), dice: dice.clone(), fails };
        async move {
            let mut lease = log.lease(batch as usize);
            run(&log, &mut lease, &slow, "normalize").await;
        }
    };
    // By partition, the workers that hold it or believe they do.
    let mut workers: Vec<JoinSet<()>> = partitions.iter().map(|_| JoinSet::new()).collect();
    let mut hasher = DefaultHasher::new();
    let (started, mut wrong) = (Instant::now(), vec![]);
    for step in 0u64.. {
        for (partition, workers) in partitions.iter_mut().zip(&mut workers) {
            let trouble = step < 200 && dice.draw(1, 100) <= kills;
            let what = if trouble { dice.draw(0, 1) } else { 2 };
            if what == 0 {
                // The process dies, wherever it is.
                workers.abort_all();
                while workers.join_next().await.is_some() {}
                (ran.killed, partition.again) = (ran.killed + 1, partition.again + 1);
            }
            while workers.try_join_next().is_some() {}
            // Or it lives on, and somebody else was given the partition.
            if workers.is_empty() || what == 1 {
                if what == 1 {
                    (ran.taken_over, partition.again) = (ran.taken_over + 1, partition.again + 1);
                }
                workers.spawn(hold(partition));
            }
            ahead(partition, &mut wrong);
            (step, partition.log.committed(), partition.log.appended().len()).hash(&mut hasher);
        }
        let done = partitions.iter().all(|p| p.log.committed() as usize == p.good.len());
        if done || !wrong.is_empty() {
            break;
        }
        if started.elapsed() > Duration::from_secs(3600) {
            wrong.push("records are left that nobody does".to_owned());
            break;
        }
        dice.pause(100).await;
    }
    for workers in &mut workers {
        workers.shutdown().await;
    }
    for partition in &partitions {
        answered(partition, batch, &mut ran, &mut wrong);
    }
    ran.digest = hasher.finish();
    if wrong.is_empty() {
        return Ok(ran);
    }
    wrong.truncate(5);
    let trace = partitions.iter().flat_map(|p| p.log.appended()).map(|a| a.topic).collect::<Vec<_>>().join("\n");
    Err(Broken { what: wrong.join("\n"), trace, digest: ran.digest })
}

fn filled(dice: &Dice) -> Partition {
    let (log, mut keys, mut good) = (MemoryLog::default(), vec![], vec![]);
    for offset in 0..dice.draw(5, 20) {
        let (key, what) = (dice.draw(0, 2), dice.draw(0, 9));
        let subject = format!("person-{key}");
        let body = format!(
            r#"{{"records":[{{"id":"{offset}","type":"body-weight","start":"2026-03-15T06:00:00Z","value":{offset}.5,"unit":"kg"}}]}}"#
        );
        let raw = match what {
            // Cut off by whoever brought it.
            0 => &body.as_bytes()[..body.len() / 2],
            _ => body.as_bytes(),
        };
        let mut value = vec![];
        wire::frame(SCHEMA, &mut value);
        Raw::of("own_source", "events", (ids::connection("own_source", CONNECTION), &subject), 1, raw).encode(&mut value);
        if what == 1 {
            // No record of ours.
            value.truncate(3);
        }
        log.put(subject.as_bytes(), &value);
        keys.push(key);
        good.push(what > 1);
    }
    Partition { log, keys, good, again: 0 }
}

/// What came of each record: where its answers stand among all that was appended.
fn answers(partition: &Partition) -> BTreeMap<usize, Vec<usize>> {
    let mut answers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let inputs = partition.log.input();
    for (place, appended) in partition.log.appended().iter().enumerate() {
        let offset = if appended.topic.contains("dead") {
            // Two dead letters of the same bytes and key answer for the first of both that has none.
            let same = |offset: &usize| inputs[*offset].1 == appended.body && inputs[*offset].0 == appended.key;
            let candidates: Vec<usize> = (0..inputs.len()).filter(same).collect();
            candidates.into_iter().min_by_key(|offset| answers.get(offset).map_or(0, Vec::len))
        } else {
            let observation = Observation::decode(&appended.body).expect("our own record");
            observation.record_id.parse().ok()
        };
        answers.entry(offset.expect("only what was put in comes out")).or_default().push(place);
    }
    answers
}

/// No offset is ahead of what was appended.
fn ahead(partition: &Partition, wrong: &mut Vec<String>) {
    let answers = answers(partition);
    for offset in 0..partition.log.committed() as usize {
        if !answers.contains_key(&offset) {
            let what = if partition.good[offset] { "a record" } else { "a record that cannot be read" };
            wrong.push(format!("the offset passed {what} that was neither written nor dead-lettered"));
        }
    }
}

fn answered(partition: &Partition, batch: u64, ran: &mut Ran, wrong: &mut Vec<String>) {
    let answers = answers(partition);
    let mut last: BTreeMap<u64, usize> = BTreeMap::new();
    let mut duplicates = 0;
    for (offset, good) in partition.good.iter().enumerate() {
        ran.records += 1;
        ran.dead_letters += u64::from(!good);
        let Some(places) = answers.get(&offset) else { continue };
        duplicates += places.len() as u64 - 1;
        // The first answers of one key come in its records' order.
        if *good
            && let Some(before) = last.insert(partition.keys[offset], places[0])
            && before > places[0]
        {
            wrong.push(format!("record {offset} overtook one of its key before it"));
        }
    }
    ran.duplicates += duplicates;
    // Each death, loss and failed append brings one batch again.
    if duplicates > partition.again * batch {
        wrong.push(format!("{duplicates} duplicates, expected at most {} batches of {batch}", partition.again));
    }
}
