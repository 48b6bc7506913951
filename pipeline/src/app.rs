//! What every role is built from: configuration, registry, store, producer.

use std::sync::Arc;
use std::time::Duration;

use headwater_store::Store;
use headwater_store::scylla::ScyllaStore;
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use secrecy::ExposeSecret as _;

use crate::config::{Config, StoreSettings};
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
        let keyring = |keys: &secrecy::SecretString| Keyring::parse(keys.expose_secret()).map_err(|e| anyhow::anyhow!("store.keys: {e}"));
        match &self.config.store {
            StoreSettings::Sqlite { path, keys } => {
                let opened = SqliteStore::open(path, keyring(keys)?).await;
                Ok(opened.map(|store| Arc::new(store) as Arc<dyn Store>))
            }
            StoreSettings::Scylla { nodes, keyspace, replication_factor, datacenter, username, password, ttl_days, keys } => {
                let settings = headwater_store::scylla::Settings {
                    nodes: nodes.clone(),
                    keyspace: keyspace.clone(),
                    replication_factor: *replication_factor,
                    datacenter: datacenter.clone(),
                    username: username.clone(),
                    password: password.clone(),
                    ttl_days: *ttl_days,
                };
                let opened = ScyllaStore::connect(settings, keyring(keys)?).await;
                Ok(opened.map(|store| Arc::new(store) as Arc<dyn Store>))
            }
        }
    }
}
