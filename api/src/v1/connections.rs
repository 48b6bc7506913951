//! Account links: begin one, see how it fares, pause it, ask at once, end it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use headwater_ingest::account::{Left, Revoked, Synced};
use headwater_store::{Connection, SHARDS, shard};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{body, connection_id, query, subject_id, time};
use crate::auth::{Action, Caller};
use crate::connect::ticket::{self, Ticket};
use crate::problem::Problem;
use crate::state::{Act, Api};

const PAGE: usize = 50;
const PAGE_MAX: usize = 500;
/// How long a caller may wait for a sync, and how often it is looked for.
const WAIT_MAX: u64 = 120;
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    provider: String,
    subject: String,
    /// Where the browser goes at the end: one of `api.return_urls`. Without it a page of ours tells how it ended.
    return_to: Option<String>,
    /// Given back to `return_to` as it is.
    state: Option<String>,
    /// IANA zone of the person, where known.
    zone: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Begun {
    /// Open it in the person's browser. It works once.
    pub connect_url: String,
    pub expires_at: String,
}

/// Begin to connect an account
#[utoipa::path(post, path = "/v1/connections", tag = "connections", request_body = Begin,
    responses((status = 201, body = Begun), (status = 400), (status = 403), (status = 404), (status = 409)))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Json<Begin>, JsonRejection>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let ask = body(given)?;
    let subject = subject_id(&ask.subject)?;
    api.allow(&caller, Action::Connect, "connect", subject).await?;
    if !api.accounts.providers().iter().any(|profile| profile.id == ask.provider) {
        return Err(Problem::parameter("provider", "one of /v1/providers"));
    }
    let ticket = Ticket {
        subject: subject.to_owned(),
        provider: Some(ask.provider),
        return_to: ask.return_to.map(|url| api.return_url(url)).transpose()?,
        state: ask.state,
        zone: ask.zone.map(zone).transpose()?,
        invited: false,
        actor: caller.actor.clone(),
    };
    let issued = ticket::issue(&api, &ticket, ticket::LIFE).await?;
    let detail = ticket.provider.as_deref();
    api.done(Act { actor: &caller.actor, action: "begin_connect", subject: Some(subject), connection: None, detail }).await?;
    Ok((StatusCode::CREATED, Json(Begun { connect_url: issued.url, expires_at: time(issued.expires_at) })))
}

pub(super) fn zone(name: String) -> Result<String, Problem> {
    match jiff::tz::TimeZone::get(&name) {
        Ok(_) => Ok(name),
        Err(_) => Err(Problem::parameter("zone", "an IANA zone such as Europe/Paris")),
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    id: Uuid,
    provider: String,
    subject: String,
    /// `active`, `inactive`, `needs_reauth`, `migrated`, `disconnected`.
    state: &'static str,
    /// `connected` until all history is in, then `incremental`.
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    granted_scopes: Vec<String>,
    connected_at: String,
    state_since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_poll: Option<String>,
    streams: Vec<StreamStatus>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StreamStatus {
    pub id: &'static str,
    /// False where the grant does not cover it: it is not fetched.
    pub granted: bool,
    /// Everything up to here was looked through, also where it was empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_from: Option<String>,
    pub history_complete: bool,
}

impl Status {
    /// All history that the grant covers is in.
    pub fn whole(&self) -> bool {
        self.stage == "incremental"
    }

    pub fn missing(&self) -> bool {
        self.streams.iter().any(|s| !s.granted)
    }

    pub fn streams_granted(&self) -> usize {
        self.streams.iter().filter(|s| s.granted).count()
    }

    pub fn streams_in(&self) -> usize {
        self.streams.iter().filter(|s| s.granted && s.history_complete).count()
    }
}

/// How a connection fares, for one of its subjects.
pub(crate) async fn status(api: &Api, connection: Connection, subject: String) -> Result<Status, Problem> {
    /// A history that begins this much later than asked for is as good as whole.
    const SLACK: i64 = 3_600_000_000;
    let health = api.store.health(connection.id).await?;
    let cursors = api.store.cursors(connection.id).await?;
    let wanted = connection.created_at - api.accounts.history(&connection.provider).unwrap_or_default() + SLACK;
    let streams: Vec<StreamStatus> = api
        .accounts
        .streams(&connection)
        .into_iter()
        .map(|(id, granted)| {
            let cursor = cursors.iter().find(|(stream, _)| stream == id).map(|(_, cursor)| *cursor);
            let history_from = cursor.and_then(|c| c.history_from);
            StreamStatus {
                id,
                granted,
                fetched_to: cursor.map(|c| time(c.fetched_to)),
                history_from: history_from.map(time),
                history_complete: history_from.is_some_and(|from| from <= wanted),
            }
        })
        .collect();
    let whole = streams.iter().all(|s| !s.granted || s.history_complete);
    Ok(Status {
        id: connection.id,
        provider: connection.provider,
        subject,
        state: connection.state.as_str(),
        stage: if whole { "incremental" } else { "connected" },
        reason: connection.reason,
        granted_scopes: connection.scopes,
        connected_at: time(connection.created_at),
        state_since: time(connection.state_at),
        last_sync: health.synced_at.map(time),
        last_error: health.last_error,
        last_error_at: health.last_error_at.map(time),
        next_poll: due(connection.next_poll),
        streams,
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// Whose; operators may leave it out.
    subject: Option<String>,
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<Uuid>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Connections {
    connections: Vec<Entry>,
    /// Pass it as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// A connection in a list: of one subject in full, of everybody in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Entry {
    Full(Box<Status>),
    Short { id: Uuid, provider: String, state: &'static str, next_poll: Option<String> },
}

/// List connections
#[utoipa::path(get, path = "/v1/connections", tag = "connections", params(Listing), responses((status = 200, body = Connections), (status = 403)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Query<Listing>, QueryRejection>,
) -> Result<Json<Connections>, Problem> {
    let ask = query(given)?;
    let limit = ask.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let Some(subject) = ask.subject.as_deref().or(caller.subject.as_deref()) else {
        api.allow(&caller, Action::ListAll, "list_connections", "").await?;
        let page = everybody(&api, ask.after, limit).await?;
        api.done(Act { actor: &caller.actor, action: "list_connections", subject: None, connection: None, detail: None }).await?;
        return Ok(Json(page));
    };
    let subject = subject_id(subject)?;
    api.allow(&caller, Action::ReadConnection, "list_connections", subject).await?;
    let ids = api.store.connections_of(subject).await?;
    let rest: Vec<Uuid> = ids.into_iter().filter(|id| ask.after.is_none_or(|after| *id > after)).collect();
    let mut connections = Vec::new();
    for id in rest.iter().take(limit) {
        if let Some(connection) = api.store.connection(*id).await?.filter(|c| c.subjects.iter().any(|s| s == subject)) {
            connections.push(Entry::Full(Box::new(status(&api, connection, subject.to_owned()).await?)));
        }
    }
    api.done(Act { actor: &caller.actor, action: "list_connections", subject: Some(subject), connection: None, detail: None })
        .await?;
    let next = if rest.len() > limit { rest.get(limit - 1).copied() } else { None };
    Ok(Json(Connections { connections, next }))
}

/// A page over all shards, in the order of shards: an id tells its shard.
async fn everybody(api: &Api, after: Option<Uuid>, limit: usize) -> Result<Connections, Problem> {
    let mut connections = Vec::with_capacity(limit);
    let mut next = None;
    let mut after = after;
    for shard in after.map_or(0, shard)..SHARDS {
        let page = api.store.connections(shard, after.take(), limit - connections.len()).await?;
        next = page.last().map(|l| l.id).or(next);
        connections.extend(page.into_iter().map(|l| Entry::Short {
            id: l.id,
            provider: l.provider,
            state: l.state.as_str(),
            next_poll: due(l.next_poll),
        }));
        if connections.len() >= limit {
            return Ok(Connections { connections, next });
        }
    }
    Ok(Connections { connections, next: None })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// Which of the subjects who share the account; may be left out where the caller acts for one of them.
    subject: Option<String>,
}

/// How a connection fares
#[utoipa::path(get, path = "/v1/connections/{id}", tag = "connections", params(("id" = Uuid, Path), Whose),
    responses((status = 200, body = Status), (status = 404)))]
pub async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    id: Result<Path<Uuid>, PathRejection>,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Result<Json<Status>, Problem> {
    let id = connection_id(id)?;
    let whose = query(whose)?;
    let name = "read_connection";
    let (connection, subject) = api.connection(&caller, Action::ReadConnection, name, (id, whose.subject.as_deref())).await?;
    let status = status(&api, connection, subject.clone()).await?;
    api.done(Act { actor: &caller.actor, action: name, subject: Some(&subject), connection: Some(id), detail: None }).await?;
    Ok(Json(status))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Ended {
    /// `ended`, or `others_remain` where somebody else shares the account.
    outcome: &'static str,
    /// `revoked`, `not_offered`, `failed` or `nothing`: whether the provider knows. Our tokens are deleted in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_provider: Option<&'static str>,
}

/// End a connection
#[utoipa::path(delete, path = "/v1/connections/{id}", tag = "connections", params(("id" = Uuid, Path), Whose),
    responses((status = 200, body = Ended), (status = 404)))]
pub async fn disconnect(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    id: Result<Path<Uuid>, PathRejection>,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Result<Json<Ended>, Problem> {
    let id = connection_id(id)?;
    let whose = query(whose)?;
    let name = "disconnect";
    let (_, subject) = api.connection(&caller, Action::Disconnect, name, (id, whose.subject.as_deref())).await?;
    let ended = match api.accounts.disconnect(id, &subject).await? {
        Left::OthersRemain => Ended { outcome: "others_remain", at_provider: None },
        Left::Ended(revoked) => Ended {
            outcome: "ended",
            at_provider: Some(match revoked {
                Revoked::AtProvider => "revoked",
                Revoked::NotOffered => "not_offered",
                Revoked::Failed => "failed",
                Revoked::Nothing => "nothing",
            }),
        },
    };
    api.done(Act {
        actor: &caller.actor,
        action: name,
        subject: Some(&subject),
        connection: Some(id),
        detail: ended.at_provider,
    })
    .await?;
    Ok(Json(ended))
}

/// Pause a connection: nothing is asked until it is reactivated
#[utoipa::path(post, path = "/v1/connections/{id}/deactivate", tag = "connections", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404), (status = 409)))]
pub async fn deactivate(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = connection_id(id)?;
    let name = "deactivate";
    let (connection, subject) = api.connection(&caller, Action::Deactivate, name, (id, None)).await?;
    alone(&caller, &connection)?;
    api.accounts.deactivate(id).await?;
    api.done(Act { actor: &caller.actor, action: name, subject: Some(&subject), connection: Some(id), detail: None }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One of several who share an account does not decide for the others.
fn alone(caller: &Caller, connection: &Connection) -> Result<(), Problem> {
    if connection.subjects.len() > 1 && !caller.may(Action::ListAll, "") {
        return Err(Problem::new(409, "shared", "others share the account: end your own part of it instead"));
    }
    Ok(())
}

/// Go on with a paused connection
#[utoipa::path(post, path = "/v1/connections/{id}/reactivate", tag = "connections", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404), (status = 409)))]
pub async fn reactivate(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = connection_id(id)?;
    let name = "reactivate";
    let (connection, subject) = api.connection(&caller, Action::Deactivate, name, (id, None)).await?;
    alone(&caller, &connection)?;
    api.accounts.reactivate(id).await?;
    api.done(Act { actor: &caller.actor, action: name, subject: Some(&subject), connection: Some(id), detail: None }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Seconds to wait for the result, at most 120; 0 does not wait.
    #[serde(default)]
    wait: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Sync {
    id: Uuid,
    /// `started`, `done`, `later` (the rest waits for its turn, see `reason`) or `not_active`.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
}

/// Windows and observations.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counts {
    windows_fetched: u32,
    windows_unchanged: u32,
    windows_empty: u32,
    windows_failed: u32,
    observations: u32,
    amended: u32,
    withdrawn: u32,
}

/// Ask the provider now
#[utoipa::path(post, path = "/v1/connections/{id}/sync", tag = "connections", params(("id" = Uuid, Path), Wait),
    responses((status = 200, body = Sync, description = "the result"), (status = 202, body = Sync, description = "it goes on"), (status = 404), (status = 409)))]
pub async fn sync(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    id: Result<Path<Uuid>, PathRejection>,
    wait: Result<Query<Wait>, QueryRejection>,
) -> Result<(StatusCode, Json<Sync>), Problem> {
    let id = connection_id(id)?;
    let wait = query(wait)?.wait.min(WAIT_MAX);
    let name = "sync";
    let (_, subject) = api.connection(&caller, Action::Sync, name, (id, None)).await?;
    let sync = api.accounts.sync(id).await?;
    api.done(Act { actor: &caller.actor, action: name, subject: Some(&subject), connection: Some(id), detail: None }).await?;
    let waited = tokio::time::timeout(Duration::from_secs(wait), async {
        loop {
            if let Some(synced) = api.accounts.synced(sync).await? {
                return Ok::<Synced, Problem>(synced);
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    match waited.await {
        Ok(synced) => Ok((StatusCode::OK, Json(result(sync, synced?)))),
        Err(_) => Ok((StatusCode::ACCEPTED, Json(Sync { id: sync, outcome: "started".into(), reason: None, counts: None }))),
    }
}

/// When it is asked next; never where everything is brought.
fn due(next_poll: Option<i64>) -> Option<String> {
    next_poll.filter(|at| *at != i64::MAX).map(time)
}

fn result(id: Uuid, Synced { outcome, reason, tally, .. }: Synced) -> Sync {
    let counts = Counts {
        windows_fetched: tally.fetched,
        windows_unchanged: tally.unchanged,
        windows_empty: tally.empty,
        windows_failed: tally.failed,
        observations: tally.observations,
        amended: tally.amended,
        withdrawn: tally.withdrawn,
    };
    Sync { id, outcome, reason, counts: Some(counts) }
}
