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
use super::settings::BundleKind;
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

/// Where the references of a batch lead.
#[derive(Default)]
pub(super) struct Led {
    /// Subject to the server's id of the patient, for all of the batch: what is remembered may be forgotten meanwhile.
    pub patients: HashMap<Box<str>, Box<str>>,
    /// Whose patient cannot be told, or was refused.
    pub refused: HashMap<Box<str>, Reject>,
    /// Devices whose place was refused.
    pub refused_devices: HashMap<Uuid, Reject>,
}

impl Led {
    pub fn refused(&self, item: &Item<'_>) -> Option<&Reject> {
        let device = item.device.and_then(|id| self.refused_devices.get(&id));
        self.refused.get(item.subject).or(device)
    }
}

pub(super) struct References<'s> {
    pub client: &'s FhirClient,
    pub store: &'s dyn Store,
    pub known: &'s std::sync::Mutex<Known>,
    pub size: usize,
    pub bundles: BundleKind,
}

impl References<'_> {
    /// Makes what is missing of what these refer to.
    pub async fn ensure(&self, items: &[Item<'_>]) -> Result<Led, Unavailable> {
        let mut led = Led::default();
        let mut subjects: Vec<&str> = items.iter().map(|item| item.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects.retain(|subject| match self.known().patients.get(*subject) {
            Some(id) => {
                led.patients.insert((*subject).into(), id.clone());
                false
            }
            None => true,
        });
        self.patients(&subjects, &mut led).await?;
        let mut devices: HashMap<Uuid, &Item<'_>> = HashMap::new();
        for item in items.iter().filter(|item| !led.refused.contains_key(item.subject)) {
            if let Some(id) = item.device.filter(|id| !self.known().devices.contains(id)) {
                devices.insert(id, item);
            }
        }
        self.devices(devices, &mut led).await?;
        Ok(led)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics under this lock")
    }

    async fn patients(&self, subjects: &[&str], led: &mut Led) -> Result<(), Unavailable> {
        let mut without: Vec<(&str, Option<Identity>)> = Vec::new();
        for subject in subjects {
            let found = self.store.subject(subject).await.map_err(|e| Unavailable { why: e.why, retry_after: None })?;
            let Some(identity) = found.and_then(|subject| subject.identity) else {
                without.push((subject, None));
                continue;
            };
            match &*self.by_identity(&identity).await? {
                [] => without.push((subject, Some(identity))),
                [one] if one.id == *subject => self.lead(subject, subject, led),
                [one] => self.link(subject, &one.id, led).await?,
                several => {
                    let mut others = several.iter().filter(|patient| patient.id != *subject);
                    // Ours has the identifier too, where it was there before the other.
                    match (others.next(), others.next()) {
                        (Some(one), None) => self.link(subject, &one.id, led).await?,
                        _ => {
                            let why = "expected one patient with the identifier of this subject, the server has several";
                            led.refused.insert((*subject).into(), Reject::new(code::REFUSED, why));
                        }
                    }
                }
            }
        }
        let there = self.there("Patient", without.iter().map(|(subject, _)| (*subject).to_owned())).await?;
        without.retain(|(subject, _)| {
            let stands = there.contains(*subject);
            if stands {
                self.lead(subject, subject, led);
            }
            !stands
        });
        let patients = without.iter().map(|(subject, identity)| ("Patient", *subject, fhir::patient(subject, identity.as_ref())));
        let refused = self.make(patients.collect()).await?;
        for (subject, _) in &without {
            match refused.get(*subject) {
                Some(reject) => _ = led.refused.insert((*subject).into(), reject.clone()),
                None => self.lead(subject, subject, led),
            }
        }
        Ok(())
    }

    fn lead(&self, subject: &str, id: &str, led: &mut Led) {
        self.known().remember_patient(subject, id);
        led.patients.insert(subject.into(), id.into());
    }

    /// Our Patient beside somebody else's, linked with it and with those it was linked with before.
    async fn link(&self, subject: &str, other: &str, led: &mut Led) -> Result<(), Unavailable> {
        let standing = self.standing("Patient", &[subject.to_owned()], "identifier,link").await?;
        let mut links: Vec<&str> = vec![other];
        match standing.first() {
            Some(theirs) if !theirs.is_ours() => {
                let why = "expected no patient of somebody else's under the id of this subject";
                led.refused.insert(subject.into(), Reject::new(code::REFUSED, why));
                return Ok(());
            }
            Some(ours) if ours.linked().any(|linked| linked == other) => {
                self.lead(subject, other, led);
                return Ok(());
            }
            Some(ours) => links.extend(ours.linked()),
            None => {}
        }
        let refused = self.make(vec![("Patient", subject, linked(subject, &links))]).await?;
        match refused.into_values().next() {
            Some(reject) => _ = led.refused.insert(subject.into(), reject),
            None => self.lead(subject, other, led),
        }
        Ok(())
    }

    async fn by_identity(&self, identity: &Identity) -> Result<Vec<Resource>, Unavailable> {
        let token = format!("{}|{}", escaped(&identity.system), escaped(&identity.value));
        self.found("Patient", &[("identifier", &token), ("_elements", "identifier"), ("_count", "3")]).await
    }

    async fn devices(&self, wanted: HashMap<Uuid, &Item<'_>>, led: &mut Led) -> Result<(), Unavailable> {
        let there = self.there("Device", wanted.keys().map(Uuid::to_string)).await?;
        let missing: Vec<(String, &Item<'_>)> =
            wanted.iter().map(|(id, item)| (id.to_string(), *item)).filter(|(id, _)| !there.contains(id)).collect();
        let places = missing.iter().map(|(id, item)| {
            let patient = led.patients.get(item.subject).map_or(item.subject, |patient| &**patient);
            let identifier = json!({ "system": format!("urn:headwater:device:{}", item.provider), "value": id });
            let place = json!({
                "resourceType": "Device", "id": id, "identifier": [identifier],
                "patient": { "reference": format!("Patient/{patient}") },
            });
            ("Device", &**id, place.to_string())
        });
        let refused = self.make(places.collect()).await?;
        for id in wanted.into_keys() {
            match refused.get(&id.to_string()) {
                Some(reject) => _ = led.refused_devices.insert(id, reject.clone()),
                None => self.known().remember_device(id),
            }
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

    /// Puts resources that nobody has put yet, and says by id which are refused.
    async fn make(&self, resources: Vec<(&'static str, &str, String)>) -> Result<HashMap<String, Reject>, Unavailable> {
        let mut refused = HashMap::new();
        let mut parts: Vec<&[(&'static str, &str, String)]> = resources.chunks(self.size).collect();
        while let Some(part) = parts.pop() {
            let mut writing = Writing::new(self.bundles.as_str());
            part.iter().for_each(|(kind, id, text)| writing.put(&self.client.base, (kind, id), text, None));
            let answer = self.client.bundle(writing.finish()).await?;
            let mut refuse = |id: &str, status: u16| {
                let why = format!("the server answered {status} to what the resource refers to");
                refused.insert(id.to_owned(), Reject::new(code::REFUSED, why));
            };
            if !answer.status.is_success() {
                match part {
                    [(_, id, _)] if matches!(answer.status.as_u16(), 400 | 409 | 412 | 413 | 422) => {
                        refuse(id, answer.status.as_u16())
                    }
                    [(kind, ..)] => return Err(strange(kind, answer.status.as_u16())),
                    several => {
                        let (first, second) = several.split_at(several.len() / 2);
                        parts.extend([first, second]);
                    }
                }
                continue;
            }
            let entries = answer::bundle(&answer.body).map(|bundle| bundle.entry).unwrap_or_default();
            for ((kind, id, _), entry) in part.iter().zip(entries.into_iter().map(Some).chain(std::iter::repeat_with(|| None))) {
                let status = entry.and_then(|entry| entry.response?.status()).map_or(0, |status| status.as_u16());
                match status {
                    200..=299 => {}
                    400 | 404 | 409 | 410 | 412 | 413 | 422 => refuse(id, status),
                    _ => return Err(strange(kind, status)),
                }
            }
        }
        Ok(refused)
    }
}

/// What the server must do for us whatever the records are: settings or rights are wrong, or it is out of order.
fn strange(kind: &str, status: u16) -> Unavailable {
    Unavailable { why: format!("the server answered {status} to a request about {kind} that it has to take"), retry_after: None }
}

/// Our Patient beside those of others.
fn linked(subject: &str, others: &[&str]) -> String {
    let links: Vec<_> =
        others.iter().map(|id| json!({ "other": { "reference": format!("Patient/{id}") }, "type": "seealso" })).collect();
    json!({
        "resourceType": "Patient", "id": subject, "identifier": [{ "system": fhir::SUBJECT, "value": subject }], "link": links,
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
