//! The key set of the issuer, kept and refreshed: by URL or from a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{CACHE_CONTROL, HeaderMap};
use reqwest::{Client, Url, redirect};
use tokio::io::AsyncReadExt as _;
use tokio::task::{JoinError, JoinSet};

use super::Clock;
use super::denied::Reason;
use super::key::KeySet;
use super::settings::{Location, SetupError};

const TIMEOUT: Duration = Duration::from_secs(10);
const SIZE_MAX: usize = 256 * 1024;
/// Seconds a fetched set is good for, where the answer says nothing, and the bounds of what it may say.
const LASTS: i64 = 600;
const LASTS_MIN: i64 = 60;
const LASTS_MAX: i64 = 3600;
/// Seconds between two fetches, and while there is no set at all.
const PAUSE: i64 = 30;
const PAUSE_EMPTY: i64 = 5;
/// Seconds between two looks at a file.
const FILE_PAUSE: i64 = 10;
/// Seconds a set stays in use while no newer one can be had.
const KEPT: i64 = 24 * 3600;

/// The key set as it is now.
pub(super) struct Keys {
    source: Source,
    clock: Clock,
    state: Mutex<State>,
    /// The load under way. A task, so that callers who hang up neither end it nor make the next one start anew.
    flight: tokio::sync::Mutex<JoinSet<Load>>,
}

#[derive(Clone)]
enum Source {
    Url {
        client: Client,
        url: Url,
    },
    File(PathBuf),
    /// Never changes.
    Memory(Arc<KeySet>),
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// When the newest load began or, once it is over, when it ended: those who waited for it in vain do not begin the next.
    tried: Option<i64>,
}

struct Held {
    set: Arc<KeySet>,
    /// When the set was last known to be the newest.
    at: i64,
    /// Seconds from `at` within which nobody asks for a newer one.
    lasts: i64,
    stamp: Option<Stamp>,
}

/// Tells whether a file has changed.
type Stamp = (SystemTime, u64);

/// A load that is over.
struct Load {
    ended: i64,
    loaded: Result<Loaded, LoadError>,
}

enum Loaded {
    Set {
        set: Arc<KeySet>,
        lasts: i64,
        stamp: Option<Stamp>,
    },
    /// The file is still the one of the stamp.
    Same,
}

#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("{0}")]
    Request(reqwest::Error),
    #[error("status {0}, expected 200")]
    Status(u16),
    #[error("expected at most 256 KiB")]
    Size,
    #[error("expected a JWK set")]
    Content,
    #[error("{0}")]
    File(std::io::Error),
    #[error("the load did not end")]
    Task,
}

impl Keys {
    pub fn new(location: Location, clock: Clock) -> Result<Self, SetupError> {
        Ok(Self::of(
            match location {
                Location::Url(url) => Source::Url { client: client(&url).map_err(SetupError::Client)?, url },
                Location::File(path) => Source::File(path),
            },
            clock,
        ))
    }

    pub fn fixed(set: KeySet, clock: Clock) -> Self {
        Self::of(Source::Memory(Arc::new(set)), clock)
    }

    /// The set, refreshed if its time is over. Who finds a refresh under way goes on with the old set, where there is one.
    pub async fn current(&self) -> Result<Arc<KeySet>, Reason> {
        if let Some(set) = self.held(|held| held.lasts) {
            return Ok(set);
        }
        let flight = match (self.flight.try_lock(), self.held(|_| KEPT)) {
            (Ok(flight), _) => flight,
            (Err(_), Some(old)) => return Ok(old),
            (Err(_), None) => self.flight.lock().await,
        };
        self.refresh(flight).await
    }

    /// The set after a refresh, for a token whose key is not in the one at hand.
    pub async fn newer(&self) -> Result<Arc<KeySet>, Reason> {
        self.refresh(self.flight.lock().await).await
    }

    fn of(source: Source, clock: Clock) -> Self {
        Self { source, clock, state: Mutex::default(), flight: tokio::sync::Mutex::default() }
    }

    async fn refresh(&self, mut flight: tokio::sync::MutexGuard<'_, JoinSet<Load>>) -> Result<Arc<KeySet>, Reason> {
        // What a caller who hung up has left behind.
        while let Some(done) = flight.try_join_next() {
            self.settle(done);
        }
        if flight.is_empty() && self.begin() {
            let stamp = self.state().held.as_ref().and_then(|held| held.stamp);
            let (source, clock) = (self.source.clone(), self.clock.clone());
            flight.spawn(async move {
                let loaded = load(source, stamp).await;
                Load { ended: clock.now(), loaded }
            });
        }
        if let Some(done) = flight.join_next().await {
            self.settle(done);
        }
        self.held(|_| KEPT).ok_or(Reason::KeysUnavailable)
    }

    /// Whether a load may begin now; if so it counts as begun.
    fn begin(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let pause = match (&self.source, &state.held) {
            (Source::Memory(_), _) => return false,
            (Source::File(_), _) => FILE_PAUSE,
            (Source::Url { .. }, Some(held)) if within(now, held.at, KEPT) => PAUSE,
            (Source::Url { .. }, _) => PAUSE_EMPTY,
        };
        let begin = state.tried.is_none_or(|tried| !within(now, tried, pause));
        if begin {
            state.tried = Some(now);
        }
        begin
    }

    fn settle(&self, load: Result<Load, JoinError>) {
        let Load { ended, loaded } = load.unwrap_or_else(|_| Load { ended: self.clock.now(), loaded: Err(LoadError::Task) });
        let mut state = self.state();
        state.tried = Some(ended);
        match (loaded, &mut state.held) {
            (Ok(Loaded::Set { set, lasts, stamp }), held) => *held = Some(Held { set, at: ended, lasts, stamp }),
            (Ok(Loaded::Same), Some(held)) => held.at = ended,
            (Ok(Loaded::Same), None) => {}
            (Err(error), held) => {
                tracing::warn!(kept = held.is_some(), "the JWK set could not be loaded: {error}");
            }
        }
    }

    /// The set, if it is not older than `age` allows.
    fn held(&self, age: impl Fn(&Held) -> i64) -> Option<Arc<KeySet>> {
        if let Source::Memory(set) = &self.source {
            return Some(set.clone());
        }
        let now = self.clock.now();
        let state = self.state();
        state.held.as_ref().filter(|held| within(now, held.at, age(held))).map(|held| held.set.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `now` is less than `seconds` after `then`. A clock that was set back ends every such time.
fn within(now: i64, then: i64, seconds: i64) -> bool {
    (0..seconds).contains(&now.saturating_sub(then))
}

fn client(url: &Url) -> reqwest::Result<Client> {
    let client = Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT);
    // Plain http is for this machine only: neither a proxy nor another host is part of that.
    if url.scheme() == "https" { client.https_only(true).build() } else { client.no_proxy().build() }
}

async fn load(source: Source, stamp: Option<Stamp>) -> Result<Loaded, LoadError> {
    match source {
        Source::Url { client, url } => {
            let (set, lasts) = fetch(&client, url).await?;
            Ok(Loaded::Set { set, lasts, stamp: None })
        }
        Source::File(path) => {
            let read = read(&path, stamp).await.map_err(LoadError::File)?;
            let Some((document, stamp)) = read else { return Ok(Loaded::Same) };
            if document.len() > SIZE_MAX {
                return Err(LoadError::Size);
            }
            Ok(Loaded::Set { set: parse(&document)?, lasts: FILE_PAUSE, stamp: Some(stamp) })
        }
        Source::Memory(_) => Ok(Loaded::Same),
    }
}

async fn fetch(client: &Client, url: Url) -> Result<(Arc<KeySet>, i64), LoadError> {
    let request = |error: reqwest::Error| LoadError::Request(error.without_url());
    let mut response = client.get(url).send().await.map_err(request)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(LoadError::Status(response.status().as_u16()));
    }
    let lasts = max_age(response.headers()).unwrap_or(LASTS).clamp(LASTS_MIN, LASTS_MAX);
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(request)? {
        document.extend_from_slice(&chunk);
        if document.len() > SIZE_MAX {
            return Err(LoadError::Size);
        }
    }
    Ok((parse(&document)?, lasts))
}

/// Seconds; none for an answer that is not to be kept.
fn max_age(headers: &HeaderMap) -> Option<i64> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<String> = values.flat_map(|value| value.split(',')).map(|d| d.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|directive| directive == "no-store" || directive == "no-cache") {
        return Some(0);
    }
    directives.iter().find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

/// The file and its stamp, or nothing while the stamp is still `known`.
async fn read(path: &Path, known: Option<Stamp>) -> std::io::Result<Option<(Vec<u8>, Stamp)>> {
    let file = tokio::fs::File::open(path).await?;
    let meta = file.metadata().await?;
    let stamp = (meta.modified()?, meta.len());
    if known == Some(stamp) {
        return Ok(None);
    }
    let mut document = Vec::new();
    file.take(SIZE_MAX as u64 + 1).read_to_end(&mut document).await?;
    Ok(Some((document, stamp)))
}

fn parse(document: &[u8]) -> Result<Arc<KeySet>, LoadError> {
    KeySet::parse(document).map(Arc::new).ok_or(LoadError::Content)
}
