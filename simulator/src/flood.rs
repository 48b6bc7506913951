//! More notifications than a receiver can take: signed as Polar's are, each about a person of its own, at times fixed beforehand.
//!
//! The loop is open: what is late is sent late and its time counted from when it was due, so that a slow receiver cannot make its own figures
//! look good by slowing the sender. What is later than [`Flood::patience`] is not sent any more, and counted as such.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, Uri};
use tokio::task::JoinSet;

use crate::line::Line;
use crate::rest::webhook::{hex, mac};

/// Microseconds; nothing is waited for longer.
const LONGEST: u64 = 120_000_000;
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is sent where.
#[derive(Debug, Clone)]
pub struct Flood {
    /// The route of the webhook, over plain HTTP.
    pub url: String,
    pub signing_key: String,
    /// Notifications per second; none: as fast as the answers come.
    pub rate: Option<f64>,
    pub length: Duration,
    /// Connections to send on, and so the most that wait for an answer at once.
    pub connections: usize,
    pub patience: Duration,
    /// Number of the first person.
    pub first: u64,
}

/// What became of a flood.
#[derive(Debug)]
pub struct Flooded {
    /// Whose notifications were answered with a status of 2xx.
    pub accepted: Vec<u64>,
    /// How many answers of each status; `None` where the connection failed.
    pub answers: BTreeMap<Option<u16>, u64>,
    /// Answers 503 that say when to come again.
    pub told_when: u64,
    /// Microseconds from when a notification was due until it was accepted, or refused by a 503.
    pub taken: Histogram<u64>,
    pub refused: Histogram<u64>,
    /// Microseconds from when a notification was sent until a 503 was heard: the door's own share.
    pub heard: Histogram<u64>,
    /// Microseconds from when a notification was due until it was sent: the sender's own share of the times above.
    pub late: Histogram<u64>,
    /// Due but not sent: the sender was too slow.
    pub unsent: u64,
    pub took: Duration,
}

impl Flooded {
    fn new() -> Self {
        let times = || Histogram::new_with_bounds(1, LONGEST, 3).expect("three digits can be kept");
        let (taken, refused, heard, late) = (times(), times(), times(), times());
        Self {
            accepted: vec![],
            answers: BTreeMap::new(),
            told_when: 0,
            taken,
            refused,
            heard,
            late,
            unsent: 0,
            took: Duration::ZERO,
        }
    }

    fn note(&mut self, person: u64, status: Option<u16>, retry_after: bool, (took, heard): (Duration, Duration)) {
        *self.answers.entry(status).or_default() += 1;
        let micros = micros(took);
        match status {
            Some(200..300) => {
                self.accepted.push(person);
                self.taken.saturating_record(micros);
            }
            Some(503) => {
                self.told_when += u64::from(retry_after);
                self.refused.saturating_record(micros);
                self.heard.saturating_record(self::micros(heard));
            }
            _ => {}
        }
    }
}

/// Where the senders stand.
struct Turn {
    flood: Flood,
    next: AtomicU64,
    done: Mutex<Flooded>,
    started: Instant,
    route: Route,
}

/// Where a call goes, as every one says it.
struct Route {
    /// Host and port.
    address: String,
    host: HeaderValue,
    path: Uri,
}

impl Route {
    fn of(url: &str) -> std::io::Result<Self> {
        let wrong = |why: &str| std::io::Error::other(format!("a flood goes to http://HOST:PORT/PATH: {why}"));
        let url: Uri = url.parse().map_err(|_| wrong("no URL"))?;
        let host = url.authority().filter(|_| url.scheme_str() == Some("http")).ok_or_else(|| wrong("not of http"))?.as_str();
        let path = url.path_and_query().cloned().ok_or_else(|| wrong("no path"))?;
        Ok(Self {
            address: format!("{}:{}", url.host().unwrap_or_default(), url.port_u16().unwrap_or(80)),
            host: HeaderValue::from_str(host).map_err(|_| wrong("no host"))?,
            path: path.into(),
        })
    }
}

/// Sends until the time is up and the last answer is there.
///
/// # Errors
/// Where the URL is not one of plain HTTP.
pub async fn flood(flood: Flood) -> std::io::Result<Flooded> {
    let route = Route::of(&flood.url)?;
    let (connections, started) = (flood.connections, Instant::now());
    let turn = Arc::new(Turn { flood, next: AtomicU64::new(0), done: Mutex::new(Flooded::new()), started, route });
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        senders.spawn(turn.clone().send());
    }
    while let Some(sent) = senders.join_next().await {
        sent?;
    }
    let mut done = std::mem::replace(&mut *turn.done(), Flooded::new());
    done.took = started.elapsed();
    Ok(done)
}

impl Turn {
    fn done(&self) -> MutexGuard<'_, Flooded> {
        self.done.lock().expect("nothing panics under this lock")
    }

    async fn send(self: Arc<Self>) {
        let (flood, mut line) = (&self.flood, Line::new(&self.route.address));
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let due = flood.rate.map_or_else(|| self.started.elapsed(), |rate| Duration::from_secs_f64(number as f64 / rate));
            if due >= flood.length {
                return;
            }
            tokio::time::sleep_until((self.started + due).into()).await;
            let late = self.started.elapsed().saturating_sub(due);
            if late > flood.patience {
                self.done().unsent += 1;
                continue;
            }
            self.done().late.saturating_record(micros(late));
            self.one(&mut line, flood.first + number, due).await;
        }
    }

    async fn one(&self, line: &mut Line, person: u64, due: Duration) {
        let body = format!(
            r#"{{"event":"EXERCISE","user_id":{person},"entity_id":"{person}","timestamp":"2026-06-01T08:00:00Z","url":"https://example.invalid/never-followed"}}"#
        );
        let signature = hex(&mac(&self.flood.signing_key, &[body.as_bytes()]));
        let sent = Instant::now();
        let request = Request::post(self.route.path.clone())
            .header(HOST, self.route.host.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("polar-webhook-signature", signature)
            .body(body.into())
            .expect("each part is valid by itself");
        let answer = tokio::time::timeout(TIMEOUT, line.ask(request)).await.ok().flatten();
        let status = answer.as_ref().map(|answer| answer.status.as_u16());
        let retry_after = answer.is_some_and(|answer| answer.headers.contains_key(RETRY_AFTER));
        let times = (self.started.elapsed().saturating_sub(due), sent.elapsed());
        self.done().note(person, status, retry_after, times);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
