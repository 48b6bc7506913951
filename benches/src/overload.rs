//! What the door does with ten times what it carries: who is told no, how soon, and whether everybody who was told yes is on the topic.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::hint::Hint;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{ids, wire};
use headwater_simulator::flood::{Flood, Flooded, flood};
use rdkafka::Message as _;

use crate::rig::{Parts, Rig, Role, address};

const PROVIDER: &str = "polar";
const KEY: &str = "told-when-the-webhook-was-made";
const CALM: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct Overload {
    #[command(flatten)]
    parts: Parts,
    /// How long the flood lasts
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Times of what the door carries
    #[arg(long, default_value_t = 10.0)]
    times: f64,
    /// Connections the flood is sent on: the most that wait for an answer at once
    #[arg(long, default_value_t = 512)]
    connections: usize,
    /// Webhook calls worked on at once: so few that one machine can send ten times what they carry
    #[arg(long, default_value_t = 8)]
    permits: usize,
    /// Runs `process normalize` and `sink scylla` beside the door
    #[arg(long)]
    pipeline: bool,
}

impl Overload {
    pub async fn run(&self) -> anyhow::Result<()> {
        let address = address()?;
        let more = format!(
            "[listen]\nreceive = \"{address}\"\n[ingest]\ndoor_permits = {}\n[providers.{PROVIDER}]\nclient_id = \"c\"\nclient_secret = \"s\"\n\
             [providers.{PROVIDER}.webhook]\nsigning_key = \"{KEY}\"\n",
            self.permits
        );
        let rig = Rig::new(&self.parts, 12, &more).await?;
        rig.end(self.measure(&rig, &address).await).await
    }

    async fn measure(&self, rig: &Rig<'_>, address: &str) -> anyhow::Result<()> {
        let door = rig.start(&["receive"], &[])?;
        let beside = if self.pipeline { vec![&["process", "normalize"][..], &["sink", "scylla"]] } else { vec![] };
        let beside: Vec<Role> = beside.iter().map(|role| rig.start(role, &[])).collect::<anyhow::Result<_>>()?;
        door.ready()?;
        beside.iter().try_for_each(Role::ready)?;

        let calm = flood(self.calls(address, None, CALM, 0)).await?;
        told(&format!("closed loop, {} at once", self.permits), &calm);
        let carried = calm.accepted.len() as f64 / calm.took.as_secs_f64();
        let (length, first) = (Duration::from_secs(self.seconds), 1 << 32);
        println!("flood: {:.0} a second for {length:?}, on {} connections", carried * self.times, self.connections);
        let sending = flood(self.calls(address, Some(carried * self.times), length, first));
        let (high, memory) = tokio::join!(sending, memory(&door, length));
        let high = high?;
        told("flood", &high);
        told_memory(&door, &memory?)?;

        let there = there(rig)?;
        let accepted = calm.accepted.iter().chain(&high.accepted);
        let lost = accepted.filter(|person| !there.contains(&ids::connection(PROVIDER, &person.to_string()))).count();
        println!("{} accepted, of them not on the topic: {lost}", calm.accepted.len() + high.accepted.len());
        let refused = high.answers.get(&Some(503)).copied().unwrap_or(0);
        println!("refused {refused}, of them told when to come again: {}", high.told_when);
        anyhow::ensure!(lost == 0, "expected every accepted call on the topic");
        anyhow::ensure!(high.told_when == refused, "expected every refusal to say when to come again");
        Ok(())
    }

    fn calls(&self, address: &str, rate: Option<f64>, length: Duration, first: u64) -> Flood {
        Flood {
            url: format!("http://{address}/webhooks/{PROVIDER}"),
            signing_key: KEY.into(),
            rate,
            length,
            connections: if rate.is_some() { self.connections } else { self.permits },
            patience: Duration::from_secs(1),
            first,
        }
    }
}

/// Whom the hints on the topic are about.
fn there(rig: &Rig<'_>) -> anyhow::Result<HashSet<uuid::Uuid>> {
    let (mut there, mut wrong) = (HashSet::new(), 0);
    rig.broker().each(&topics::HINT_LIVE.name(&rig.namespace, None), |message| {
        let body = wire::split(message.payload().unwrap_or_default()).ok();
        match body.and_then(|(_, body)| Hint::decode(body).ok()) {
            Some(hint) => drop(there.insert(hint.connection_id)),
            None => wrong += 1,
        }
    })?;
    anyhow::ensure!(wrong == 0, "{wrong} records on the topic are no hints");
    Ok(there)
}

fn told(what: &str, done: &Flooded) {
    let seconds = done.took.as_secs_f64();
    println!("{what}: {:.1} s, {:.0} accepted a second", seconds, done.accepted.len() as f64 / seconds);
    for (status, count) in &done.answers {
        let status = status.map_or("no answer".to_owned(), |status| status.to_string());
        println!("  {status:>9}: {count} ({:.0} a second)", *count as f64 / seconds);
    }
    println!("  due and not sent, more than a second late: {}", done.unsent);
    for (what, times) in [("accepted", &done.taken), ("refused", &done.refused), ("only to be sent", &done.late)] {
        if !times.is_empty() {
            let at = |share| times.value_at_quantile(share) as f64 / 1e3;
            println!("  {what}: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms from when it was due", at(0.5), at(0.99), at(0.999));
        }
    }
}

/// MiB of the door, each second.
async fn memory(door: &Role, length: Duration) -> anyhow::Result<Vec<f64>> {
    let (started, mut samples) = (Instant::now(), Vec::new());
    while started.elapsed() < length {
        samples.push(door.subject.resident_mib()?);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(samples)
}

/// The first minute, or the first half of a shorter run, beside the last.
fn told_memory(door: &Role, samples: &[f64]) -> anyhow::Result<()> {
    let span = 60.min(samples.len() / 2);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let (first, last) = (samples.get(..span).context("no samples")?, &samples[samples.len() - span..]);
    let (first, last, cost) = (mean(first), mean(last), door.subject.cost()?);
    println!("memory of the door: first {span} s {first:.1} MiB, last {span} s {last:.1} MiB, at most {:.1} MiB", cost.peak_mib);
    println!("CPU of the door: {:.1} s in {:.1} s", cost.cpu_seconds, cost.wall_seconds);
    Ok(())
}
