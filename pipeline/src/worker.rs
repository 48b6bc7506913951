//! A worker: one consumer, and one task per partition it is given.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::log::kafka::{Consumer, ConsumerSettings, KafkaLease, Producer};
use crate::run::{self, Work};
use crate::work::Desk;

/// What a worker is told of the partitions it holds.
pub type Watch = Arc<dyn Fn(&str, i32, bool) + Send + Sync>;

/// Runs `work` on the topics of its desk until `stop`.
///
/// # Errors
/// When the consumer cannot be made or can make no progress.
pub async fn run(
    app: &App,
    topics: Vec<String>,
    name: &'static str,
    work: Arc<dyn Work>,
    watch: Option<Watch>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let producer = app.producer(name)?;
    let mut consumer = Consumer::start(&app.config.kafka, app.consumer(name, topics), stop.clone())?;
    let mut tasks = JoinSet::new();
    while let Some(lease) = consumer.lease().await {
        while tasks.try_join_next().is_some() {}
        tasks.spawn(hold(producer.clone(), lease, work.clone(), name, watch.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    producer.flush(Duration::from_secs(5));
    consumer.ended().await.map_err(|why| anyhow::anyhow!(why))
}

async fn hold(producer: Producer, mut lease: KafkaLease, work: Arc<dyn Work>, name: &'static str, watch: Option<Watch>) {
    let (topic, partition) = (lease.topic().to_owned(), lease.partition());
    tracing::debug!(worker = name, topic, partition, "partition taken");
    if let Some(watch) = &watch {
        watch(&topic, partition, true);
    }
    run::run(&producer, &mut lease, &*work, name).await;
    if let Some(watch) = &watch {
        watch(&topic, partition, false);
    }
    tracing::debug!(worker = name, topic, partition, "partition let go");
}

/// The desk of a worker over these catalogue topics.
pub fn desk(app: &App, worker: &'static str, topics: &[(&'static headwater_schemas::Topic, Option<&'static str>)]) -> Desk {
    let topics = topics.iter().map(|(topic, member)| (topic.name(&app.config.namespace, *member), *topic)).collect();
    Desk { worker, registry: app.registry.clone(), topics }
}

impl App {
    /// Settings of the worker's consumer: group `<namespace>.<worker>`.
    pub fn consumer(&self, name: &'static str, topics: Vec<String>) -> ConsumerSettings {
        let group = &self.config.group;
        let instance = self.instance.as_str();
        ConsumerSettings {
            static_member: group.static_membership.then(|| format!("{name}-{instance}")),
            session_timeout: Duration::from_millis(group.session_timeout_ms),
            drain: Duration::from_millis(group.drain_ms),
            stall: Duration::from_millis(group.stall_ms),
            fetch_wait: Duration::from_millis(group.fetch_wait_ms),
            ..ConsumerSettings::new(format!("{}.{name}", self.config.namespace), topics, format!("{name}-{instance}"))
        }
    }
}
