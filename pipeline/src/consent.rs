//! What people agreed to, as this process knows it: the whole consent topic, read from its beginning and followed.
//!
//! Somebody without restrictions takes no room, so the table is as large as the number of people who restricted something, left or were erased.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use headwater_schemas::consent::{Consent, Decision, Terms};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use headwater_store::Store;
use headwater_store::vault::Owner;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::telemetry;

const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// The terms of everybody who restricted something.
#[derive(Debug, Default)]
pub struct ConsentTable {
    terms: RwLock<HashMap<Box<str>, Arc<Terms>>>,
}

impl ConsentTable {
    /// What is in force for a subject; `None` for somebody without restrictions.
    pub fn terms(&self, subject: &str) -> Option<Arc<Terms>> {
        self.terms.read().expect("nothing panics under this lock").get(subject).cloned()
    }

    /// Whether a person's decision lets what is theirs, of this type where it has one, go to this recipient now.
    pub fn permits(&self, subject: &str, recipient: &str, data_type: Option<&str>, now: i64) -> bool {
        self.terms(subject)
            .is_none_or(|terms| terms.stands(now) && terms.reaches(recipient) && data_type.is_none_or(|slug| terms.covers(slug)))
    }

    /// Nobody restricted anything: nothing needs to be looked up.
    pub fn is_empty(&self) -> bool {
        self.terms.read().expect("nothing panics under this lock").is_empty()
    }

    /// Obeys a decision. An older one never replaces a newer one.
    pub fn obey(&self, consent: &Consent<'_>) {
        let terms = Terms::of(consent);
        let mut known = self.terms.write().expect("nothing panics under this lock");
        if known.get(consent.subject_id).is_some_and(|old| old.version > terms.version) {
            return;
        }
        if terms.unrestricted() {
            known.remove(consent.subject_id);
        } else {
            known.insert(consent.subject_id.into(), Arc::new(terms));
        }
    }
}

/// Reads the topic to its present end, then goes on following it in a task of its own.
///
/// # Errors
/// When the client cannot be made.
pub async fn follow(
    app: &Arc<App>,
    store: Option<Arc<dyn Store>>,
    tasks: &mut crate::supervise::Supervisor,
) -> anyhow::Result<Arc<ConsentTable>> {
    let (table, stop) = (Arc::new(ConsentTable::default()), tasks.stop());
    let mut follower = Follower { app: app.clone(), store, table: table.clone(), stop: stop.clone(), started: app.now() };
    let consumer = loop {
        match follower.catch_up().await {
            Ok(consumer) => break consumer,
            Err(why) => tracing::warn!("consents cannot be read yet: {why:#}"),
        }
        tokio::select! {
            () = stop.cancelled() => anyhow::bail!("stopped before the consents were read"),
            () = tokio::time::sleep(PAUSE) => {}
        }
    };
    tasks.start("consents", async move { follower.run(consumer).await });
    Ok(table)
}

struct Follower {
    app: Arc<App>,
    store: Option<Arc<dyn Store>>,
    table: Arc<ConsentTable>,
    stop: CancellationToken,
    /// Older decisions were obeyed by others before; how long that took is not ours to say.
    started: i64,
}

impl Follower {
    async fn catch_up(&mut self) -> anyhow::Result<StreamConsumer> {
        let topic = topics::CONSENT.name(&self.app.config.namespace, None);
        let name = format!("consents-{}-{}", self.app.instance, uuid::Uuid::new_v4().simple());
        let mut settings = self.app.config.kafka.reader(&name);
        // No group is joined and nothing is committed: every process reads all of it.
        settings.set("group.id", format!("{}.consents", self.app.config.namespace));
        settings.set("enable.auto.offset.store", "false");
        settings.set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", "100").set("queued.max.messages.kbytes", "1024");
        let consumer: StreamConsumer = settings.create()?;
        let asked = topic.clone();
        let (consumer, ends) = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let metadata = consumer.fetch_metadata(Some(&asked), TIMEOUT)?;
            let found = metadata.topics().iter().find(|t| t.name() == asked && t.error().is_none());
            let partitions = found.map(|t| t.partitions()).filter(|p| !p.is_empty());
            let partitions =
                partitions.ok_or_else(|| anyhow::anyhow!("topic {asked} is missing, `headwater topics apply` makes it"))?;
            let (mut ends, mut all) = (HashMap::new(), TopicPartitionList::new());
            for partition in partitions {
                let (low, high) = consumer.fetch_watermarks(&asked, partition.id(), TIMEOUT)?;
                all.add_partition_offset(&asked, partition.id(), Offset::Beginning)?;
                if high > low {
                    ends.insert(partition.id(), high);
                }
            }
            consumer.assign(&all)?;
            Ok((consumer, ends))
        })
        .await??;
        let mut ends: HashMap<i32, i64> = ends;
        while !ends.is_empty() {
            match tokio::time::timeout(TIMEOUT, consumer.recv()).await {
                Ok(Ok(message)) => {
                    self.take(message.payload()).await?;
                    if ends.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                        ends.remove(&message.partition());
                    }
                }
                Ok(Err(e)) => return Err(e.into()),
                // Compaction or a transaction marker may have left nothing before the end.
                Err(_) => {
                    let positions = consumer.position()?;
                    ends.retain(|partition, end| {
                        let at = positions.find_partition(&topic, *partition).map(|p| p.offset());
                        !matches!(at, Some(Offset::Offset(at)) if at >= *end)
                    });
                }
            }
        }
        Ok(consumer)
    }

    async fn run(self, consumer: StreamConsumer) -> anyhow::Result<()> {
        loop {
            let received = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                received = consumer.recv() => received,
            };
            match received {
                Ok(message) => {
                    while let Err(why) = self.take(message.payload()).await {
                        tracing::warn!("a consent cannot be read yet: {why:#}");
                        tokio::select! {
                            () = self.stop.cancelled() => return Ok(()),
                            () = tokio::time::sleep(PAUSE) => {}
                        }
                    }
                }
                // No pause: an outage leaves many of these in the queue, and a decision stands behind all of them.
                Err(why) => tracing::warn!("consents cannot be followed: {why}"),
            }
        }
    }

    /// A record that is none is passed over and told: what stood before stays in force.
    async fn take(&self, value: Option<&[u8]>) -> anyhow::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let Ok((id, body)) = wire::split(value) else {
            tracing::error!("a record on the consent topic has no frame");
            return Ok(());
        };
        let mut resolved = Vec::new();
        let reading = self.app.registry.learn(id, &topics::CONSENT).await?;
        let body = match reading.body(body, &mut resolved) {
            Ok(body) => body,
            Err(reject) => {
                tracing::error!("a record on the consent topic cannot be read: {reject}");
                return Ok(());
            }
        };
        let Ok(consent) = Consent::decode(body) else {
            tracing::error!("a record on the consent topic is no consent");
            return Ok(());
        };
        self.table.obey(&consent);
        if consent.decision == Decision::Erased
            && let Some(store) = &self.store
        {
            store.forget_keys(&Owner::Subject(consent.subject_id.to_owned()));
        }
        if consent.at >= self.started {
            let seconds = (self.app.now() - consent.at) as f64 / 1e6;
            metrics::histogram!(telemetry::CONSENT_OBEYED).record(seconds.max(0.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(version: i64, decision: Decision) -> Consent<'static> {
        Consent {
            subject_id: "s",
            version,
            decision,
            data_types: vec![],
            recipients: vec![],
            until: None,
            actor: "subject:s",
            at: 0,
        }
    }

    #[test]
    fn the_newest_decision_is_in_force_in_whatever_order_they_come() {
        let table = ConsentTable::default();
        table.obey(&decided(2, Decision::Withdrawn));
        table.obey(&decided(1, Decision::Granted));
        assert_eq!(table.terms("s").expect("a restriction").decision, Decision::Withdrawn);
        table.obey(&decided(3, Decision::Granted));
        assert!(table.terms("s").is_none() && table.is_empty(), "somebody without restrictions takes no room");
        table.obey(&decided(i64::MAX, Decision::Erased));
        table.obey(&decided(4, Decision::Granted));
        assert_eq!(table.terms("s").expect("erased").decision, Decision::Erased);
    }
}
