//! Search of Observation.

use headwater_schemas::codes::Measure;
use headwater_store::{Order, StoredObservation};

use super::Resource;
use super::bundle::Bundle;
use super::date::Comparison;
use super::query::{Asked, Parameters};
use crate::problem::Problem;
use crate::reading::{Ask, Place, Sequence, cursor, place};
use crate::state::Api;

pub(super) const OFFERED: &[&str] =
    &["patient", "subject", "code", "category", "date", "status", "_lastUpdated", "_sort", "_count", CURSOR];

/// Where a page begins: made by this server, in its links.
const CURSOR: &str = "_cursor";
const COUNT: usize = 100;
pub(super) const COUNT_MOST: usize = 1000;
/// Rows looked at for one page. Where a filter leaves few of them, the page is short and has a next one.
const LOOKED_AT: usize = 20_000;

/// Search observations of one patient
///
/// Newest first unless `_sort=date`. `date` and `_lastUpdated` may be given several times; dates without an offset are in UTC. Other
/// parameters are refused.
#[utoipa::path(get, path = "/fhir/Observation", tag = "fhir", operation_id = "fhirObservation", params(
    ("patient" = Option<String>, Query, description = "id of the Patient; this or subject"),
    ("subject" = Option<String>, Query, description = "the same as Patient/id"),
    ("code" = Option<String>, Query, description = "code or system|code, several separated by commas", example = "http://loinc.org|8867-4"),
    ("category" = Option<String>, Query, description = "vital-signs, activity, procedure or laboratory"),
    ("date" = Option<Vec<String>>, Query, description = "eq, gt, ge, lt, le, sa or eb and a date or time"),
    ("status" = Option<String>, Query, description = "final, amended, preliminary, entered-in-error; several separated by commas"),
    ("_lastUpdated" = Option<Vec<String>>, Query, description = "when it was written here"),
    ("_sort" = Option<String>, Query, description = "date or -date"),
    ("_count" = Option<u32>, Query, description = "1 to 1000 of a page", minimum = 1),
    ("_cursor" = Option<String>, Query, description = "of a link of this server's")),
    responses((status = 200, content_type = "application/fhir+json", body = Object)))]
pub(crate) async fn search(asked: Asked) -> Result<Resource, Problem> {
    let search = asked.search(OFFERED, "read_observations").await?;
    let (api, given, patient) = (&*search.api, &search.given, &*search.patient);
    let filter = Filter::of(given)?;
    let (count, after) = (given.count(COUNT, COUNT_MOST)?, after(given)?);
    let ask = Ask {
        subject: patient,
        types: filter.measures.iter().map(|measure| measure.slug).collect(),
        from: filter.from,
        to: filter.to,
        order: order(given)?,
        after,
        expect: count,
    };
    let (found, last) = page(api, ask, &filter, count).await?;
    search.done().await?;
    let link = |cursor: &str| search.link("Observation", CURSOR, cursor);
    let mut links = vec![("self", link(given.one(CURSOR)?.unwrap_or_default()))];
    links.extend(last.map(|last| ("next", link(&cursor(last)))));
    let mut bundle = Bundle::new(&search.base, &links);
    found.iter().for_each(|row| bundle.observation(row));
    Ok(bundle.finish())
}

/// At most `count` rows that fit, and where the next page begins, if there may be one.
async fn page(
    api: &Api,
    ask: Ask<'_>,
    filter: &Filter<'_>,
    count: usize,
) -> Result<(Vec<StoredObservation>, Option<Place>), Problem> {
    let mut sequence = Sequence::new(&*api.store, ask).await?;
    let (mut found, mut last) = (Vec::new(), None);
    for _ in 0..LOOKED_AT {
        let Some(row) = sequence.next().await? else { return Ok((found, None)) };
        if found.len() == count && filter.fits(&row) {
            return Ok((found, last));
        }
        last = Some((row.start, row.id));
        if filter.fits(&row) {
            found.push(row);
        }
    }
    Ok((found, last))
}

/// What of a person's observations is asked for.
pub(super) struct Filter<'p> {
    pub measures: Vec<&'static Measure>,
    pub from: i64,
    pub to: i64,
    dates: Vec<Comparison>,
    updated: Vec<Comparison>,
    statuses: Option<Vec<&'p str>>,
}

impl<'p> Filter<'p> {
    pub fn of(given: &'p Parameters) -> Result<Self, Problem> {
        let dates = given.comparisons("date")?;
        let from = dates.iter().map(|date| date.bounds().0).max().unwrap_or(i64::MIN);
        let to = dates.iter().map(|date| date.bounds().1).min().unwrap_or(i64::MAX);
        let (measures, updated, statuses) = (given.measures()?, given.comparisons("_lastUpdated")?, given.statuses()?);
        Ok(Self { measures, from, to, dates, updated, statuses })
    }

    pub fn fits(&self, row: &StoredObservation) -> bool {
        self.dates.iter().all(|date| date.fits(row))
            && self.updated.iter().all(|updated| updated.fits_instant(row.stored_at))
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&&*row.status))
    }
}

fn order(given: &Parameters) -> Result<Order, Problem> {
    match given.one("_sort")? {
        None | Some("-date") => Ok(Order::NewestFirst),
        Some("date") => Ok(Order::OldestFirst),
        Some(_) => Err(Problem::parameter("_sort", "date or -date")),
    }
}

fn after(given: &Parameters) -> Result<Option<Place>, Problem> {
    given.one(CURSOR)?.map(|cursor| place(cursor).ok_or_else(|| Problem::parameter(CURSOR, "that of a link"))).transpose()
}
