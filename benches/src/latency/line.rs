//! The two programs between a raw record and its rows: one that normalizes and one that stores.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use headwater_schemas::topics;

use super::plan::until;
use crate::payload;
use crate::process::{Cost, Subject};
use crate::rig::{Parts, Rig};

/// How often it is looked whether both are there.
const LOOK: Duration = Duration::from_millis(200);

pub struct Line([Subject; 2]);

impl Line {
    /// The roles of the `headwater` to measure.
    pub fn ours(rig: &Rig<'_>) -> anyhow::Result<Self> {
        Ok(Self([rig.start(&["process", "normalize"], &[])?.subject, rig.start(&["sink", "scylla"], &[])?.subject]))
    }

    /// Peers that do the same on the same topics, in groups of the same names.
    pub fn peers(rig: &Rig<'_>, parts: &Parts, (normalize, store): (&Path, &Path)) -> anyhow::Result<Self> {
        let (raw, observations) = (payload::topic(&rig.namespace), observations(rig));
        let peer = |folder: &Path, from: &str, worker: &str| {
            let mut command = Command::new(folder.join("run"));
            command.args(["--bootstrap", &parts.bootstrap, "--registry", &parts.registry, "--from", from, "--group"]);
            command.arg(format!("{}.{worker}", rig.namespace));
            command
        };
        let normalize = Subject::start(peer(normalize, &raw, "normalize").args(["--to", &observations]))?;
        let mut store = peer(store, &observations, "scylla");
        Ok(Self([normalize, Subject::start(store.args(["--node", &parts.node, "--keyspace", &rig.namespace]))?]))
    }

    /// An error as soon as one of them has ended.
    pub async fn ended(&mut self) -> anyhow::Error {
        loop {
            if let Err(why) = self.running() {
                return why;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What it has cost at a moment to come; an error where one of them ends before.
    pub async fn cost_at(&mut self, moment: i64) -> anyhow::Result<Cost> {
        tokio::select! {
            why = self.ended() => return Err(why),
            () = tokio::time::sleep(until(moment)) => {}
        }
        self.cost()
    }

    fn running(&mut self) -> anyhow::Result<()> {
        self.0
            .iter_mut()
            .zip(["normalizes", "stores"])
            .try_for_each(|(subject, what)| subject.running().with_context(|| format!("the program that {what}")))
    }

    /// Of both together.
    fn cost(&self) -> anyhow::Result<Cost> {
        let [a, b] = [self.0[0].cost()?, self.0[1].cost()?];
        Ok(Cost {
            cpu_seconds: a.cpu_seconds + b.cpu_seconds,
            wall_seconds: a.wall_seconds.max(b.wall_seconds),
            peak_mib: a.peak_mib + b.peak_mib,
        })
    }

    /// Waits until it is so; an error where one of them has ended.
    pub fn wait(&mut self, patience: Duration, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let [normalize, store] = &mut self.0;
        normalize.wait(patience, || {
            store.running()?;
            done()
        })
    }

    pub fn stop(mut self) {
        self.0.iter_mut().for_each(Subject::stop);
    }
}

/// The topic between the two.
pub fn observations(rig: &Rig<'_>) -> String {
    topics::OBSERVATION.name(&rig.namespace, None)
}
