//! One window of one stream: ask, compare with what we hold, append, and only then remember.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use headwater_schemas::coverage::{Coverage, Outcome};
use headwater_schemas::raw::{Amended, Gone, Lane, Origin, Raw};
use headwater_schemas::reading::Normalized;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, ids};
use headwater_sources::profile::{Poll, Stream};
use headwater_sources::source::{self, Ask, Digest, Fetch, Method, Window};
use headwater_store::seal::DataKey;
use headwater_store::{Connection, body};
use uuid::Uuid;

use super::ask::Got;
use super::job::People;
use super::{Fetcher, WINDOWS};
use crate::Unavailable;
use crate::account::Tally;
use crate::cloud::Cloud;
use crate::held::{self, Bucket, Held};
use crate::http::Answer;

/// A provider that never ends its pages is not followed further than this.
const PAGES: usize = 1000;
/// Headers of an answer that may matter to the meaning of its body.
const HEADERS: &[&str] = &["date", "last-modified", "etag", "content-language"];

/// What is asked for whom.
pub(super) struct Target<'t> {
    pub people: &'t People,
    pub cloud: &'t Cloud,
    pub stream: &'static Stream,
    pub lane: Lane,
    pub tally: &'t Mutex<Tally>,
    /// When the turn is over.
    pub until: i64,
}

impl<'t> Target<'t> {
    pub fn connection(&self) -> &'t Connection {
        &self.people.connection
    }

    fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock().expect("nothing panics under this lock"));
    }
}

/// Why a job goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    Unavailable(Unavailable),
    /// The rest is for later; `pace` where nothing is wrong but the pace.
    Later {
        why: &'static str,
        after: Option<Duration>,
        pace: bool,
    },
    /// As `Later`, with the newer windows of the stream done: only this one is left.
    Left {
        window: Window,
        why: &'static str,
        after: Option<Duration>,
        pace: bool,
    },
    /// The connection is at its end; there is nothing more to ask.
    Ended,
}

impl<E: Into<Unavailable>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A page as it came.
struct Page {
    request: String,
    answer: Answer,
    fetched_at: i64,
    /// False for a body that could not be understood.
    readable: bool,
}

/// All pages of a window.
#[derive(Default)]
struct Pages {
    pages: Vec<Page>,
    digests: Vec<Digest>,
    empty: bool,
    /// Every page came and was understood: what is not in them is not there.
    complete: bool,
    failed: Option<&'static str>,
    /// What was asked for will be pushed: this answer says nothing about the window.
    coming: bool,
}

/// What comparing with what we held came to.
#[derive(Default)]
struct Compared {
    now: HashMap<Uuid, Held>,
    amended: Vec<Amended>,
    gone: Vec<(String, Gone)>,
    at: i64,
    seen_before: bool,
    /// The greatest version this window was told with before, and is told with now.
    said_before: i64,
    said: i64,
}

impl Compared {
    /// What is seen now is newer than all we said of this window, whatever times it carries and whoever's clock said it.
    fn floor(&self, at: i64) -> i64 {
        at.max(self.said_before.saturating_add(1))
    }
}

impl Tally {
    fn add(&mut self, outcome: Outcome, compared: &Compared) {
        let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match outcome {
            Outcome::Fetched => self.fetched += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Empty => self.empty += 1,
            Outcome::Failed => self.failed += 1,
        }
        self.observations += counted(compared.now.values().filter(|held| !held.gone).count());
        self.amended += counted(compared.amended.len());
        self.withdrawn += counted(compared.gone.len());
    }
}

/// Of no answer.
const UNSETTLED: [u8; 16] = [0; 16];

impl Fetcher {
    pub(super) async fn window(&self, target: &Target<'_>, poll: Poll, window: Window) -> Result<(), Stop> {
        let store = &self.shared.store;
        let (id, stream) = (target.connection().id, target.stream.id);
        let pages = self.pages(target, window, None).await?;
        if pages.coming {
            return Ok(());
        }
        let digest = source::digest(pages.digests.iter().map(<[u8; 16]>::as_slice));
        let known = store.digest(id, stream, window.start).await?;
        let mut out = Outbox::default();
        let (mut remember, mut compared) = (false, Compared::default());
        let outcome = if pages.failed.is_some() {
            // Kept, whatever it is; not compared, because a broken answer says nothing about what it lacks.
            self.put_raw(target, window, &pages, &compared, &mut out)?;
            Outcome::Failed
        } else if known == Some(digest) {
            if pages.empty { Outcome::Empty } else { Outcome::Unchanged }
        } else {
            remember = true;
            let before = store.held(id, stream, window.start).await?.and_then(|blob| held::decode(&blob));
            let mut ahead = before.as_ref().map(|bucket| bucket.entries.clone()).unwrap_or_default();
            compared = compare(target, window, &pages, before, (poll.reconcile, self.shared.clock.now()));
            // What is told for the first time is held first: if this dies after the telling, and it is deleted before it is asked for again, nobody
            // would know that there is something to withdraw.
            let first: Vec<Held> = compared.now.values().filter(|held| !ahead.contains_key(&held.id)).cloned().collect();
            if !first.is_empty() {
                ahead.extend(first.into_iter().map(|held| (held.id, held)));
                let ahead = Bucket { said: compared.said, entries: ahead };
                store.put_held(id, stream, window.start, &held::encode(&ahead)).await?;
            }
            // The answer before this one no longer stands for what was told: should it come back, it is compared again.
            if known.is_some() {
                store.put_digest(id, stream, window.start, UNSETTLED).await?;
            }
            if !pages.empty {
                self.put_raw(target, window, &pages, &compared, &mut out)?;
            }
            self.put_gone(target, window, &compared, &mut out)?;
            if pages.empty { Outcome::Empty } else { Outcome::Fetched }
        };
        self.put_coverage(target, window, &pages, outcome, &mut out);
        self.shared.outlet.append(&out).await.map_err(Unavailable::from)?;
        // Acknowledged: from here on the answer need not be appended again.
        if remember {
            let bucket = Bucket { said: compared.said, entries: std::mem::take(&mut compared.now) };
            store.put_held(id, stream, window.start, &held::encode(&bucket)).await?;
            compared.now = bucket.entries;
            store.put_digest(id, stream, window.start, digest).await?;
        }
        metrics::counter!(WINDOWS, "provider" => target.cloud.profile().id, "outcome" => outcome.as_str()).increment(1);
        target.count(|tally| tally.add(outcome, &compared));
        match pages.failed {
            // Not understood: the bytes are kept, and the question is asked again later.
            Some("not_understood") => Err(Stop::Later { why: "not_understood", after: None, pace: false }),
            _ => Ok(()),
        }
    }

    /// What is to be had from the address that a notification named. It is asked once: what it gives is complete in itself, and a repeat of it
    /// is the same records.
    pub(super) async fn pointed(&self, target: &Target<'_>, object: &str) -> Result<(), Stop> {
        let now = self.shared.clock.now();
        let window = Window { start: now, end: now };
        let pages = self.pages(target, window, Some(object)).await?;
        let outcome = match pages.failed {
            Some(_) => Outcome::Failed,
            None if pages.empty => Outcome::Empty,
            None => Outcome::Fetched,
        };
        let mut out = Outbox::default();
        if !pages.empty || pages.failed.is_some() {
            self.put_raw(target, window, &pages, &Compared::default(), &mut out)?;
        }
        self.shared.outlet.append(&out).await.map_err(Unavailable::from)?;
        metrics::counter!(WINDOWS, "provider" => target.cloud.profile().id, "outcome" => outcome.as_str()).increment(1);
        target.count(|tally| tally.add(outcome, &Compared::default()));
        Ok(())
    }

    async fn pages(&self, target: &Target<'_>, window: Window, object: Option<&str>) -> Result<Pages, Stop> {
        let ask = Ask { stream: target.stream, window, zone: target.connection().zone.as_deref(), object };
        let mut pages = Pages { empty: true, complete: true, ..Pages::default() };
        for first in target.cloud.source.plan(&ask) {
            let mut next = Some(first);
            while let Some(fetch) = next.take() {
                let request = request(&fetch);
                match self.ask(target, &fetch).await {
                    Ok(Got::Page { answer, page, fetched_at }) => {
                        pages.empty &= page.empty;
                        pages.digests.push(page.digest);
                        pages.pages.push(Page { request, answer, fetched_at, readable: true });
                        next = page.next;
                        if next.is_some() && pages.pages.len() >= PAGES {
                            pages.failed = Some("too_many_pages");
                            pages.complete = false;
                            return Ok(pages);
                        }
                    }
                    Ok(Got::Broken { answer, fetched_at }) => {
                        pages.pages.push(Page { request, answer, fetched_at, readable: false });
                        (pages.complete, pages.failed) = (false, Some("not_understood"));
                    }
                    Ok(Got::Coming) => pages.coming = true,
                    Ok(Got::Refused(why)) => (pages.complete, pages.failed) = (false, Some(why)),
                    Err(stop) => {
                        // What came before the stop is asked for again with the rest.
                        if let Stop::Later { why, .. } = &stop {
                            self.failed(target, window, why).await?;
                        }
                        return Err(stop);
                    }
                }
            }
        }
        Ok(pages)
    }

    async fn failed(&self, target: &Target<'_>, window: Window, why: &'static str) -> Result<(), Unavailable> {
        let mut out = Outbox::default();
        let pages = Pages { failed: Some(why), ..Pages::default() };
        self.put_coverage(target, window, &pages, Outcome::Failed, &mut out);
        metrics::counter!(WINDOWS, "provider" => target.cloud.profile().id, "outcome" => "failed").increment(1);
        target.count(|tally| tally.failed += 1);
        Ok(self.shared.outlet.append(&out).await?)
    }

    fn put_raw(
        &self,
        target: &Target<'_>,
        window: Window,
        pages: &Pages,
        compared: &Compared,
        out: &mut Outbox,
    ) -> Result<(), Unavailable> {
        for page in &pages.pages {
            for subject in &target.connection().subjects {
                let mut raw = envelope(target, window, subject, page);
                raw.amended.clone_from(&compared.amended);
                raw.version_floor = (compared.seen_before && page.readable).then(|| compared.floor(page.fetched_at));
                put(raw, target, out)?;
            }
        }
        Ok(())
    }

    fn put_gone(&self, target: &Target<'_>, window: Window, compared: &Compared, out: &mut Outbox) -> Result<(), Unavailable> {
        for subject in &target.connection().subjects {
            let gone: Vec<&Gone> = compared.gone.iter().filter(|(s, _)| s == subject).map(|(_, gone)| gone).collect();
            if gone.is_empty() {
                continue;
            }
            let body = serde_json::to_vec(&gone).expect("ids, words and numbers are JSON");
            let now = compared.at;
            let page = Page {
                request: "reconcile".into(),
                answer: Answer { status: 200, headers: vec![], body },
                fetched_at: now,
                readable: true,
            };
            let raw = Raw {
                origin: Origin::Reconcile,
                request: None,
                http_status: None,
                content_type: "application/json",
                version_floor: Some(compared.floor(now)),
                ..envelope(target, window, subject, &page)
            };
            put(raw, target, out)?;
        }
        Ok(())
    }

    fn put_coverage(&self, target: &Target<'_>, window: Window, pages: &Pages, outcome: Outcome, out: &mut Outbox) {
        for subject in &target.connection().subjects {
            let coverage = Coverage {
                connection_id: target.connection().id,
                provider: target.cloud.profile().id,
                subject_id: subject,
                stream: target.stream.id,
                window_start: window.start,
                window_end: window.end,
                outcome,
                reason: pages.failed,
                pages: i32::try_from(pages.pages.len()).unwrap_or(i32::MAX),
                bytes: pages.pages.iter().map(|p| i64::try_from(p.answer.body.len()).unwrap_or(i64::MAX)).sum(),
                lane: target.lane,
                at: self.shared.clock.now(),
            };
            let key = format!("{}|{subject}|{}|{}", target.connection().id, target.stream.id, window.start);
            out.put(&topics::COVERAGE, None, key.as_bytes(), |bytes| coverage.encode(bytes));
        }
    }
}

/// What is said of a request in the raw record: no parameters, because they may be secret.
pub(super) fn request(fetch: &Fetch) -> String {
    let method = match fetch.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    };
    let path = fetch.path.split('?').next().unwrap_or_default();
    format!("{method} {path}")
}

fn envelope<'a>(target: &Target<'a>, window: Window, subject: &'a str, page: &'a Page) -> Raw<'a> {
    Raw {
        raw_id: Uuid::now_v7(),
        provider: target.cloud.profile().id,
        connection_id: target.connection().id,
        subject_id: subject,
        stream: target.stream.id,
        lane: target.lane,
        origin: Origin::Fetch,
        fetched_at: page.fetched_at,
        window_start: Some(window.start),
        window_end: Some(window.end),
        request: Some(&page.request),
        http_status: Some(page.answer.status.into()),
        content_type: page.answer.header("content-type").unwrap_or_default(),
        headers: page
            .answer
            .headers
            .iter()
            .filter(|(n, _)| HEADERS.contains(&n.as_str()))
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect(),
        time_zone: target.connection().zone.as_deref(),
        amended: vec![],
        version_floor: None,
        encryption: None,
        body: &page.answer.body,
    }
}

fn put(raw: Raw<'_>, target: &Target<'_>, out: &mut Outbox) -> Result<(), Unavailable> {
    let key = target.people.keys.get(raw.subject_id);
    put_sealed(raw, key.map(|key| &**key), target.cloud.profile().id, out)
}

/// Puts a raw record, its body sealed where there is a key.
pub(crate) fn put_sealed(
    raw: Raw<'_>,
    key: Option<&DataKey>,
    provider: &'static str,
    out: &mut Outbox,
) -> Result<(), Unavailable> {
    let connection = raw.connection_id.to_string();
    let mut write = |raw: &Raw<'_>| out.put(&topics::RAW, Some(provider), connection.as_bytes(), |bytes| raw.encode(bytes));
    match key {
        None => write(&raw),
        Some(key) => {
            let sealed = body::seal(key, &raw).map_err(|e| Unavailable { why: e.to_string() })?;
            let id = key.id().simple().to_string();
            write(&Raw { body: &sealed, encryption: Some(body::note(&id)), ..raw });
        }
    }
    Ok(())
}

/// Compares an answer with what we held of its window.
fn compare(
    target: &Target<'_>,
    window: Window,
    pages: &Pages,
    before: Option<Bucket>,
    (reconcile, now): (bool, i64),
) -> Compared {
    let said_before = before.as_ref().map_or(i64::MIN, |bucket| bucket.said);
    let mut compared = Compared { at: now, seen_before: before.is_some(), said_before, said: said_before, ..Compared::default() };
    let mut before = before.map(|bucket| bucket.entries).unwrap_or_default();
    let mut understood = pages.complete;
    for subject in &target.connection().subjects {
        for page in &pages.pages {
            let raw = envelope(target, window, subject, page);
            let mut said = Normalized::default();
            // What the processor will refuse says nothing about what is missing.
            understood &= target.cloud.source.normalize(&raw, &mut said).is_ok() && said.problems.is_empty();
            let floor = if compared.seen_before { compared.floor(page.fetched_at) } else { i64::MIN };
            for reading in &said.readings {
                compared.said = compared.said.max(reading.modified.unwrap_or(page.fetched_at)).max(floor);
                let id = ids::observation(target.connection().id, subject, reading.measure.slug, &reading.record_id);
                let held = Held::of(id, subject, reading);
                if let Some(old) = before.remove(&id) {
                    let changed = old.gone || old.digest != held.digest;
                    let finished = old.preliminary && old.start == held.start;
                    if changed && !finished {
                        compared.amended.push(Amended { id, previous_start: old.start });
                    }
                }
                compared.now.insert(id, held);
            }
        }
    }
    for (id, mut old) in before {
        if compared.now.contains_key(&id) {
            continue;
        }
        // Of somebody who is not among them now nothing is said.
        let somebodys = target.connection().subjects.iter().any(|s| held::subject_mark(s) == old.subject);
        if reconcile && understood && !old.gone && somebodys {
            for subject in target.connection().subjects.iter().filter(|s| held::subject_mark(s) == old.subject) {
                compared
                    .gone
                    .push((subject.clone(), Gone { id, data_type: old.data_type.clone(), start: old.start, end: old.end }));
            }
            old.gone = true;
            compared.said = compared.said.max(compared.floor(now));
        }
        compared.now.insert(id, old);
    }
    compared
}
