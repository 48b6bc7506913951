//! Stops a worker that would drain a topic into its dead letters: when most records fail, it is the worker or what it depends on that is wrong, and not the
//! records. Counted for each topic of a worker, so that one provider's new format does not stop the others, nor a refused observation an erasure.
//!
//! The batch that trips it is not appended. All partitions of the topic wait, as in an outage; after a pause one batch is tried, and if that is
//! accepted all go on. A record of which a part went on (a page with one bad row) is no failure here: nothing is drained by it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use headwater_schemas::{Outbox, topics};
use serde::Deserialize;
use tokio::time::Instant;

use crate::dead::letter::{self, header};
use crate::log::Batch;
use crate::run::{Unavailable, Work};
use crate::telemetry;

/// What is said to be unavailable while it is open.
pub const WHAT: &str = "breaker";

/// How long a partition waits while another one's batch is tried.
const TRIAL: Duration = Duration::from_secs(1);

/// `[group.breaker]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Trips when more than this part of the records became dead letters; 0 turns it off.
    pub share: f64,
    /// Looked at: the last so many records, and those of the last so many seconds. Either trips.
    pub records: usize,
    pub seconds: u64,
    /// Fewer letters than this never trip it.
    pub letters: usize,
    /// How long it waits before it tries a batch again.
    pub pause_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { share: 0.5, records: 1000, seconds: 60, letters: 100, pause_ms: 30_000 }
    }
}

impl Settings {
    /// # Errors
    /// Names the key and what was expected.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (0.0..1.0).contains(&self.share),
            "group.breaker.share: expected 0 (off) or more, less than 1, not {}",
            self.share
        );
        anyhow::ensure!(self.letters > 0, "group.breaker.letters: expected at least 1");
        Ok(())
    }
}

/// Work that is stopped when most of it fails.
pub struct Breaker {
    inner: Arc<dyn Work>,
    worker: &'static str,
    settings: Settings,
    gates: Mutex<HashMap<String, Gate>>,
}

impl Breaker {
    /// The work behind a breaker, or as it is where it is turned off. All partitions of the worker share it.
    pub fn around(inner: Arc<dyn Work>, worker: &'static str, settings: &Settings) -> Arc<dyn Work> {
        if settings.share == 0.0 {
            return inner;
        }
        Arc::new(Self { inner, worker, settings: settings.clone(), gates: Mutex::default() })
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<String, Gate>> {
        self.gates.lock().expect("nothing panics under this lock")
    }

    /// Lets a batch in; while open, only the one that is tried.
    fn enter<'b>(&'b self, batch: &'b Batch) -> Result<Option<Trial<'b>>, Unavailable> {
        let mut gates = self.gates();
        if !gates.contains_key(batch.topic()) {
            self.gauge(batch.topic(), false);
            gates.insert(batch.topic().to_owned(), Gate::closed());
        }
        let gate = gates.get_mut(batch.topic()).expect("it was put in");
        let Gate::Open(open) = gate else { return Ok(None) };
        // Whose batch failed last comes after the others: one bad batch at hand must not keep the others from being tried.
        let last = open.failed == batch.partition();
        open.others |= !last;
        let due = if last && open.others { open.until + TRIAL } else { open.until };
        let wait = due.saturating_duration_since(Instant::now()).max(if open.trying { TRIAL } else { Duration::ZERO });
        if !wait.is_zero() {
            return Err(waits(&open.why, wait));
        }
        open.trying = true;
        Ok(Some(Trial { breaker: self, topic: batch.topic() }))
    }

    /// Whether what follows from the batch may be appended.
    fn judge(&self, batch: &Batch, out: &Outbox, trial: bool) -> Result<(), Unavailable> {
        let (now, letters) = (Instant::now(), failed(batch, out));
        let mut gates = self.gates();
        let gate = gates.get_mut(batch.topic()).expect("the batch came in");
        let over = match gate {
            // It tripped while this batch was at work.
            Gate::Open(open) if !trial => {
                open.others |= open.failed != batch.partition();
                return Err(waits(&open.why, open.until.saturating_duration_since(now)));
            }
            Gate::Open(_) => (letters as f64 > self.settings.share * batch.len() as f64).then_some((letters, batch.len())),
            Gate::Closed(recent) => recent.add(batch, letters, now, &self.settings),
        };
        if let Some((letters, records)) = over {
            let pause = Duration::from_millis(self.settings.pause_ms);
            let why = format!("{letters} of {records} records of {} cannot be accepted, {}", batch.topic(), mostly(out));
            if !trial {
                self.tripped(batch, &why);
            }
            let waiting = waits(&why, pause);
            *gate = Gate::Open(Open { until: now + pause, failed: batch.partition(), others: false, trying: false, why });
            return Err(waiting);
        }
        if trial {
            tracing::info!(worker = self.worker, topic = batch.topic(), "a batch was accepted: breaker closed");
            self.gauge(batch.topic(), false);
            *gate = Gate::closed();
        }
        Ok(())
    }

    fn tripped(&self, batch: &Batch, why: &str) {
        self.gauge(batch.topic(), true);
        let first = batch.records().next().map_or(-1, |record| record.position.offset);
        tracing::warn!(
            worker = self.worker,
            topic = batch.topic(),
            partition = batch.partition(),
            offset = first,
            "breaker open: {why}; nothing more is buried. Mend what refuses them; if they really are to be buried, start with \
             group.breaker.share = 0"
        );
    }

    fn gauge(&self, topic: &str, open: bool) {
        metrics::gauge!(telemetry::BREAKER, "worker" => self.worker, "topic" => topic.to_owned()).set(f64::from(u8::from(open)));
    }
}

#[async_trait]
impl Work for Breaker {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        let trial = self.enter(batch)?;
        self.inner.run(batch, out).await?;
        self.judge(batch, out, trial.is_some())
    }
}

fn waits(why: &str, pause: Duration) -> Unavailable {
    // At least a little: several partitions wake at once.
    let pause = pause.max(Duration::from_millis(10));
    Unavailable { what: WHAT, why: format!("open: {why}"), retry_after: Some(pause) }
}

enum Gate {
    Closed(Recent),
    Open(Open),
}

impl Gate {
    fn closed() -> Self {
        Self::Closed(Recent::default())
    }
}

struct Open {
    until: Instant,
    /// The partition whose batch failed last.
    failed: i32,
    /// Other partitions wait too.
    others: bool,
    trying: bool,
    why: String,
}

/// The batch that is tried. However that ends, another may be tried later.
struct Trial<'b> {
    breaker: &'b Breaker,
    topic: &'b str,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if let Some(Gate::Open(open)) = self.breaker.gates().get_mut(self.topic) {
            open.trying = false;
        }
    }
}

/// What became of the last records, by their number and by time.
#[derive(Default)]
struct Recent {
    counted: Span,
    timed: Span,
    /// The first offset of the batch that was counted last, by partition: a batch that is done again counts once, as it is now.
    last: HashMap<i32, i64>,
}

/// Batches one after the other, and their sums.
#[derive(Default)]
struct Span {
    batches: VecDeque<Counted>,
    records: usize,
    letters: usize,
}

#[derive(Clone, Copy)]
struct Counted {
    at: Instant,
    /// Partition and first offset.
    place: (i32, i64),
    records: usize,
    letters: usize,
}

impl Recent {
    /// Counts a batch: letters and records of the span in which there are too many.
    fn add(&mut self, batch: &Batch, letters: usize, now: Instant, settings: &Settings) -> Option<(usize, usize)> {
        let place = (batch.partition(), batch.records().next()?.position.offset);
        let again = self.last.insert(place.0, place.1) == Some(place.1);
        for span in [&mut self.counted, &mut self.timed] {
            if again {
                span.take_back(place);
            }
            span.push(Counted { at: now, place, records: batch.len(), letters });
        }
        self.counted.trim(|first, records| records - first.records >= settings.records);
        self.timed.trim(|first, _| now.duration_since(first.at) > Duration::from_secs(settings.seconds));
        let over = |span: &&Span| span.letters >= settings.letters && span.letters as f64 > settings.share * span.records as f64;
        [&self.counted, &self.timed].into_iter().find(over).map(|span| (span.letters, span.records))
    }
}

impl Span {
    fn push(&mut self, batch: Counted) {
        self.records += batch.records;
        self.letters += batch.letters;
        self.batches.push_back(batch);
    }

    /// Forgets the oldest for as long as they are `old`, which is given the sum of records too.
    fn trim(&mut self, old: impl Fn(&Counted, usize) -> bool) {
        while let Some(first) = self.batches.front().copied().filter(|first| old(first, self.records)) {
            self.batches.pop_front();
            self.records -= first.records;
            self.letters -= first.letters;
        }
    }

    fn take_back(&mut self, place: (i32, i64)) {
        if let Some(batch) = self.batches.iter().rposition(|batch| batch.place == place).and_then(|at| self.batches.remove(at)) {
            self.records -= batch.records;
            self.letters -= batch.letters;
        }
    }
}

/// Records of which nothing but a dead letter came.
fn failed(batch: &Batch, out: &Outbox) -> usize {
    let mut came = vec![(false, false); batch.len()];
    for record in out.records() {
        if let Some((letter, more)) = came.get_mut(record.cause) {
            *letter |= record.topic == &topics::DEAD;
            *more |= record.topic != &topics::DEAD;
        }
    }
    came.into_iter().filter(|(letter, more)| *letter && !more).count()
}

/// The reason that most of the letters have.
fn mostly(out: &Outbox) -> String {
    let mut reasons: HashMap<(&str, Option<String>), usize> = HashMap::new();
    for record in out.records().iter().filter(|record| record.topic == &topics::DEAD) {
        let of = |name: &str| out.headers(record).iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        *reasons.entry((of(header::CODE).unwrap_or("unknown"), of(header::PATH).map(letter::any_index))).or_default() += 1;
    }
    match reasons.into_iter().max_by_key(|(_, count)| *count) {
        Some(((code, Some(path)), _)) => format!("most for {code} at {path}"),
        Some(((code, None), _)) => format!("most for {code}"),
        None => "without a reason".to_owned(),
    }
}
