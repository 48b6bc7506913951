//! Removing a person: every resource that we wrote about them, under whichever id the server knows them, and our Patient, if nobody else's
//! records hang on it.

use reqwest::Method;

use super::answer::{self, Resource};
use super::client::{Answer, FhirClient};
use super::entry::Writing;
use crate::Unavailable;

/// Kinds of resources and the parameter that finds a patient's.
const KINDS: [(&str, &str); 3] = [("Observation", "subject"), ("MedicationAdministration", "subject"), ("Device", "patient")];
const PAGE: &str = "500";
const AT_ONCE: usize = 100;

/// Removes what there is of a subject. Repeating it does no harm.
pub(super) async fn erase(client: &FhirClient, subject: &str) -> Result<(), Unavailable> {
    let found = client.ask(Method::GET, &format!("/Patient/{subject}"), None).await?;
    if !matches!(found.status.as_u16(), 200 | 404 | 410) {
        return Err(strange("Patient", &found));
    }
    let ours = serde_json::from_slice::<Resource>(&found.body).ok().filter(|_| found.status.is_success());
    for patient in ours.iter().flat_map(Resource::linked).chain([subject]) {
        resources(client, patient).await?;
    }
    let answer = client.ask(Method::DELETE, &format!("/Patient/{subject}"), None).await?;
    // Refused where others refer to it: then what is left of it is theirs.
    if matches!(answer.status.as_u16(), 200 | 202 | 204 | 404 | 409 | 410 | 412) {
        Ok(())
    } else {
        Err(strange("Patient", &answer))
    }
}

async fn resources(client: &FhirClient, patient: &str) -> Result<(), Unavailable> {
    let reference = format!("Patient/{patient}");
    for (kind, parameter) in KINDS {
        let found = owned(client, kind, parameter, &reference).await?;
        for part in found.chunks(AT_ONCE) {
            delete(client, kind, part).await?;
        }
        if !owned(client, kind, parameter, &reference).await?.is_empty() {
            return Err(Unavailable { why: format!("{kind} of an erased subject are still there"), retry_after: None });
        }
    }
    Ok(())
}

/// Ids of the patient's resources that we wrote.
async fn owned(client: &FhirClient, kind: &str, parameter: &str, reference: &str) -> Result<Vec<String>, Unavailable> {
    let mut ids = Vec::new();
    let mut answer = client.search(kind, &[(parameter, reference), ("_elements", "identifier"), ("_count", PAGE)]).await?;
    loop {
        let page = answer::bundle(&answer.body).filter(|_| answer.status.is_success()).ok_or_else(|| strange(kind, &answer))?;
        let next = page.link.iter().find(|link| link.relation == "next").map(|link| link.url.clone());
        ids.extend(page.entry.into_iter().filter_map(|entry| entry.resource).filter(is_ours).map(|resource| resource.id));
        let Some(next) = next else { return Ok(ids) };
        let path = next.strip_prefix(&client.base).map(str::to_owned);
        let path = path.ok_or_else(|| Unavailable { why: "the server's next page is elsewhere".into(), retry_after: None })?;
        answer = client.ask(Method::GET, &path, None).await?;
    }
}

fn is_ours(resource: &Resource) -> bool {
    let mut systems = resource.identifier.iter().filter_map(|identifier| identifier.system.as_deref());
    systems.any(|system| system.starts_with("urn:headwater:"))
}

async fn delete(client: &FhirClient, kind: &str, ids: &[String]) -> Result<(), Unavailable> {
    let mut writing = Writing::new("batch");
    ids.iter().for_each(|id| writing.delete(kind, id));
    let answer = client.bundle(writing.finish()).await?;
    if answer.status.is_success() { Ok(()) } else { Err(strange(kind, &answer)) }
}

fn strange(kind: &str, answer: &Answer) -> Unavailable {
    Unavailable { why: format!("the server answered {} to the erasure of {kind}", answer.status.as_u16()), retry_after: None }
}
