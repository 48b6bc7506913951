//! A person's observations as they come, by server-sent events. The id of an event is where it stands on the observation topic, so that a
//! browser that lost its connection goes on where it was.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use headwater_store::StoredObservation;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::row::Item;
use super::types;
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::state::{Act, Api};
use crate::v1::{query, subject_id};

/// Longest life of a stream; a client opens the next one by itself, with a token of then.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// What a browser sends when it opens a stream again.
const LAST: &str = "last-event-id";
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where a record stands on the observation topic: partition and offset.
pub type Place = (i32, i64);

/// What a listener hears.
#[derive(Debug, Clone)]
pub enum News {
    Observation(Place, Box<StoredObservation>),
    /// What followed the place that was asked for is no longer on the topic.
    Gap,
}

/// Why a listener is not taken.
#[derive(Debug, Clone, Copy)]
pub enum Deaf {
    /// There are too many now.
    Full,
    /// Nothing of this subject stands there.
    NoSuchPlace,
}

/// The observation topic as it grows.
pub trait Feed: Send + Sync + 'static {
    /// A subject's observations from now on, or from after this place. It ends when the listener is too slow.
    ///
    /// # Errors
    /// [`Deaf`].
    fn listen(&self, subject: &str, after: Option<Place>) -> Result<BoxStream<'static, News>, Deaf>;
}

/// One event.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what `Event` writes")]
struct LiveEvent {
    /// `observation` or `gap`.
    event: String,
    id: Option<String>,
    /// An Item as JSON; of a gap `{}`.
    data: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Live {
    subject: String,
    /// Data types separated by commas; all where absent.
    #[serde(rename = "type")]
    data_types: Option<String>,
}

/// Observations as they come (server-sent events)
///
/// Each event `observation` has an id; `Last-Event-ID` goes on after it. An observation may come twice: its `id` and `version` tell. An event
/// `gap` says that what followed that id is no longer there. A stream ends after 15 minutes, and the client opens it again.
#[utoipa::path(get, path = "/health/live", tag = "health",
    params(Live, ("Last-Event-ID" = Option<String>, Header, description = "id of the last event that was seen")),
    responses((status = 200, content_type = "text/event-stream", body = LiveEvent)))]
pub(crate) async fn live(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    headers: HeaderMap,
    given: Result<Query<Live>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let asked = query(given)?;
    subject_id(&asked.subject)?;
    api.allow(&caller, Action::ReadObservations, "follow_observations", &asked.subject).await?;
    let types = types(asked.data_types.as_deref())?;
    let after = match headers.get(LAST).map(|id| id.to_str().ok().and_then(place)) {
        None => None,
        Some(None) => return Err(Problem::parameter(LAST, "the id of an event of this stream")),
        Some(place) => place,
    };
    let feed = api.feed.as_ref().ok_or_else(|| Problem::new(404, "not found", "this server has no live stream"))?;
    let news = feed.listen(&asked.subject, after).map_err(|deaf| match deaf {
        Deaf::Full => Problem::new(503, "busy", "too many listeners; try again later").with(RETRY_AFTER, "5"),
        Deaf::NoSuchPlace => Problem::parameter(LAST, "the id of an event of this stream"),
    })?;
    let (subject, detail) = (Some(asked.subject.as_str()), asked.data_types.as_deref());
    api.done(Act { actor: &caller.actor, action: "follow_observations", subject, connection: None, detail }).await?;
    let events = news.filter_map(move |one| std::future::ready(event(one, &types).map(Ok))).take_until(tokio::time::sleep(LIFE));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

fn event(news: News, types: &[&'static str]) -> Option<Event> {
    let ((partition, offset), row) = match news {
        News::Observation(place, row) => (place, row),
        News::Gap => return Some(Event::default().event("gap").data("{}")),
    };
    let item = types.contains(&&*row.data_type).then(|| Item::of(*row, false).ok()).flatten()?;
    Event::default().event("observation").id(format!("{partition}:{offset}")).json_data(item).ok()
}

fn place(id: &str) -> Option<(i32, i64)> {
    let (partition, offset) = id.split_once(':')?;
    let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
    (partition >= 0 && offset >= 0).then_some((partition, offset))
}
