//! Where a candidate's records are kept until they are promoted or discarded: a topic of its own beside each that a mapping writes.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use headwater_schemas::{Outbox, Topic, topics, wire};
use uuid::Uuid;

use super::compare::{self, State};
use super::kept::Kept;
use super::work::LANE;
use crate::app::App;
use crate::consent::{self, ConsentTable};
use crate::log::Batch;
use crate::log::kafka::{Admin, Change, SpanLease, Wanted};
use crate::registry::Registry;
use crate::run::{self, Unavailable, Work};
use crate::supervise::Supervisor;

const BATCH_RECORDS: usize = 500;

/// The shadow of one comparison.
pub struct Shadow {
    name: &'static str,
}

impl Shadow {
    pub(super) fn of(name: &str) -> Self {
        // Once per run of a command: records name their topic by words that live as long as the process.
        Self { name: name.to_owned().leak() }
    }

    /// Makes its topics, empty: what stands on them is of a comparison that nothing is known of any more.
    pub(super) async fn make(app: &App, name: &str) -> anyhow::Result<()> {
        discard(app, name).await?;
        let admin = Admin::new(&app.config.kafka, app.config.topics.replication_factor)?;
        let changes = admin.plan(&wanted(app, name), app.config.topics.partitions).await?;
        admin.apply(&changes, false).await
    }

    /// # Errors
    /// When a topic of it is gone, so that what was done would be missing in it.
    pub(super) async fn stands(app: &App, name: &str) -> anyhow::Result<()> {
        let admin = Admin::new(&app.config.kafka, app.config.topics.replication_factor)?;
        for change in admin.plan(&wanted(app, name), None).await? {
            if let Change::Create { name: topic, .. } = change {
                anyhow::bail!("topic {topic} is missing although comparison {name} was begun: expected it there, or --restart");
            }
        }
        Ok(())
    }

    /// Puts what was made for the real topics into `out` for their shadows. Dead letters of a candidate are counted, and go nowhere.
    pub(super) async fn cast(&self, registry: &Registry, made: &Outbox, out: &mut Outbox) -> Result<(), Unavailable> {
        let targets = registry.targets(made).await;
        let targets = targets.map_err(|e| Unavailable { what: "registry", why: e.to_string(), retry_after: None })?;
        for (record, target) in made.records().iter().zip(&targets) {
            let Some((_, shadow)) = topics::SHADOWS.iter().find(|(real, _)| *real == record.topic) else { continue };
            out.cause(record.cause);
            out.put(shadow, Some(self.name), made.key(record), |bytes| {
                if let Some(id) = target.schema_id {
                    wire::frame(id, bytes);
                }
                bytes.extend_from_slice(made.body(record));
            });
        }
        Ok(())
    }
}

fn wanted(app: &App, name: &str) -> Vec<Wanted> {
    let want = |topic: &'static Topic| Wanted { name: topic.name(&app.config.namespace, Some(name)), topic };
    topics::SHADOWS.iter().map(|(_, shadow)| want(shadow)).collect()
}

/// Forgets how far a replay was.
pub(super) async fn forget(app: &App, name: &str) -> anyhow::Result<()> {
    let admin = Admin::new(&app.config.kafka, app.config.topics.replication_factor)?;
    admin.remove(&[], &[&super::group(app, name)]).await
}

/// Deletes a comparison's topics and a replay's offsets.
///
/// # Errors
/// When the cluster refuses it.
pub async fn discard(app: &App, name: &str) -> anyhow::Result<()> {
    let admin = Admin::new(&app.config.kafka, app.config.topics.replication_factor)?;
    let topics = wanted(app, name);
    let groups = [super::group(app, name), reader(app, name)];
    admin.remove(&topics.iter().map(|want| &*want.name).collect::<Vec<_>>(), &groups.each_ref().map(String::as_str)).await
}

/// Group of those who read a shadow.
pub(super) fn reader(app: &App, name: &str) -> String {
    format!("{}.shadow", super::group(app, name))
}

/// Appends what differs in a shadow to the real topics, and gives how many records that were. What differs is found anew each time, so that a promotion
/// that was killed goes on where it was, and one that is through does nothing.
///
/// # Errors
/// When there is no such shadow, it is not whole, Kafka or the registry do not answer, or a record could not replace what it differs from.
pub async fn promote(app: &Arc<App>, name: &str) -> anyhow::Result<u64> {
    let kept = tokio::task::block_in_place(|| Kept::read(app, name))?;
    kept.whole(|provider| topics::RAW.name(&app.config.namespace, Some(provider)))?;
    let mut tasks = Supervisor::default();
    let consents = consent::follow(app, None, &mut tasks).await?;
    let producer = app.producer("promote")?;
    let mut promoted = 0;
    // All or none: what would not win is found before anything is appended.
    for (real, shadow) in topics::SHADOWS {
        let from = shadow.name(&app.config.namespace, Some(name));
        let entries = compare::entries(app, real, &from, &reader(app, name), &consents).await?;
        let stuck = entries.values().filter(|entry| entry.stuck()).count();
        anyhow::ensure!(
            stuck == 0,
            "{stuck} records of {from} differ from what stands and would not replace it: expected a mapping with a greater mapper \
             version than {}",
            entries.values().filter(|entry| entry.stuck()).filter_map(|entry| Some(entry.standing?.mapper)).max().unwrap_or(0)
        );
    }
    for (real, shadow) in topics::SHADOWS {
        let from = shadow.name(&app.config.namespace, Some(name));
        let entries = compare::entries(app, real, &from, &reader(app, name), &consents).await?;
        let differing = entries.into_iter().filter(|(_, entry)| entry.promotes());
        let states: HashSet<(Uuid, State)> = differing.filter_map(|(id, entry)| Some((id, entry.candidate?))).collect();
        if states.is_empty() {
            continue;
        }
        let work = Promoting { app: app.clone(), real, states, consents: consents.clone() };
        for span in compare::spans(app, &from)? {
            let until = span.until;
            let mut lease = SpanLease::open(&app.config.kafka, &reader(app, name), span, BATCH_RECORDS, tasks.stop())?;
            run::run(&producer, &mut lease, &work, "promote").await;
            anyhow::ensure!(lease.close()?.next == until, "{from} was not read to its end");
        }
        promoted += work.states.len() as u64;
    }
    Ok(promoted)
}

/// The differing ones of a shadow's records, for the real topic.
struct Promoting {
    app: Arc<App>,
    real: &'static Topic,
    states: HashSet<(Uuid, State)>,
    consents: Arc<ConsentTable>,
}

#[async_trait]
impl Work for Promoting {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        out.mark(LANE.0, LANE.1);
        for (index, record) in batch.records().enumerate() {
            let body = compare::body(&self.app, self.real, record.value).await?;
            let Some(seen) = body.as_deref().and_then(|body| compare::seen(self.real, body)) else { continue };
            if self.states.contains(&(seen.id, seen.state)) && seen.permitted(&self.consents, self.app.now()) {
                out.cause(index);
                out.put(self.real, None, record.key, |bytes| bytes.extend_from_slice(body.as_deref().unwrap_or_default()));
            }
        }
        Ok(())
    }
}
