//! Kafka through librdkafka: one poll thread per consumer, one producer per process.

mod admin;
mod aside;
mod begins;
mod commits;
mod consumer;
mod gate;
mod lease;
mod orphans;
pub mod partition;
mod pending;
mod poller;
mod producer;
mod span;
mod stall;
mod transaction;
mod wake;

pub use admin::{Admin, Change, Wanted, catalogue};
pub use consumer::{Consumer, ConsumerSettings};
pub use lease::KafkaLease;
pub use producer::Producer;
pub use span::{Span, SpanLease};
pub use stall::finds_record;
pub use transaction::{Appender, TransactionSettings, Transactor};

use rdkafka::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// `[kafka]`: how to reach the cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `host:port,host:port`
    pub bootstrap: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    #[serde(default = "plaintext")]
    pub security: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// PEM file of the authorities to trust; the system's where absent.
    pub ca_file: Option<String>,
    /// Any further librdkafka property, last word.
    #[serde(default)]
    pub properties: std::collections::BTreeMap<String, String>,
}

fn plaintext() -> String {
    "plaintext".into()
}

impl Settings {
    /// The properties common to all clients. `client_id` is unique in a group: librdkafka may loop where two members share one.
    pub fn client(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("security.protocol", &self.security)
            .set("client.id", client_id)
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("log.connection.close", "false")
            .set("topic.metadata.refresh.interval.ms", "30000");
        for (property, value) in
            [("sasl.mechanism", &self.sasl_mechanism), ("sasl.username", &self.username), ("ssl.ca.location", &self.ca_file)]
        {
            if let Some(value) = value {
                config.set(property, value);
            }
        }
        if let Some(password) = &self.password {
            config.set("sasl.password", password.expose_secret());
        }
        for (property, value) in &self.properties {
            config.set(property, value);
        }
        config
    }

    /// The properties common to all consumers. What a transaction did not commit is never read, whatever else is set: to a reader it has not
    /// been written.
    pub fn reader(&self, client_id: &str) -> ClientConfig {
        let mut config = self.client(client_id);
        // What was changed on its way is noticed and fetched again, not read.
        config.set("isolation.level", "read_committed").set("enable.auto.commit", "false").set("check.crcs", "true");
        config
    }
}

/// What librdkafka complains of outside any call: mostly that a broker is away, which it mends by itself.
fn complain(error: &rdkafka::error::KafkaError, reason: &str) {
    tracing::warn!(target: "librdkafka", "{error}: {reason}");
}
