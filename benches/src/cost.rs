//! What raw records cost on their way into tables, on real parts, at several sizes: CPU of the roles and of the servers, bytes of the topics and of
//! the tables. From two sizes follow what a start costs and what each record adds, which is what a model multiplies.
//!
//! The records are sealed as the fetcher seals them: a sealed body does not compress. Bytes are those of the servers' own files, which is why their folder
//! is asked for: neither librdkafka nor CQL tells them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;
use headwater_store::Store as _;
use headwater_store::scylla::{ScyllaStore, Settings};
use headwater_store::seal::DataKey;
use headwater_store::vault::Owner;
use scylla::client::session::Session;

use crate::payload;
use crate::process::cpu_seconds;
use crate::replay::patience;
use crate::rig::{Parts, Rig};

/// Tables are at rest when nothing about them has changed for so long.
const AT_REST: Duration = Duration::from_secs(5);
const FLUSH_MS: u32 = 1000;

#[derive(Debug, Args)]
pub struct Cost {
    #[command(flatten)]
    parts: Parts,
    /// Raw records, one size after the other, each from nothing
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 300_000])]
    records: Vec<u64>,
    /// Of each topic; 1 shows what one partition carries
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    /// The folder of the servers that `infra/local/up` started, for their files and their CPU: `${HEADWATER_INFRA_DATA}/<instance>`
    #[arg(long)]
    servers: PathBuf,
}

/// What so many records have cost, in all.
struct Sheet {
    records: u64,
    observations: f64,
    lines: Vec<(&'static str, f64)>,
}

impl Cost {
    pub async fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.records.windows(2).all(|pair| pair[0] < pair[1]), "--records: expected sizes that grow");
        let mut sheets: Vec<Sheet> = Vec::new();
        for records in self.records.iter().copied() {
            let rig = Rig::new(&self.parts, self.partitions, "").await?;
            let sheet = self.sheet(&rig, records).await;
            let (sheet, outcome) = match sheet {
                Ok(sheet) => (Some(sheet), Ok(())),
                Err(why) => (None, Err(why)),
            };
            rig.end(outcome).await?;
            sheets.extend(sheet);
        }
        print(&sheets);
        Ok(())
    }

    async fn sheet(&self, rig: &Rig<'_>, records: u64) -> anyhow::Result<Sheet> {
        let keys = self.keys(rig).await?;
        let sealed = |n: u64, schema_id| payload::sealed(n, schema_id, &keys[(n % payload::PEOPLE) as usize]);
        let sent = rig.broker().fill_with(&rig.namespace, records, sealed)?;
        let servers = [("kafka", self.pid("kafka")?), ("cassandra", self.pid("cassandra")?)];
        let cpu = |id| cpu_seconds(id).context("a server");
        let before = [cpu(servers[0].1)?, cpu(servers[1].1)?];
        let normalize = rig.start(&["process", "normalize"], &[])?;
        let scylla = rig.start(&["sink", "scylla"], &[])?;
        let started = Instant::now();
        rig.stored(patience(records))?;
        let wall = started.elapsed().as_secs_f64();
        let (normalize, scylla) = (normalize.subject.cost()?.cpu_seconds, scylla.subject.cost()?.cpu_seconds);
        let after = [cpu(servers[0].1)?, cpu(servers[1].1)?];

        let (raw, observation) = (payload::topic(&rig.namespace), topics::OBSERVATION.name(&rig.namespace, None));
        let observations = rig.broker().total(&observation)?;
        let expected = records * payload::EACH;
        anyhow::ensure!(observations == expected, "{observations} observations are on the topic, expected {expected}");
        let logs = self.servers.join("kafka/data");
        let segments = |topic: &str| {
            // Offset and time indexes are files with holes, and small.
            let of = |folder: &str| folder.rsplit_once('-').is_some_and(|(name, _)| name == topic);
            bytes(&logs, of, |file| file.ends_with(".log")).with_context(|| format!("the log of {topic}"))
        };
        let tables = self.servers.join("cassandra/data").join(&rig.namespace);
        at_rest(&rig.session, &rig.namespace, &tables).await?;
        let table = |name: &str| bytes(&tables, |folder| folder.split('-').next() == Some(name), |_| true);
        let rows = table("observations")?;
        let (raw, observation) = (segments(&raw)?, segments(&observation)?);
        anyhow::ensure!(raw > 0 && observation > 0 && rows > 0, "a topic or table has no files in {}", self.servers.display());
        Ok(Sheet {
            records,
            observations: observations as f64,
            lines: vec![
                ("process normalize, CPU s", normalize),
                ("sink scylla, CPU s", scylla),
                ("Kafka, CPU s", after[0] - before[0]),
                ("Cassandra, CPU s", after[1] - before[1]),
                ("both roles, wall s", wall),
                ("raw records as sent, MB", sent as f64 / 1e6),
                ("raw topic, MB", raw as f64 / 1e6),
                ("observation topic, MB", observation as f64 / 1e6),
                ("table of observations, MB", rows as f64 / 1e6),
                ("all other tables, MB", (bytes(&tables, |_| true, |_| true)? - rows) as f64 / 1e6),
            ],
        })
    }

    /// A key of each person, as the fetcher would have made it.
    async fn keys(&self, rig: &Rig<'_>) -> anyhow::Result<Vec<Arc<DataKey>>> {
        let settings =
            Settings { keyspace: rig.namespace.clone(), replication_factor: 1, ..Settings::new([self.parts.node.as_str()]) };
        let store = ScyllaStore::connect(settings, Rig::keys()?).await?;
        let mut keys = Vec::new();
        for n in 0..payload::PEOPLE {
            let key = store.sealing_key(&Owner::Subject(payload::person(n)), 1).await?;
            keys.push(key.context("a person who was not erased has a key")?);
        }
        Ok(keys)
    }

    /// The process of a server, as `infra/local/up` notes it.
    fn pid(&self, server: &str) -> anyhow::Result<u32> {
        let file = self.servers.join(server).join("pid");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("no {}, expected a folder of infra/local/up", file.display()))?;
        text.split_whitespace()
            .next()
            .and_then(|id| id.parse().ok())
            .with_context(|| format!("{}: expected a number", file.display()))
    }
}

/// Per million observations of each size, and what a million more of them add.
fn print(sheets: &[Sheet]) {
    let sizes: String = sheets.iter().map(|sheet| format!("{:>14}", sheet.records)).collect();
    println!("per million observations, of raw records: {sizes}     each further million");
    let Some(first) = sheets.first() else { return };
    for (index, (what, _)) in first.lines.iter().enumerate() {
        let of = |sheet: &Sheet| sheet.lines[index].1;
        let each: String = sheets.iter().map(|sheet| format!("{:>14.2}", of(sheet) / sheet.observations * 1e6)).collect();
        let slope = sheets.last().filter(|last| last.records > first.records);
        let slope = slope.map(|last| (of(last) - of(first)) / (last.observations - first.observations) * 1e6);
        println!("{what:>41} {each} {}", slope.map_or(String::new(), |slope| format!("{slope:>24.2}")));
    }
}

/// Has all that is in memory written to the tables' files, and waits until compactions have come to their end.
async fn at_rest(session: &Session, keyspace: &str, tables: &Path) -> anyhow::Result<()> {
    // CQL knows no flush, but a table may be told to flush every so often.
    let found = session.query_unpaged("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", (keyspace,)).await?;
    for row in found.into_rows_result()?.rows::<(String,)>()? {
        let (table,) = row?;
        let flush = format!("ALTER TABLE {keyspace}.{table} WITH memtable_flush_period_in_ms = {FLUSH_MS}");
        session.query_unpaged(flush, ()).await.with_context(|| format!("to have {table} flushed"))?;
    }
    let until = Instant::now() + Duration::from_secs(120);
    let (mut last, mut since) = (0, Instant::now());
    while last == 0 || since.elapsed() < AT_REST {
        anyhow::ensure!(Instant::now() < until, "the tables are not at rest after two minutes");
        // Files come and go meanwhile: what cannot be counted has just changed.
        let now = bytes(tables, |_| true, |_| true).unwrap_or(0);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Bytes of these files in these folders of a folder, and below.
fn bytes(folder: &Path, folders: impl Fn(&str) -> bool, files: impl Fn(&str) -> bool + Copy) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if folders(&name.to_string_lossy()) {
            sum += below(&entry.path(), files)?;
        }
    }
    Ok(sum)
}

fn below(path: &Path, files: impl Fn(&str) -> bool + Copy) -> anyhow::Result<u64> {
    let about = path.metadata()?;
    if about.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Ok(if files(&name) { about.len() } else { 0 });
    }
    std::fs::read_dir(path)?.try_fold(0, |sum, entry| Ok(sum + below(&entry?.path(), files)?))
}
