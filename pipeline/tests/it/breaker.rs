//! The breaker on the log in memory, in paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use headwater::breaker::{Breaker, Settings};
use headwater::dead::letter;
use headwater::log::Batch;
use headwater::log::memory::{Fault, MemoryLog};
use headwater::run::{Unavailable, Work, run};
use headwater_schemas::reject::code;
use headwater_schemas::{Outbox, Reject, topics};

/// Refuses what it was told to: everything while it is broken, records of the value `poison`, and of those called `page` a part.
#[derive(Default)]
struct Picky {
    broken: AtomicBool,
    runs: AtomicUsize,
}

#[async_trait]
impl Work for Picky {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        for (index, record) in batch.records().enumerate() {
            out.cause(index);
            let value = record.value.expect("no tombstones here");
            let (all, part) = (self.broken.load(Ordering::SeqCst) || value == b"poison", value == b"page");
            if all || part {
                letter::bury("picky", &record, &Reject::new(code::UNEXPECTED_SHAPE, "expected something else"), 1, out);
            }
            if !all {
                out.put(&topics::OBSERVATION, None, record.key, |b| b.extend_from_slice(record.key));
            }
        }
        Ok(())
    }
}

fn fill(log: &MemoryLog, records: usize, value: impl Fn(usize) -> &'static str) {
    (0..records).for_each(|n| log.put(format!("k{n}").as_bytes(), value(n).as_bytes()));
}

fn letters(log: &MemoryLog) -> usize {
    log.appended().iter().filter(|record| record.topic == "test.dead.picky.v1").count()
}

fn around(work: &Arc<Picky>) -> Arc<dyn Work> {
    Breaker::around(work.clone(), "picky", &Settings::default())
}

const PAUSE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_worker_that_breaks_buries_few_waits_and_goes_on_when_it_is_mended() {
    let (log, work) = (MemoryLog::default(), Arc::new(Picky::default()));
    fill(&log, 5000, |_| "good");
    work.broken.store(true, Ordering::SeqCst);
    let (behind, mut lease) = (around(&work), log.lease(40));
    let mended = async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let (buried, committed) = (letters(&log), log.committed());
        assert_eq!((buried, committed), (80, 80), "two batches of 40; the third makes 100, is not appended and not passed");
        assert!((100..130).contains(&work.runs.load(Ordering::SeqCst)), "one try each 30 s: {:?}", work.runs);
        work.broken.store(false, Ordering::SeqCst);
    };
    tokio::join!(run(&log, &mut lease, &*behind, "picky"), mended);
    assert_eq!((letters(&log), log.committed()), (80, 5000));
    assert_eq!(log.appended().len(), 5000, "each record is answered once");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_all_poison_is_not_appended_even_if_it_is_the_first() {
    let (log, work) = (MemoryLog::default(), Arc::new(Picky::default()));
    fill(&log, 500, |_| "poison");
    let (behind, mut lease) = (around(&work), log.lease(500));
    tokio::time::timeout(PAUSE * 20, run(&log, &mut lease, &*behind, "picky")).await.expect_err("it waits for somebody");
    assert_eq!((log.appended().len(), log.committed()), (0, 0));
    // Turned off, as the warning says, they are buried.
    let off = Breaker::around(work, "picky", &Settings { share: 0.0, ..Settings::default() });
    run(&log, &mut log.lease(500), &*off, "picky").await;
    assert_eq!((letters(&log), log.committed()), (500, 500));
}

#[tokio::test(start_paused = true)]
async fn poison_at_a_low_rate_never_trips_it_nor_do_pages_with_one_bad_row_each() {
    for (every, batch) in [(100, 1), (100, 500), (3, 7)] {
        let (log, work) = (MemoryLog::default(), Arc::new(Picky::default()));
        fill(&log, 20_000, |n| if n % every == 0 { "poison" } else { "good" });
        let behind = around(&work);
        tokio::time::timeout(PAUSE / 2, run(&log, &mut log.lease(batch), &*behind, "picky")).await.expect("it never waits");
        assert_eq!((letters(&log), log.committed()), (20_000_usize.div_ceil(every), 20_000));
    }
    let (log, work) = (MemoryLog::default(), Arc::new(Picky::default()));
    fill(&log, 5000, |_| "page");
    tokio::time::timeout(PAUSE / 2, run(&log, &mut log.lease(100), &*around(&work), "picky")).await.expect("it never waits");
    assert_eq!((letters(&log), log.committed()), (5000, 5000), "the rest of each page went on");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_done_again_because_kafka_is_away_is_counted_once() {
    let (log, work) = (MemoryLog::default(), Arc::new(Picky::default()));
    fill(&log, 40, |n| if n < 30 { "poison" } else { "good" });
    log.faults(&[Fault::Refused; 50]);
    run(&log, &mut log.lease(40), &*around(&work), "picky").await;
    assert_eq!((letters(&log), log.committed()), (30, 40));
    assert_eq!(work.runs.load(Ordering::SeqCst), 51, "each time because of the append");

    // Counted as it is now: a worker that breaks meanwhile does not slip through.
    let (log, work) = (MemoryLog::default(), Arc::new(Picky::default()));
    fill(&log, 500, |_| "good");
    log.faults(&[Fault::Refused; 10]);
    let (behind, mut lease) = (around(&work), log.lease(500));
    let breaks = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        work.broken.store(true, Ordering::SeqCst);
    };
    let all = async { tokio::join!(run(&log, &mut lease, &*behind, "picky"), breaks) };
    tokio::time::timeout(PAUSE * 10, all).await.expect_err("it waits for somebody");
    assert_eq!((log.appended().len(), log.committed()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn all_partitions_stop_together_and_one_bad_batch_does_not_keep_them_all_when_mended() {
    let (work, logs) = (Arc::new(Picky::default()), [0, 1, 2].map(MemoryLog::partition));
    // What partition 0 has at hand stays bad.
    fill(&logs[0], 1000, |n| if n < 100 { "poison" } else { "good" });
    fill(&logs[1], 1000, |_| "good");
    fill(&logs[2], 1000, |_| "good");
    work.broken.store(true, Ordering::SeqCst);
    let behind = around(&work);
    let mended = async {
        tokio::time::sleep(PAUSE * 10).await;
        let buried: usize = logs.iter().map(letters).sum();
        assert!(buried < 100, "{buried} letters of three partitions together");
        let before = work.runs.load(Ordering::SeqCst);
        tokio::time::sleep(PAUSE * 10).await;
        assert!(work.runs.load(Ordering::SeqCst) - before <= 11, "one batch of one partition is tried at a time");
        assert!(logs[0].committed() < 100, "its batch at hand is one that stays bad");
        work.broken.store(false, Ordering::SeqCst);
    };
    let hold = async |log: &MemoryLog| run(log, &mut log.lease(20), &*behind, "picky").await;
    let all = async { tokio::join!(hold(&logs[0]), hold(&logs[1]), hold(&logs[2])) };
    tokio::time::timeout(PAUSE * 40, async { tokio::join!(all, mended) }).await.expect("they end");
    for log in &logs {
        assert_eq!(log.committed(), 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_while_a_batch_is_tried_decides_nothing() {
    /// Broken, then away for three tries, then well.
    #[derive(Default)]
    struct Moody {
        inner: Picky,
        away: AtomicUsize,
    }
    #[async_trait]
    impl Work for Moody {
        async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
            if self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                return Err(Unavailable { what: "store", why: "away".into(), retry_after: None });
            }
            self.inner.run(batch, out).await
        }
    }
    let (log, work) = (MemoryLog::default(), Arc::new(Moody::default()));
    fill(&log, 300, |_| "good");
    work.inner.broken.store(true, Ordering::SeqCst);
    let behind = Breaker::around(work.clone(), "picky", &Settings::default());
    let mended = async {
        tokio::time::sleep(PAUSE / 2).await;
        assert_eq!((log.committed(), log.appended().len()), (0, 0));
        work.inner.broken.store(false, Ordering::SeqCst);
        work.away.store(3, Ordering::SeqCst);
    };
    let mut lease = log.lease(150);
    let all = async { tokio::join!(run(&log, &mut lease, &*behind, "picky"), mended) };
    tokio::time::timeout(PAUSE * 2, all).await.expect("it goes on as soon as the store answers");
    assert_eq!((letters(&log), log.committed()), (0, 300));
}
