//! A client that knows the providers' documentation, and a receiver for their notifications.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use headwater_simulator::{Clock, Control, Person, Provider, Settings, Simulator};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub const REDIRECT: &str = "http://127.0.0.1:1/callback";
pub const GOOGLE_SCOPES: &str = "https://www.googleapis.com/auth/googlehealth.activity_and_fitness.readonly \
    https://www.googleapis.com/auth/googlehealth.health_metrics_and_measurements.readonly \
    https://www.googleapis.com/auth/googlehealth.sleep.readonly";

/// A simulator that stands still at noon of 20 November 2026 (UTC), with a client.
pub struct Cloud {
    pub simulator: Simulator,
    pub control: Control,
    pub clock: Clock,
    pub http: reqwest::Client,
}

pub fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

pub fn still() -> Settings {
    Settings { clock: Clock::fixed(noon()), ..Settings::quiet() }
}

impl Cloud {
    pub async fn start(settings: Settings) -> Result<Self> {
        let clock = settings.clock.clone();
        let simulator = Simulator::start(settings).await?;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { control: simulator.control(), simulator, clock, http })
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    pub fn person(&self, provider: Provider, index: usize) -> Person {
        self.control
            .people()
            .into_iter()
            .filter(|person| person.provider == provider)
            .nth(index)
            .expect("settings have this many people")
    }

    /// The parameters that came back to the redirect URI.
    pub async fn authorize(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        let answer = self.http.get(self.url(path)).query(query).send().await?;
        ensure!(answer.status().is_redirection(), "{}: {}", answer.status(), answer.text().await?);
        let location = answer.headers()["location"].to_str()?.to_owned();
        ensure!(location.starts_with(REDIRECT), "{location}");
        Ok(reqwest::Url::parse(&location)?.query_pairs().into_owned().collect())
    }

    pub async fn withings_code(&self, user_id: &str) -> Result<String> {
        let back = self
            .authorize(
                "/withings/oauth2_user/authorize2",
                &[
                    ("response_type", "code"),
                    ("client_id", "headwater-dev"),
                    ("state", "s1"),
                    ("scope", "user.info,user.metrics,user.activity"),
                    ("redirect_uri", REDIRECT),
                    ("simulate_consent", user_id),
                ],
            )
            .await?;
        ensure!(back.contains(&("state".into(), "s1".into())));
        value(&back, "code")
    }

    pub async fn withings(&self, path: &str, token: Option<&str>, form: &[(&str, &str)]) -> Result<Value> {
        let mut request = self.http.post(self.url(&format!("/withings{path}"))).form(form);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        ensure!(answer.status() == 200, "Withings answers errors with 200, this was {}", answer.status());
        Ok(answer.json().await?)
    }

    pub async fn withings_exchange(&self, more: &[(&str, &str)]) -> Result<Value> {
        let fixed = [("action", "requesttoken"), ("client_id", "headwater-dev"), ("client_secret", "headwater-dev-secret")];
        self.withings("/v2/oauth2", None, &[&fixed, more].concat()).await
    }

    pub async fn withings_tokens(&self, user_id: &str) -> Result<(String, String)> {
        let code = self.withings_code(user_id).await?;
        let fields = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
        tokens(&self.withings_exchange(&fields).await?["body"])
    }

    pub async fn withings_refresh(&self, refresh: &str) -> Result<Value> {
        self.withings_exchange(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await
    }

    pub async fn google_code(&self, user_id: &str, more: &[(&str, &str)]) -> Result<String> {
        let fixed = [
            ("response_type", "code"),
            ("client_id", "headwater-dev"),
            ("state", "s2"),
            ("scope", GOOGLE_SCOPES),
            ("redirect_uri", REDIRECT),
            ("access_type", "offline"),
            ("prompt", "consent"),
            ("simulate_consent", user_id),
        ];
        value(&self.authorize("/google_health/o/oauth2/v2/auth", &[&fixed, more].concat()).await?, "code")
    }

    pub async fn google_exchange(&self, more: &[(&str, &str)]) -> Result<(u16, Value)> {
        let fixed = [("client_id", "headwater-dev"), ("client_secret", "headwater-dev-secret")];
        let answer = self.http.post(self.url("/google_health/token")).form(&[&fixed, more].concat()).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    pub async fn google_tokens(&self, user_id: &str) -> Result<(String, String)> {
        let code = self.google_code(user_id, &[]).await?;
        let fields = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
        let (status, body) = self.google_exchange(&fields).await?;
        ensure!(status == 200, "{body}");
        tokens(&body)
    }

    pub async fn google(&self, token: &str, path: &str, query: &[(&str, &str)]) -> Result<(u16, Value)> {
        let request = self.http.get(self.url(&format!("/google_health/v4/users/me/{path}"))).query(query).bearer_auth(token);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    pub async fn google_post(&self, token: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.http.post(self.url(&format!("/google_health/v4/{path}"))).json(body).bearer_auth(token);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }
}

fn tokens(body: &Value) -> Result<(String, String)> {
    let text = |name: &str| body[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {body}"));
    Ok((text("access_token")?, text("refresh_token")?))
}

fn value(pairs: &[(String, String)], name: &str) -> Result<String> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).with_context(|| format!("no {name} in {pairs:?}"))
}

/// One request as a receiver got it.
#[derive(Clone, Debug)]
pub struct Got {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(json!(null))
    }

    /// Neither handshake nor HEAD.
    pub fn is_data(&self) -> bool {
        self.method == Method::POST && self.json()["type"] != "verification"
    }
}

type Rule = Arc<dyn Fn(&Got) -> u16 + Send + Sync>;

/// Keeps everything it gets and answers by a rule.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    got: Arc<Mutex<Vec<Got>>>,
    arrived: Arc<watch::Sender<usize>>,
    rule: Rule,
    /// Its task holds a clone of this receiver, so it lives as long as the test.
    server: Arc<Mutex<JoinSet<std::io::Result<()>>>>,
}

impl Receiver {
    pub async fn start(rule: impl Fn(&Got) -> u16 + Send + Sync + 'static) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self {
            url: format!("http://{}/secret", listener.local_addr()?),
            got: Arc::default(),
            arrived: Arc::new(watch::Sender::new(0)),
            rule: Arc::new(rule),
            server: Arc::default(),
        };
        let app = Router::new().fallback(take).with_state(receiver.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await });
        if let Ok(mut held) = receiver.server.lock() {
            *held = server;
        }
        Ok(receiver)
    }

    pub fn all(&self) -> Vec<Got> {
        self.got.lock().map(|got| got.clone()).unwrap_or_default()
    }

    /// Waits until so many requests have come that fit.
    pub async fn wait_for(&self, count: usize, fits: impl Fn(&Got) -> bool) -> Result<Vec<Got>> {
        let mut arrived = self.arrived.subscribe();
        let waiting = async {
            loop {
                let fitting: Vec<Got> = self.all().into_iter().filter(|got| fits(got)).collect();
                if fitting.len() >= count {
                    return anyhow::Ok(fitting);
                }
                arrived.changed().await?;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.context("not enough requests came in time")?
    }
}

async fn take(State(receiver): State<Receiver>, method: Method, headers: HeaderMap, body: Bytes) -> StatusCode {
    let got = Got { method, headers, body };
    let status = (receiver.rule)(&got);
    if let Ok(mut all) = receiver.got.lock() {
        all.push(got);
    }
    receiver.arrived.send_modify(|count| *count += 1);
    StatusCode::from_u16(status).unwrap_or_default()
}

/// A receiver that behaves as Google Health asks: 201 and 401 to the handshake, 204 to data.
pub fn proper(got: &Got) -> u16 {
    match (got.is_data(), got.header("authorization")) {
        (_, None) => 401,
        (false, Some(_)) => 201,
        (true, Some(_)) => 204,
    }
}
