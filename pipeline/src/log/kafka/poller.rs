//! The poll thread: it polls, always; fills batches; hands them out; has committed what was advanced.
//!
//! Partition queues are never split off (a dropped queue takes its successor's wake-up with it), and nothing here waits for a worker except a
//! revoke, for a bounded time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientContext, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::begins::{Asked, Begin, Begins};
use super::commits::Committer;
use super::gate::Gate;
use super::lease::{Advance, KafkaLease, Place};
use super::pending::Pending;
use super::stall::{self, Suspects};
use super::wake::{self, Wake};
use super::{ConsumerSettings, Settings, begins, commits, orphans};
use crate::log::Batch;
use crate::telemetry;

const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// What is on its way is waited for at most this long: a commit at the end, a partition that is sent elsewhere.
const ANSWER: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
/// While a partition waits for room the thread looks at it this often.
const POLL_BUSY: Duration = Duration::from_millis(5);

/// What is known of a partition we hold.
struct Held {
    epoch: u64,
    batches: mpsc::Sender<Batch>,
    stop: CancellationToken,
    waits: Arc<AtomicBool>,
    begin: Begin,
    /// Polled and not yet handed out.
    pending: Pending,
    /// Handed out and not yet advanced.
    busy: usize,
    paused: bool,
    /// How far it was advanced, and how far a commit of that was sent.
    next: Option<i64>,
    committed: Option<i64>,
    progress: Instant,
}

/// Shared between the poll loop and the rebalance callback, which runs inside the poll, on the same thread.
struct Shared {
    settings: Arc<ConsumerSettings>,
    held: Mutex<HashMap<Place, Held>>,
    epochs: Mutex<u64>,
    leases: mpsc::Sender<KafkaLease>,
    tell: Sender<Advance>,
    advances: Receiver<Advance>,
    gate: Arc<Gate>,
    /// The group moved: somebody looks whether all partitions are somebody's.
    moved: Sender<()>,
    /// Partitions were paused and are not any more.
    wake: Sender<Wake>,
}

pub(super) struct Context(Arc<Shared>);

pub(super) type Reader = BaseConsumer<Context>;

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        super::complain(&error, reason);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => {
                let places: Vec<Place> = list.elements().iter().map(|e| (Arc::from(e.topic()), e.partition())).collect();
                self.0.let_go(consumer, &places, consumer.assignment_lost());
            }
            Rebalance::Error(e) => tracing::warn!(group = self.0.settings.group, "rebalance failed: {e}"),
            Rebalance::Assign(_) => {}
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            for element in list.elements() {
                self.0.take((Arc::from(element.topic()), element.partition()));
            }
        }
        metrics::counter!(telemetry::REBALANCES, "group" => self.0.settings.group.clone()).increment(1);
        // Where one word waits already, it stands for this one as well.
        let _ = self.0.moved.try_send(());
        let _ = self.0.wake.try_send(Wake::Now);
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, HashMap<Place, Held>> {
        self.held.lock().expect("nothing panics under this lock")
    }

    fn take(&self, place: Place) {
        let epoch = {
            let mut epochs = self.epochs.lock().expect("nothing panics under this lock");
            *epochs += 1;
            *epochs
        };
        let (batches, receiver) = mpsc::channel(1);
        let (stop, waits) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let lease = KafkaLease {
            place: place.clone(),
            epoch,
            batches: receiver,
            advances: self.tell.clone(),
            stop: stop.clone(),
            waits: waits.clone(),
        };
        // The supervisor takes leases at once; a full channel means it is gone, and then so are we.
        if self.leases.blocking_send(lease).is_ok() {
            let held = Held {
                epoch,
                batches,
                stop,
                waits,
                begin: if self.settings.transactional { Begin::Unknown } else { Begin::Anywhere },
                pending: Pending::default(),
                busy: 0,
                paused: false,
                next: None,
                committed: None,
                progress: Instant::now(),
            };
            self.held().insert(place, held);
        }
    }

    /// Stops the workers of these partitions, waits for what is at hand, commits it, forgets them.
    fn let_go<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, places: &[Place], lost: bool) {
        for place in places {
            if let Some(held) = self.held().get(place) {
                held.stop.cancel();
            }
        }
        if self.settings.transactional {
            // What is being committed is committed before the partitions go; everything else sees that they are gone and is aborted.
            drop(self.gate.pass());
        } else {
            self.wait_for(places, lost);
        }
        while let Ok(advance) = self.advances.try_recv() {
            self.note(advance);
        }
        if !lost
            && let Some(list) = self.advanced(true, |place| places.contains(place))
            && let Err(e) = consumer.commit(&list, CommitMode::Sync)
        {
            // Offsets are only late by this: the next holder does the batch again.
            tracing::warn!(group = self.settings.group, "commit failed: {e}");
        }
        let mut resume = TopicPartitionList::new();
        {
            let mut held = self.held();
            for place in places {
                if held.remove(place).is_some_and(|held| held.paused) {
                    resume.add_partition(&place.0, place.1);
                }
            }
        }
        // librdkafka keeps a pause for longer than the assignment: the partition would stand still if it came back to us.
        if resume.count() > 0
            && let Err(e) = consumer.resume(&resume)
        {
            tracing::warn!(group = self.settings.group, "resume failed: {e}");
        }
    }

    /// Waits until the workers of these partitions have finished what is at hand.
    fn wait_for(&self, places: &[Place], lost: bool) {
        let until = Instant::now() + if lost { Duration::ZERO } else { self.settings.drain };
        while places.iter().any(|place| {
            self.held().get(place).is_some_and(|h| h.busy > 0 && !h.waits.load(Ordering::Relaxed) && !h.batches.is_closed())
        }) {
            // In slices: a worker that ends without a word frees us as well.
            if let Ok(advance) = self.advances.recv_timeout(Duration::from_millis(20)) {
                self.note(advance);
            } else if Instant::now() >= until {
                break;
            }
        }
    }

    fn note(&self, advance: Advance) {
        if let Some(held) = self.held().get_mut(&advance.place).filter(|held| held.epoch == advance.epoch) {
            held.busy = held.busy.saturating_sub(1);
            held.next = Some(advance.next).filter(|_| !self.settings.transactional);
            held.progress = Instant::now();
        }
    }

    /// How far these partitions were advanced and not yet committed. What is on its way may still be refused: the last word before a partition goes
    /// is said again.
    fn advanced(&self, last: bool, of: impl Fn(&Place) -> bool) -> Option<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (place, held) in self.held().iter_mut().filter(|(place, _)| of(place)) {
            if let Some(next) = held.next.filter(|_| last || held.next != held.committed) {
                held.committed = Some(next);
                list.add_partition_offset(&place.0, place.1, Offset::Offset(next)).expect("an offset of a record is valid");
            }
        }
        (list.count() > 0).then_some(list)
    }

    /// A commit that was refused, mostly because the group was on the move, is sent again.
    fn refused(&self, offsets: &TopicPartitionList) {
        let mut held = self.held();
        for element in offsets.elements() {
            if let Some(held) = held.get_mut(&(Arc::from(element.topic()), element.partition())) {
                held.committed = None;
            }
        }
    }
}

pub(super) struct Poller {
    consumer: Arc<Reader>,
    committer: Committer,
    begins: Begins,
    waker: JoinHandle<()>,
    shared: Arc<Shared>,
    last_record: Instant,
    kafka: Settings,
    suspects: Suspects,
}

impl Poller {
    pub(super) fn new(
        kafka: &Settings,
        settings: Arc<ConsumerSettings>,
        leases: mpsc::Sender<KafkaLease>,
    ) -> Result<Self, KafkaError> {
        let (tell, advances) = crossbeam_channel::bounded(4096);
        let (moved, moves) = crossbeam_channel::bounded(1);
        let thread = |e: std::io::Error| KafkaError::ClientCreation(e.to_string());
        orphans::watch(kafka, &settings, moves).map_err(thread)?;
        let committer = commits::start(&settings.group).map_err(thread)?;
        let begins = begins::start(&settings.group).map_err(thread)?;
        let (wake, calls) = wake::channel();
        let shared = Arc::new(Shared {
            settings,
            held: Mutex::default(),
            epochs: Mutex::default(),
            leases,
            tell,
            advances,
            gate: Arc::default(),
            moved,
            wake,
        });
        let consumer: Arc<Reader> = Arc::new(shared.settings.config(kafka).create_with_context(Context(shared.clone()))?);
        let waker = wake::start(&shared.settings.group, Arc::downgrade(&consumer), calls).map_err(thread)?;
        consumer.subscribe(&shared.settings.topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self {
            consumer,
            committer,
            begins,
            waker,
            shared,
            last_record: Instant::now(),
            kafka: kafka.clone(),
            suspects: Suspects::default(),
        })
    }

    pub(super) fn transactional(&self) -> (Weak<Reader>, Arc<Gate>) {
        (Arc::downgrade(&self.consumer), self.shared.gate.clone())
    }

    /// Until `stop`, then drains. An error means that no progress can be made.
    pub(super) fn run(mut self, stop: &CancellationToken) -> Result<(), String> {
        let mut committed = Instant::now();
        let mut checked = Instant::now();
        let ended = loop {
            if stop.is_cancelled() {
                break Ok(());
            }
            if let Err(fatal) = self.poll() {
                break Err(fatal);
            }
            while let Ok(advance) = self.shared.advances.try_recv() {
                self.shared.note(advance);
            }
            if let Err(why) = self.begin() {
                break Err(why);
            }
            self.hand_out();
            if let Some(Some(list)) = self.committer.answered() {
                self.shared.refused(&list);
            }
            if committed.elapsed() >= COMMIT_EVERY && self.committer.is_free() {
                if let Some(list) = self.shared.advanced(false, |_| true) {
                    self.committer.ask(&self.consumer, list);
                }
                committed = Instant::now();
            }
            if checked.elapsed() >= self.shared.settings.stall / 4 {
                checked = Instant::now();
                if let Some(stall) = self.stalled() {
                    break Err(stall);
                }
            }
        };
        self.committer.settle(ANSWER);
        self.begins.settle(ANSWER);
        let places: Vec<Place> = self.shared.held().keys().cloned().collect();
        self.shared.let_go(&self.consumer, &places, false);
        if self.shared.wake.send(Wake::End).is_ok() {
            let _ = self.waker.join();
        }
        ended
    }

    /// Takes what is there, up to a batch's worth, without waiting once something came.
    fn poll(&mut self) -> Result<(), String> {
        let waiting = self.shared.held().values().any(|held| held.paused || !held.pending.is_empty());
        let mut wait = if waiting { POLL_BUSY } else { POLL };
        let (mut last, mut newest): (Option<Place>, i64) = (None, 0);
        for _ in 0..self.shared.settings.batch_records {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    // Records of one partition come in runs, so its name is made once per run.
                    if last
                        .as_ref()
                        .is_none_or(|(topic, partition)| *partition != message.partition() || &**topic != message.topic())
                    {
                        last = Some((Arc::from(message.topic()), message.partition()));
                    }
                    let mut held = self.shared.held();
                    // A record of a partition just let go comes again to its next holder.
                    if let Some((place, held)) = last.as_ref().and_then(|place| Some((place, held.get_mut(place)?))) {
                        if held.pending.is_empty() && held.busy == 0 {
                            held.progress = Instant::now();
                        }
                        let key = message.key().unwrap_or_default();
                        held.pending.push(place, &self.shared.settings, message.offset(), key, message.payload());
                        if let Timestamp::CreateTime(at) = message.timestamp() {
                            newest = newest.max(at);
                        }
                    }
                }
                Some(Err(e)) => {
                    if let Some((code, why)) = self.consumer.client().fatal_error() {
                        return Err(format!("kafka consumer failed for good: {code}: {why}"));
                    }
                    tracing::warn!(group = self.shared.settings.group, "kafka: {e}");
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        if last.is_some() {
            self.last_record = Instant::now();
            telemetry::age(&self.shared.settings.group, newest);
        }
        Ok(())
    }

    /// Learns where new leases begin, and sends librdkafka there where it began earlier. An error where it cannot be sent: then nobody knows which
    /// record comes next.
    fn begin(&mut self) -> Result<(), String> {
        let mut held = self.shared.held();
        for ((place, epoch), begin) in self.begins.answered().flatten().into_iter().flatten() {
            if let Some(held) = held.get_mut(&place).filter(|held| held.epoch == epoch) {
                held.begin = begin;
            }
        }
        let mut unknown: Vec<Asked> = Vec::new();
        for (place, held) in held.iter_mut() {
            if held.begin == Begin::Unknown {
                unknown.push((place.clone(), held.epoch));
            } else if let Some(first) = held.pending.first() {
                let (begin, at) = held.begin.meets(first);
                held.begin = begin;
                if let Some(at) = at {
                    let (topic, partition) = (&*place.0, place.1);
                    tracing::warn!(topic, partition, "kafka began at {first} where the group is at {at}: it is sent there");
                    let sent = self.consumer.seek(topic, partition, Offset::Offset(at), ANSWER);
                    sent.map_err(|e| format!("{topic} [{partition}] cannot be read from {at}: {e}"))?;
                    held.pending.clear();
                }
            }
        }
        if !unknown.is_empty() && self.begins.is_free() {
            self.begins.ask(&self.consumer, unknown);
        }
        Ok(())
    }

    /// Gives each idle worker what is pending; pauses partitions that have too much waiting, and resumes them when it is nearly gone.
    fn hand_out(&self) {
        let settings = &self.shared.settings;
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        let (mut in_hand, mut pressed) = (0, false);
        for (place, held) in self.shared.held().iter_mut() {
            if held.begin == Begin::Anywhere
                && !held.pending.is_empty()
                && let Ok(room) = held.batches.try_reserve()
                && let Some(batch) = held.pending.pop()
            {
                room.send(batch);
                held.busy += 1;
            }
            if held.pending.is_full() && !held.paused {
                held.paused = true;
                pause.add_partition(&place.0, place.1);
            } else if held.paused && held.pending.is_low() {
                held.paused = false;
                resume.add_partition(&place.0, place.1);
            }
            in_hand += usize::from(held.busy > 0 && !held.waits.load(Ordering::Relaxed));
            pressed |= !held.pending.is_low();
        }
        self.shared.gate.look(in_hand, pressed);
        let paused = if pause.count() > 0 { self.consumer.pause(&pause) } else { Ok(()) };
        let resumed = if resume.count() > 0 { self.consumer.resume(&resume) } else { Ok(()) };
        if let Err(e) = paused.and(resumed) {
            tracing::warn!(group = settings.group, "pause or resume failed: {e}");
        }
        if resume.count() > 0 {
            let _ = self.shared.wake.try_send(Wake::Now);
        }
    }

    /// Why no progress is made, where none is: a worker that neither finishes nor waits for anything, or a consumer that hears nothing
    /// although there are records.
    fn stalled(&mut self) -> Option<String> {
        let stall = self.shared.settings.stall;
        let places: Vec<Place> = {
            let held = self.shared.held();
            if let Some(((topic, partition), held)) =
                held.iter().find(|(_, h)| h.busy > 0 && !h.waits.load(Ordering::Relaxed) && h.progress.elapsed() > stall)
            {
                return Some(format!("no progress on {topic} [{partition}] for {:?}", held.progress.elapsed()));
            }
            held.iter().filter(|(_, h)| h.busy == 0 && !h.paused).map(|(place, _)| place.clone()).collect()
        };
        // Half of the time nothing has come, and for the other half there was something.
        if self.last_record.elapsed() < stall / 2 {
            return None;
        }
        let position = self.consumer.position().ok()?;
        let client_id = format!("{}-look", self.shared.settings.client_id);
        for place in &places {
            let (topic, partition) = (&*place.0, place.1);
            let Some(Offset::Offset(at)) = position.find_partition(topic, partition).map(|found| found.offset()) else {
                continue;
            };
            let Ok((_, end)) = self.consumer.fetch_watermarks(topic, partition, Duration::from_secs(2)) else {
                // The broker is away for all of them: nobody may hold up the polling by asking for each.
                places.iter().for_each(|place| self.suspects.forget(place));
                return None;
            };
            let Some(end) = self.suspects.note(place, at, end, stall / 2) else { continue };
            // One a round: a look takes seconds.
            return match stall::finds_record(&self.kafka, &client_id, (topic, partition), at, end) {
                Some(true) => Some(format!("records of {topic} [{partition}] from {at} on wait and none has come for {stall:?}")),
                Some(false) => {
                    self.suspects.clear(place);
                    None
                }
                None => None,
            };
        }
        None
    }
}
