//! A simulated cloud, a real SQLite store, and a log in memory that fails on command.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use headwater_ingest::account::{Begin, Callback, Finished};
use headwater_ingest::clock::System;
use headwater_ingest::settings::{IngestSettings, Providers};
use headwater_ingest::{Ingest, Outlet, OutletError};
use headwater_schemas::coverage::Coverage;
use headwater_schemas::hint::Hint;
use headwater_schemas::topics::{self, Subject};
use headwater_schemas::{Outbox, Topic};
use headwater_simulator::{Control, Person, Provider, Settings, Simulator, WebhookTargets};
use headwater_store::Store;
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use uuid::Uuid;

pub const AUTHORIZATION: &str = "Bearer told-to-the-provider";

/// One appended record.
#[derive(Clone)]
pub struct Appended {
    pub topic: &'static Topic,
    pub body: Vec<u8>,
}

#[derive(Default)]
pub struct Memory {
    pub records: Mutex<Vec<Appended>>,
    pub failing: AtomicBool,
    pub hanging: AtomicBool,
}

#[async_trait]
impl Outlet for Memory {
    async fn append(&self, outbox: &Outbox) -> Result<(), OutletError> {
        if self.hanging.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.failing.load(Ordering::SeqCst) {
            return Err(OutletError::Unavailable { why: "test".into() });
        }
        let mut records = self.records.lock().expect("no test panics under this lock");
        records.extend(outbox.records().iter().map(|r| Appended { topic: r.topic, body: outbox.body(r).to_vec() }));
        Ok(())
    }
}

impl Memory {
    /// Bodies on a topic, oldest first.
    pub fn on(&self, topic: &Topic) -> Vec<Vec<u8>> {
        self.records
            .lock()
            .expect("no test panics under this lock")
            .iter()
            .filter(|r| r.topic == topic)
            .map(|r| r.body.clone())
            .collect()
    }

    pub fn outcomes(&self) -> Vec<&'static str> {
        self.on(&topics::COVERAGE).iter().map(|body| Coverage::decode(body).expect("our own record").outcome.as_str()).collect()
    }
}

pub struct World {
    pub simulator: Simulator,
    pub store: Arc<dyn Store>,
    pub log: Arc<Memory>,
    pub ingest: Ingest,
    pub person: Person,
    pub connection: Uuid,
}

impl World {
    pub fn control(&self) -> Control {
        self.simulator.control()
    }

    /// A connected person of the cloud that signs, with nothing appended yet.
    pub async fn new() -> Self {
        Self::with(Settings::quiet(), "").await
    }

    /// The same with other clouds, or with the data API elsewhere at the simulator.
    pub async fn with(settings: Settings, api: &str) -> Self {
        let settings =
            Settings { webhooks: Some(WebhookTargets::under("http://127.0.0.1:1/webhooks", "x", AUTHORIZATION)), ..settings };
        let simulator = Simulator::start(settings).await.expect("a simulator");
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(":memory:".as_ref(), Keyring::ephemeral()).await.expect("a store"));
        store.migrate().await.expect("tables");
        let log = Arc::new(Memory::default());
        let cloud = format!("{}/google_health", simulator.url());
        let person = simulator.control().people().into_iter().find(|p| p.provider == Provider::GoogleHealth).expect("a person");
        let connected = ingest(&cloud, &cloud, store.clone(), log.clone(), IngestSettings::default());
        let connection = connect(&connected, "google_health", &person.user_id, "person-1").await.connection;
        log.records.lock().expect("no test panics under this lock").clear();
        let api = if api.is_empty() { cloud.clone() } else { format!("{}{api}", simulator.url()) };
        let ingest = ingest(
            &api,
            &cloud,
            store.clone(),
            log.clone(),
            IngestSettings { request_timeout_ms: 6_000, tries: 2, ..IngestSettings::default() },
        );
        Self { simulator, store, log, ingest, person, connection }
    }

    /// Another instance over the same store and cloud.
    pub fn instance(&self, settings: IngestSettings) -> Ingest {
        let cloud = format!("{}/google_health", self.simulator.url());
        ingest(&cloud, &cloud, self.store.clone(), self.log.clone(), settings)
    }

    /// Another instance that may ask so many times in a minute.
    pub fn at_pace(&self, per_minute: u32) -> Ingest {
        let cloud = format!("{}/google_health", self.simulator.url());
        let settings = IngestSettings::default();
        ingest_at(Some(per_minute), &cloud, &cloud, self.store.clone(), self.log.clone(), settings)
    }

    /// A hint for a stream over a window of microseconds.
    pub fn hint<'a>(&self, stream: &'a str, window: Option<(i64, i64)>) -> Hint<'a> {
        Hint {
            hint_id: Uuid::new_v4(),
            provider: "google_health",
            connection_id: self.connection,
            cause: headwater_schemas::hint::Cause::Webhook,
            lane: headwater_schemas::raw::Lane::Live,
            change: headwater_schemas::hint::Change::Data,
            streams: vec![stream],
            window_start: window.map(|w| w.0),
            window_end: window.map(|w| w.1),
            created_at: 0,
            not_before: None,
            attempt: 0,
            object: None,
        }
    }

    /// Requests the cloud has had for a type of data.
    pub fn asked(&self, part: &str) -> u64 {
        let counts = self.control().counts();
        counts[&Provider::GoogleHealth].requests.iter().filter(|(name, _)| name.contains(part)).map(|(_, n)| n).sum()
    }

    /// Makes the stored access token an expired one.
    pub async fn expire(&self) {
        let mut tokens = self.store.tokens(self.connection).await.expect("the store").expect("tokens");
        let expected = Some(tokens.generation);
        (tokens.expires_at, tokens.generation) = (Some(1), tokens.generation + 1);
        assert!(self.store.put_tokens(self.connection, expected, &tokens).await.expect("the store"));
    }
}

pub const REDIRECT: &str = "http://127.0.0.1:1/callback";
pub const SESSION: [u8; 32] = [7; 32];

/// Where the provider sends the browser back to, as parameters.
pub async fn consent(url: &str, answer: &[(&str, &str)]) -> HashMap<String, String> {
    let mut url: reqwest::Url = url.parse().expect("a URL");
    url.query_pairs_mut().extend_pairs(answer);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let answer = http.get(url).send().await.expect("an answer");
    let location: reqwest::Url = answer.headers()["location"].to_str().expect("text").parse().expect("a URL");
    location.query_pairs().into_owned().collect()
}

pub fn begin<'a>(provider: &'a str, subject: &'a str) -> Begin<'a> {
    Begin { provider, subject, session: &SESSION, redirect_uri: REDIRECT, zone: None, invitation: None, note: "note" }
}

pub fn callback<'a>(provider: &'a str, given: &'a HashMap<String, String>) -> Callback<'a> {
    let get = |name: &str| given.get(name).map(String::as_str);
    Callback {
        provider,
        state: get("state").unwrap_or_default(),
        code: get("code"),
        error: get("error"),
        issuer: get("iss"),
        session: Some(&SESSION),
    }
}

/// The whole way of a person who says yes.
pub async fn connect(ingest: &Ingest, provider: &str, user: &str, subject: &str) -> Finished {
    let accounts = ingest.accounts();
    let started = accounts.begin(begin(provider, subject)).await.expect("an address");
    let given = consent(&started.url, &[("simulate_consent", user)]).await;
    accounts.finish(callback(provider, &given)).await.expect("connected")
}

fn ingest(api: &str, cloud: &str, store: Arc<dyn Store>, log: Arc<Memory>, settings: IngestSettings) -> Ingest {
    ingest_at(None, api, cloud, store, log, settings)
}

/// The same at a pace: requests of the application in a minute.
fn ingest_at(
    pace: Option<u32>,
    api: &str,
    cloud: &str,
    store: Arc<dyn Store>,
    log: Arc<Memory>,
    settings: IngestSettings,
) -> Ingest {
    let providers: Providers = serde_json::from_value(serde_json::json!({ "google_health": {
        "app_per_minute": pace,
        "client_id": "headwater-dev", "client_secret": "headwater-dev-secret", "api_url": api,
        "authorize_url": format!("{cloud}/o/oauth2/v2/auth"), "token_url": format!("{cloud}/token"), "revoke_url": format!("{cloud}/revoke"),
        "webhook": { "authorization": AUTHORIZATION, "keyset_url": format!("{cloud}/webhooks_public_keyset.json") },
    }}))
    .expect("settings");
    Ingest::new(settings, providers, store, log, Arc::new(System)).expect("ingest")
}
