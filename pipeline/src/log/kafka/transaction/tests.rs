//! Each step of a transaction fails in each way there is, and the loop's rule is followed: what is not appended is done again.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use headwater_schemas::topics;

use super::conclude::{Conclude, Coordinator, TRANSACTION_TIMEOUT, Trouble};
use super::*;
use crate::registry::Target;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Produce,
    Flush,
    Offsets,
    Commit,
    Abort,
    Renew,
    Committed,
}

const STEPS: [Step; 8] =
    [Step::Begin, Step::Produce, Step::Flush, Step::Offsets, Step::Commit, Step::Abort, Step::Renew, Step::Committed];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Refused; the transaction can be aborted.
    Abort,
    /// Not done, and nobody says so.
    Undone,
    /// Done, and nobody says so.
    Done,
    /// Done when it is too late to say so: before the next producer has its epoch.
    Late,
}

const FAULTS: [Fault; 4] = [Fault::Abort, Fault::Undone, Fault::Done, Fault::Late];

/// What a broker keeps, with the rules that the protocol gives.
#[derive(Debug, Default)]
struct State {
    /// The n-th call of each step fails this way.
    faults: Vec<(Step, usize, Fault)>,
    calls: Vec<Step>,
    open: Option<(usize, Vec<(Place, i64)>)>,
    late: Option<(usize, Vec<(Place, i64)>)>,
    records: usize,
    offsets: HashMap<Place, i64>,
}

impl State {
    fn apply(&mut self, done: Option<(usize, Vec<(Place, i64)>)>) {
        if let Some((records, offsets)) = done {
            self.records += records;
            self.offsets.extend(offsets);
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Model(Arc<Mutex<State>>);

impl Model {
    fn step(&self, step: Step, act: impl FnOnce(&mut State) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let mut state = self.0.lock().unwrap();
        let before = state.calls.iter().filter(|call| **call == step).count();
        state.calls.push(step);
        let fault = state.faults.iter().find(|(at, n, _)| *at == step && *n == before).map(|(_, _, fault)| *fault);
        match fault {
            None => act(&mut state),
            Some(Fault::Abort) => Err(Trouble::Abort("refused".into())),
            Some(Fault::Undone) => Err(Trouble::Indefinite("no answer".into())),
            Some(Fault::Late) if step == Step::Commit => {
                state.late = state.open.take();
                Err(Trouble::Indefinite("no answer".into()))
            }
            Some(Fault::Done | Fault::Late) => {
                act(&mut state)?;
                Err(Trouble::Indefinite("no answer".into()))
            }
        }
    }
}

impl Coordinator for Model {
    fn begin(&mut self) -> Result<(), Trouble> {
        self.step(Step::Begin, |state| {
            assert!(state.open.replace((0, Vec::new())).is_none(), "one transaction at a time");
            Ok(())
        })
    }

    fn produce(&mut self, outbox: &Outbox, _targets: &[Target]) -> Result<(), Trouble> {
        self.step(Step::Produce, |state| {
            state.open.as_mut().expect("a transaction is open").0 += outbox.len();
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.step(Step::Flush, |_| Ok(()))
    }

    fn offsets(&mut self, next: &[(Place, i64)]) -> Result<(), Trouble> {
        self.step(Step::Offsets, |state| {
            state.open.as_mut().expect("a transaction is open").1.extend_from_slice(next);
            Ok(())
        })
    }

    fn commit(&mut self) -> Result<(), Trouble> {
        self.step(Step::Commit, |state| {
            let done = state.open.take();
            state.apply(done);
            Ok(())
        })
    }

    fn abort(&mut self) -> Result<(), Trouble> {
        self.step(Step::Abort, |state| {
            state.open = None;
            Ok(())
        })
    }

    fn renew(&mut self) -> Result<(), Trouble> {
        self.step(Step::Renew, |state| {
            state.open = None;
            let late = state.late.take();
            state.apply(late);
            Ok(())
        })
    }

    fn committed(&mut self, places: &[Place]) -> Result<Vec<Option<i64>>, Trouble> {
        let mut found = Vec::new();
        self.step(Step::Committed, |state| {
            found = places.iter().map(|place| state.offsets.get(place).copied()).collect();
            Ok(())
        })?;
        Ok(found)
    }
}

fn place(partition: i32) -> Place {
    ("in".into(), partition)
}

fn outbox() -> Outbox {
    let mut outbox = Outbox::default();
    outbox.put(&topics::OBSERVATION, None, b"k", |bytes| bytes.push(1));
    outbox
}

type Answer = oneshot::Receiver<Result<(), NotAppended>>;

fn entry(partition: i32, stop: &CancellationToken) -> (Entry, Answer) {
    let (answer, answered) = oneshot::channel();
    let (place, stop, outbox) = (place(partition), stop.clone(), outbox());
    (Entry { place, next: 7, outbox, targets: Vec::new(), alone: false, stop, waits: Arc::default(), answer }, answered)
}

fn line(model: &Model) -> (crossbeam_channel::Sender<Entry>, Line<Model>) {
    let (entries, taken) = crossbeam_channel::bounded(16);
    let (interval, stop) = (Duration::from_millis(1), CancellationToken::new());
    let mut line = Line::new(taken, model.clone(), Arc::default(), interval, stop);
    line.conclude.pause = Duration::ZERO;
    (entries, line)
}

/// Does two partitions' batches until both are answered with yes.
fn insist(model: &Model) {
    let (entries, mut line) = line(model);
    let live = CancellationToken::new();
    let mut open = vec![0, 1];
    for _ in 0..10 {
        let mut answers: Vec<(i32, Answer)> = Vec::new();
        for partition in &open {
            let (entry, answer) = entry(*partition, &live);
            entries.send(entry).unwrap();
            answers.push((*partition, answer));
        }
        while let Ok(first) = line.entries.try_recv() {
            assert!(line.one(first).expect("it goes on").is_none());
        }
        open = answers
            .into_iter()
            .filter_map(|(partition, mut answer)| answer.try_recv().unwrap().err().map(|_| partition))
            .collect();
        if open.is_empty() {
            return;
        }
    }
    panic!("never done: {model:?}");
}

#[test]
fn whatever_fails_in_whatever_way_each_batch_is_committed_once_with_its_offset() {
    let mut cases = 0;
    for first in STEPS.into_iter().flat_map(|step| FAULTS.map(|fault| (step, 0, fault))) {
        for second in STEPS.into_iter().flat_map(|step| FAULTS.into_iter().flat_map(move |f| [(step, 0, f), (step, 1, f)])) {
            let model = Model::default();
            model.0.lock().unwrap().faults = vec![first, second];
            insist(&model);
            let state = model.0.lock().unwrap();
            assert_eq!(state.records, 2, "{first:?} and {second:?}: {state:?}");
            assert_eq!(state.offsets, HashMap::from([(place(0), 7), (place(1), 7)]), "{first:?} and {second:?}");
            cases += 1;
        }
    }
    assert_eq!(cases, 32 * 64);
}

#[test]
fn a_partition_that_is_gone_takes_nothing_with_it_and_its_neighbour_comes_again() {
    let mut model = Model::default();
    let (_entries, mut line) = line(&model);
    let (gone, live) = (CancellationToken::new(), CancellationToken::new());
    let ((first, mut lost), (second, mut kept)) = (entry(0, &gone), entry(1, &live));
    model.begin().unwrap();
    gone.cancel();
    line.conclude.conclude(vec![first, second], Instant::now(), Ok(())).unwrap();
    assert!(lost.try_recv().unwrap().is_err() && kept.try_recv().unwrap().is_err());
    assert_eq!(model.0.lock().unwrap().offsets, HashMap::new());
}

#[test]
fn a_commit_under_way_is_over_before_a_partition_goes() {
    let model = Model::default();
    let (_entries, mut line) = line(&model);
    let gate = line.conclude.gate.clone();
    let live = CancellationToken::new();
    let (entry, mut answer) = entry(0, &live);
    let letting_go = gate.pass();
    let committing = std::thread::spawn(move || line.conclude.conclude(vec![entry], Instant::now(), Ok(())));
    // The poll thread has the gate: it cancels, and only then lets the partition go.
    live.cancel();
    drop(letting_go);
    committing.join().unwrap().unwrap();
    assert!(answer.try_recv().unwrap().is_err());
    assert!(!model.0.lock().unwrap().calls.contains(&Step::Offsets));
}

#[test]
fn somebody_else_of_the_same_name_ends_us_and_our_own_lateness_does_not() {
    struct Fenced(Model);
    impl Coordinator for Fenced {
        fn begin(&mut self) -> Result<(), Trouble> {
            self.0.begin()
        }
        fn produce(&mut self, outbox: &Outbox, targets: &[Target]) -> Result<(), Trouble> {
            self.0.produce(outbox, targets)
        }
        fn flush(&mut self) -> Result<(), Trouble> {
            Err(Trouble::Fenced("a newer epoch".into()))
        }
        fn offsets(&mut self, next: &[(Place, i64)]) -> Result<(), Trouble> {
            self.0.offsets(next)
        }
        fn commit(&mut self) -> Result<(), Trouble> {
            self.0.commit()
        }
        fn abort(&mut self) -> Result<(), Trouble> {
            self.0.abort()
        }
        fn renew(&mut self) -> Result<(), Trouble> {
            self.0.renew()
        }
        fn committed(&mut self, places: &[Place]) -> Result<Vec<Option<i64>>, Trouble> {
            self.0.committed(places)
        }
    }
    let model = Model::default();
    let gate = Arc::default();
    let mut conclude =
        Conclude { coordinator: Fenced(model.clone()), gate, stop: CancellationToken::new(), pause: Duration::ZERO };
    let live = CancellationToken::new();
    let (first, _) = entry(0, &live);
    let why = conclude.conclude(vec![first], Instant::now(), Ok(())).unwrap_err();
    assert!(why.contains("another process has taken this name"), "{why}");
    let (second, mut answer) = entry(0, &live);
    let long_ago = Instant::now().checked_sub(TRANSACTION_TIMEOUT).expect("a machine that is up for longer");
    conclude.conclude(vec![second], long_ago, Ok(())).unwrap();
    assert!(answer.try_recv().unwrap().is_err());
    assert_eq!(model.0.lock().unwrap().calls, [Step::Renew]);
}
