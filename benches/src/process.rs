//! A child process and what it has cost, from the kernel's own accounting.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Clock ticks per second of `/proc`: fixed at 100 on Linux.
const TICKS: f64 = 100.0;

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
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak =
            status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|v| v.trim().split(' ').next()?.parse::<f64>().ok());
        Ok(Cost {
            cpu_seconds: cpu_seconds(self.child.id())?,
            wall_seconds: self.started.elapsed().as_secs_f64(),
            peak_mib: peak.unwrap_or(0.0) / 1024.0,
        })
    }

    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().split(' ').next().unwrap_or_default().parse::<f64>()? / 1024.0)
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
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the subject ended too early: {status}");
            }
            anyhow::ensure!(self.started.elapsed() < timeout, "the subject did not finish within {timeout:?}");
            std::thread::sleep(Duration::from_millis(100));
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

/// User and system time of a process.
pub fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| -> anyhow::Result<f64> { Ok(fields.get(index).context("a short /proc/stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// A GET without a runtime, with the tool at hand.
pub fn get(url: &str) -> Option<String> {
    let out = Command::new("curl").args(["-fsS", "-m", "5", url]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}
