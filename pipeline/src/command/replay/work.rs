//! What a replay does with a batch: the processor's own work, told apart from live traffic by a header, counted when it is through.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use headwater_schemas::{Outbox, topics};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::shadow::Shadow;
use crate::breaker;
use crate::log::{Batch, Lease, Lost, Proof};
use crate::run::{Unavailable, Work};
use crate::work::Process;

/// Records of a replay say so to subscribers. What is stored says nothing of it: the same data comes to the same row.
pub const LANE: (&str, &str) = ("headwater-lane", "replay");

/// What a replay has done so far.
#[derive(Debug, Default)]
pub struct Tally {
    read: AtomicU64,
    observations: AtomicU64,
    medications: AtomicU64,
    devices: AtomicU64,
    dead: AtomicU64,
    withheld: AtomicU64,
}

/// What a batch came to, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    pub observations: u64,
    pub medications: u64,
    pub devices: u64,
    /// Dead letters.
    pub dead: u64,
    /// Records and readings that a person's decision held back.
    pub withheld: u64,
}

impl Tally {
    fn each(&self, counts: &Counts) -> [(&AtomicU64, u64); 6] {
        [
            (&self.read, counts.read),
            (&self.observations, counts.observations),
            (&self.medications, counts.medications),
            (&self.devices, counts.devices),
            (&self.dead, counts.dead),
            (&self.withheld, counts.withheld),
        ]
    }

    pub fn add(&self, counts: &Counts) {
        for (total, count) in self.each(counts) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> Counts {
        let [read, observations, medications, devices, dead, withheld] =
            self.each(&Counts::default()).map(|(total, _)| total.load(Ordering::Relaxed));
        Counts { read, observations, medications, devices, dead, withheld }
    }
}

impl Counts {
    fn of(read: usize, out: &Outbox, withheld: usize) -> Self {
        let count = |topic| out.records().iter().filter(|record| record.topic == topic).count() as u64;
        Self {
            read: read as u64,
            observations: count(&topics::OBSERVATION),
            medications: count(&topics::MEDICATION),
            devices: count(&topics::DEVICE),
            dead: count(&topics::DEAD),
            withheld: withheld as u64,
        }
    }
}

/// Lets a number of records through per second, of all that ask.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    free: tokio::sync::Mutex<Instant>,
}

impl Pace {
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), free: tokio::sync::Mutex::new(Instant::now()) }
    }

    async fn take(&self, records: usize) {
        let turn = {
            let mut free = self.free.lock().await;
            let turn = (*free).max(Instant::now());
            *free = turn + Duration::from_secs_f64(records as f64 / self.per_second);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

/// The work of all spans. What a batch came to is told once it is through, however often it was tried.
pub struct Replaying {
    process: Process,
    pace: Option<Pace>,
    shadow: Option<Shadow>,
    /// By topic and partition, of which one batch is at work at a time.
    last: Mutex<HashMap<(String, i32), Counts>>,
}

impl Replaying {
    pub fn new(process: Process, pace: Option<Pace>, shadow: Option<Shadow>) -> Self {
        Self { process, pace, shadow, last: Mutex::default() }
    }

    /// What this batch came to, as the last of its partition.
    pub fn last(&self, batch: &Batch) -> Counts {
        let last = self.last.lock().expect("nothing panics under this lock");
        last.get(&place(batch)).copied().unwrap_or_default()
    }
}

fn place(batch: &Batch) -> (String, i32) {
    (batch.topic().to_owned(), batch.partition())
}

#[async_trait]
impl Work for Replaying {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        if let Some(pace) = &self.pace {
            pace.take(batch.len()).await;
        }
        let counts = match &self.shadow {
            None => {
                out.mark(LANE.0, LANE.1);
                let withheld = self.process.all(batch, out).await?;
                Counts::of(batch.len(), out, withheld)
            }
            Some(shadow) => {
                let mut made = Outbox::default();
                let withheld = self.process.all(batch, &mut made).await?;
                shadow.cast(&self.process.desk.registry, &made, out).await?;
                Counts::of(batch.len(), &made, withheld)
            }
        };
        self.last.lock().expect("nothing panics under this lock").insert(place(batch), counts);
        Ok(())
    }
}

/// Ends the whole replay where the breaker opens: a command has nobody who would mend what is refused while it waits.
pub struct Stopping {
    inner: Arc<dyn Work>,
    stop: CancellationToken,
    why: OnceLock<String>,
}

impl Stopping {
    pub fn new(inner: Arc<dyn Work>, stop: CancellationToken) -> Self {
        Self { inner, stop, why: OnceLock::new() }
    }

    /// What the breaker said, if it opened.
    pub fn why(&self) -> Option<&str> {
        self.why.get().map(String::as_str)
    }
}

#[async_trait]
impl Work for Stopping {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        let done = self.inner.run(batch, out).await;
        if let Err(unavailable) = &done
            && unavailable.what == breaker::WHAT
        {
            self.why.get_or_init(|| unavailable.why.clone());
            self.stop.cancel();
        }
        done
    }
}

/// A lease that tells of what was advanced.
pub struct Counting<'l, L> {
    pub lease: &'l mut L,
    pub work: &'l Replaying,
    pub tally: &'l Tally,
}

#[async_trait]
impl<L: Lease> Lease for Counting<'_, L> {
    async fn next(&mut self) -> Option<Batch> {
        self.lease.next().await
    }

    async fn advance(&mut self, batch: Batch, proof: Proof) -> Result<(), Lost> {
        let counts = self.work.last(&batch);
        self.lease.advance(batch, proof).await?;
        self.tally.add(&counts);
        Ok(())
    }

    async fn gone(&self) {
        self.lease.gone().await;
    }

    fn waiting(&self, waits: bool) {
        self.lease.waiting(waits);
    }
}
