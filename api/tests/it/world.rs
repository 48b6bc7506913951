//! The API on a port, over a simulated cloud, a store in memory and a log in memory that fails on command.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use headwater_api::auth::{Clock, DevKeys, Grant};
use headwater_api::mail::Mailer;
use headwater_api::{Access, Api, Settings};
use headwater_ingest::clock::Manual;
use headwater_ingest::settings::{IngestSettings, Providers};
use headwater_ingest::{Ingest, Outlet, OutletError};
use headwater_schemas::audit::Audit;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Topic};
use headwater_simulator::{Person, Provider, Simulator};
use headwater_store::Store;
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::task::JoinSet;

pub const ISSUER: &str = "https://id.example.org";
pub const AUDIENCE: &str = "headwater";
pub const TOKEN: &str = "the-static-token";
pub const BACK: &str = "https://app.example.org/connected";

#[derive(Default)]
pub struct Memory {
    records: Mutex<Vec<(&'static Topic, Vec<u8>)>>,
    pub failing: AtomicBool,
}

#[async_trait]
impl Outlet for Memory {
    async fn append(&self, outbox: &Outbox) -> Result<(), OutletError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(OutletError::Unavailable { why: "test".into() });
        }
        let mut records = self.records.lock().expect("no test panics under this lock");
        records.extend(outbox.records().iter().map(|r| (r.topic, outbox.body(r).to_vec())));
        Ok(())
    }
}

pub struct World {
    pub url: String,
    pub store: Arc<dyn Store>,
    pub log: Arc<Memory>,
    pub clock: Arc<Manual>,
    pub keys: DevKeys,
    pub person: Person,
    _simulator: Simulator,
    _serving: JoinSet<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Microseconds since the epoch, now.
fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let simulator = Simulator::start(headwater_simulator::Settings::quiet()).await.expect("a simulator");
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(":memory:".as_ref(), Keyring::ephemeral()).await.expect("a store"));
        store.migrate().await.expect("tables");
        let cloud = format!("{}/google_health", simulator.url());
        let providers: Providers = serde_json::from_value(serde_json::json!({ "google_health": {
            "client_id": "headwater-dev", "client_secret": "headwater-dev-secret", "api_url": cloud,
            "authorize_url": format!("{cloud}/o/oauth2/v2/auth"), "token_url": format!("{cloud}/token"),
            "revoke_url": format!("{cloud}/revoke"),
        }}))
        .expect("settings");
        let (log, clock) = (Arc::new(Memory::default()), Arc::new(Manual::at(now())));
        let ingest =
            Ingest::new(IngestSettings::default(), providers, store.clone(), log.clone(), clock.clone()).expect("ingest");
        let keys = DevKeys::generate();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut settings = Settings { public_url: url.clone(), return_urls: vec![BACK.into()], ..Settings::default() };
        change(&mut settings);
        let mailer = settings.mail.as_ref().map(|mail| Mailer::new(mail).expect("a mailer"));
        let verifier = Arc::new(keys.verifier(ISSUER, AUDIENCE, Clock::system()));
        let api = Api {
            store: store.clone(),
            accounts: ingest.accounts(),
            settings,
            access: Access { token: Some(TOKEN.into()), verifier: Some(verifier) },
            mailer,
            feed: None,
        };
        let mut serving = JoinSet::new();
        let router = headwater_api::router(Arc::new(api));
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let people = simulator.control().people();
        let person = people.into_iter().find(|p| p.provider == Provider::GoogleHealth).expect("a person");
        Self { url, store, log, clock, keys, person, _simulator: simulator, _serving: serving }
    }

    pub fn token(&self, scope: &str, sub: &str, subjects: &[&str]) -> String {
        self.mint(&self.keys, ISSUER, AUDIENCE, (scope, sub, subjects), 600)
    }

    pub fn mint(&self, keys: &DevKeys, issuer: &str, audience: &str, who: (&str, &str, &[&str]), lifetime: i64) -> String {
        let (scope, sub, subjects) = who;
        let grant = Grant {
            issuer,
            audience,
            sub,
            scope,
            subjects,
            issued_at: jiff::Timestamp::now().as_second() - 3600,
            lifetime_seconds: 3600 + lifetime,
        };
        keys.mint(&grant).expose_secret().to_owned()
    }

    pub async fn ask(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let mut request = client().request(method.parse().expect("a method"), format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(request).await
    }

    /// A page, with a cookie of a browser's.
    pub async fn page(&self, url: &str, cookie: &str) -> Answer {
        let url = if url.starts_with('/') { format!("{}{url}", self.url) } else { url.to_owned() };
        read(client().get(url).header("cookie", cookie)).await
    }

    pub async fn form(&self, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
        read(client().post(format!("{}{path}", self.url)).header("cookie", cookie).form(form)).await
    }

    /// A link for a subject, opened: the cookie and where it leads.
    pub async fn open(&self, link: &str) -> (String, Answer) {
        let answer = self.page(link, "").await;
        let cookie = answer.headers.get("set-cookie").map(|c| c.split(';').next().unwrap_or_default().to_owned());
        (cookie.unwrap_or_default(), answer)
    }

    /// The provider's redirect after the person said yes.
    pub async fn allow(&self, consent: &str) -> String {
        let url = format!("{consent}&simulate_consent={}", self.person.user_id);
        self.page(&url, "").await.headers["location"].clone()
    }

    pub async fn connect(&self, subject: &str) -> uuid::Uuid {
        let ask = serde_json::json!({ "provider": "google_health", "subject": subject });
        let begun = self.ask("POST", "/v1/connections", TOKEN, Some(ask)).await;
        let (cookie, started) = self.open(begun.json()["connect_url"].as_str().expect("a link")).await;
        let redirect = self.allow(&started.headers["location"]).await;
        let done = self.page(&redirect, &cookie).await;
        assert_eq!(done.headers.get("location").map(String::as_str), Some("/connect?told=connected"), "{done:?}");
        self.store.connections_of(subject).await.expect("the store")[0]
    }

    /// Actor, action, subject and outcome of each recorded act so far.
    pub fn acts(&self) -> Vec<(String, String, Option<String>, String)> {
        let records = self.log.records.lock().expect("no test panics under this lock");
        let audits = records.iter().filter(|(topic, _)| *topic == &topics::AUDIT);
        let act = |body: &[u8]| {
            let audit = Audit::decode(body).expect("our own record");
            let subject = audit.subject_id.map(str::to_owned);
            (audit.actor.to_owned(), audit.action.to_owned(), subject, audit.outcome.as_str().to_owned())
        };
        audits.map(|(_, body)| act(body)).collect()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.expect("an answer");
    let headers = answer.headers().iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect();
    Answer { status: answer.status().as_u16(), headers, text: answer.text().await.expect("a body") }
}
