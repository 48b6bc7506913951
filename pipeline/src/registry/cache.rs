//! Schema ids on disk, so that a start with the registry down is a start.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Schema text by id.
    schemas: BTreeMap<u32, String>,
    /// Topic to the id our schema has there, and the schema it was asked with: after an upgrade the old answer is none.
    writers: BTreeMap<String, (u32, String)>,
}

#[derive(Debug)]
pub(super) struct Cache {
    file: Option<PathBuf>,
    content: Content,
}

impl Cache {
    pub(super) fn open(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let content = match &file {
            Some(path) if path.exists() => {
                let text = std::fs::read(path).with_context(|| format!("cannot read registry.cache_file {}", path.display()))?;
                serde_json::from_slice(&text).with_context(|| format!("registry.cache_file {} is damaged: delete it", path.display()))?
            }
            _ => Content::default(),
        };
        Ok(Self { file, content })
    }

    pub(super) fn writer(&self, topic: &str, schema: &str) -> Option<u32> {
        self.content.writers.get(topic).filter(|(_, with)| with == schema).map(|(id, _)| *id)
    }

    pub(super) fn put_writer(&mut self, topic: &str, schema: &str, id: u32) {
        self.content.writers.insert(topic.to_owned(), (id, schema.to_owned()));
        self.content.schemas.insert(id, schema.to_owned());
        self.save();
    }

    pub(super) fn schema(&self, id: u32) -> Option<String> {
        self.content.schemas.get(&id).cloned()
    }

    pub(super) fn put_schema(&mut self, id: u32, schema: &str) {
        self.content.schemas.insert(id, schema.to_owned());
        self.save();
    }

    /// Written beside and moved over, so that a crash leaves the old file or the new one.
    fn save(&self) {
        let Some(path) = &self.file else { return };
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = serde_json::to_vec(&self.content)
            .map_err(std::io::Error::other)
            .and_then(|text| {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(&beside, text)
            })
            .and_then(|()| std::fs::rename(&beside, path));
        if let Err(e) = written {
            tracing::warn!("cannot write registry.cache_file {}: {e}; the next start needs the registry", path.display());
        }
    }
}
