//! The log: records in order, hint topics in partitions that instances hold and commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use headwater_schemas::coverage::{Coverage, Outcome};
use headwater_schemas::hint::{Cause, Hint};
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Topic};
use tokio::sync::watch;
use uuid::Uuid;

pub const PARTITIONS: usize = 3;
/// Most hints of one batch.
const BATCH: usize = 20;

/// The hint topics, by place.
pub static HINTS: [&Topic; 3] = [&topics::HINT_LIVE, &topics::HINT_HISTORY, &topics::HINT_LATER];

/// A partition of a hint topic.
pub type Place = (usize, usize);

pub struct Log {
    state: Mutex<State>,
    changed: Vec<Vec<watch::Sender<u64>>>,
}

#[derive(Default)]
struct State {
    raws: Vec<Vec<u8>>,
    partitions: BTreeMap<Place, Partition>,
    /// When each connection was hinted by the schedule, in true time.
    scheduled: HashMap<Uuid, Vec<i64>>,
    announced: HashMap<Uuid, usize>,
    /// Answers that were appended, by connection, stream and window.
    covered: HashMap<(Uuid, String, i64), usize>,
    covered_to: HashMap<(Uuid, String), i64>,
}

#[derive(Default)]
struct Partition {
    hints: Vec<Vec<u8>>,
    committed: usize,
    holder: Option<usize>,
    epoch: u64,
}

impl Default for Log {
    fn default() -> Self {
        let changed = HINTS.iter().map(|_| (0..PARTITIONS).map(|_| watch::channel(0).0).collect()).collect();
        Self { state: Mutex::default(), changed }
    }
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    /// The first so many records of an outbox arrive.
    pub fn arrive(&self, outbox: &Outbox, count: usize, now: i64) {
        let mut state = self.state();
        for record in &outbox.records()[..count] {
            let body = outbox.body(record);
            if record.topic == &topics::RAW {
                state.raws.push(body.to_vec());
            } else if record.topic == &topics::COVERAGE {
                state.cover(body);
            } else if let Some(topic) = HINTS.iter().position(|hints| *hints == record.topic) {
                let hint = Hint::decode(body).expect("our own record");
                match hint.cause {
                    Cause::Schedule if topic == 0 => state.scheduled.entry(hint.connection_id).or_default().push(now),
                    Cause::Webhook if topic == 0 => *state.announced.entry(hint.connection_id).or_default() += 1,
                    _ => {}
                }
                let partition = partition(hint.connection_id);
                state.partitions.entry((topic, partition)).or_default().hints.push(body.to_vec());
                self.changed[topic][partition].send_modify(|n| *n += 1);
            }
        }
    }

    pub fn watch(&self, (topic, partition): Place) -> watch::Receiver<u64> {
        self.changed[topic][partition].subscribe()
    }

    /// What this holder is to do next: its epoch, the hints, and the offset after them.
    pub fn next(&self, who: usize, place: Place) -> Option<(u64, Vec<Vec<u8>>, usize)> {
        let state = self.state();
        let partition = state.partitions.get(&place).filter(|p| p.holder == Some(who))?;
        let hints: Vec<_> = partition.hints.iter().skip(partition.committed).take(BATCH).cloned().collect();
        let to = partition.committed + hints.len();
        (!hints.is_empty()).then_some((partition.epoch, hints, to))
    }

    pub fn holds(&self, who: usize, place: Place, epoch: Option<u64>) -> bool {
        self.state().partitions.get(&place).is_some_and(|p| p.holder == Some(who) && epoch.is_none_or(|epoch| p.epoch == epoch))
    }

    /// Refused to whoever held the partition before.
    pub fn commit(&self, who: usize, place: Place, epoch: u64, to: usize) -> bool {
        let mut state = self.state();
        let partition = state.partitions.entry(place).or_default();
        let holds = partition.holder == Some(who) && partition.epoch == epoch;
        if holds {
            partition.committed = partition.committed.max(to);
        }
        holds
    }

    /// Gives the partitions to these, in turn.
    pub fn assign(&self, holders: &[usize], turn: usize) {
        let mut state = self.state();
        for topic in 0..HINTS.len() {
            for number in 0..PARTITIONS {
                let partition = state.partitions.entry((topic, number)).or_default();
                let holder = (!holders.is_empty()).then(|| holders[(number + turn) % holders.len()]);
                if partition.holder != holder {
                    partition.holder = holder;
                    partition.epoch += 1;
                }
                self.changed[topic][number].send_modify(|n| *n += 1);
            }
        }
    }

    pub fn raws(&self) -> Vec<Vec<u8>> {
        self.state().raws.clone()
    }

    /// Whether some raw record of this connection holds these bytes.
    pub fn has_raw(&self, connection: Uuid, part: &[u8]) -> bool {
        self.state().raws.iter().any(|body| {
            let raw = Raw::decode(body).expect("our own record");
            raw.connection_id == connection && raw.body.windows(part.len()).any(|window| window == part)
        })
    }

    /// Hints of this connection that webhooks led to.
    pub fn announced(&self, connection: Uuid) -> usize {
        self.state().announced.get(&connection).copied().unwrap_or(0)
    }

    pub fn scheduled(&self, connection: Uuid) -> Vec<i64> {
        self.state().scheduled.get(&connection).cloned().unwrap_or_default()
    }

    /// How many answers to this window were appended.
    pub fn covered(&self, connection: Uuid, stream: &str, window: i64) -> usize {
        self.state().covered.get(&(connection, stream.to_owned(), window)).copied().unwrap_or(0)
    }

    /// How far answers of this stream were appended.
    pub fn covered_to(&self, connection: Uuid, stream: &str) -> i64 {
        self.state().covered_to.get(&(connection, stream.to_owned())).copied().unwrap_or(i64::MIN)
    }

    /// Hints that nobody has done.
    pub fn left(&self) -> usize {
        self.state().partitions.values().map(|p| p.hints.len() - p.committed).sum()
    }
}

impl State {
    fn cover(&mut self, body: &[u8]) {
        let coverage = Coverage::decode(body).expect("our own record");
        if coverage.outcome == Outcome::Failed {
            return;
        }
        let (id, stream) = (coverage.connection_id, coverage.stream.to_owned());
        let to = self.covered_to.entry((id, stream.clone())).or_insert(i64::MIN);
        *to = (*to).max(coverage.window_end);
        if coverage.outcome != Outcome::Unchanged {
            *self.covered.entry((id, stream, coverage.window_start)).or_default() += 1;
        }
    }
}

pub fn partition(connection: Uuid) -> usize {
    usize::from(connection.as_bytes()[1]) % PARTITIONS
}
