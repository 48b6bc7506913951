//! What can be configured about the door and the driver. Reading files and environment is not done here.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_sources::profile::Profile;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::room;

/// `[ingest]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestSettings {
    /// Webhook calls worked on at once; more are told to come back.
    pub door_permits: usize,
    /// Bytes of webhook bodies and batches held at once; more are told to come back. Half of it is the most that one provider's bodies, or all
    /// batches, take.
    pub door_bytes: usize,
    /// Connections asked at once, for fresh data and for history.
    pub live_concurrency: usize,
    pub history_concurrency: usize,
    /// How long a connection is asked at a time; what is left then waits its next turn. Twice this is less than a drain has.
    pub turn_ms: u64,
    pub request_timeout_ms: u64,
    /// Tries of one request before its hint waits.
    pub tries: u32,
    /// Failures in a row after which a provider is left alone for a while.
    pub breaker_failures: u32,
    pub breaker_pause_ms: u64,
    /// Where providers reach our webhooks: `https://host/webhooks`. Without it nothing is subscribed to and data comes by schedule.
    pub webhooks: Option<String>,
    /// Raw payloads are sealed under a key of their subject, so that deleting the key erases them from the log.
    pub seal_raw: bool,
    /// A token is refreshed when it has less than this left.
    pub refresh_margin_ms: u64,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            door_permits: 256,
            door_bytes: 64 << 20,
            live_concurrency: 16,
            history_concurrency: 4,
            turn_ms: 8_000,
            request_timeout_ms: 30_000,
            tries: 4,
            breaker_failures: 8,
            breaker_pause_ms: 30_000,
            webhooks: None,
            seal_raw: true,
            refresh_margin_ms: 60_000,
        }
    }
}

impl IngestSettings {
    pub fn turn(&self) -> Duration {
        Duration::from_millis(self.turn_ms)
    }

    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// `[providers.<id>]`, by provider id.
pub type Providers = BTreeMap<String, ProviderSettings>;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Of the application at a provider that connects by OAuth.
    #[serde(default)]
    pub client_id: String,
    #[serde(default)]
    pub client_secret: SecretString,
    /// Instead of the provider's own addresses: a sandbox, a region, a simulator.
    pub api_url: Option<String>,
    pub authorize_url: Option<String>,
    pub token_url: Option<String>,
    pub revoke_url: Option<String>,
    #[serde(default)]
    pub webhook: WebhookSettings,
    /// Minutes between two polls of a connection: drawn anew from this range each time.
    pub poll_minutes: Option<(u32, u32)>,
    pub history_days: Option<u32>,
    /// Times in which nothing is polled.
    #[serde(default)]
    pub maintenance: Vec<Maintenance>,
    /// Requests per minute of the application and of one user, instead of the documented ones.
    pub app_per_minute: Option<u32>,
    pub user_per_minute: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSettings {
    /// The unguessable segment of the route, where the provider does not sign.
    pub path_secret: Option<SecretString>,
    /// What the provider was told to send as `Authorization`.
    pub authorization: Option<SecretString>,
    pub authorization_required: bool,
    pub verification_code: Option<SecretString>,
    /// What the provider gave when the webhook was set up.
    pub signing_key: Option<SecretString>,
    pub subscription: Option<String>,
    pub keyset_url: Option<String>,
}

/// A daily pause, in a zone that may change its clocks: `{ zone = "America/Los_Angeles", from = "02:45", to = "03:45" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    pub zone: String,
    pub from: String,
    pub to: String,
}

impl Maintenance {
    pub(crate) fn parse(&self) -> Result<(TimeZone, Time, Time), Wrong> {
        let zone = TimeZone::get(&self.zone).map_err(|_| Wrong::new("maintenance.zone", "an IANA zone such as Europe/Paris"))?;
        let time = |key, text: &str| text.parse::<Time>().map_err(|_| Wrong::new(key, "a time such as 02:45"));
        Ok((zone, time("maintenance.from", &self.from)?, time("maintenance.to", &self.to)?))
    }
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: expected {expected}")]
pub struct Wrong {
    pub key: String,
    pub expected: String,
}

impl Wrong {
    pub(crate) fn new(key: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key: key.into(), expected: expected.into() }
    }
}

/// # Errors
/// Names the key and what was expected.
pub fn validate(ingest: &IngestSettings, providers: &Providers) -> Result<(), Wrong> {
    let positive =
        |key: &str, value: u64| if value > 0 { Ok(()) } else { Err(Wrong::new(format!("ingest.{key}"), "a number above 0")) };
    positive("door_permits", ingest.door_permits as u64)?;
    let largest =
        headwater_sources::ALL.iter().filter(|source| providers.contains_key(source.profile().id)).filter_map(|source| {
            let profile = source.profile();
            // A packed upload and what it comes to stand side by side.
            profile.webhook.as_ref().map(|w| w.body_limit).max(profile.upload.as_ref().map(|u| u.body_limit * 2))
        });
    let largest = largest.max().unwrap_or(1);
    if room::share(ingest.door_bytes) < largest {
        return Err(Wrong::new(
            "ingest.door_bytes",
            format!("at least {}, twice what the largest body of a configured provider takes", largest * 2),
        ));
    }
    positive("live_concurrency", ingest.live_concurrency as u64)?;
    positive("history_concurrency", ingest.history_concurrency as u64)?;
    positive("turn_ms", ingest.turn_ms)?;
    positive("request_timeout_ms", ingest.request_timeout_ms)?;
    positive("tries", ingest.tries.into())?;
    if ingest.webhooks.as_deref().is_some_and(|url| reqwest::Url::parse(url).is_err()) {
        return Err(Wrong::new("ingest.webhooks", "an address such as https://host/webhooks"));
    }
    for (id, provider) in providers {
        let key = |name: &str| format!("providers.{id}.{name}");
        for (name, url) in [
            ("api_url", &provider.api_url),
            ("authorize_url", &provider.authorize_url),
            ("token_url", &provider.token_url),
            ("revoke_url", &provider.revoke_url),
            ("webhook.keyset_url", &provider.webhook.keyset_url),
        ] {
            if url.as_deref().is_some_and(|url| reqwest::Url::parse(url).is_err()) {
                return Err(Wrong::new(key(name), "an address such as https://api.example.org"));
            }
        }
        let oauth = headwater_sources::by_id(id).is_some_and(|source| source.profile().oauth.is_some());
        if oauth && (provider.client_id.is_empty() || provider.client_secret.expose_secret().is_empty()) {
            return Err(Wrong::new(key("client_id"), "client_id and client_secret of the application"));
        }
        if provider.poll_minutes.is_some_and(|(min, max)| min == 0 || min > max) {
            return Err(Wrong::new(key("poll_minutes"), "[least, most] minutes, the least above 0"));
        }
        for maintenance in &provider.maintenance {
            maintenance.parse().map_err(|wrong| Wrong::new(key(&wrong.key), wrong.expected))?;
        }
    }
    Ok(())
}

impl ProviderSettings {
    pub(crate) fn api<'a>(&'a self, profile: &'a Profile) -> &'a str {
        self.api_url.as_deref().unwrap_or(profile.api).trim_end_matches('/')
    }
}
