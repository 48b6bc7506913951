//! What resources refer to stands on the server before they do: the patient, and the device.
//!
//! A patient whom a platform named by an identifier of its own is looked for by that, and may stand there under another id. Nobody's Patient is
//! ever overwritten: one is made only where there is none. Beside somebody else's stands one of ours that is linked with it, so that an
//! erasure finds the way when nothing else is known of the person. A device that is not there has its place held until its own record comes.

use std::collections::{HashMap, HashSet};

use headwater_schemas::Reject;
use headwater_schemas::reject::code;
use headwater_store::{Identity, Store, fhir};
use serde_json::json;
use uuid::Uuid;

use super::answer::{self, Resource};
use super::client::FhirClient;
use super::entry::Writing;
use super::item::Item;
use crate::Unavailable;

/// References that are remembered as made; then all are forgotten, and looked for once more.
const REMEMBERED: usize = 100_000;

/// What is known to stand there.
#[derive(Default)]
pub(super) struct Known {
    /// Subject to the server's id of the patient.
    patients: HashMap<Box<str>, Box<str>>,
    devices: HashSet<Uuid>,
}

impl Known {
    pub fn patient(&self, subject: &str) -> Option<&str> {
        self.patients.get(subject).map(|id| &**id)
    }

    pub fn forget(&mut self, item: &Item<'_>) {
        self.patients.remove(item.subject);
        item.device.map(|id| self.devices.remove(&id));
    }

    pub fn forget_subject(&mut self, subject: &str) {
        self.patients.remove(subject);
        self.devices.clear();
    }

    fn remember_patient(&mut self, subject: &str, id: &str) {
        if self.patients.len() >= REMEMBERED {
            self.patients.clear();
        }
        self.patients.insert(subject.into(), id.into());
    }

    fn remember_device(&mut self, id: Uuid) {
        if self.devices.len() >= REMEMBERED {
            self.devices.clear();
        }
        self.devices.insert(id);
    }
}

/// What had to be made, and whose patient cannot be told.
#[derive(Default)]
pub(super) struct Made {
    pub subjects: HashSet<Box<str>>,
    pub devices: HashSet<Uuid>,
    pub refused: HashMap<Box<str>, Reject>,
}

pub(super) struct References<'s> {
    pub client: &'s FhirClient,
    pub store: &'s dyn Store,
    pub known: &'s std::sync::Mutex<Known>,
    pub size: usize,
}

impl References<'_> {
    /// Makes what is missing of what these refer to.
    pub async fn ensure(&self, items: &[Item<'_>]) -> Result<Made, Unavailable> {
        let mut made = Made::default();
        let mut subjects: Vec<&str> = items.iter().map(|item| item.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects.retain(|subject| self.known().patient(subject).is_none());
        self.patients(&subjects, &mut made).await?;
        let mut devices: HashMap<Uuid, &Item<'_>> = HashMap::new();
        for item in items.iter().filter(|item| !made.refused.contains_key(item.subject)) {
            if let Some(id) = item.device.filter(|id| !self.known().devices.contains(id)) {
                devices.insert(id, item);
            }
        }
        self.devices(devices, &mut made).await?;
        Ok(made)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics under this lock")
    }

    async fn patients(&self, subjects: &[&str], made: &mut Made) -> Result<(), Unavailable> {
        let mut without: Vec<(&str, Option<Identity>)> = Vec::new();
        let mut theirs: Vec<(&str, String)> = Vec::new();
        for subject in subjects {
            let found = self.store.subject(subject).await.map_err(|e| Unavailable { why: e.why, retry_after: None })?;
            let Some(identity) = found.and_then(|subject| subject.identity) else {
                without.push((subject, None));
                continue;
            };
            match &*self.by_identity(&identity).await? {
                [] => without.push((subject, Some(identity))),
                [one] if one.id == *subject => self.known().remember_patient(subject, subject),
                [one] => theirs.push((subject, one.id.clone())),
                _ => {
                    let why = "expected one patient with the identifier of this subject, the server has several";
                    made.refused.insert((*subject).into(), Reject::new(code::REFUSED, why));
                }
            }
        }
        let links = theirs.iter().map(|(subject, id)| ("Patient", *subject, linked(subject, id)));
        self.make(links).await?;
        for (subject, id) in &theirs {
            self.known().remember_patient(subject, id);
        }
        let there = self.there("Patient", without.iter().map(|(subject, _)| (*subject).to_owned())).await?;
        without.retain(|(subject, _)| {
            let stands = there.contains(*subject);
            if stands {
                self.known().remember_patient(subject, subject);
            }
            !stands
        });
        let patients = without.iter().map(|(subject, identity)| ("Patient", *subject, fhir::patient(subject, identity.as_ref())));
        self.make(patients).await?;
        for (subject, _) in &without {
            self.known().remember_patient(subject, subject);
            made.subjects.insert((*subject).into());
        }
        Ok(())
    }

    async fn by_identity(&self, identity: &Identity) -> Result<Vec<Resource>, Unavailable> {
        let token = format!("{}|{}", escaped(&identity.system), escaped(&identity.value));
        self.found("Patient", &[("identifier", &token), ("_elements", "identifier"), ("_count", "2")]).await
    }

    async fn devices(&self, wanted: HashMap<Uuid, &Item<'_>>, made: &mut Made) -> Result<(), Unavailable> {
        let there = self.there("Device", wanted.keys().map(Uuid::to_string)).await?;
        let texts: Vec<(String, String)> = wanted
            .iter()
            .filter(|(id, _)| !there.contains(&id.to_string()))
            .map(|(id, item)| {
                let patient = self.known().patient(item.subject).unwrap_or(item.subject).to_owned();
                let identifier = json!({ "system": format!("urn:headwater:device:{}", item.provider), "value": id });
                let place = json!({
                    "resourceType": "Device", "id": id, "identifier": [identifier],
                    "patient": { "reference": format!("Patient/{patient}") },
                });
                (id.to_string(), place.to_string())
            })
            .collect();
        self.make(texts.iter().map(|(id, text)| ("Device", &**id, text.clone()))).await?;
        for id in wanted.into_keys() {
            if !there.contains(&id.to_string()) {
                made.devices.insert(id);
            }
            self.known().remember_device(id);
        }
        Ok(())
    }

    /// Which of these stand there.
    async fn there(&self, kind: &str, ids: impl Iterator<Item = String>) -> Result<HashSet<String>, Unavailable> {
        let ids: Vec<String> = ids.collect();
        let mut there = HashSet::new();
        for part in ids.chunks(self.size) {
            there.extend(self.standing(kind, part, "identifier").await?.into_iter().map(|resource| resource.id));
        }
        Ok(there)
    }

    /// Those of these resources that stand there, as far as `elements` go. A server may answer with less than it was asked for.
    pub async fn standing(&self, kind: &str, ids: &[String], elements: &str) -> Result<Vec<Resource>, Unavailable> {
        let mut left: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut standing = Vec::new();
        while !left.is_empty() {
            let (list, count) = (left.join(","), left.len().to_string());
            let answer = self.client.search(kind, &[("_id", &list), ("_count", &count), ("_elements", elements)]).await?;
            let found = answer::bundle(&answer.body).filter(|_| answer.status.is_success());
            let found = found.ok_or_else(|| strange(kind, answer.status.as_u16()))?;
            let more = found.link.iter().any(|link| link.relation == "next");
            let found: Vec<Resource> =
                found.entry.into_iter().filter_map(|entry| entry.resource).filter(|r| r.resource_type == kind).collect();
            if more && found.is_empty() {
                return Err(Unavailable { why: format!("the server gives no page of {kind}"), retry_after: None });
            }
            left.retain(|id| !found.iter().any(|resource| resource.id == *id));
            standing.extend(found);
            if !more {
                break;
            }
        }
        Ok(standing)
    }

    async fn found(&self, kind: &str, parameters: &[(&str, &str)]) -> Result<Vec<Resource>, Unavailable> {
        let answer = self.client.search(kind, parameters).await?;
        let found = answer::bundle(&answer.body).filter(|_| answer.status.is_success());
        let found = found.ok_or_else(|| strange(kind, answer.status.as_u16()))?;
        Ok(found.entry.into_iter().filter_map(|entry| entry.resource).filter(|r| r.resource_type == kind).collect())
    }

    /// Puts resources that nobody has put yet. Those who refer to them cannot be written without, so whatever is refused here stops the batch.
    async fn make<'i>(&self, resources: impl Iterator<Item = (&'static str, &'i str, String)>) -> Result<(), Unavailable> {
        let resources: Vec<_> = resources.collect();
        for part in resources.chunks(self.size) {
            let mut writing = Writing::new("batch");
            part.iter().for_each(|(kind, id, text)| writing.put(&self.client.base, (kind, id), text, None));
            let answer = self.client.bundle(writing.finish()).await?;
            let entries = answer::bundle(&answer.body).filter(|_| answer.status.is_success()).map(|bundle| bundle.entry);
            let entries = entries.ok_or_else(|| strange(part[0].0, answer.status.as_u16()))?;
            for entry in entries {
                let status = entry.response.and_then(|response| response.status());
                if !status.is_some_and(|status| status.is_success()) {
                    return Err(strange(part[0].0, status.map_or(0, |status| status.as_u16())));
                }
            }
        }
        Ok(())
    }
}

/// What the server must do for us whatever the records are: settings or rights are wrong, or it is out of order.
fn strange(kind: &str, status: u16) -> Unavailable {
    Unavailable { why: format!("the server answered {status} to a request about {kind} that it has to take"), retry_after: None }
}

/// Our Patient beside somebody else's.
fn linked(subject: &str, other: &str) -> String {
    json!({
        "resourceType": "Patient", "id": subject, "identifier": [{ "system": fhir::SUBJECT, "value": subject }],
        "link": [{ "other": { "reference": format!("Patient/{other}") }, "type": "seealso" }],
    })
    .to_string()
}

/// A value within a search parameter.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '|' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}
