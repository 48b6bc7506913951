//! Things that go wrong, by themselves or because somebody asked for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::dice::{self, Dice};
use crate::oauth::Params;
use crate::people::Provider;
use crate::server::Line;
use crate::world::World;
use crate::{google_health, withings};

/// One thing that can go wrong with an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Withings: HTTP 200 with status 601. Google Health: 429. `Retry-After` (seconds) is sent only where it is given here.
    RateLimited { retry_after: Option<u32> },
    /// HTTP 500.
    ServerError,
    /// The right answer, cut off in the middle: valid HTTP, invalid JSON.
    CutJson,
    /// No answer until the client gives up or the simulator stops.
    Hang,
    /// The right answer, late.
    Slow { millis: u64 },
    /// The connection is closed without an answer.
    Reset,
    /// The access token is said to be invalid, whatever it is.
    Expired,
}

impl Fault {
    /// A token endpoint takes no access token, and Google's has no quota that is documented: it must be aimed at.
    fn suits(&self, provider: Provider, endpoint: &str, aimed: bool) -> bool {
        match self {
            Self::Expired => !is_token(endpoint),
            Self::RateLimited { .. } => aimed || provider != Provider::GoogleHealth || !is_token(endpoint),
            _ => true,
        }
    }
}

/// Faults that occur by themselves, in so many of a thousand requests. Which requests follows from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    pub rate_limited: u32,
    pub server_error: u32,
}

impl FaultPlan {
    pub fn none() -> Self {
        Self { rate_limited: 0, server_error: 0 }
    }

    fn of_request(self, seed: u64, provider: Provider, number: u64) -> Option<Fault> {
        let throw = Dice::new(&[seed, dice::key(provider.name()), dice::key("fault"), number]).int(0, 999) as u32;
        if throw < self.rate_limited {
            Some(Fault::RateLimited { retry_after: None })
        } else {
            (throw < self.rate_limited + self.server_error).then_some(Fault::ServerError)
        }
    }
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self { rate_limited: 8, server_error: 3 }
    }
}

#[derive(Debug)]
pub(crate) struct Queued {
    pub provider: Provider,
    /// Part of the endpoint's name as it stands in the counts; `None` means any.
    pub endpoint: Option<String>,
    pub fault: Fault,
    pub left: u32,
}

#[derive(Debug, Default)]
pub(crate) struct FaultQueue(pub VecDeque<Queued>);

impl FaultQueue {
    fn take(&mut self, provider: Provider, endpoint: &str) -> Option<Fault> {
        let fits = |queued: &Queued| {
            queued.provider == provider
                && queued.endpoint.as_deref().is_none_or(|part| endpoint.contains(part))
                && queued.fault.suits(provider, endpoint, queued.endpoint.is_some())
        };
        let at = self.0.iter().position(fits)?;
        let queued = &mut self.0[at];
        queued.left -= 1;
        let fault = queued.fault.clone();
        if queued.left == 0 {
            self.0.remove(at);
        }
        Some(fault)
    }
}

/// Where a request enters a cloud: counted, then spoilt if it is its turn.
#[derive(Clone)]
pub(crate) struct Gate {
    pub world: Arc<World>,
    pub provider: Provider,
}

const BODY_LIMIT: usize = 1 << 20;

pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let canary = gate.world.settings.canary.clone();
    let answer = through(gate, request, next).await;
    match canary {
        Some(word) => marked(answer, &word).await,
        None => answer,
    }
}

/// The word in whatever a cloud says: as an unknown field of its data, and in its words about errors.
async fn marked(answer: Response, word: &str) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else { return plain(500, "the answer broke off") };
    let changed = match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(mut value) => {
            mark(&mut value, word);
            value.to_string().into_bytes()
        }
        Err(_) if parts.status.is_success() || parts.status.is_redirection() => bytes.to_vec(),
        Err(_) => [&bytes[..], b" ", word.as_bytes()].concat(),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(changed))
}

fn mark(value: &mut serde_json::Value, word: &str) {
    let serde_json::Value::Object(fields) = value else { return };
    // A key set is public, and read by strict readers.
    if fields.contains_key("primaryKeyId") {
        return;
    }
    for (name, field) in fields.iter_mut() {
        match field {
            serde_json::Value::String(text) if matches!(name.as_str(), "error_description" | "message") => {
                text.push(' ');
                text.push_str(word);
            }
            serde_json::Value::String(text) if name == "error" && text.contains(' ') => {
                text.push(' ');
                text.push_str(word);
            }
            serde_json::Value::Object(_) if matches!(name.as_str(), "error" | "body") => mark(field, word),
            _ => {}
        }
    }
    fields.insert("note".to_owned(), word.into());
}

async fn through(gate: Gate, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return plain(413, "the body is too large");
    };
    let endpoint = endpoint(gate.provider, &parts.method, parts.uri.path(), &body);
    let line = parts.extensions.get::<ConnectInfo<Line>>().map(|ConnectInfo(line)| line.clone());
    let fault = gate.fault(&endpoint);
    let run = async move { next.run(Request::from_parts(parts, Body::from(body))).await };
    match fault {
        None => run.await,
        Some(Fault::RateLimited { retry_after }) => {
            gate.world.count(gate.provider, |counts| counts.rate_limited += 1);
            let mut answer = gate.error(Said::TooMany, &endpoint);
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            answer
        }
        Some(Fault::ServerError) => gate.error(Said::Broken, &endpoint),
        Some(Fault::Expired) => gate.error(Said::Expired, &endpoint),
        Some(Fault::CutJson) => cut(run.await).await,
        Some(Fault::Slow { millis }) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            run.await
        }
        Some(Fault::Hang) => {
            gate.world.stopped().await;
            plain(503, "the simulator stops")
        }
        Some(Fault::Reset) => {
            if let Some(line) = line {
                line.cut();
            }
            plain(500, "this answer is never sent")
        }
    }
}

pub(crate) enum Said {
    TooMany,
    Broken,
    Expired,
}

impl Gate {
    fn fault(&self, endpoint: &str) -> Option<Fault> {
        let mut state = self.world.state();
        let counts = state.counts.entry(self.provider).or_default();
        *counts.requests.entry(endpoint.to_owned()).or_default() += 1;
        let number = counts.requests.values().sum();
        if is_page(endpoint) {
            return None;
        }
        let queued = state.faults.take(self.provider, endpoint);
        let seed = self.world.settings.seed;
        let planned = || self.world.settings.faults.of_request(seed, self.provider, number);
        queued.or_else(|| planned().filter(|fault| fault.suits(self.provider, endpoint, false)))
    }

    fn error(&self, said: Said, endpoint: &str) -> Response {
        match self.provider {
            Provider::Withings => withings::fault(said),
            other if crate::rest::ALL.contains(&other) => crate::rest::fault(said),
            _ => google_health::fault(said, is_token(endpoint)),
        }
    }
}

/// What a person's browser opens.
fn is_page(endpoint: &str) -> bool {
    ["authorize2", "/o/oauth2/", "/oauth2/auth", "/oauth/authorize", "/oauth2/login", "/oauth2Confirm"]
        .iter()
        .any(|page| endpoint.contains(page))
}

fn is_token(endpoint: &str) -> bool {
    endpoint.contains("/token") || endpoint.contains("/v2/oauth2 ")
}

/// `POST /measure getmeas`, `GET /v4/users/me/dataTypes/steps/dataPoints`.
fn endpoint(provider: Provider, method: &axum::http::Method, path: &str, body: &Bytes) -> String {
    let path = path.strip_prefix('/').and_then(|path| path.strip_prefix(provider.name())).unwrap_or(path);
    let form = Params::parse(body);
    match form.get("action") {
        Some(action) if provider == Provider::Withings => format!("{method} {path} {action}"),
        _ => format!("{method} {path}"),
    }
}

async fn cut(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}

pub(crate) fn plain(status: u16, text: &str) -> Response {
    let mut answer = Response::new(Body::from(text.to_owned()));
    *answer.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    answer
}
