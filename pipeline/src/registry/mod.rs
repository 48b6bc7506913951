//! Schema ids: which one each topic is written with, and what a foreign one means.
//!
//! Asked in this order: memory, the cache file, the registry. So known ids go on while the registry is down, also over a restart; an unknown
//! id waits for it, and only an id that the registry says it does not have is a reject.

mod cache;
pub mod check;
#[cfg(feature = "embedded")]
pub mod embedded;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use apache_avro::Schema;
use headwater_schemas::reject::code;
use headwater_schemas::resolve::Resolver;
use headwater_schemas::{Outbox, Reject, Topic};
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id, perform_sr_call, post_schema};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{SchemaType, SrCall, SuppliedSchema};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use cache::Cache;

/// `[registry]`: a registry that speaks Confluent's API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `http://host:8081`, with the API's path where it has one.
    pub url: String,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Ids already seen are kept here over restarts.
    pub cache_file: Option<PathBuf>,
    /// Registers our schemas when a topic is first written. Otherwise `headwater schemas register` does it, once.
    #[serde(default)]
    pub auto_register: bool,
}

/// Where a record of a topic goes and with which schema id.
#[derive(Debug, Clone)]
pub struct Target {
    pub topic: Arc<str>,
    /// `None` where the topic's values have no schema of their own.
    pub schema_id: Option<u32>,
}

/// How to read bodies of one schema id as records of one topic.
#[derive(Debug)]
pub enum Reading {
    /// Written with our own schema.
    Ours,
    Resolve(Box<Resolver>),
    /// No schema has this id, or it can never be read as ours.
    Never(Reject),
}

impl Reading {
    /// A body in our own layout: as it is, or resolved into `scratch`.
    ///
    /// # Errors
    /// [`Reject`] when it can never be read as ours.
    pub fn body<'b>(&self, body: &'b [u8], scratch: &'b mut Vec<u8>) -> Result<&'b [u8], Reject> {
        match self {
            Self::Ours => Ok(body),
            Self::Resolve(resolver) => {
                scratch.clear();
                resolver.resolve(body, scratch)?;
                Ok(scratch)
            }
            Self::Never(reject) => Err(reject.clone()),
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    #[error("schema registry does not answer: {0}")]
    Unavailable(String),
    #[error("subject {0} has no such schema: run `headwater schemas register` first")]
    NotRegistered(String),
}

type WriterKey = (&'static str, Option<&'static str>);

pub struct Registry {
    namespace: String,
    client: SrSettings,
    auto_register: bool,
    writers: RwLock<Vec<(WriterKey, Target)>>,
    readers: RwLock<HashMap<(u32, &'static str), Arc<Reading>>>,
    cache: Mutex<Cache>,
}

impl Registry {
    /// # Errors
    /// When the address is no URL or the cache file is there and cannot be read.
    pub fn new(settings: &Settings, namespace: &str) -> anyhow::Result<Self> {
        let cache = Cache::open(settings.cache_file.clone())?;
        Ok(Self {
            namespace: namespace.to_owned(),
            client: client(settings)?,
            auto_register: settings.auto_register,
            writers: RwLock::default(),
            readers: RwLock::default(),
            cache: Mutex::new(cache),
        })
    }

    /// The target of each record of the outbox, in order.
    ///
    /// # Errors
    /// When an id is not known here and the registry does not answer or has no such schema.
    pub async fn targets(&self, outbox: &Outbox) -> Result<Vec<Target>, RegistryError> {
        let mut targets = Vec::with_capacity(outbox.len());
        for record in outbox.records() {
            let key = (record.topic.stage, record.member);
            let known = self
                .writers
                .read()
                .expect("nothing panics under this lock")
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, t)| t.clone());
            targets.push(match known {
                Some(target) => target,
                None => self.target(record.topic, record.member).await?,
            });
        }
        Ok(targets)
    }

    async fn target(&self, topic: &'static Topic, member: Option<&'static str>) -> Result<Target, RegistryError> {
        let name = topic.name(&self.namespace, member);
        let schema_id = match topic.schema {
            None => None,
            Some(schema) => Some(self.writer_id(&name, schema).await?),
        };
        let target = Target { topic: name.into(), schema_id };
        let mut writers = self.writers.write().expect("nothing panics under this lock");
        if !writers.iter().any(|(k, _)| *k == (topic.stage, member)) {
            writers.push(((topic.stage, member), target.clone()));
        }
        Ok(target)
    }

    /// The id our schema has under the topic's subject.
    async fn writer_id(&self, topic: &str, schema: &str) -> Result<u32, RegistryError> {
        let mut cache = self.cache.lock().await;
        if let Some(id) = cache.writer(topic, schema) {
            return Ok(id);
        }
        let subject = format!("{topic}-value");
        let body = serde_json::json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let id = match perform_sr_call(&self.client, SrCall::PostForVersion(&subject, &body)).await {
            Ok(found) => found.id.ok_or_else(|| RegistryError::Unavailable("the answer has no id".into()))?,
            Err(e) if !not_found(&e) => return Err(RegistryError::Unavailable(brief(&e))),
            Err(_) if self.auto_register => {
                let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
                post_schema(&self.client, subject, supplied).await.map_err(|e| RegistryError::Unavailable(brief(&e)))?.id
            }
            Err(_) => return Err(RegistryError::NotRegistered(subject)),
        };
        cache.put_writer(topic, schema, id);
        Ok(id)
    }

    /// How records of `topic` with this schema id are read; from memory only.
    pub fn reading(&self, id: u32, topic: &'static Topic) -> Option<Arc<Reading>> {
        self.readers.read().expect("nothing panics under this lock").get(&(id, topic.stage)).cloned()
    }

    /// The same, asking the cache file and the registry.
    ///
    /// # Errors
    /// When the id is not known here and the registry does not answer.
    pub async fn learn(&self, id: u32, topic: &'static Topic) -> Result<Arc<Reading>, RegistryError> {
        if let Some(known) = self.reading(id, topic) {
            return Ok(known);
        }
        let mut cache = self.cache.lock().await;
        let text = match cache.schema(id) {
            Some(text) => Ok(text),
            None => match get_schema_by_id(id, &self.client).await {
                Ok(found) => {
                    cache.put_schema(id, &found.schema);
                    Ok(found.schema)
                }
                Err(e) if not_found(&e) => Err(Reject::new(code::UNKNOWN_SCHEMA, format!("the registry has no schema {id}"))),
                Err(e) => return Err(RegistryError::Unavailable(brief(&e))),
            },
        };
        let reading = Arc::new(match text.and_then(|text| reading(&text, topic)) {
            Ok(reading) => reading,
            Err(reject) => Reading::Never(reject),
        });
        // An id that is unknown today may be registered tomorrow: only what is known is remembered.
        if !matches!(&*reading, Reading::Never(reject) if reject.code == code::UNKNOWN_SCHEMA) {
            self.readers.write().expect("nothing panics under this lock").insert((id, topic.stage), reading.clone());
        }
        Ok(reading)
    }
}

fn reading(writer: &str, topic: &'static Topic) -> Result<Reading, Reject> {
    let ours = topic.schema.ok_or_else(|| Reject::new(code::UNRESOLVABLE_SCHEMA, "the topic's values have no schema"))?;
    let same = |a: &str, b: &str| -> Option<bool> {
        Some(Schema::parse_str(a).ok()?.canonical_form() == Schema::parse_str(b).ok()?.canonical_form())
    };
    if same(writer, ours) == Some(true) {
        Ok(Reading::Ours)
    } else {
        Resolver::new(writer, ours).map(|resolver| Reading::Resolve(Box::new(resolver)))
    }
}

/// A client for the registry of these settings.
pub(crate) fn client(settings: &Settings) -> anyhow::Result<SrSettings> {
    let mut builder = SrSettings::new_builder(settings.url.trim_end_matches('/').to_owned());
    builder.set_timeout(Duration::from_secs(5));
    if let Some(username) = &settings.username {
        builder.set_basic_authorization(username, settings.password.as_ref().map(|p| p.expose_secret()));
    }
    builder.build().map_err(|e| anyhow::anyhow!("registry.url: {}", brief(&e)))
}

fn not_found(error: &SRCError) -> bool {
    error.error.contains("status 404")
}

/// The error without the request's body, which would be a whole schema.
pub(crate) fn brief(error: &SRCError) -> String {
    let text = error.cause.clone().unwrap_or_else(|| error.error.clone());
    text.chars().take(300).collect()
}
