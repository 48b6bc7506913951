//! Tasks and their end: one failing task ends the process, a signal drains it, and nothing is spawned elsewhere.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The tasks of a process.
pub struct Supervisor {
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), stop: CancellationToken::new() }
    }
}

impl Supervisor {
    /// Cancelled when the process is to end. Tasks drain and return.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that lives until `stop`. Its return before that, or its error at any time, ends the process.
    pub fn start(&mut self, name: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for a signal or for a task to end, then drains all of them for at most `drain`.
    ///
    /// # Errors
    /// The first error of a task, or that some did not end in time.
    pub async fn run(mut self, drain: Duration) -> anyhow::Result<()> {
        let mut first: anyhow::Result<()> = tokio::select! {
            signal = signal() => {
                tracing::info!("{} received: no new work, finishing what is at hand", signal?);
                Ok(())
            }
            Some(ended) = self.tasks.join_next() => finished(ended),
            () = self.stop.cancelled() => Ok(()),
        };
        self.stop.cancel();
        let draining = async {
            while let Some(ended) = self.tasks.join_next().await {
                let result = finished(ended);
                if first.is_ok() {
                    first = result;
                }
            }
        };
        if tokio::time::timeout(drain, draining).await.is_err() {
            anyhow::bail!("some tasks did not finish within {drain:?}; what they had not committed comes again");
        }
        first
    }
}

fn finished(ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>) -> anyhow::Result<()> {
    match ended {
        Ok((name, result)) => result.map_err(|e| e.context(format!("{name} failed"))),
        Err(e) => Err(anyhow::anyhow!("a task panicked: {e}")),
    }
}

/// SIGTERM or SIGINT, whichever comes first.
pub(crate) async fn signal() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => Ok("SIGTERM"),
        _ = int.recv() => Ok("SIGINT"),
    }
}
