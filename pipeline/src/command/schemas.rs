//! `headwater schemas check|register`: no schema changes in a way that old or new readers cannot follow.

use anyhow::Context as _;
use clap::Subcommand;
use headwater_schemas::released;
use schema_registry_converter::async_impl::schema_registry::{is_compatible_schema, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use crate::app::App;
use crate::log::kafka::{Wanted, catalogue};
use crate::registry::check::{self, Level};
use crate::registry::{self, brief};

#[derive(Debug, Subcommand)]
pub enum Schemas {
    /// Check every schema against its released versions and against the registry (FULL_TRANSITIVE)
    Check,
    /// Check, then register
    Register,
}

impl Schemas {
    /// True if every schema is compatible.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn run(self, app: &App) -> anyhow::Result<bool> {
        let client = registry::client(&app.config.registry)?;
        let http = reqwest::Client::new();
        let mut refused = 0;
        let wanted = catalogue(&app.config.namespace, &super::workers());
        for Wanted { name, topic } in wanted.iter().filter(|w| w.topic.schema.is_some()) {
            let (subject, schema) = (format!("{name}-value"), topic.schema.context("filtered by it")?);
            if let Err(why) = check::compatible(Level::FullTransitive, schema, released::versions(topic)) {
                println!("refused  {subject}: against the released schemas: {why}");
                refused += 1;
                continue;
            }
            // The level first: a registry whose default is NONE would let anything pass.
            self.set_level(&http, app, &subject).await?;
            let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
            let verdict = is_compatible_schema(&client, subject.clone(), supplied.clone()).await;
            let compatible = match verdict {
                Ok(compatible) => compatible,
                Err(e) if e.error.contains("status 404") => true,
                Err(e) => anyhow::bail!("schema registry at {}: {}", app.config.registry.url, brief(&e)),
            };
            if !compatible {
                println!("refused  {subject}: against the versions in the registry (FULL_TRANSITIVE)");
                refused += 1;
            } else if matches!(self, Self::Register) {
                let registered = post_schema(&client, subject.clone(), supplied)
                    .await
                    .map_err(|e| anyhow::anyhow!("{subject}: {}", brief(&e)))?;
                println!("registered  {subject}  id {}", registered.id);
            } else {
                println!("compatible  {subject}");
            }
        }
        Ok(refused == 0)
    }

    async fn set_level(&self, http: &reqwest::Client, app: &App, subject: &str) -> anyhow::Result<()> {
        if matches!(self, Self::Check) {
            return Ok(());
        }
        use secrecy::ExposeSecret as _;
        let settings = &app.config.registry;
        let mut request = http
            .put(format!("{}/config/{subject}", settings.url.trim_end_matches('/')))
            .json(&serde_json::json!({"compatibility": "FULL_TRANSITIVE"}));
        if let Some(username) = &settings.username {
            request = request.basic_auth(username, settings.password.as_ref().map(|p| p.expose_secret()));
        }
        let answer = request.send().await.with_context(|| format!("schema registry at {} does not answer", settings.url))?;
        anyhow::ensure!(answer.status().is_success(), "cannot set the compatibility of {subject}: HTTP {}", answer.status());
        Ok(())
    }
}
