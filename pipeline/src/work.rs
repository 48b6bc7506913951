//! What the loop does with a batch: a pure processor, a sink, or the fetch driver. Dead letters are ordinary outgoing records.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use headwater_ingest::Fetcher;
use headwater_processors::{Input, Processor, Report};
use headwater_schemas::consent::Decision;
use headwater_schemas::device::Device;
use headwater_schemas::hint::Hint;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::reject::code;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Reject, Topic, wire};
use headwater_sinks::{Incoming, Sink, Verdict};
use headwater_store::seal::DataKey;
use headwater_store::vault::Owner;
use headwater_store::{Store, body};
use uuid::Uuid;

use crate::consent::ConsentTable;
use crate::dead::letter;
use crate::log::{Batch, Record};
use crate::registry::{Reading, Registry, RegistryError};
use crate::run::{Unavailable, Work};
use crate::telemetry;

/// What all kinds of work share: who they are, and how framed values become bodies of our own layout.
pub struct Desk {
    /// Group, dead-letter topic and metric label.
    pub worker: &'static str,
    pub registry: Arc<Registry>,
    /// Full topic name to catalogue entry.
    pub topics: Vec<(String, &'static Topic)>,
}

impl Desk {
    fn topic(&self, name: &str) -> &'static Topic {
        self.topics.iter().find(|(n, _)| n == name).map_or_else(|| panic!("{name} was never subscribed to"), |(_, topic)| topic)
    }

    /// Makes sure that every schema id of the batch is known, or that it is known to be none.
    async fn prepare(&self, batch: &Batch) -> Result<Prepared<'_>, Unavailable> {
        let topic = self.topic(batch.topic());
        let mut known: Vec<(u32, Arc<Reading>)> = Vec::new();
        for record in batch.records() {
            let Some(Ok((id, _))) = record.value.map(wire::split) else { continue };
            if !known.iter().any(|(k, _)| *k == id) {
                let reading = self.registry.learn(id, topic).await.map_err(|e| match e {
                    RegistryError::Unavailable(why) => Unavailable { what: "registry", why, retry_after: None },
                    RegistryError::NotRegistered(_) => Unavailable { what: "registry", why: e.to_string(), retry_after: None },
                })?;
                known.push((id, reading));
            }
        }
        Ok(Prepared { desk: self, topic, known })
    }
}

/// A batch's schema ids, all known.
struct Prepared<'d> {
    desk: &'d Desk,
    topic: &'static Topic,
    known: Vec<(u32, Arc<Reading>)>,
}

impl Prepared<'_> {
    /// Shows each record's body, in our layout, as far as there is one.
    fn peek(&self, batch: &Batch, mut look: impl FnMut(&[u8])) {
        let mut resolved = Vec::new();
        for value in batch.records().filter_map(|record| record.value) {
            let Ok((id, body)) = wire::split(value) else { continue };
            let Some((_, reading)) = self.known.iter().find(|(known, _)| *known == id) else { continue };
            if let Ok(body) = reading.body(body, &mut resolved) {
                look(body);
            }
        }
    }

    /// Gives each record, with its place in the batch, and its body, in our layout, to `take`; buries what cannot be given. Tombstones are passed
    /// over: nothing here makes any.
    fn each(
        &self,
        batch: &Batch,
        out: &mut Outbox,
        mut take: impl FnMut((usize, &Record<'_>), &[u8], &mut Outbox) -> Result<(), Reject>,
    ) {
        let mut resolved = Vec::new();
        for (index, record) in batch.records().enumerate() {
            let Some(value) = record.value else { continue };
            out.cause(index);
            let before = out.len();
            let done = wire::split(value).and_then(|(id, body)| {
                let (_, reading) = self.known.iter().find(|(k, _)| *k == id).expect("the batch was prepared");
                take((index, &record), reading.body(body, &mut resolved)?, out)
            });
            if let Err(reject) = done {
                out.truncate(before);
                letter::bury(self.desk.worker, &record, &reject, 1, out);
            }
        }
    }
}

/// A pure processor.
pub struct Process {
    pub desk: Desk,
    pub processor: &'static dyn Processor,
    /// Raw records of other streams are passed over, unopened.
    pub stream: Option<String>,
    pub consents: Arc<ConsentTable>,
    /// Holds the keys of sealed payloads.
    pub store: Arc<dyn Store>,
}

/// The keys that a batch's sealed records name, by their ids.
type Keys = HashMap<Uuid, Sealed>;

/// Whose a key is, and whether it is there.
struct Sealed {
    subject: String,
    key: Key,
}

enum Key {
    There(Arc<DataKey>),
    /// Deleted, with the person it belonged to.
    Erased,
    Missing,
}

impl Process {
    /// Looks up the keys that the batch needs, each once.
    async fn keys(&self, batch: &Batch, prepared: &Prepared<'_>) -> Result<Keys, Unavailable> {
        let mut keys = Keys::new();
        if prepared.topic != &topics::RAW {
            return Ok(keys);
        }
        prepared.peek(batch, |body| {
            let Ok(raw) = Raw::decode(body) else { return };
            if let Some(id) = raw.encryption.as_ref().and_then(body::key_id)
                && self.wants(&raw)
                && self.decision(raw.subject_id) != Some(Decision::Erased)
            {
                keys.entry(id).or_insert_with(|| Sealed { subject: raw.subject_id.to_owned(), key: Key::Missing });
            }
        });
        for (id, sealed) in &mut keys {
            let found = self.key(&sealed.subject, *id).await;
            sealed.key = found.map_err(|e| Unavailable { what: "store", why: e.to_string(), retry_after: None })?;
        }
        Ok(keys)
    }

    async fn key(&self, subject: &str, id: Uuid) -> headwater_store::Result<Key> {
        match self.store.opening_key(&Owner::Subject(subject.to_owned()), id).await? {
            Some(key) => Ok(Key::There(key)),
            // The erasure may be ahead of the news of it.
            None if !self.store.erasure(subject).await?.is_empty() => Ok(Key::Erased),
            None => Ok(Key::Missing),
        }
    }

    fn wants(&self, raw: &Raw<'_>) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream == raw.stream)
    }

    fn decision(&self, subject: &str) -> Option<Decision> {
        self.consents.terms(subject).map(|terms| terms.decision)
    }

    /// One record, unless its person's decision withholds it.
    fn one(&self, topic: &Topic, (record, body): (&Record<'_>, &[u8]), keys: &Keys, out: &mut Outbox) -> Result<Report, Reject> {
        let plain = Input::plain(record.position, record.key, body);
        if topic != &topics::RAW {
            return self.processor.process(&plain, out);
        }
        let raw = Raw::decode(body).map_err(|e| Reject::new(code::BAD_AVRO, e.to_string()))?;
        if !self.wants(&raw) {
            return Ok(Report::default());
        }
        let terms = self.consents.terms(raw.subject_id);
        if terms.as_ref().is_some_and(|terms| !terms.stands(now())) {
            return Ok(Report { withheld: 1, ..Report::default() });
        }
        let opened = match &raw.encryption {
            None => None,
            Some(sealed) => {
                let id = body::key_id(sealed).ok_or_else(|| Reject::new(code::SEALED, "expected an algorithm of this build"))?;
                match keys.get(&id).filter(|sealed| sealed.subject == raw.subject_id).map(|sealed| &sealed.key) {
                    Some(Key::There(key)) => Some(body::open(key, &raw).map_err(|e| Reject::new(code::SEALED, e.to_string()))?),
                    Some(Key::Erased) => return Ok(Report { withheld: 1, ..Report::default() }),
                    Some(Key::Missing) | None => return Err(Reject::new(code::SEALED, "expected a key that is there")),
                }
            }
        };
        let payload = opened.as_ref().map(|bytes| bytes.as_slice());
        self.processor.process(&Input { payload, terms: terms.as_deref(), ..plain }, out)
    }
}

impl Process {
    /// The work, and how many readings it withheld.
    ///
    /// # Errors
    /// As [`Work::run`].
    pub async fn all(&self, batch: &Batch, out: &mut Outbox) -> Result<usize, Unavailable> {
        let prepared = self.desk.prepare(batch).await?;
        let keys = self.keys(batch, &prepared).await?;
        let (mut unknown, mut withheld) = (0, 0);
        prepared.each(batch, out, |(_, record), body, out| {
            let report = self.one(prepared.topic, (record, body), &keys, out)?;
            unknown += report.unknown;
            withheld += report.withheld;
            if let Some(first) = report.problems.first() {
                letter::bury(self.desk.worker, record, first, report.problems.len(), out);
            }
            Ok(())
        });
        telemetry::batch(self.desk.worker, batch.len(), out.len());
        if unknown > 0 {
            metrics::counter!(telemetry::UNKNOWN, "worker" => self.desk.worker).increment(unknown as u64);
        }
        telemetry::withheld(self.desk.worker, withheld);
        Ok(withheld)
    }
}

#[async_trait]
impl Work for Process {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        self.all(batch, out).await.map(drop)
    }
}

/// A sink.
pub struct Deliver {
    pub desk: Desk,
    pub sink: Arc<dyn Sink>,
    pub consents: Arc<ConsentTable>,
}

impl Deliver {
    /// Whether the person's decision lets this record go to this sink.
    fn may_go(&self, topic: &Topic, record: &Record<'_>, body: &[u8]) -> bool {
        let permits = |subject: &str, data_type| self.consents.permits(subject, self.sink.name(), data_type, now());
        if self.consents.is_empty() {
            return true;
        }
        if topic == &topics::OBSERVATION {
            // The key is the subject: most people restrict nothing, and need not be decoded to know it.
            return match std::str::from_utf8(record.key) {
                Ok(subject) if self.consents.terms(subject).is_none() => true,
                _ => Observation::decode(body).map_or(true, |o| permits(o.subject_id, Some(o.data_type))),
            };
        }
        if topic == &topics::MEDICATION {
            return Medication::decode(body).map_or(true, |m| permits(m.subject_id, Some(m.data_type)));
        }
        // What cannot be decoded goes on, to be refused by the sink.
        topic != &topics::DEVICE || Device::decode(body).map_or(true, |device| permits(device.subject_id, None))
    }
}

#[async_trait]
impl Work for Deliver {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        let prepared = self.desk.prepare(batch).await?;
        // Bodies of our own layout are borrowed from the batch; only resolved ones are kept beside it.
        let mut bodies: Vec<(usize, Option<Vec<u8>>)> = Vec::with_capacity(batch.len());
        let mut withheld = 0;
        let own: Vec<Record<'_>> = batch.records().collect();
        prepared.each(batch, out, |(index, record), body, _| {
            if !self.may_go(prepared.topic, record, body) {
                withheld += 1;
                return Ok(());
            }
            let framed = record.value.unwrap_or_default();
            bodies.push((index, (framed.get(wire::HEADER..) != Some(body)).then(|| body.to_vec())));
            Ok(())
        });
        telemetry::withheld(self.desk.worker, withheld);
        let incoming: Vec<Incoming<'_>> = bodies
            .iter()
            .map(|(index, resolved)| {
                let record = own[*index];
                let framed = record.value.unwrap_or_default();
                let body = resolved.as_deref().unwrap_or(&framed[wire::HEADER..]);
                Incoming { topic: prepared.topic, position: record.position, key: record.key, framed, body }
            })
            .collect();
        if incoming.is_empty() {
            telemetry::batch(self.desk.worker, batch.len(), 0);
            return Ok(());
        }
        let verdicts = self.sink.write(&incoming).await.map_err(|e| Unavailable {
            what: self.sink.name(),
            why: e.why,
            retry_after: e.retry_after,
        })?;
        assert_eq!(verdicts.len(), incoming.len(), "sink {} gave no verdict for some records", self.sink.name());
        for ((index, _), verdict) in bodies.iter().zip(&verdicts) {
            if let Verdict::Rejected(reject) = verdict {
                out.cause(*index);
                letter::bury(self.desk.worker, &own[*index], reject, 1, out);
            }
        }
        telemetry::batch(self.desk.worker, batch.len(), incoming.len());
        Ok(())
    }
}

fn now() -> i64 {
    headwater_ingest::clock::Clock::now(&headwater_ingest::clock::System)
}

/// The fetch driver: hints in, and it appends what it fetched itself, before its cursors move.
pub struct Fetch {
    pub desk: Desk,
    pub fetcher: Arc<Fetcher>,
}

#[async_trait]
impl Work for Fetch {
    async fn run(&self, batch: &Batch, out: &mut Outbox) -> Result<(), Unavailable> {
        let prepared = self.desk.prepare(batch).await?;
        let mut bodies: Vec<Vec<u8>> = Vec::with_capacity(batch.len());
        prepared.each(batch, out, |_, body, _| {
            Hint::decode(body).map_err(|e| Reject::new(code::BAD_AVRO, e.to_string()))?;
            bodies.push(body.to_vec());
            Ok(())
        });
        let hints: Vec<Hint<'_>> = bodies.iter().filter_map(|body| Hint::decode(body).ok()).collect();
        let done =
            if prepared.topic == &topics::HINT_LATER { self.fetcher.later(&hints).await } else { self.fetcher.run(&hints).await };
        done.map_err(|e| Unavailable { what: "fetch", why: e.to_string(), retry_after: None })?;
        telemetry::batch(self.desk.worker, batch.len(), hints.len());
        Ok(())
    }
}
