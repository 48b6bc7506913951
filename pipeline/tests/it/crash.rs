//! The crash table of the loop, row by row, on the log in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use headwater::log::memory::{Fault, MemoryLog};
use headwater::log::{Batch, Lease as _, Log as _};
use headwater::run::{Unavailable, Work, run};
use headwater_schemas::{Outbox, topics};

/// Two records out for each in; a value of `poison` becomes a dead letter.
#[derive(Default)]
struct Double {
    /// Fails this often before it works.
    down: AtomicUsize,
    runs: AtomicUsize,
}

#[async_trait]
impl Work for Double {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        for record in batch.records() {
            let value = record.value.expect("no tombstones here");
            if value == b"poison" {
                out.put(&topics::DEAD, Some("double"), record.key, |b| b.extend_from_slice(value));
            } else {
                for half in [b'a', b'b'] {
                    out.put(&topics::OBSERVATION, None, record.key, |b| {
                        b.extend_from_slice(value);
                        b.push(half);
                    });
                }
            }
        }
        let down = self.down.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        if down { Err(Unavailable { what: "test", why: "down".into(), retry_after: None }) } else { Ok(()) }
    }
}

fn log_of(values: &[&str]) -> MemoryLog {
    let log = MemoryLog::default();
    values.iter().enumerate().for_each(|(i, value)| log.put(format!("k{i}").as_bytes(), value.as_bytes()));
    log
}

/// Every input is answered for: both halves, or a dead letter.
fn nothing_is_lost(log: &MemoryLog, values: &[&str]) {
    let counts = log.counts();
    for value in values {
        let expected: Vec<(String, Vec<u8>)> = if *value == "poison" {
            vec![("test.dead.double.v1".into(), b"poison".to_vec())]
        } else {
            ["a", "b"].map(|half| ("test.observation.v1".into(), format!("{value}{half}").into_bytes())).into()
        };
        for key in expected {
            assert!(counts.contains_key(&key), "{key:?} is missing");
        }
    }
    assert_eq!(log.committed(), i64::try_from(values.len()).unwrap());
}

const VALUES: &[&str] = &["1", "2", "poison", "4", "5"];

#[tokio::test]
async fn without_faults_each_record_is_answered_once() {
    let log = log_of(VALUES);
    run(&log, &mut log.lease(2), &Double::default(), "double").await;
    nothing_is_lost(&log, VALUES);
    assert!(log.counts().values().all(|n| *n == 1));
}

#[tokio::test]
async fn dead_before_next_the_batch_comes_as_if_nothing_had_been() {
    let log = log_of(VALUES);
    drop(log.lease(2));
    run(&log, &mut log.lease(2), &Double::default(), "double").await;
    assert!(log.counts().values().all(|n| *n == 1));
    nothing_is_lost(&log, VALUES);
}

#[tokio::test]
async fn dead_after_next_or_in_the_work_the_batch_comes_again() {
    let log = log_of(VALUES);
    let mut dying = log.lease(2);
    let batch = dying.next().await.expect("there are records");
    let mut outbox = Outbox::default();
    Double::default().run(&batch, &mut outbox).await.unwrap();
    drop(dying);
    assert_eq!(log.committed(), 0);
    run(&log, &mut log.lease(2), &Double::default(), "double").await;
    nothing_is_lost(&log, VALUES);
    assert!(log.counts().values().all(|n| *n == 1), "nothing had left");
}

#[tokio::test]
async fn dead_after_append_the_batch_arrives_twice_under_the_same_keys() {
    let log = log_of(VALUES);
    let mut dying = log.lease(2);
    let batch = dying.next().await.expect("there are records");
    let mut outbox = Outbox::default();
    Double::default().run(&batch, &mut outbox).await.unwrap();
    let proof = log.append(&batch, &outbox).await.unwrap();
    drop((proof, dying));
    assert_eq!(log.committed(), 0, "an append alone moves no offset");
    run(&log, &mut log.lease(2), &Double::default(), "double").await;
    nothing_is_lost(&log, VALUES);
    assert_eq!(log.counts().values().filter(|n| **n == 2).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_append_that_fails_in_any_way_is_done_again_and_loses_nothing() {
    for fault in [Fault::Refused, Fault::Torn, Fault::Unacknowledged] {
        for position in 0..3 {
            let log = log_of(VALUES);
            let mut faults = vec![Fault::None; position];
            faults.extend([fault, fault]);
            log.faults(&faults);
            run(&log, &mut log.lease(2), &Double::default(), "double").await;
            nothing_is_lost(&log, VALUES);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_transactions_nothing_arrives_twice_whatever_fails_and_wherever_it_dies() {
    for fault in [Fault::Refused, Fault::Torn, Fault::Unacknowledged] {
        for position in 0..3 {
            let log = log_of(VALUES).in_transactions();
            let mut faults = vec![Fault::None; position];
            faults.extend([fault, fault]);
            log.faults(&faults);
            // Dies between append and advance.
            let mut dying = log.lease(2);
            let batch = dying.next().await.expect("there are records");
            let mut outbox = Outbox::default();
            Double::default().run(&batch, &mut outbox).await.unwrap();
            drop((log.append(&batch, &outbox).await, dying));
            run(&log, &mut log.lease(2), &Double::default(), "double").await;
            nothing_is_lost(&log, VALUES);
            assert!(log.counts().values().all(|n| *n == 1), "{fault:?} at {position}");
        }
    }
}

#[tokio::test]
async fn a_lost_lease_cannot_advance_and_the_new_holder_does_the_batch() {
    let log = log_of(VALUES);
    let mut old = log.lease(2);
    let batch = old.next().await.expect("there are records");
    let outbox = Outbox::default();
    let proof = log.append(&batch, &outbox).await.unwrap();
    let mut new = log.lease(2);
    assert!(old.advance(batch, proof).await.is_err());
    assert_eq!(log.committed(), 0);
    run(&log, &mut new, &Double::default(), "double").await;
    nothing_is_lost(&log, VALUES);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_waited_for_and_is_never_a_dead_letter() {
    let log = log_of(VALUES);
    let work = Double { down: AtomicUsize::new(50), ..Double::default() };
    run(&log, &mut log.lease(2), &work, "double").await;
    nothing_is_lost(&log, VALUES);
    assert!(log.counts().values().all(|n| *n == 1), "half-made output of a failed run is dropped");
    assert_eq!(log.appended().iter().filter(|a| a.topic.contains("dead")).count(), 1);
    assert_eq!(work.runs.load(Ordering::SeqCst), 53);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_lets_go_of_a_lost_partition() {
    let log = log_of(VALUES);
    let work = Double { down: AtomicUsize::new(usize::MAX), ..Double::default() };
    let mut old = log.lease(2);
    drop(log.lease(2));
    tokio::time::timeout(std::time::Duration::from_secs(60), run(&log, &mut old, &work, "double")).await.expect("it ends");
    assert_eq!(log.committed(), 0);
}

#[tokio::test]
async fn a_poison_record_at_every_place_is_buried_and_its_neighbours_go_on() {
    for place in 0..5 {
        let mut values = ["1", "2", "3", "4", "5"];
        values[place] = "poison";
        let log = log_of(&values);
        run(&log, &mut log.lease(2), &Double::default(), "double").await;
        nothing_is_lost(&log, &values);
    }
}
