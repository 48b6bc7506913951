//! `headwater import` of a made-up export of Apple's Health app, twice: how fast it goes, what it holds in memory, and that the second time
//! appends nothing.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::topics;

use crate::rig::{Parts, Rig};

const PROVIDER: &str = "apple_health";
/// 14 November 2023; the records are a minute apart.
const START: i64 = 1_700_000_000;

#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    parts: Parts,
    /// Heart rates in the file, of about 370 bytes each
    #[arg(long, default_value_t = 2_725_000)]
    records: i64,
}

impl Import {
    pub async fn run(&self) -> anyhow::Result<()> {
        let rig = Rig::new(&self.parts, 12, &format!("[providers.{PROVIDER}]\n")).await?;
        rig.end(self.measure(&rig)).await
    }

    fn measure(&self, rig: &Rig<'_>) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("export.xml");
        let mib = self.write(&file)? as f64 / f64::from(1 << 20);
        println!("{} records, {mib:.1} MiB", self.records);
        let path = file.to_str().context("a path in UTF-8")?;
        let import = ["import", "apple-health", path, "--subject", "person-1", "--zone", "Europe/Berlin"];
        let (raw, mut before) = (topics::RAW.name(&rig.namespace, Some(PROVIDER)), 0);
        for run in ["first", "second"] {
            let cost = rig.start(&import, &[])?.subject.ended(self.patience())?;
            let there = rig.broker().total(&raw)?;
            println!(
                "{run} run: {:.1} s, {:.1} MiB/s, CPU {:.1} s, peak {:.0} MiB, {} batches appended",
                cost.wall_seconds,
                mib / cost.wall_seconds,
                cost.cpu_seconds,
                cost.peak_mib,
                there - before
            );
            anyhow::ensure!((there > before) == (run == "first"), "{there} batches are on the topic after the {run} run");
            before = there;
        }
        Ok(())
    }

    /// Gives how many bytes it is.
    fn write(&self, path: &Path) -> anyhow::Result<u64> {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<HealthData locale=\"en\">")?;
        for minute in 0..self.records {
            let time = jiff::Timestamp::from_second(START + minute * 60)?.strftime("%Y-%m-%d %H:%M:%S +0000");
            writeln!(
                file,
                " <Record type=\"HKQuantityTypeIdentifierHeartRate\" sourceName=\"My Watch\" sourceVersion=\"11.1\" device=\"&lt;&lt;HKDevice: 0x28&gt;, \
                 name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,2, software:11.1&gt;\" unit=\"count/min\" \
                 creationDate=\"{time}\" startDate=\"{time}\" endDate=\"{time}\" value=\"{}\"/>",
                50 + minute % 90
            )?;
        }
        writeln!(file, "</HealthData>")?;
        Ok(file.into_inner()?.metadata()?.len())
    }

    /// Five minutes, and a millisecond for each record.
    fn patience(&self) -> Duration {
        Duration::from_secs(300) + Duration::from_millis(self.records.unsigned_abs())
    }
}
