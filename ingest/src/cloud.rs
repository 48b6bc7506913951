//! One provider as this process knows it: what it is, how it is configured, and how it is doing.

use std::sync::Mutex;
use std::time::Duration;

use headwater_sources::keys::Keys;
use headwater_sources::profile::Stream;
use headwater_sources::{Profile, Source};
use headwater_store::Connection;
use secrecy::{ExposeSecret as _, SecretString};

use crate::clock::micros;
use crate::http::Http;
use crate::limits::Limiter;
use crate::room::Share;
use crate::settings::{IngestSettings, ProviderSettings};

/// A key set is good for this long, and is asked for again at most this often.
const KEYSET_LIFE: Duration = Duration::from_secs(3600);
const KEYSET_PAUSE: Duration = Duration::from_secs(60);

pub(crate) struct Cloud {
    pub source: &'static dyn Source,
    pub settings: ProviderSettings,
    pub limiter: Limiter,
    /// For the bodies of its webhooks.
    pub room: Share,
    keyset: Mutex<Keyset>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keyset {
    bytes: Option<Vec<u8>>,
    fetched_at: i64,
    tried_at: i64,
}

impl Cloud {
    pub(crate) fn new(source: &'static dyn Source, settings: ProviderSettings, ingest: &IngestSettings, room: Share) -> Self {
        let limits = source.profile().limits;
        let limiter = Limiter::new(
            settings.app_per_minute.or(limits.app_per_minute),
            settings.user_per_minute.or(limits.user_per_minute).or(limits.user_per_hour.map(|n| n.div_ceil(60))),
            ingest.breaker_failures,
            Duration::from_millis(ingest.breaker_pause_ms),
        );
        Self { source, settings, limiter, room, keyset: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    pub(crate) fn profile(&self) -> &'static Profile {
        self.source.profile()
    }

    pub(crate) fn api(&self) -> &str {
        self.settings.api(self.profile())
    }

    /// Where this provider is to announce changes; `None` where nobody said how we are reached from outside.
    pub(crate) fn callback(&self, ingest: &IngestSettings) -> Option<String> {
        let base = ingest.webhooks.as_deref()?.trim_end_matches('/');
        let callback = format!("{base}/{}", self.profile().id);
        Some(match &self.settings.webhook.path_secret {
            Some(secret) => format!("{callback}/{}", secret.expose_secret()),
            None => callback,
        })
    }

    /// How far back a first connection looks, in microseconds.
    pub(crate) fn history(&self) -> i64 {
        const DAY: i64 = 86_400_000_000;
        i64::from(self.settings.history_days.unwrap_or(self.profile().history_days)) * DAY
    }

    /// Whether the grant of a connection covers a stream. One without scopes is of a provider that names none.
    pub(crate) fn covered(&self, connection: &Connection, stream: &Stream) -> bool {
        let needed = self.source.scope(stream);
        connection.scopes.is_empty() || needed.is_none_or(|scope| connection.scopes.iter().any(|granted| granted == scope))
    }

    /// What its webhooks are verified with, as far as it is known now.
    pub(crate) fn keys(&self) -> Keys {
        let webhook = &self.settings.webhook;
        let open = |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
        Keys {
            path_secret: open(&webhook.path_secret),
            client_secret: Some(self.settings.client_secret.expose_secret().to_owned()),
            authorization: open(&webhook.authorization),
            authorization_required: webhook.authorization_required,
            verification_code: open(&webhook.verification_code),
            signing_key: open(&webhook.signing_key),
            subscription: webhook.subscription.clone(),
            keyset: self.keyset.lock().expect("nothing panics under this lock").bytes.clone(),
        }
    }

    /// Fetches the key set if it is missing, old, or does not have a key that was asked for. True if there is another one than before.
    pub(crate) async fn refresh_keyset(&self, http: &Http, now: i64, missing_key: bool) -> bool {
        let Some(url) = self.keyset_url() else { return false };
        let stale = |keyset: &Keyset| {
            let old = keyset.bytes.is_none() || now - keyset.fetched_at > micros(KEYSET_LIFE) || missing_key;
            old && (keyset.tried_at == 0 || now - keyset.tried_at >= micros(KEYSET_PAUSE))
        };
        let (known, fetched_at, quiet) = {
            let keyset = self.keyset.lock().expect("nothing panics under this lock");
            (keyset.bytes.is_some(), keyset.fetched_at, !stale(&keyset))
        };
        if known && quiet && !missing_key {
            return false;
        }
        // With a set at hand nobody waits for another's request: the door would stand still as long as the key server does.
        let _flight = match self.fetching.try_lock() {
            Ok(flight) => flight,
            Err(_) if known && !missing_key => return false,
            Err(_) => self.fetching.lock().await,
        };
        {
            let mut keyset = self.keyset.lock().expect("nothing panics under this lock");
            if !stale(&keyset) {
                // Another's request may have brought it meanwhile.
                return keyset.fetched_at != fetched_at;
            }
            keyset.tried_at = now;
        }
        match http.get(&url).await {
            Ok(answer) if answer.status == 200 => {
                let mut keyset = self.keyset.lock().expect("nothing panics under this lock");
                let other = keyset.bytes.as_deref() != Some(&answer.body);
                (keyset.bytes, keyset.fetched_at) = (Some(answer.body), now);
                other
            }
            Ok(answer) => {
                tracing::warn!(provider = self.profile().id, status = answer.status, "key set not given");
                false
            }
            Err(e) => {
                tracing::warn!(provider = self.profile().id, "key set not fetched: {e}");
                false
            }
        }
    }

    fn keyset_url(&self) -> Option<String> {
        let url = self.settings.webhook.keyset_url.as_deref().or(self.profile().webhook.as_ref()?.keyset)?;
        Some(if url.starts_with('/') { format!("{}{url}", self.api()) } else { url.to_owned() })
    }
}
