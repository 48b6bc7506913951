//! Removing a person: every resource that we wrote about them, under whichever id the server knows them, and our Patient, if nobody else's
//! records hang on it.

use headwater_schemas::Reject;
use headwater_schemas::reject::code;
use reqwest::Method;

use super::answer::{self, Resource};
use super::client::{Answer, FhirClient};
use super::entry::Writing;
use super::settings::BundleKind;
use crate::Unavailable;

/// Kinds of resources and the parameter that finds a patient's.
const KINDS: [(&str, &str); 3] = [("Observation", "subject"), ("MedicationAdministration", "subject"), ("Device", "patient")];
const PAGE: &str = "500";
const AT_ONCE: usize = 100;

/// Removes what there is of a subject. Repeating it does no harm. What the server keeps because records of others hang on it is told.
pub(super) async fn erase(client: &FhirClient, bundles: BundleKind, subject: &str) -> Result<Option<Reject>, Unavailable> {
    let found = client.ask(Method::GET, &format!("/Patient/{subject}"), None).await?;
    if !matches!(found.status.as_u16(), 200 | 404 | 410) {
        return Err(strange("Patient", &found));
    }
    let patient = serde_json::from_slice::<Resource>(&found.body).ok().filter(|_| found.status.is_success());
    let ours = patient.filter(Resource::is_ours);
    let mut left = 0;
    for id in ours.iter().flat_map(Resource::linked).chain([subject]) {
        left += resources(client, bundles, id).await?;
    }
    if left > 0 {
        let why = format!("the server keeps {left} resources of an erased subject, records of others refer to them");
        return Ok(Some(Reject::new(code::REFUSED, why)));
    }
    if ours.is_some() {
        let answer = client.ask(Method::DELETE, &format!("/Patient/{subject}"), None).await?;
        // Refused where others refer to it: then what is left of it is theirs.
        if !matches!(answer.status.as_u16(), 200 | 202 | 204 | 404 | 409 | 410 | 412) {
            return Err(strange("Patient", &answer));
        }
    }
    Ok(None)
}

/// How many of a patient's resources are left.
async fn resources(client: &FhirClient, bundles: BundleKind, patient: &str) -> Result<usize, Unavailable> {
    let (reference, mut left) = (format!("Patient/{patient}"), 0);
    for (kind, parameter) in KINDS {
        let found = owned(client, kind, parameter, &reference).await?;
        for part in found.chunks(AT_ONCE) {
            delete(client, bundles, kind, part).await?;
        }
        if !found.is_empty() {
            left += owned(client, kind, parameter, &reference).await?.len();
        }
    }
    Ok(left)
}

/// Ids of the patient's resources that we wrote.
async fn owned(client: &FhirClient, kind: &str, parameter: &str, reference: &str) -> Result<Vec<String>, Unavailable> {
    let mut ids = Vec::new();
    let mut answer = client.search(kind, &[(parameter, reference), ("_elements", "identifier"), ("_count", PAGE)]).await?;
    loop {
        let page = answer::bundle(&answer.body).filter(|_| answer.status.is_success()).ok_or_else(|| strange(kind, &answer))?;
        let next = page.link.iter().find(|link| link.relation == "next").map(|link| link.url.clone());
        ids.extend(
            page.entry.into_iter().filter_map(|entry| entry.resource).filter(Resource::is_ours).map(|resource| resource.id),
        );
        let Some(next) = next else { return Ok(ids) };
        let path = client.path_of(&next);
        let path = path.ok_or_else(|| Unavailable { why: "the server's next page has no address".into(), retry_after: None })?;
        answer = client.ask(Method::GET, &path, None).await?;
    }
}

/// Deletes together what can be, and each alone where one of them holds up the others.
async fn delete(client: &FhirClient, bundles: BundleKind, kind: &str, ids: &[String]) -> Result<(), Unavailable> {
    let mut writing = Writing::new(bundles.as_str());
    ids.iter().for_each(|id| writing.delete(kind, id));
    let answer = client.bundle(writing.finish()).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    for id in ids {
        let answer = client.ask(Method::DELETE, &format!("/{kind}/{id}"), None).await?;
        if !answer.status.is_success() && !matches!(answer.status.as_u16(), 404 | 409 | 410 | 412) {
            return Err(strange(kind, &answer));
        }
    }
    Ok(())
}

fn strange(kind: &str, answer: &Answer) -> Unavailable {
    Unavailable { why: format!("the server answered {} to the erasure of {kind}", answer.status.as_u16()), retry_after: None }
}
