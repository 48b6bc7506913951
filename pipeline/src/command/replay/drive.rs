//! Going through the plan: a few spans at once, each by the loop that every role runs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headwater_processors::Processor;
use headwater_schemas::Outbox;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::kept::{Begun, Kept};
use super::plan::{Part, Plan};
use super::shadow::{self, Shadow};
use super::work::{Counting, Counts, Pace, Replaying, Stopping, Tally};
use super::{Ask, Mode, progress};
use crate::app::App;
use crate::breaker::Breaker;
use crate::consent;
use crate::log::Lease as _;
use crate::log::kafka::{Producer, Span, SpanLease};
use crate::run::{self, Work};
use crate::supervise::{self, Supervisor};
use crate::work::Process;
use crate::worker;

/// Spans under way at once.
const AT_ONCE: usize = 8;
const BATCH_RECORDS: usize = 500;
const WORKER: &str = "replay";
const PAUSE: Duration = Duration::from_secs(1);

/// What a run has done.
#[derive(Debug, Clone)]
pub struct Done {
    pub name: String,
    pub mode: Mode,
    /// As they stand now: what is left of one is in its span.
    pub parts: Vec<Part>,
    pub stream: Option<String>,
    pub counts: Counts,
    pub seconds: f64,
    pub resumed: bool,
    /// Nothing is left.
    pub whole: bool,
    /// Something was left when this run began.
    pub began: bool,
}

/// What all spans share.
struct Shared {
    app: Arc<App>,
    group: String,
    replaying: Arc<Replaying>,
    /// The same, behind what stops it.
    work: Stopping,
    /// `None` where nothing is appended.
    producer: Option<Producer>,
    tally: Tally,
    batch_records: usize,
    todo: Mutex<VecDeque<(usize, Span)>>,
    stop: CancellationToken,
}

/// Runs raw records through this processor until the plan's end, or a signal.
///
/// # Errors
/// When Kafka, registry or store do not answer at the start, or the arguments do not fit what was begun under the name.
pub async fn run(app: &Arc<App>, ask: &Ask, processor: &'static dyn Processor) -> anyhow::Result<Done> {
    let kept = kept(app, ask).await?;
    let mut plan = tokio::task::block_in_place(|| Plan::make(app, ask, &kept))?;
    let started = Instant::now();
    let began = plan.left() > 0;
    let done = |plan: Plan, counts| Done {
        whole: plan.left() == 0,
        name: plan.name,
        mode: ask.mode,
        stream: ask.stream.clone(),
        counts,
        seconds: started.elapsed().as_secs_f64(),
        resumed: plan.resumed,
        parts: plan.parts,
        began,
    };
    if !began {
        return Ok(done(plan, Counts::default()));
    }
    let mut tasks = Supervisor::default();
    let store = app.store().await?;
    let consents = consent::follow(app, Some(store.clone()), &mut tasks).await?;
    let desk = worker::desk(app, processor.name(), &processor.inputs());
    let process = Process { desk, processor, stream: ask.stream.clone(), consents, store };
    let pace = ask.rate.map(|rate| Pace::new(rate.get()));
    let replaying = Arc::new(Replaying::new(process, pace, (ask.mode == Mode::Shadow).then(|| Shadow::of(&plan.name))));
    let work: Arc<dyn Work> = match ask.mode {
        Mode::Append => Breaker::around(replaying.clone(), WORKER, &app.config.group.breaker),
        // Buries nothing: to see that all of it is refused is what it is for.
        Mode::Count | Mode::Shadow => replaying.clone(),
    };
    let shared = Arc::new(Shared {
        app: app.clone(),
        group: plan.group.clone(),
        work: Stopping::new(work, tasks.stop()),
        replaying,
        producer: if ask.mode == Mode::Count { None } else { Some(app.producer(WORKER)?) },
        tally: Tally::default(),
        // A batch is taken at once, so it must not be more than a second's share.
        batch_records: ask.rate.map_or(BATCH_RECORDS, |rate| BATCH_RECORDS.min(rate.get() as usize)),
        todo: Mutex::new(
            plan.parts.iter().map(|part| part.span.clone()).enumerate().filter(|(_, span)| span.left() > 0).collect(),
        ),
        stop: tasks.stop(),
    });
    let before = plan.total() - plan.left();
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE.min(plan.parts.len()) {
        workers.spawn(spans(shared.clone()));
    }
    let all = async {
        let mut spans = Vec::new();
        while let Some(ended) = workers.join_next().await {
            spans.extend(ended??);
        }
        anyhow::Ok(spans)
    };
    let spans = tokio::select! {
        () = progress::tell(&plan.name, &shared.tally, plan.total(), before) => unreachable!("it tells until it is dropped"),
        spans = until_signalled(all, &shared.stop) => spans?,
    };
    if let Some(producer) = &shared.producer {
        tokio::task::block_in_place(|| producer.flush(Duration::from_secs(5)));
    }
    for (index, span) in spans {
        plan.parts[index].span = span;
    }
    if let Some(why) = shared.work.why() {
        anyhow::bail!(
            "replay {} stopped, breaker {why}; none of these was buried. Expected a mapping that accepts most: mend it and run this \
             again, it goes on where it was; if they really are to be buried, set group.breaker.share = 0",
            plan.name
        );
    }
    Ok(done(plan, shared.tally.counts()))
}

/// What was begun under the name. Nothing, where it begins anew: then neither offsets nor a shadow of it are left.
async fn kept(app: &Arc<App>, ask: &Ask) -> anyhow::Result<Kept> {
    let name = ask.name()?;
    let mut kept = tokio::task::block_in_place(|| Kept::read(app, &name))?;
    if ask.restart {
        kept.clear();
    }
    kept.fits(&Begun::of(ask))?;
    match ask.mode {
        Mode::Shadow if kept.is_empty() => Shadow::make(app, &name).await?,
        Mode::Shadow => Shadow::stands(app, &name).await?,
        Mode::Append if ask.restart => shadow::forget(app, &name).await?,
        Mode::Append | Mode::Count => {}
    }
    Ok(kept)
}

/// A signal ends it after the batches at hand.
async fn until_signalled<T>(all: impl Future<Output = anyhow::Result<T>>, stop: &CancellationToken) -> anyhow::Result<T> {
    tokio::pin!(all);
    tokio::select! {
        ended = &mut all => return ended,
        signal = supervise::signal() => tracing::info!("{} received: finishing the batches at hand", signal?),
    }
    stop.cancel();
    all.await
}

/// Takes spans until there are none.
async fn spans(shared: Arc<Shared>) -> anyhow::Result<Vec<(usize, Span)>> {
    let mut ended = Vec::new();
    while !shared.stop.is_cancelled() {
        let next = shared.todo.lock().expect("nothing panics under this lock").pop_front();
        let Some((index, span)) = next else { break };
        let (kafka, stop) = (&shared.app.config.kafka, shared.stop.clone());
        let mut lease = SpanLease::open(kafka, &shared.group, span, shared.batch_records, stop)?;
        match &shared.producer {
            Some(producer) => {
                let mut counting = Counting { lease: &mut lease, work: &shared.replaying, tally: &shared.tally };
                run::run(producer, &mut counting, &shared.work, WORKER).await;
                ended.push((index, lease.close()?));
            }
            None => count(&mut lease, &shared).await,
        }
    }
    Ok(ended)
}

/// Does the work and drops what comes of it; nothing is advanced.
async fn count(lease: &mut SpanLease, shared: &Shared) {
    let mut out = Outbox::default();
    while let Some(batch) = lease.next().await {
        out.clear();
        while let Err(unavailable) = shared.work.run(&batch, &mut out).await {
            tracing::warn!(worker = WORKER, "{unavailable}; the batch waits");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => out.clear(),
                () = shared.stop.cancelled() => return,
            }
        }
        shared.tally.add(&shared.replaying.last(&batch));
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, counts) = (&self.name, &self.counts);
        let total: i64 = self.parts.iter().map(|part| part.span.until - part.from).sum();
        if self.mode == Mode::Count {
            for part in &self.parts {
                let (provider, span) = (part.provider, &part.span);
                let (next, until) = (span.next, span.until);
                writeln!(f, "{provider} partition {}: offsets {next} to {until}, {} records", span.partition, span.left())?;
            }
        }
        if self.whole && !self.began {
            let again = if self.resumed { "; --restart begins anew" } else { "" };
            return write!(f, "replay {name}: finished, nothing is left of {total} records{again}");
        }
        let verb = match self.mode {
            Mode::Count => "dry run of",
            Mode::Append | Mode::Shadow if self.resumed => "resumed",
            Mode::Append | Mode::Shadow => "replay",
        };
        write!(
            f,
            "{verb} {name}: {} records read, {} observations, {} medications and {} devices out, {} dead, {} withheld, {:.1} s",
            counts.read, counts.observations, counts.medications, counts.devices, counts.dead, counts.withheld, self.seconds
        )?;
        let left: u64 = self.parts.iter().map(|part| part.span.left()).sum();
        if self.mode != Mode::Count && left > 0 {
            write!(f, "; {left} are left, run it again to go on")?;
        }
        Ok(())
    }
}
