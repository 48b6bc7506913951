//! `headwater replay` over a whole raw topic, twice, on the real parts: what it costs, and that the store holds the very same rows after it. Then once
//! more with nobody at work beside it, and a bare read of the same records: what nobody gets below.

use std::time::{Duration, Instant};

use clap::Args;
use headwater_schemas::topics;

use crate::payload;
use crate::process::{Cost, cpu_seconds};
use crate::rig::{Parts, Rig};
use crate::rows;

const PARTITIONS: i32 = 12;

#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    parts: Parts,
    /// Raw records, of a thousand people with an account each
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
}

impl Replay {
    pub async fn run(&self) -> anyhow::Result<()> {
        let rig = Rig::new(&self.parts, PARTITIONS, "").await?;
        rig.end(self.measure(&rig).await).await
    }

    async fn measure(&self, rig: &Rig<'_>) -> anyhow::Result<()> {
        let records = self.records;
        let bytes = rig.broker().fill(&rig.namespace, records)?;
        println!("{records} raw records of {} bytes on average, {PARTITIONS} partitions", bytes / records.max(1));
        // Both stay: a replay runs beside live traffic.
        let workers = [rig.start(&["process", "normalize"], &[])?, rig.start(&["sink", "scylla"], &[])?];
        let started = Instant::now();
        rig.stored(patience(self.records))?;
        println!("normalized and stored in {:.1} s", started.elapsed().as_secs_f64());
        let before = rows::digest(&rig.session, &rig.namespace).await?;
        anyhow::ensure!(
            before.count >= records * payload::EACH,
            "{} rows are stored, expected {}",
            before.count,
            records * payload::EACH
        );
        println!("before:   {before} rows");
        for round in 1..=2 {
            let cost = self.replay(rig)?;
            let waited = Instant::now();
            rig.stored(patience(self.records))?;
            let after = rows::digest(&rig.session, &rig.namespace).await?;
            println!("replay {round}: {after} rows");
            self.print("", cost.cpu_seconds, cost.wall_seconds);
            println!(
                "          peak {:.0} MiB; the sink was through {:.1} s later",
                cost.peak_mib,
                waited.elapsed().as_secs_f64()
            );
            anyhow::ensure!(after == before, "the rows are not the same after replay {round}");
        }
        println!("the same rows after both");
        drop(workers);
        let (alone, (cpu, wall)) = (self.replay(rig)?, self.read(rig)?);
        self.print("alone:", alone.cpu_seconds, alone.wall_seconds);
        self.print("bare read:", cpu, wall);
        println!("          rate to the bare read: {:.2}", wall / alone.wall_seconds);
        Ok(())
    }

    fn print(&self, name: &str, cpu_seconds: f64, wall_seconds: f64) {
        println!(
            "{name:<10}{wall_seconds:.1} s, {:.1} CPU s per million, {:.0} raw records/s",
            cpu_seconds / (self.records as f64 / 1e6),
            self.records as f64 / wall_seconds,
        );
    }

    /// The floor: every raw record from its topic, looked at by nobody. CPU and wall seconds.
    fn read(&self, rig: &Rig<'_>) -> anyhow::Result<(f64, f64)> {
        let id = std::process::id();
        let (cpu, started, mut read) = (cpu_seconds(id)?, Instant::now(), 0);
        rig.broker().each(&topics::RAW.name(&rig.namespace, Some(payload::PROVIDER)), |_| read += 1)?;
        anyhow::ensure!(read == self.records, "{read} raw records were read, expected {}", self.records);
        Ok((cpu_seconds(id)? - cpu, started.elapsed().as_secs_f64()))
    }

    /// One replay to its end. It must have appended all of it again.
    fn replay(&self, rig: &Rig<'_>) -> anyhow::Result<Cost> {
        let observations = topics::OBSERVATION.name(&rig.namespace, None);
        let goal = rig.broker().total(&observations)? + self.records * payload::EACH;
        let replay = ["replay", "--provider", payload::PROVIDER, "--name", "bench", "--restart"];
        let cost = rig.start(&replay, &[])?.subject.ended(patience(self.records))?;
        let there = rig.broker().total(&observations)?;
        anyhow::ensure!(there == goal, "{there} observations are on the topic after the replay, expected {goal}");
        Ok(cost)
    }
}

/// Five minutes, and a millisecond for each record.
pub fn patience(records: u64) -> Duration {
    Duration::from_secs(300) + Duration::from_millis(records)
}
