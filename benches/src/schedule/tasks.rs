//! The peer: a task per connection, with a sleep of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use headwater_ingest::Outlet;
use headwater_schemas::Outbox;
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_schemas::topics::{self, Subject as _};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::PROVIDER;
use super::plan::{Plan, Timed};

/// Until the first is due: all must be asleep by then.
const AHEAD: Duration = Duration::from_secs(5);
const AHEAD_OF_EACH: Duration = Duration::from_micros(20);

pub struct Tasks {
    runtime: Runtime,
    shared: Arc<Shared>,
    /// When the plan begins.
    pub origin: Instant,
}

/// What all tasks have in common, so that each has only what is its own.
struct Shared {
    plan: Plan,
    log: Arc<Timed>,
    asleep: AtomicU64,
}

impl Tasks {
    pub fn start(plan: Plan, log: Arc<Timed>) -> anyhow::Result<Self> {
        // Its own runtime, which is given up with all tasks on it.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let origin = Instant::now() + AHEAD + AHEAD_OF_EACH * u32::try_from(plan.connections)?;
        let shared = Arc::new(Shared { plan, log, asleep: AtomicU64::new(0) });
        for i in 0..plan.connections {
            runtime.spawn(poll(plan.id(i), origin + plan.after(i), shared.clone()));
        }
        Ok(Self { runtime, shared, origin })
    }

    /// Until all sleep.
    pub async fn wait(&self) -> anyhow::Result<()> {
        while self.shared.asleep.load(Ordering::Acquire) < self.shared.plan.connections {
            anyhow::ensure!(
                Instant::now() < self.origin,
                "the tasks are not all asleep when the first is due, expected fewer --connections"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    pub fn end(self) {
        self.runtime.shutdown_background();
    }
}

async fn poll(id: Uuid, mut due: Instant, shared: Arc<Shared>) {
    shared.asleep.fetch_add(1, Ordering::Release);
    loop {
        tokio::time::sleep_until(due.into()).await;
        let mut out = Outbox::default();
        put(id, shared.log.now(), &mut out);
        // What was not appended is due at once.
        if shared.log.append(&out).await.is_ok() {
            due += shared.plan.every;
        }
    }
}

/// A hint as the scheduler makes it.
fn put(id: Uuid, now: i64, out: &mut Outbox) {
    let hint = Hint {
        hint_id: Uuid::now_v7(),
        provider: PROVIDER,
        connection_id: id,
        cause: Cause::Schedule,
        lane: Lane::Live,
        change: Change::Data,
        streams: vec![],
        window_start: None,
        window_end: None,
        created_at: now,
        not_before: None,
        attempt: 0,
        object: None,
    };
    out.put(&topics::HINT_LIVE, None, id.to_string().as_bytes(), |bytes| hint.encode(bytes));
}
