//! Writing resources to a FHIR R4 server: `PUT` under our own ids, in batch or transaction bundles.
//!
//! - What a resource refers to is made first ([`references`]).
//! - An older state never replaces a newer one, in whatever order and however often they come: each resource says its version (`issued`, or an
//!   extension), what stands there is read before, and replaced by `If-Match` only.
//! - Each entry's outcome becomes a verdict. Servers refuse a whole bundle for one entry they cannot read, so a refused bundle is halved until
//!   the entry stands alone. A success says that the server has it, not that it is valid: that is held by our own tests.
//! - An erased person's resources are deleted.
//!
//! Must never hold: anything that logs, or quotes an outcome's text. Start at [`FhirSink`].

mod answer;
mod client;
mod entry;
mod erase;
mod item;
mod references;
mod settings;
#[cfg(test)]
mod tests;
mod token;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use headwater_schemas::consent::{Consent, Decision};
use headwater_schemas::reject::code;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Reject, Topic};
use headwater_store::Store;
use reqwest::StatusCode;
use tokio::time::Instant;
use uuid::Uuid;

use crate::sink::settled;
use crate::{Incoming, Sink, Unavailable, Verdict};
use answer::{Outcome, Resource};
use client::FhirClient;
use entry::Writing;
use item::{Item, newest};
use references::{Known, Led, References};
pub use settings::{BundleKind, OAuth, Settings, SettingsError};

pub const NAME: &str = "fhir";

/// Bundles under way at once of one batch.
const AT_ONCE: usize = 2;
/// Bytes of a bundle.
const BUNDLE_BYTES: usize = 2 * 1024 * 1024;
/// Times that what somebody changed meanwhile is read anew before the batch is left to the loop.
const ROUNDS: usize = 3;
/// Times that the loop brings a resource to which the server answers with an error of its own, or with a conflict, and writes others between
/// one time and the next, before it is given up: one that a server cannot cope with must not hold up all that follow. Where it writes none,
/// the fault is the server's.
const PATIENCE: u32 = 5;
/// How long one that comes alone, so that nobody can tell, is brought.
const PATIENCE_ALONE: Duration = Duration::from_secs(3600);
const TROUBLES: usize = 10_000;
/// No request of a batch begins later than this; what is written by then is not written again. With the longest request it is less than the
/// time in which an erasure settles.
const ROUND: Duration = Duration::from_secs(30);
/// States that are remembered as written while their batch comes again, and for how long: a batch that was taken by another instance does not,
/// and a replay long after it must not be passed over.
const SETTLED: usize = 50_000;
const SETTLED_FOR: Duration = Duration::from_secs(600);

pub struct FhirSink {
    client: FhirClient,
    store: Arc<dyn Store>,
    settle: Duration,
    kind: BundleKind,
    size: usize,
    known: Mutex<Known>,
    /// How often the loop brought what the server cannot cope with, and since when.
    troubles: Mutex<HashMap<Uuid, Trouble>>,
    /// Resources written so far, of all batches.
    written: AtomicU64,
    settled: Mutex<HashMap<State, Instant>>,
}

/// What the server cannot cope with.
struct Trouble {
    since: Instant,
    /// How often others were written between two of its times.
    times: u32,
    written: u64,
}

/// A state of a resource: id, version and mapper.
type State = (Uuid, i64, i32);

/// What became of one resource.
enum Fate {
    Written,
    /// A newer state stands there.
    Superseded,
    /// Refused by what it says; or because what it refers to is gone.
    Refused(Reject),
    /// Somebody changed it meanwhile, or the server failed.
    Again(StatusCode),
}

impl FhirSink {
    /// The store knows who a subject is elsewhere.
    ///
    /// # Errors
    /// When a setting cannot be meant.
    pub fn new(settings: &Settings, store: Arc<dyn Store>) -> Result<Self, SettingsError> {
        let settle = Duration::from_secs(settings.erase_settle_seconds);
        let (client, kind, size) = (FhirClient::new(settings)?, settings.bundle, settings.bundle_size);
        Ok(Self {
            client,
            store,
            settle,
            kind,
            size,
            known: Mutex::default(),
            troubles: Mutex::default(),
            written: AtomicU64::new(0),
            settled: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics under this lock")
    }

    fn references(&self) -> References<'_> {
        References { client: &self.client, store: &*self.store, known: &self.known, size: self.size, bundles: self.kind }
    }

    fn settled(&self) -> MutexGuard<'_, HashMap<State, Instant>> {
        self.settled.lock().expect("nothing panics under this lock")
    }

    async fn put(&self, batch: &[Incoming<'_>]) -> Result<Vec<Verdict>, Unavailable> {
        let until = Instant::now() + ROUND;
        let mut verdicts = vec![Verdict::Written; batch.len()];
        let mut items = Vec::with_capacity(batch.len());
        for (index, incoming) in batch.iter().enumerate() {
            match Item::of(index, incoming) {
                Ok(item) => items.push(item),
                Err(reject) => verdicts[index] = Verdict::Rejected(reject),
            }
        }
        let states: Vec<State> = items.iter().map(Item::state).collect();
        let mut left = newest(items);
        left.retain(|item| self.settled().get(&item.state()).is_none_or(|since| since.elapsed() > SETTLED_FOR));
        let mut refused_once = HashSet::new();
        for round in 1.. {
            let led = self.references().ensure(&left).await?;
            left.retain(|item| match led.refused(item) {
                Some(reject) => {
                    verdicts[item.index] = Verdict::Rejected(reject.clone());
                    false
                }
                None => true,
            });
            let (mut again, mut refused) = (Vec::new(), Vec::new());
            for (item, fate) in self.pieces(&left, &led, until).await? {
                match fate {
                    Fate::Superseded => {}
                    Fate::Written => {
                        self.troubles.lock().expect("nothing panics under this lock").remove(&item.id);
                    }
                    Fate::Again(status) => again.push((item, status)),
                    // What it refers to may have gone meanwhile: it is looked for, and the resource is tried once more.
                    Fate::Refused(_) if refused_once.insert(item.index) => refused.push(item),
                    Fate::Refused(reject) => verdicts[item.index] = Verdict::Rejected(reject),
                }
            }
            if round >= ROUNDS {
                again = self.give_up(again, &mut verdicts);
                if let Some((_, status)) = again.first() {
                    let why = format!("the server answered {} for {} resources", status.as_u16(), again.len());
                    return Err(Unavailable { why, retry_after: None });
                }
            }
            if again.is_empty() && refused.is_empty() {
                break;
            }
            refused.iter().for_each(|item| self.known().forget(item));
            left = again.into_iter().map(|(item, _)| item).chain(refused).collect();
        }
        let mut settled = self.settled();
        states.iter().for_each(|state| _ = settled.remove(state));
        Ok(verdicts)
    }

    /// Those that may still succeed; the others are refused.
    fn give_up<'i>(&self, troubled: Vec<(Item<'i>, StatusCode)>, verdicts: &mut [Verdict]) -> Vec<(Item<'i>, StatusCode)> {
        let mut troubles = self.troubles.lock().expect("nothing panics under this lock");
        if troubles.len() >= TROUBLES {
            troubles.clear();
        }
        let mut left = Vec::new();
        for (item, status) in troubled {
            let now = self.written.load(Ordering::Relaxed);
            let trouble = troubles.entry(item.id).or_insert(Trouble { since: Instant::now(), times: 0, written: now });
            trouble.times += u32::from(trouble.written != now);
            trouble.written = now;
            if trouble.times < PATIENCE && trouble.since.elapsed() < PATIENCE_ALONE {
                left.push((item, status));
            } else {
                let why = format!("the server answers {} whenever it comes, and writes others", status.as_u16());
                verdicts[item.index] = Verdict::Rejected(Reject::new(code::REFUSED, why));
                troubles.remove(&item.id);
            }
        }
        left
    }

    /// Writes in pieces of the bundle's size, some at once.
    async fn pieces<'b>(&self, items: &[Item<'b>], led: &Led, until: Instant) -> Result<Vec<(Item<'b>, Fate)>, Unavailable> {
        let mut pieces: Vec<&[Item<'b>]> = Vec::new();
        let mut rest = items;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take(self.size).take_while(|item| {
                bytes += item.fhir.len();
                bytes <= BUNDLE_BYTES
            });
            let (piece, after) = rest.split_at(fitting.count().max(1));
            pieces.push(piece);
            rest = after;
        }
        let mut writing = Vec::with_capacity(pieces.len());
        for piece in pieces {
            writing.push(self.piece(piece, led, until).boxed());
        }
        let fates: Vec<Vec<(Item<'b>, Fate)>> = stream::iter(writing).buffered(AT_ONCE).try_collect().await?;
        Ok(fates.into_iter().flatten().collect())
    }

    async fn piece<'b>(&self, items: &[Item<'b>], led: &Led, until: Instant) -> Result<Vec<(Item<'b>, Fate)>, Unavailable> {
        in_time(until)?;
        let mut fates = Vec::with_capacity(items.len());
        let ids: Vec<String> = items.iter().map(|item| item.id.to_string()).collect();
        let standing = self.references().standing(items[0].kind, &ids, "meta,issued,extension").await?;
        let standing: HashMap<&str, &Resource> = standing.iter().map(|resource| (&*resource.id, resource)).collect();
        let mut parts = vec![Vec::with_capacity(items.len())];
        for (item, id) in items.iter().zip(&ids) {
            let stands = standing.get(&**id).copied();
            // What stands there is newer: this one came late.
            if stands.and_then(Resource::version).is_some_and(|version| version > item.version) {
                fates.push((*item, Fate::Superseded));
                continue;
            }
            let patient = led.patients.get(item.subject).ok_or_else(|| unavailable("a patient is looked for once more"))?;
            match item.about(patient) {
                Ok(text) => parts[0].push((*item, text, stands)),
                Err(reject) => fates.push((*item, Fate::Refused(reject))),
            }
        }
        while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
            in_time(until)?;
            let mut writing = Writing::new(self.kind.as_str());
            for (item, text, stands) in &part {
                let version = stands.and_then(|resource| resource.meta.as_ref()?.version_id.as_deref());
                writing.put(&self.client.base, (item.kind, &item.id.to_string()), text, version);
            }
            let answer = self.client.bundle(writing.finish()).await?;
            if answer.status.is_success() {
                let each = each(part.iter().map(|(item, ..)| *item), &answer.body)?;
                self.settle(&each);
                fates.extend(each);
            } else if client::misled(answer.status) {
                return Err(unavailable(&format!("the server answered {} to a bundle", answer.status.as_u16())));
            } else if let [(item, ..)] = &part[..] {
                fates.push((*item, fate(answer.status, &Outcome::of(&answer.body))?));
            } else {
                // One of them may be what it cannot read.
                let mut first = part;
                let second = first.split_off(first.len() / 2);
                parts.extend([second, first]);
            }
        }
        Ok(fates)
    }

    /// Remembers what is written until its batch is through: one that takes longer than a round goes on where it was.
    fn settle(&self, fates: &[(Item<'_>, Fate)]) {
        let mut settled = self.settled();
        if settled.len() >= SETTLED {
            settled.clear();
        }
        for (item, _) in fates.iter().filter(|(_, fate)| matches!(fate, Fate::Written)) {
            self.written.fetch_add(1, Ordering::Relaxed);
            settled.insert(item.state(), Instant::now());
        }
    }

    /// One that cannot be finished now does not hold up the others.
    async fn consents(&self, batch: &[Incoming<'_>]) -> Result<Vec<Verdict>, Unavailable> {
        let (mut verdicts, mut failed) = (Vec::with_capacity(batch.len()), None);
        for incoming in batch {
            let verdict = match Consent::decode(incoming.body) {
                Ok(consent) if consent.decision == Decision::Erased => self.erase(&consent).await,
                Ok(_) => Ok(Verdict::Written),
                Err(e) => Ok(Verdict::Rejected(Reject::new(code::BAD_AVRO, e.to_string()))),
            };
            match verdict {
                Ok(verdict) => verdicts.push(verdict),
                Err(unavailable) => failed = failed.or(Some(unavailable)),
            }
        }
        failed.map_or(Ok(verdicts), Err)
    }

    async fn erase(&self, consent: &Consent<'_>) -> Result<Verdict, Unavailable> {
        settled(consent, self.settle)?;
        let subject = consent.subject_id;
        let kept = erase::erase(&self.client, self.kind, subject).await?;
        self.known().forget_subject(subject);
        Ok(kept.map_or(Verdict::Written, Verdict::Rejected))
    }
}

fn unavailable(why: &str) -> Unavailable {
    Unavailable { why: why.into(), retry_after: None }
}

fn in_time(until: Instant) -> Result<(), Unavailable> {
    if Instant::now() < until { Ok(()) } else { Err(unavailable("the server is slow, the rest of the batch follows")) }
}

/// The fates of a bundle's entries, which come in the order they were sent.
fn each<'b>(items: impl ExactSizeIterator<Item = Item<'b>>, body: &[u8]) -> Result<Vec<(Item<'b>, Fate)>, Unavailable> {
    let strange = |why: &str| Unavailable { why: why.into(), retry_after: None };
    let entries = answer::bundle(body).ok_or_else(|| strange("the server's answer is no bundle"))?.entry;
    if entries.len() != items.len() {
        return Err(strange("the server's answer has another number of entries"));
    }
    let fates = items.zip(entries).map(|(item, entry)| {
        let response = entry.response.as_ref();
        let status =
            response.and_then(answer::Response::status).ok_or_else(|| strange("an entry of the answer has no status"))?;
        let nothing = Outcome::default();
        Ok((item, fate(status, response.and_then(|response| response.outcome.as_ref()).unwrap_or(&nothing))?))
    });
    fates.collect()
}

fn fate(status: StatusCode, outcome: &Outcome) -> Result<Fate, Unavailable> {
    let said = || format!("the server answered {}{}", status.as_u16(), outcome.words());
    Ok(match status.as_u16() {
        200..=299 => Fate::Written,
        _ if client::absent(status) => {
            return Err(Unavailable { why: format!("the server answered {} for an entry", status.as_u16()), retry_after: None });
        }
        413 => Fate::Refused(Reject::new(code::TOO_LARGE, said())),
        409 | 412 => Fate::Again(status),
        400..=499 => Fate::Refused(Reject::new(code::REFUSED, said())),
        _ => Fate::Again(status),
    })
}

impl Sink for FhirSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static Topic] {
        static INPUTS: &[&Topic] = &[&topics::OBSERVATION, &topics::MEDICATION, &topics::DEVICE, &topics::CONSENT];
        INPUTS
    }

    fn write<'a>(&'a self, batch: &'a [Incoming<'a>]) -> BoxFuture<'a, Result<Vec<Verdict>, Unavailable>> {
        if batch.first().is_some_and(|incoming| incoming.topic == &topics::CONSENT) {
            return Box::pin(self.consents(batch));
        }
        Box::pin(self.put(batch))
    }
}
