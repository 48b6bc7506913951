//! One person's observations: by type and time range, and the newest of each type.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use headwater_schemas::codes;
use headwater_store::{ObservationQuery, StoredObservation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{query, subject_id, time};
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::state::{Act, Api};

const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
/// How far back the newest of a type is looked for.
const MONTHS: u32 = 24;

#[derive(Debug, Deserialize, IntoParams)]
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

#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    observations: Vec<Item>,
    /// Pass it as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Item {
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
    /// The FHIR R4 resource.
    #[schema(value_type = Object)]
    resource: Box<RawValue>,
}

/// Observations of one type, newest first
#[utoipa::path(get, path = "/v1/observations", tag = "observations", params(Range),
    responses((status = 200, body = Page), (status = 400), (status = 403)))]
pub async fn range(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Query<Range>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let range = query(given)?;
    subject_id(&range.subject)?;
    api.allow(&caller, Action::ReadObservations, "read_observations", &range.subject).await?;
    if codes::by_slug(&range.data_type).is_none() {
        return Err(Problem::parameter("type", "a data type of `headwater streams`"));
    }
    let asked = ObservationQuery {
        subject_id: range.subject,
        data_type: range.data_type,
        from: instant("from", range.from.as_deref())?.unwrap_or(0),
        to: instant("to", range.to.as_deref())?.unwrap_or_else(|| Timestamp::now().as_microsecond()),
        limit: range.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX),
        after: range.after.as_deref().map(after).transpose()?,
    };
    let page = api.store.observations(&asked).await?;
    let (subject, detail) = (Some(asked.subject_id.as_str()), Some(asked.data_type.as_str()));
    api.done(Act { actor: &caller.actor, action: "read_observations", subject, connection: None, detail }).await?;
    let next = page.next.map(|(start, id)| format!("{start}.{}", id.simple()));
    Ok(Json(Page { observations: page.rows.into_iter().map(item).collect::<Result<_, _>>()?, next }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    subject: String,
    /// Data types separated by commas; all where absent.
    #[serde(rename = "type")]
    data_types: Option<String>,
}

/// The newest observation of each type
#[utoipa::path(get, path = "/v1/observations/latest", tag = "observations", params(Latest),
    responses((status = 200, body = Page), (status = 400), (status = 403)))]
pub async fn latest(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Query<Latest>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let latest = query(given)?;
    subject_id(&latest.subject)?;
    api.allow(&caller, Action::ReadObservations, "read_observations", &latest.subject).await?;
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
    let rows = api.store.latest(&latest.subject, &types, api.accounts.now(), MONTHS).await?;
    let (subject, detail) = (Some(latest.subject.as_str()), latest.data_types.as_deref());
    api.done(Act { actor: &caller.actor, action: "read_observations", subject, connection: None, detail }).await?;
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
        start: time(row.start),
        end: row.end.map(time),
        value: row.value_text,
        unit: row.unit,
        resource,
    })
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
