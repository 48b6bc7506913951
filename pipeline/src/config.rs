//! One TOML file, then the environment over it. Secrets may stand in files of their own: `client_secret_file` is read into `client_secret`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use figment::providers::{Env, Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{breaker, log, registry, telemetry};

/// Everything that can be configured. Unknown keys are errors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// First word of all topics and groups.
    #[serde(default = "namespace")]
    pub namespace: String,
    /// A stable name of this instance, unique in its group. With it, a restart moves no partition.
    pub instance: Option<String>,
    #[serde(default)]
    pub listen: Listen,
    pub kafka: log::kafka::Settings,
    pub registry: registry::Settings,
    pub store: StoreSettings,
    #[serde(default)]
    pub topics: TopicSettings,
    #[serde(default)]
    pub group: GroupSettings,
    #[serde(default)]
    pub processing: ProcessingSettings,
    #[serde(default)]
    pub telemetry: telemetry::Settings,
    #[serde(default)]
    pub ingest: headwater_ingest::settings::IngestSettings,
    #[serde(default)]
    pub providers: headwater_ingest::settings::Providers,
    #[serde(default)]
    pub sinks: SinkSettings,
    #[serde(default)]
    pub api: headwater_api::Settings,
}

fn namespace() -> String {
    "headwater".into()
}

/// Addresses we listen on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Health and metrics of every role.
    pub ops: String,
    /// Webhooks.
    pub receive: String,
    pub api: String,
    pub simulator: String,
    /// Connections at once, of each server; more are told to come back. The process may open more files than this.
    pub connections: usize,
    /// How long a connection may idle, or take for the head of a request. Longer than what stands in front keeps its connections.
    pub idle_seconds: u64,
}

impl Listen {
    pub fn limits(&self) -> crate::listen::Limits {
        crate::listen::Limits { connections: self.connections, idle: std::time::Duration::from_secs(self.idle_seconds) }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            ops: "127.0.0.1:9464".into(),
            receive: "127.0.0.1:8080".into(),
            api: "127.0.0.1:8090".into(),
            simulator: "127.0.0.1:8100".into(),
            connections: 1024,
            idle_seconds: 75,
        }
    }
}

/// `[store]` with either `[store.scylla]` or `[store.sqlite]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `id:base64` of 32 bytes, the current key first, separated by commas. `headwater store new-key` makes one.
    pub keys: SecretString,
    pub scylla: Option<ScyllaSettings>,
    pub sqlite: Option<SqliteSettings>,
}

/// One file, one process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteSettings {
    pub path: PathBuf,
}

/// ScyllaDB or Cassandra.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScyllaSettings {
    /// `host:port` of some nodes; the others are found.
    pub nodes: Vec<String>,
    #[serde(default = "namespace")]
    pub keyspace: String,
    #[serde(default = "three")]
    pub replication_factor: u32,
    /// Only nodes of this datacenter are asked.
    #[serde(default = "datacenter")]
    pub datacenter: String,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// PEM file of the authorities to trust; turns TLS on.
    pub ca_file: Option<PathBuf>,
    /// Observations disappear this many days after they were written; never where absent.
    pub ttl_days: Option<u32>,
}

fn datacenter() -> String {
    "datacenter1".into()
}

fn three() -> u32 {
    3
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicSettings {
    pub replication_factor: i32,
    /// Instead of the catalogue's number.
    pub partitions: Option<i32>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self { replication_factor: 3, partitions: None }
    }
}

/// Consumer groups.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSettings {
    /// Uses `instance` as the static member id.
    pub static_membership: bool,
    pub session_timeout_ms: u64,
    /// How long a revoked partition's batch may take. Less than the session time-out.
    pub drain_ms: u64,
    /// Ends the process when it makes no progress for this long although there is something to do.
    pub stall_ms: u64,
    pub fetch_wait_ms: u64,
    /// How long records wait for company between topics.
    pub linger_ms: u64,
    /// When a worker stops rather than bury what it gets.
    pub breaker: breaker::Settings,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            static_membership: false,
            session_timeout_ms: 30_000,
            drain_ms: 10_000,
            stall_ms: 120_000,
            fetch_wait_ms: 100,
            linger_ms: 5,
            breaker: breaker::Settings::default(),
        }
    }
}

/// How processors answer for a record. Sinks and fetch write outside Kafka, by keys: theirs is at least once, whatever stands here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessingSettings {
    pub guarantee: Guarantee,
    /// How long a transaction waits for further partitions. Readers of the output wait as long.
    pub commit_interval_ms: u64,
}

/// What a failure may leave on the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// A record twice under the same id.
    AtLeastOnce,
    /// Nothing that a reader of committed records sees.
    ExactlyOnce,
}

impl Default for ProcessingSettings {
    fn default() -> Self {
        Self { guarantee: Guarantee::AtLeastOnce, commit_interval_ms: 100 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinkSettings {
    pub scylla: ScyllaSinkSettings,
    pub hooks: Option<headwater_sinks::hooks::Settings>,
    pub eventhubs: Option<headwater_sinks::eventhubs::Settings>,
    pub fhir: Option<headwater_sinks::fhir::Settings>,
}

/// What the store's sink does beside writing rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScyllaSinkSettings {
    /// How long after an erasure its rows are swept once more: by then every process has heard of it and ended what it was doing.
    pub erase_settle_seconds: u64,
}

impl Default for ScyllaSinkSettings {
    fn default() -> Self {
        Self { erase_settle_seconds: 30 }
    }
}

/// Secrets that may be given as a file's name.
const SECRETS: &[&str] = &[
    "password",
    "client_secret",
    "private_key",
    "connection_string",
    "keys",
    "path_secret",
    "authorization",
    "verification_code",
    "signing_key",
    "token",
    "secret",
];

/// Variables that only start with our prefix.
const NOT_SETTINGS: &[&str] = &["CONFIG", "TEST_", "INFRA_"];

impl Config {
    /// Reads the file, then `HEADWATER_…` variables, `__` between levels: `HEADWATER_KAFKA__BOOTSTRAP`.
    ///
    /// # Errors
    /// Names the key, where it stands, and what was expected.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(file.exists(), "no configuration file {}: give one with --config or HEADWATER_CONFIG", file.display());
        let env = Env::prefixed("HEADWATER_")
            .filter(|key| !NOT_SETTINGS.iter().any(|other| key.as_str().to_uppercase().starts_with(other)))
            .split("__");
        Self::extract(&Figment::new().merge(SecretFiles(Toml::file(file))).merge(env))
    }

    /// From a text instead of a file; the environment is not looked at.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Self::extract(&Figment::new().merge(SecretFiles(Toml::string(text))))
    }

    fn extract(figment: &Figment) -> anyhow::Result<Self> {
        let config: Self = figment.extract().map_err(|error| {
            let wrong = error.into_iter().map(|e| describe(&e)).collect::<Vec<_>>().join("\n");
            anyhow::anyhow!("configuration is wrong:\n{wrong}")
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        };
        anyhow::ensure!(
            word(&self.namespace),
            "namespace: expected lower-case letters, digits, - and _, not {:?}",
            self.namespace
        );
        anyhow::ensure!(
            self.group.drain_ms < self.group.session_timeout_ms,
            "group.drain_ms: expected less than group.session_timeout_ms ({}), not {}",
            self.group.session_timeout_ms,
            self.group.drain_ms
        );
        anyhow::ensure!(
            (1..=5000).contains(&self.processing.commit_interval_ms),
            "processing.commit_interval_ms: expected 1 to 5000, not {}",
            self.processing.commit_interval_ms
        );
        anyhow::ensure!(
            !self.group.static_membership || self.instance.is_some(),
            "group.static_membership: expected `instance` to be set as well"
        );
        self.group.breaker.check()?;
        anyhow::ensure!(
            self.store.scylla.is_some() != self.store.sqlite.is_some(),
            "store: expected exactly one of [store.scylla] and [store.sqlite]"
        );
        anyhow::ensure!(
            self.listen.connections > 0 && self.listen.idle_seconds > 0,
            "listen.connections, listen.idle_seconds: expected numbers above 0"
        );
        let known = || headwater_sources::ALL.iter().map(|s| s.profile().id).collect::<Vec<_>>().join(", ");
        for provider in self.providers.keys() {
            anyhow::ensure!(headwater_sources::by_id(provider).is_some(), "providers.{provider}: expected one of {}", known());
        }
        self.api.validate().map_err(|e| anyhow::anyhow!("{e}"))?;
        headwater_ingest::settings::validate(&self.ingest, &self.providers).map_err(|e| anyhow::anyhow!("{e}"))
    }
}

/// `providers.x.poll_minutes: expected an array, found string (in headwater.toml)`, with no value quoted: it may be a secret.
fn describe(error: &figment::Error) -> String {
    let path = error.path.join(".");
    let source = error.metadata.as_ref().map_or_else(String::new, |m| match &m.source {
        Some(source) => format!(" (in {source})"),
        None => format!(" (in {})", m.name),
    });
    let what = match &error.kind {
        figment::error::Kind::InvalidType(found, expected) => format!("expected {expected}, found {}", kind(found)),
        figment::error::Kind::InvalidValue(_, expected) => format!("expected {expected}"),
        figment::error::Kind::UnknownField(field, allowed) => {
            format!("unknown key {field}, expected one of {}", allowed.join(", "))
        }
        figment::error::Kind::UnknownVariant(_, allowed) => format!("expected one of {}", allowed.join(", ")),
        figment::error::Kind::MissingField(field) => format!("missing key {field}"),
        other => other.to_string(),
    };
    if path.is_empty() { format!("  {what}{source}") } else { format!("  {path}: {what}{source}") }
}

fn kind(actual: &figment::error::Actual) -> &'static str {
    use figment::error::Actual;
    match actual {
        Actual::Bool(_) => "a boolean",
        Actual::Unsigned(_) | Actual::Signed(_) => "a number",
        Actual::Float(_) => "a decimal number",
        Actual::Str(_) | Actual::Char(_) => "a string",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}

/// A provider whose `<secret>_file` keys are replaced by the file's content.
struct SecretFiles<P>(P);

impl<P: Provider> Provider for SecretFiles<P> {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut data = self.0.data()?;
        for dict in data.values_mut() {
            read_files(dict).map_err(|e| figment::Error::from(format!("{e:#}")))?;
        }
        Ok(data)
    }
}

fn read_files(dict: &mut Dict) -> anyhow::Result<()> {
    for (key, value) in std::mem::take(dict) {
        let secret = key.strip_suffix("_file").filter(|base| SECRETS.contains(base));
        match (secret, value) {
            (Some(base), Value::String(tag, path)) => {
                let content = std::fs::read_to_string(&path).with_context(|| format!("{key}: cannot read {path}"))?;
                dict.insert(base.to_owned(), Value::String(tag, content.trim_end_matches(['\r', '\n']).to_owned()));
            }
            (_, Value::Dict(tag, mut inner)) => {
                read_files(&mut inner)?;
                dict.insert(key, Value::Dict(tag, inner));
            }
            (_, value) => {
                dict.insert(key, value);
            }
        }
    }
    Ok(())
}
