//! One person's observations: by type and time range, and the newest of each type.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use headwater_schemas::codes;
use headwater_store::{ObservationQuery, Store, StoredObservation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::problem::Problem;

const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
/// How far back the newest of a type is looked for.
const MONTHS: u32 = 24;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    subject: String,
    #[serde(rename = "type")]
    data_type: String,
    /// RFC 3339, included.
    from: Option<String>,
    /// RFC 3339, excluded.
    to: Option<String>,
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Page {
    observations: Vec<Item>,
    /// Pass it as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Item {
    id: Uuid,
    #[serde(rename = "type")]
    data_type: String,
    provider: String,
    status: String,
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    resource: Box<RawValue>,
}

pub async fn range(
    State(store): State<Arc<dyn Store>>,
    query: Result<Query<Range>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(range) = query.map_err(|e| Problem::new(400, "bad parameter", e.body_text()))?;
    if codes::by_slug(&range.data_type).is_none() {
        return Err(Problem::parameter("type", "a data type of `headwater streams`"));
    }
    let query = ObservationQuery {
        subject_id: range.subject,
        data_type: range.data_type,
        from: instant("from", range.from.as_deref())?.unwrap_or(0),
        to: instant("to", range.to.as_deref())?.unwrap_or_else(|| Timestamp::now().as_microsecond()),
        limit: range.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX),
        after: range.after.as_deref().map(after).transpose()?,
    };
    let page = store.observations(&query).await.map_err(unavailable)?;
    let next = page.next.map(|(start, id)| format!("{start}.{}", id.simple()));
    Ok(Json(Page { observations: page.rows.into_iter().map(item).collect::<Result<_, _>>()?, next }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    subject: String,
    /// Data types separated by commas; all where absent.
    #[serde(rename = "type")]
    data_types: Option<String>,
}

pub async fn latest(
    State(store): State<Arc<dyn Store>>,
    query: Result<Query<Latest>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(latest) = query.map_err(|e| Problem::new(400, "bad parameter", e.body_text()))?;
    let types: Vec<&str> = match &latest.data_types {
        Some(list) => list
            .split(',')
            .map(|slug| {
                codes::by_slug(slug)
                    .map(|m| m.slug)
                    .ok_or_else(|| Problem::parameter("type", "data types of `headwater streams`"))
            })
            .collect::<Result<_, _>>()?,
        None => codes::ALL.iter().map(|m| m.slug).collect(),
    };
    let rows = store.latest(&latest.subject, &types, Timestamp::now().as_microsecond(), MONTHS).await.map_err(unavailable)?;
    Ok(Json(Page { observations: rows.into_iter().map(item).collect::<Result<_, _>>()?, next: None }))
}

fn item(row: StoredObservation) -> Result<Item, Problem> {
    let resource =
        RawValue::from_string(row.fhir).map_err(|_| Problem::new(500, "damaged row", "a stored resource is no JSON"))?;
    Ok(Item {
        id: row.id,
        data_type: row.data_type,
        provider: row.provider,
        status: row.status,
        start: text(row.start),
        end: row.end.map(text),
        value: row.value_text,
        unit: row.unit,
        resource,
    })
}

fn text(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|t| t.to_string()).unwrap_or_default()
}

fn instant(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    text.map(|text| {
        text.parse::<Timestamp>()
            .map(|t| t.as_microsecond())
            .map_err(|_| Problem::parameter(name, "a time such as 2026-11-01T00:00:00Z"))
    })
    .transpose()
}

fn after(text: &str) -> Result<(i64, Uuid), Problem> {
    let parse = || {
        let (start, id) = text.split_once('.')?;
        Some((start.parse().ok()?, Uuid::try_parse(id).ok()?))
    };
    parse().ok_or_else(|| Problem::parameter("after", "the `next` of the page before"))
}

/// Why is in the operators' log; the caller learns only that it is not its fault.
fn unavailable(error: headwater_store::Unavailable) -> Problem {
    tracing::warn!("{error}");
    Problem::new(503, "store unavailable", "try again later")
}
