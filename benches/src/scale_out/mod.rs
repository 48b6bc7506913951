//! What stands still, and how long, while instances of `process normalize` come and go under a steady feed.
//!
//! The feed goes to every raw topic in turn, of one partition each: the group shares out partitions without a look at their topics.
//!
//! A pause is how much later than usual the latest record of a partition came out that was sent around the event: the median of a steady time is
//! taken off, and the worst of that steady time is told beside it.

mod feed;
mod watch;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;

use self::feed::{Feed, now};
use self::watch::Watch;
use crate::group::{Group, Holders};
use crate::payload;
use crate::rig::{Parts, Rig, Role};

const PATIENCE: Duration = Duration::from_secs(120);
/// An event is over when everything has been in time for this long.
const CALM: Duration = Duration::from_secs(3);
const BEFORE: i64 = 500;

#[derive(Debug, Args)]
pub struct ScaleOut {
    #[command(flatten)]
    parts: Parts,
    /// Raw records per second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    #[arg(long, default_value_t = 30_000)]
    session_timeout_ms: u64,
}

struct Bench<'p> {
    rig: &'p Rig<'p>,
    feed: Feed,
    watch: Watch,
    group: Group,
    /// The raw topics.
    topics: Vec<String>,
    session: String,
    /// Of a steady time, in milliseconds: median and worst.
    steady: (i64, i64),
    instances: Vec<Instance>,
}

struct Instance {
    name: String,
    role: Role,
}

impl ScaleOut {
    pub async fn run(&self) -> anyhow::Result<()> {
        let more =
            format!("[group]\nsession_timeout_ms = {0}\ndrain_ms = {1}\n", self.session_timeout_ms, self.session_timeout_ms / 3);
        let rig = Rig::new(&self.parts, 1, &more).await?;
        rig.end(self.measure(&rig).await).await
    }

    async fn measure(&self, rig: &Rig<'_>) -> anyhow::Result<()> {
        let (broker, client) = (rig.broker(), rig.broker().client());
        let topics = broker.topics(&format!("{}.raw.", rig.namespace))?;
        anyhow::ensure!(!topics.is_empty(), "the broker has no raw topics of this run, expected those just made");
        let targets =
            topics.iter().map(|topic| Ok((topic.clone(), broker.schema_id(topic)?))).collect::<anyhow::Result<Vec<_>>>()?;
        let watch = Watch::start(&broker, &headwater_schemas::topics::OBSERVATION.name(&rig.namespace, None)).await?;
        let feed = Feed::start(&client, &targets, self.rate)?;
        let group = Group::new(&client, format!("{}.normalize", rig.namespace))?;
        let bench = Bench {
            rig,
            feed,
            watch,
            group,
            topics,
            session: self.session_timeout_ms.to_string(),
            steady: (0, 0),
            instances: vec![],
        };
        let heartbeat = (self.session_timeout_ms / 10).clamp(200, 3000);
        println!(
            "{} records a second over {} partitions, session {} ms, heartbeat {heartbeat} ms",
            self.rate,
            bench.topics.len(),
            self.session_timeout_ms
        );
        bench.play()
    }
}

impl Bench<'_> {
    fn play(mut self) -> anyhow::Result<()> {
        self.start("a", false)?;
        self.settled(now(), 1)?;
        self.measure_steady()?;
        println!(
            "steady: an observation is there {} ms after its record was sent (median), {} ms at most",
            self.steady.0, self.steady.1
        );
        println!(
            "{:<46} {:>5} {:>16} {:>16} {:>16} {:>10}",
            "event", "moved", "unmoved, pause", "moved, pause", "own, pause", "rebalances"
        );
        self.event("nothing", 1, None, |_| Ok(()))?;
        self.event("a second instance joins", 2, None, |bench| bench.start("b", false))?;
        self.event("two more join", 4, None, |bench| {
            bench.start("c", false)?;
            bench.start("d", false)
        })?;
        self.event("one of four leaves by SIGTERM", 3, None, |bench| bench.stop("d"))?;
        self.event("another leaves by SIGTERM", 2, None, |bench| bench.stop("c"))?;
        self.event("kill -9 of one of two, nobody restarts it", 1, None, |bench| bench.kill("b"))?;

        self.stop("a")?;
        for name in ["e", "f", "g"] {
            self.start(name, true)?;
        }
        self.settled(now(), 3)?;
        self.event("static: nothing", 3, None, |_| Ok(()))?;
        self.event("static: one of three stops and starts again", 3, Some("f"), |bench| {
            bench.stop("f")?;
            bench.start("f", true)
        })?;
        for name in ["e", "f", "g"] {
            let at = self.event(&format!("static: kill -9 of {name}, started again at once"), 3, Some(name), |bench| {
                bench.kill(name)?;
                bench.start(name, true)
            })?;
            self.told_first(at, name)?;
        }
        self.event("static: a fourth joins", 4, None, |bench| bench.start("h", true))?;

        let sent = self.feed.stop()?;
        let started = Instant::now();
        while self.watch.counts().0 < sent && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
        }
        let (raw, observations) = self.watch.counts();
        let repeated = observations.saturating_sub(raw as u64 * payload::EACH);
        println!("{sent} records sent, observations of {raw} of them came out, {repeated} observations a second time");
        anyhow::ensure!(raw == sent, "expected observations of all records");
        self.watch.stop()
    }

    fn start(&mut self, name: &str, fixed: bool) -> anyhow::Result<()> {
        let fixed_text = fixed.to_string();
        let role = self.rig.start(
            &["process", "normalize"],
            &[
                ("HEADWATER_INSTANCE", name),
                ("HEADWATER_GROUP__STATIC_MEMBERSHIP", &fixed_text),
                ("HEADWATER_GROUP__SESSION_TIMEOUT_MS", &self.session),
            ],
        )?;
        self.instances.push(Instance { name: name.to_owned(), role });
        Ok(())
    }

    fn take(&mut self, name: &str) -> anyhow::Result<Instance> {
        let index = self.instances.iter().position(|i| i.name == name);
        let index = index.ok_or_else(|| anyhow::anyhow!("no instance {name}"))?;
        Ok(self.instances.remove(index))
    }

    fn stop(&mut self, name: &str) -> anyhow::Result<()> {
        self.take(name)?.role.subject.stop();
        Ok(())
    }

    /// SIGKILL.
    fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        drop(self.take(name)?);
        Ok(())
    }

    /// Does something and tells what stood still: of what stays, of what moves, and of an instance that is started again. Gives the moment.
    fn event(
        &mut self,
        what: &str,
        members: usize,
        again: Option<&str>,
        act: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<i64> {
        let (_, before) = self.holders(None)?;
        let counted: Vec<(String, f64)> =
            self.instances.iter().map(|i| (i.name.clone(), i.role.metric("headwater_rebalances_total"))).collect();
        let at = now();
        act(self)?;
        let after = self.settled(at, members)?;
        let until = now();
        let of_others: f64 = self
            .instances
            .iter()
            .filter_map(|i| {
                let (_, then) = counted.iter().find(|(name, _)| *name == i.name)?;
                let more = i.role.metric("headwater_rebalances_total") - then;
                // A process that was started anew counts from nothing.
                (more >= 0.0).then_some(more)
            })
            .sum();
        let holder = |holders: &Holders, topic: usize| holders.get(&(self.topics[topic].clone(), 0)).cloned();
        let all = 0..self.topics.len();
        let moved: BTreeSet<usize> = all.clone().filter(|t| holder(&before, *t) != holder(&after, *t)).collect();
        let own = again.map(|name| format!("normalize-{name}"));
        let ours = |topic: &usize| own.is_some() && holder(&before, *topic) == own;
        let pause = |of: &dyn Fn(&usize) -> bool| {
            let worst = all.clone().filter(|t| of(t)).map(|t| self.worst(t, (at - BEFORE, until))).max();
            worst.map_or("-".to_owned(), |worst| format!("{} ms", (worst - self.steady.0).max(0)))
        };
        println!(
            "{what:<46} {:>5} {:>16} {:>16} {:>16} {of_others:>10}",
            moved.len(),
            pause(&|t| !moved.contains(t) && !ours(t)),
            pause(&|t| moved.contains(t)),
            pause(&ours),
        );
        Ok(at)
    }

    /// From a kill to the first new output of the partitions its process holds.
    fn told_first(&self, at: i64, name: &str) -> anyhow::Result<()> {
        let (_, holders) = self.holders(None)?;
        let ours = holders.iter().filter(|(_, holder)| **holder == format!("normalize-{name}"));
        // What was on its way when it died is there within this.
        let firsts: Vec<i64> =
            ours.filter_map(|((topic, _), _)| self.watch.first_after(topic, at + 100)).map(|first| first - at).collect();
        let (least, most) = (firsts.iter().min().copied().unwrap_or(0), firsts.iter().max().copied().unwrap_or(0));
        println!("{:<46} first new output after {least} ms, of its last partition {most} ms", "");
        Ok(())
    }

    /// The longest that a record of these times took, in milliseconds.
    fn worst(&self, topic: usize, span: (i64, i64)) -> i64 {
        let took = self.feed.sent(topic, span).into_iter();
        took.map(|(offset, sent)| self.watch.arrival(&self.topics[topic], offset).unwrap_or_else(now) - sent).max().unwrap_or(0)
    }

    fn measure_steady(&mut self) -> anyhow::Result<()> {
        let from = now();
        std::thread::sleep(CALM * 2);
        let to = now();
        self.in_time(to)?;
        let mut took = Vec::new();
        for (index, topic) in self.topics.iter().enumerate() {
            let sent = self.feed.sent(index, (from, to)).into_iter();
            took.extend(sent.filter_map(|(offset, at)| Some(self.watch.arrival(topic, offset)? - at)));
        }
        took.sort_unstable();
        anyhow::ensure!(!took.is_empty(), "nothing came out");
        self.steady = (took[took.len() / 2], took[took.len() - 1]);
        Ok(())
    }

    fn holders(&self, members: Option<usize>) -> anyhow::Result<(usize, Holders)> {
        let started = Instant::now();
        loop {
            if let Some((there, holders)) = self.group.holders()?
                && holders.len() == self.topics.len()
                && members.is_none_or(|members| members == there && spread(&holders) == members)
            {
                return Ok((there, holders));
            }
            anyhow::ensure!(started.elapsed() < PATIENCE, "the group is not at rest within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until so many members share the partitions and everything has come out in time for a while.
    fn settled(&self, since: i64, members: usize) -> anyhow::Result<Holders> {
        let (_, holders) = self.holders(Some(members))?;
        self.in_time(since.max(now()))?;
        std::thread::sleep(CALM);
        self.in_time(now())?;
        let (_, after) = self.holders(Some(members))?;
        if after == holders { Ok(after) } else { self.settled(since, members) }
    }

    /// Waits until everything that was sent before a moment has come out.
    fn in_time(&self, moment: i64) -> anyhow::Result<()> {
        let started = Instant::now();
        for (index, topic) in self.topics.iter().enumerate() {
            let Some((offset, _)) = self.feed.sent(index, (0, moment)).pop() else { continue };
            while self.watch.arrival(topic, offset).is_none() {
                anyhow::ensure!(started.elapsed() < PATIENCE, "{topic} stands still for {PATIENCE:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

/// How many hold something.
fn spread(holders: &Holders) -> usize {
    holders.values().collect::<BTreeSet<_>>().len()
}
