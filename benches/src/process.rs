//! A child process and what it has cost, from the kernel's own accounting.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Clock ticks per second of `/proc`: fixed at 100 on Linux.
const TICKS: f64 = 100.0;
/// Between two looks at a subject. A copy is through in half a second.
const LOOK: Duration = Duration::from_millis(20);

pub struct Subject {
    child: Child,
    started: Instant,
}

/// What a subject has cost so far.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
    pub peak_mib: f64,
}

impl Subject {
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child, started: Instant::now() })
    }

    pub fn cost(&self) -> anyhow::Result<Cost> {
        let id = self.child.id();
        Ok(Cost {
            cpu_seconds: cpu_seconds(id)?,
            wall_seconds: self.started.elapsed().as_secs_f64(),
            // A process that has ended has none.
            peak_mib: memory_mib(id, "VmHWM")?.unwrap_or(0.0),
        })
    }

    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        self.memory_mib("VmRSS")
    }

    /// Memory of a kind, by the kernel's name for it.
    pub fn memory_mib(&self, kind: &str) -> anyhow::Result<f64> {
        memory_mib(self.child.id(), kind)?.with_context(|| format!("no {kind} of process {}", self.child.id()))
    }

    pub fn threads(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?.count())
    }

    /// An error where it has ended.
    pub fn running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => anyhow::bail!("it ended too early: {status}"),
            None => Ok(()),
        }
    }

    /// The cost when `warm` first says so, how far it was by then (asked after it, so that not too much is counted), and the cost when `done` says so.
    /// Ends the process.
    pub fn between(
        mut self,
        timeout: Duration,
        warm: impl FnMut() -> anyhow::Result<bool>,
        far: impl FnOnce() -> anyhow::Result<u64>,
        done: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<(Cost, u64, Cost)> {
        self.wait(timeout, warm)?;
        let (far, start) = (far()?, self.cost()?);
        self.wait(timeout, done)?;
        let end = self.cost()?;
        self.stop();
        Ok((start, far, end))
    }

    /// Until it is so, while the process is there.
    pub fn wait(&mut self, timeout: Duration, mut until: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        while !until()? {
            self.running().context("the subject")?;
            anyhow::ensure!(self.started.elapsed() < timeout, "the subject did not finish within {timeout:?}");
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits for its own end, which must be a success, and gives what it has cost.
    pub fn ended(mut self, timeout: Duration) -> anyhow::Result<Cost> {
        let mut last = self.cost()?;
        // Once it has ended and nobody has waited for it, the kernel still has its times, and no memory.
        loop {
            let cost = self.cost()?;
            let ended = cost.peak_mib == 0.0;
            last = Cost { peak_mib: last.peak_mib.max(cost.peak_mib), ..cost };
            if ended {
                break;
            }
            anyhow::ensure!(self.started.elapsed() < timeout, "the subject did not end within {timeout:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the subject ended with {status}");
        Ok(last)
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) {
        // SIGTERM through the shell's kill: the standard library only knows SIGKILL, and a drained stop is part of the subject.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// User and system time of a process so far.
pub fn cpu_seconds(id: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).with_context(|| format!("no process {id}"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| -> anyhow::Result<f64> { Ok(fields.get(index).context("a short /proc/stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

fn memory_mib(id: u32, kind: &str) -> anyhow::Result<Option<f64>> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    let value = fields.find(|(name, _)| *name == kind).and_then(|(_, value)| value.trim().split(' ').next());
    Ok(value.map(str::parse::<f64>).transpose()?.map(|kib| kib / 1024.0))
}

/// A GET without a runtime, with the tool at hand.
pub fn get(url: &str) -> Option<String> {
    let out = Command::new("curl").args(["-fsS", "-m", "5", url]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}
