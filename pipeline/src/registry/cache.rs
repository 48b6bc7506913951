//! Schema ids on disk, so that a start with the registry down is a start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

impl Content {
    fn read(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read(path).with_context(|| format!("cannot read registry.cache_file {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("registry.cache_file {} is damaged: delete it", path.display()))
    }
}

impl Cache {
    pub(super) fn open(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let content = file.as_deref().map(Content::read).transpose()?.unwrap_or_default();
        Ok(Self { file, content })
    }

    /// Takes over what other processes have written since. Ids never change their meaning, so nothing can contradict.
    fn merge(&mut self) {
        let Some(Ok(other)) = self.file.as_deref().map(Content::read) else { return };
        for (id, schema) in other.schemas {
            self.content.schemas.entry(id).or_insert(schema);
        }
        for (topic, known) in other.writers {
            self.content.writers.entry(topic).or_insert(known);
        }
    }

    pub(super) fn writer(&mut self, topic: &str, schema: &str) -> Option<u32> {
        let known = |cache: &Self| cache.content.writers.get(topic).filter(|(_, with)| with == schema).map(|(id, _)| *id);
        known(self).or_else(|| {
            self.merge();
            known(self)
        })
    }

    pub(super) fn put_writer(&mut self, topic: &str, schema: &str, id: u32) {
        self.content.writers.insert(topic.to_owned(), (id, schema.to_owned()));
        self.content.schemas.insert(id, schema.to_owned());
        self.save();
    }

    pub(super) fn schema(&mut self, id: u32) -> Option<String> {
        if !self.content.schemas.contains_key(&id) {
            self.merge();
        }
        self.content.schemas.get(&id).cloned()
    }

    pub(super) fn put_schema(&mut self, id: u32, schema: &str) {
        self.content.schemas.insert(id, schema.to_owned());
        self.save();
    }

    /// Written beside and moved over, so that a crash leaves the old file or the new one.
    fn save(&mut self) {
        self.merge();
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
