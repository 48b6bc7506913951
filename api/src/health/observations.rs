//! One person's observations: by type and time range, and the newest of each type.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use headwater_store::Order;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::row::Item;
use super::types;
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::reading::{Ask, Sequence, cursor, place};
use crate::state::{Act, Api};
use crate::v1::{query, subject_id};

const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
/// How far back the newest of a type is looked for.
const MONTHS: u32 = 24;
/// Rows looked at for one page. Where few are of the provider asked for, the page is short and has a next one.
const LOOKED_AT: usize = 20_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Range {
    subject: String,
    /// Data types separated by commas; all where absent.
    #[serde(rename = "type")]
    data_types: Option<String>,
    /// RFC 3339, included.
    #[param(format = DateTime)]
    from: Option<String>,
    /// RFC 3339, excluded.
    #[param(format = DateTime)]
    to: Option<String>,
    provider: Option<String>,
    /// `desc`, the newest first, where absent; or `asc`.
    #[param(inline)]
    order: Option<Direction>,
    /// Of a page, at most 1000.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// `next` of the page before.
    #[param(pattern = r"^-?[0-9]{1,18}\.[0-9a-f]{32}$")]
    after: Option<String>,
    /// Whether each comes with its FHIR R4 resource.
    #[serde(default)]
    resource: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    #[default]
    Desc,
    Asc,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    observations: Vec<Item>,
    /// Pass it as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Observations of a person
#[utoipa::path(get, path = "/health/observations", tag = "health", params(Range), responses((status = 200, body = Page)))]
pub(crate) async fn range(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Query<Range>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let range = query(given)?;
    subject_id(&range.subject)?;
    api.allow(&caller, Action::ReadObservations, "read_observations", &range.subject).await?;
    let limit = match range.limit {
        Some(0) => return Err(Problem::parameter("limit", "a number from 1")),
        limit => limit.unwrap_or(PAGE).min(PAGE_MAX),
    };
    let after = range.after.as_deref();
    let ask = Ask {
        subject: &range.subject,
        types: types(range.data_types.as_deref())?,
        from: instant("from", range.from.as_deref())?.unwrap_or(i64::MIN),
        to: instant("to", range.to.as_deref())?.unwrap_or(i64::MAX),
        order: match range.order.unwrap_or_default() {
            Direction::Desc => Order::NewestFirst,
            Direction::Asc => Order::OldestFirst,
        },
        after: after
            .map(|text| place(text).ok_or_else(|| Problem::parameter("after", "the `next` of the page before")))
            .transpose()?,
        expect: limit,
    };
    let mut sequence = Sequence::new(&*api.store, ask).await?;
    let (mut observations, mut last, mut next) = (Vec::new(), None, None);
    for looked_at in 0..=LOOKED_AT {
        let Some(row) = sequence.next().await? else { break };
        let fits = range.provider.as_ref().is_none_or(|provider| *provider == row.provider);
        if looked_at == LOOKED_AT || (observations.len() == limit && fits) {
            next = last.map(cursor);
            break;
        }
        last = Some((row.start, row.id));
        if fits {
            observations.push(Item::of(row, range.resource)?);
        }
    }
    let (subject, detail) = (Some(range.subject.as_str()), range.data_types.as_deref());
    api.done(Act { actor: &caller.actor, action: "read_observations", subject, connection: None, detail }).await?;
    Ok(Json(Page { observations, next }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Latest {
    subject: String,
    /// Data types separated by commas; all where absent.
    #[serde(rename = "type")]
    data_types: Option<String>,
    /// Whether each comes with its FHIR R4 resource.
    #[serde(default)]
    resource: bool,
}

/// The newest observation of each type
#[utoipa::path(get, path = "/health/observations/latest", tag = "health", params(Latest), responses((status = 200, body = Page)))]
pub(crate) async fn latest(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Query<Latest>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let latest = query(given)?;
    subject_id(&latest.subject)?;
    api.allow(&caller, Action::ReadObservations, "read_observations", &latest.subject).await?;
    let types = types(latest.data_types.as_deref())?;
    let rows = api.store.latest(&latest.subject, &types, api.accounts.now(), MONTHS).await?;
    let (subject, detail) = (Some(latest.subject.as_str()), latest.data_types.as_deref());
    api.done(Act { actor: &caller.actor, action: "read_observations", subject, connection: None, detail }).await?;
    let observations = rows.into_iter().map(|row| Item::of(row, latest.resource)).collect::<Result<_, _>>()?;
    Ok(Json(Page { observations, next: None }))
}

pub(super) fn instant(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    text.map(|text| {
        text.parse::<Timestamp>()
            .map(|t| t.as_microsecond())
            .map_err(|_| Problem::parameter(name, "a time such as 2026-11-01T00:00:00Z"))
    })
    .transpose()
}
