//! The operation `$lastn`: the newest observations of each code.

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use headwater_store::{Order, StoredObservation};

use super::Resource;
use super::bundle::Bundle;
use super::observation::Filter;
use super::query::Asked;
use crate::problem::Problem;
use crate::reading::{Ask, Sequence};
use crate::state::Api;

pub(super) const OFFERED: &[&str] = &["patient", "subject", "code", "category", "date", "status", "_lastUpdated", "max"];
const MAX: usize = 100;
/// Codes that are asked for at once.
const AT_ONCE: usize = 8;
/// Rows of one code that are looked at: withdrawn ones, and others that do not fit, are passed over.
const LOOKED_AT: usize = 2000;

/// The newest observations of each code
///
/// Withdrawn ones are passed over, unless `status` asks for them.
#[utoipa::path(get, path = "/fhir/Observation/$lastn", tag = "fhir", operation_id = "fhirLastN", params(
    ("patient" = Option<String>, Query, description = "id of the Patient; this or subject"),
    ("subject" = Option<String>, Query, description = "the same as Patient/id"),
    ("code" = Option<String>, Query, description = "code or system|code, several separated by commas"),
    ("category" = Option<String>, Query, description = "vital-signs, activity, procedure or laboratory"),
    ("date" = Option<Vec<String>>, Query, description = "eq, gt, ge, lt, le, sa or eb and a date or time"),
    ("status" = Option<String>, Query, description = "final, amended, preliminary, entered-in-error; several separated by commas"),
    ("_lastUpdated" = Option<Vec<String>>, Query, description = "when it was written here"),
    ("max" = Option<u32>, Query, description = "of each code, 1 to 100; one where absent", minimum = 1)),
    responses((status = 200, content_type = "application/fhir+json", body = Object)))]
pub(crate) async fn lastn(asked: Asked) -> Result<Resource, Problem> {
    let search = asked.search(OFFERED, "read_observations").await?;
    let (api, given, patient) = (&*search.api, &search.given, &*search.patient);
    let filter = Filter::of(given)?;
    let max = match given.one("max")?.map(str::parse::<usize>) {
        None => 1,
        Some(Ok(max)) if max > 0 => max.min(MAX),
        Some(_) => return Err(Problem::parameter("max", "a number from 1")),
    };
    let any = given.one("status")?.is_some();
    let held = api.store.data_types(patient).await?;
    let mut asked = Vec::new();
    for measure in &filter.measures {
        if held.iter().any(|found| found == measure.slug) {
            asked.push(newest(api, patient, measure.slug, &filter, max, any).boxed());
        }
    }
    let found: Vec<Vec<StoredObservation>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    search.done().await?;
    let mut bundle = Bundle::new(&search.base, &[("self", search.link("Observation/$lastn", "", ""))]);
    found.iter().flatten().for_each(|row| bundle.observation(row));
    Ok(bundle.finish())
}

async fn newest(
    api: &Api,
    subject: &str,
    slug: &'static str,
    filter: &Filter<'_>,
    max: usize,
    any: bool,
) -> Result<Vec<StoredObservation>, Problem> {
    let ask =
        Ask { subject, types: vec![slug], from: filter.from, to: filter.to, order: Order::NewestFirst, after: None, expect: max };
    let mut sequence = Sequence::new(&*api.store, ask).await?;
    let mut found = Vec::with_capacity(max);
    for looked_at in 0.. {
        let Some(row) = sequence.next().await? else { break };
        if looked_at == LOOKED_AT {
            return Err(Problem::parameter(
                "date",
                "a narrower time: too many observations before do not fit the other parameters",
            ));
        }
        if filter.fits(&row) && (any || row.status != "entered-in-error") {
            found.push(row);
        }
        if found.len() == max {
            break;
        }
    }
    Ok(found)
}
