//! Tasks and their end: one failing task ends the process, a signal drains it, and nothing is spawned elsewhere.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The tasks of a process.
pub struct Supervisor {
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
    last: Vec<BoxFuture<'static, ()>>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), stop: CancellationToken::new(), last: Vec::new() }
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

    /// What is waited for when all tasks have ended: what they left under way and must not be broken off.
    pub fn last(&mut self, rest: impl Future<Output = ()> + Send + 'static) {
        self.last.push(rest.boxed());
    }

    /// Waits for a signal or for a task to end, then drains all of them, and what they left, for at most `drain`.
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
            join_all(self.last).await;
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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_tasks_leave_under_way_is_waited_for() {
        let (mut tasks, (begin, begun), (done, mut is_done)) = (Supervisor::default(), oneshot::channel(), oneshot::channel());
        let stop = tasks.stop();
        tasks.start("one", async move {
            stop.cancelled().await;
            let _ = begin.send(());
            Ok(())
        });
        tasks.last(async move {
            begun.await.expect("the task has ended");
            tokio::task::yield_now().await;
            let _ = done.send(());
        });
        tasks.stop().cancel();
        tasks.run(Duration::from_secs(10)).await.expect("in time");
        is_done.try_recv().expect("it came to its end");
    }

    #[tokio::test]
    async fn what_tasks_leave_under_way_has_no_longer_than_the_drain() {
        let mut tasks = Supervisor::default();
        tasks.last(std::future::pending());
        tasks.stop().cancel();
        let ended = tasks.run(Duration::from_millis(50)).await;
        assert!(ended.expect_err("too long").to_string().contains("did not finish within"));
    }
}
