//! A worker: one consumer, and one task per partition it is given.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Guarantee;
use crate::log::Log;
use crate::log::kafka::{Consumer, ConsumerSettings, KafkaLease, Producer, TransactionSettings, Transactor};
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
    guarantee: Guarantee,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut consumer = Consumer::start(&app.config.kafka, app.consumer(name, topics, guarantee), stop.clone())?;
    let mut outlet = match guarantee {
        Guarantee::AtLeastOnce => Outlet::Plain(app.producer(name)?),
        Guarantee::ExactlyOnce => {
            let settings = app.transactions(name);
            Outlet::Transactions(Transactor::start(&app.config.kafka, settings, &consumer, app.registry.clone(), stop)?)
        }
    };
    let mut tasks = JoinSet::new();
    loop {
        let lease = tokio::select! {
            lease = consumer.lease() => lease,
            why = outlet.failed() => anyhow::bail!(why),
        };
        let Some(lease) = lease else { break };
        while tasks.try_join_next().is_some() {}
        tasks.spawn(hold(outlet.log(&lease), lease, work.clone(), name, watch.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    if let Outlet::Plain(producer) = &outlet {
        producer.flush(Duration::from_secs(5));
    }
    consumer.ended().await.map_err(|why| anyhow::anyhow!(why))
}

/// Where what follows from a batch goes.
enum Outlet {
    Plain(Producer),
    Transactions(Transactor),
}

impl Outlet {
    fn log(&self, lease: &KafkaLease) -> Box<dyn Log> {
        match self {
            Self::Plain(producer) => Box::new(producer.clone()),
            Self::Transactions(transactor) => Box::new(transactor.log(lease)),
        }
    }

    /// Resolves, with the reason, when nothing can be appended any more.
    async fn failed(&mut self) -> String {
        match self {
            Self::Plain(_) => std::future::pending().await,
            Self::Transactions(transactor) => transactor.ended().await.err().unwrap_or_else(|| "transactions have ended".into()),
        }
    }
}

async fn hold(log: Box<dyn Log>, mut lease: KafkaLease, work: Arc<dyn Work>, name: &'static str, watch: Option<Watch>) {
    let (topic, partition) = (lease.topic().to_owned(), lease.partition());
    tracing::debug!(worker = name, topic, partition, "partition taken");
    if let Some(watch) = &watch {
        watch(&topic, partition, true);
    }
    run::run(&*log, &mut lease, &*work, name).await;
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
    fn consumer(&self, name: &'static str, topics: Vec<String>, guarantee: Guarantee) -> ConsumerSettings {
        let group = &self.config.group;
        let instance = self.instance.as_str();
        let plain = ConsumerSettings::new(format!("{}.{name}", self.config.namespace), topics, format!("{name}-{instance}"));
        ConsumerSettings {
            transactional: guarantee == Guarantee::ExactlyOnce,
            static_member: group.static_membership.then(|| format!("{name}-{instance}")),
            session_timeout: Duration::from_millis(group.session_timeout_ms),
            drain: Duration::from_millis(group.drain_ms),
            stall: Duration::from_millis(group.stall_ms),
            fetch_wait: Duration::from_millis(group.fetch_wait_ms),
            ..plain
        }
    }

    /// The worker's transactions: `<namespace>.<worker>.<instance>`.
    fn transactions(&self, name: &'static str) -> TransactionSettings {
        TransactionSettings {
            transactional_id: format!("{}.{name}.{}", self.config.namespace, self.instance),
            client_id: format!("{name}-{}", self.instance),
            linger: Duration::from_millis(self.config.group.linger_ms),
            commit_interval: Duration::from_millis(self.config.processing.commit_interval_ms),
        }
    }
}
