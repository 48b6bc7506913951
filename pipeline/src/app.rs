//! What every role is built from: configuration, registry, store, producer.

use std::sync::Arc;
use std::time::Duration;

use headwater_store::Store;
use headwater_store::scylla::{self, ScyllaStore};
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use secrecy::ExposeSecret as _;

use crate::config::Config;
use crate::log::kafka::Producer;
use crate::registry::Registry;

pub struct App {
    pub config: Config,
    pub registry: Arc<Registry>,
    /// `config.instance`, or a name drawn for this run.
    pub instance: String,
}

impl App {
    /// # Errors
    /// When the registry's settings are wrong.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let registry = Arc::new(Registry::new(&config.registry, &config.namespace)?);
        let instance = config.instance.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string()[..8].to_owned());
        Ok(Self { config, registry, instance })
    }

    /// Microseconds since the epoch.
    pub fn now(&self) -> i64 {
        headwater_ingest::clock::Clock::now(&headwater_ingest::clock::System)
    }

    /// A producer between topics.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn producer(&self, name: &str) -> anyhow::Result<Producer> {
        self.producer_with(name, Duration::from_millis(self.config.group.linger_ms))
    }

    /// A producer with its own linger: short where somebody waits for the answer.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn producer_with(&self, name: &str, linger: Duration) -> anyhow::Result<Producer> {
        Ok(Producer::new(&self.config.kafka, &format!("{name}-{}", self.instance), linger, self.registry.clone())?)
    }

    /// Opens the store, waiting for it where it is not up yet.
    ///
    /// # Errors
    /// When the settings are wrong.
    pub async fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        let mut pause = Duration::from_millis(250);
        loop {
            match self.open_store().await? {
                Ok(store) => return Ok(store),
                Err(why) => {
                    tracing::warn!("{why}; trying again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
            }
        }
    }

    /// One try: settings that are wrong are an error at once, a store that does not answer is worth another try.
    async fn open_store(&self) -> anyhow::Result<Result<Arc<dyn Store>, headwater_store::Unavailable>> {
        let settings = &self.config.store;
        let keys = Keyring::parse(settings.keys.expose_secret()).map_err(|e| anyhow::anyhow!("store.keys: {e}"))?;
        if let Some(sqlite) = &settings.sqlite {
            let opened = SqliteStore::open(&sqlite.path, keys).await;
            return Ok(opened.map(|store| Arc::new(store) as Arc<dyn Store>));
        }
        let cluster =
            settings.scylla.as_ref().ok_or_else(|| anyhow::anyhow!("store: expected [store.scylla] or [store.sqlite]"))?;
        let settings = scylla::Settings {
            nodes: cluster.nodes.clone(),
            keyspace: cluster.keyspace.clone(),
            replication_factor: cluster.replication_factor,
            datacenter: cluster.datacenter.clone(),
            user: cluster.username.clone(),
            password: cluster.password.clone(),
            tls: cluster.ca_file.clone().map(|file| scylla::Tls { ca_file: Some(file) }),
            ttl_days: cluster.ttl_days,
            consistency: scylla::Consistency::default(),
        };
        let opened = ScyllaStore::connect(settings, keys).await;
        Ok(opened.map(|store| Arc::new(store) as Arc<dyn Store>))
    }
}
