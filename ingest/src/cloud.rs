//! One provider as this process knows it: what it is, how it is configured, and how it is doing.

use std::sync::Mutex;
use std::time::Duration;

use headwater_sources::keys::Keys;
use headwater_sources::{Profile, Source};
use secrecy::{ExposeSecret as _, SecretString};

use crate::clock::micros;
use crate::http::Http;
use crate::limits::Limiter;
use crate::settings::{IngestSettings, ProviderSettings};

/// A key set is good for this long, and is asked for again at most this often.
const KEYSET_LIFE: Duration = Duration::from_secs(3600);
const KEYSET_PAUSE: Duration = Duration::from_secs(60);

pub(crate) struct Cloud {
    pub source: &'static dyn Source,
    pub settings: ProviderSettings,
    pub limiter: Limiter,
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
    pub(crate) fn new(source: &'static dyn Source, settings: ProviderSettings, ingest: &IngestSettings) -> Self {
        let limits = source.profile().limits;
        let limiter = Limiter::new(
            settings.app_per_minute.or(limits.app_per_minute),
            settings.user_per_minute.or(limits.user_per_minute).or(limits.user_per_hour.map(|n| n.div_ceil(60))),
            ingest.breaker_failures,
            Duration::from_millis(ingest.breaker_pause_ms),
        );
        Self { source, settings, limiter, keyset: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    pub(crate) fn profile(&self) -> &'static Profile {
        self.source.profile()
    }

    pub(crate) fn api(&self) -> &str {
        self.settings.api(self.profile())
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
        let _flight = self.fetching.lock().await;
        {
            let mut keyset = self.keyset.lock().expect("nothing panics under this lock");
            if !stale(&keyset) {
                return false;
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
