//! Connections and their listing by shard. There is one writer per connection in practice (the worker that holds its lease); what two write
//! at once is last-write-wins.

use futures::try_join;
use scylla::DeserializeRow;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::{ScyllaStore, failed};
use crate::columns::{self, SealedConnection};
use crate::rows::{Connection, ConnectionState, Health, Listed};
use crate::vault::Owner;
use crate::{Result, shard};

/// A connection is replaced as a whole, absent values included: rows are few and rarely written, so the tombstones of nulls do no harm.
pub async fn put(store: &ScyllaStore, c: &Connection) -> Result<()> {
    let statements = store.statements().await?;
    let key = store.vault.key(store, &Owner::Connection(c.id), c.state_at).await?;
    let user = columns::seal_user(&key, c)?;
    let row = (
        (c.id, &c.provider, user, &c.subjects, &c.zone, &c.scopes),
        (c.state.as_str(), &c.reason, c.created_at, c.state_at, c.last_poll, c.next_poll),
    );
    let ((id, provider, user, subjects, zone, scopes), (state, reason, created_at, state_at, last_poll, next_poll)) = row;
    let listed = (i32::from(shard(id)), id, provider, state, next_poll);
    let whole = (id, provider, user, subjects, zone, scopes, state, reason, created_at, state_at, last_poll, next_poll);
    let both = logged([&statements.put_listed, &statements.put_connection]);
    // The subject's list first: what stands there and is no connection yet is passed over.
    for subject in &c.subjects {
        store.execute(&statements.put_of_subject, (subject, c.id)).await?;
    }
    store.session.batch(&both, (listed, whole)).await.map(drop).map_err(failed)
}

pub async fn of(store: &ScyllaStore, subject: &str) -> Result<Vec<Uuid>> {
    let rows: Vec<(Uuid,)> = store.all(&store.statements().await?.of_subject, (subject,)).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub async fn unlist(store: &ScyllaStore, subject: &str, id: Uuid) -> Result<()> {
    store.execute(&store.statements().await?.delete_of_subject, (subject, id)).await.map(drop)
}

pub async fn health(store: &ScyllaStore, id: Uuid) -> Result<Health> {
    type Row = (Option<i64>, Option<String>, Option<i64>, Option<i64>);
    let row: Option<Row> = store.first(&store.statements().await?.health, (id,)).await?;
    Ok(row.map_or_else(Health::default, |(synced_at, last_error, last_error_at, subscribed_at)| Health {
        synced_at,
        last_error,
        last_error_at,
        subscribed_at,
    }))
}

pub async fn set_synced(store: &ScyllaStore, id: Uuid, error: Option<&str>, at: i64) -> Result<()> {
    let statements = store.statements().await?;
    match error {
        None => store.execute(&statements.set_synced, (id, at)).await,
        Some(error) => store.execute(&statements.set_failed, (id, error, at)).await,
    }
    .map(drop)
}

pub async fn set_subscribed(store: &ScyllaStore, id: Uuid, at: Option<i64>) -> Result<()> {
    store.execute(&store.statements().await?.set_subscribed, (id, at)).await.map(drop)
}

/// Everything that is kept of a connection beside its observations and its key.
pub async fn delete(store: &ScyllaStore, c: &Connection, streams: &[&str]) -> Result<()> {
    let statements = store.statements().await?;
    super::tokens::delete(store, c.id).await?;
    for stream in streams {
        store.execute(&statements.delete_digests, (c.id, stream)).await?;
        store.execute(&statements.delete_held, (c.id, stream)).await?;
    }
    for subject in &c.subjects {
        unlist(store, subject, c.id).await?;
    }
    for statement in [&statements.delete_cursors, &statements.delete_health, &statements.delete_intent] {
        store.execute(statement, (c.id,)).await?;
    }
    let both = logged([&statements.delete_listed, &statements.delete_connection]);
    store.session.batch(&both, ((i32::from(shard(c.id)), c.id), (c.id,))).await.map(drop).map_err(failed)
}

pub async fn get(store: &ScyllaStore, id: Uuid) -> Result<Option<SealedConnection>> {
    let row: Option<Whole> = store.first(&store.statements().await?.connection, (id,)).await?;
    // An update of a connection that is not there leaves a row without provider.
    let Some((row, provider, user)) =
        row.and_then(|mut row| Some((row.provider.take()?, row.provider_user.take()?)).map(|(p, u)| (row, p, u)))
    else {
        return Ok(None);
    };
    let connection = Connection {
        id,
        provider,
        provider_user: String::new(),
        subjects: row.subjects.unwrap_or_default(),
        zone: row.zone,
        scopes: row.scopes.unwrap_or_default(),
        state: columns::state(row.state.as_deref().unwrap_or_default())?,
        reason: row.reason,
        created_at: row.created_at.unwrap_or_default(),
        state_at: row.state_at.unwrap_or_default(),
        last_poll: row.last_poll,
        next_poll: row.next_poll,
    };
    Ok(Some(SealedConnection { connection, user }))
}

pub async fn list(store: &ScyllaStore, shard: u8, after: Option<Uuid>, limit: usize) -> Result<Vec<Listed>> {
    type Row = (Uuid, Option<String>, Option<String>, Option<i64>);
    let statements = store.statements().await?;
    let mut listed = Vec::new();
    let mut after = after;
    // Rows without provider are skipped, so a page may need a second request.
    while listed.len() < limit {
        let ask = i32::try_from(limit - listed.len()).unwrap_or(i32::MAX);
        let rows: Vec<Row> = match after {
            None => store.all(&statements.list, (i32::from(shard), ask)).await?,
            Some(after) => store.all(&statements.list_after, (i32::from(shard), after, ask)).await?,
        };
        let complete = i32::try_from(rows.len()).unwrap_or(i32::MAX) < ask;
        after = rows.last().map(|row| row.0);
        for (id, provider, state, next_poll) in rows {
            if let (Some(provider), Some(state)) = (provider, state) {
                listed.push(Listed { id, provider, state: columns::state(&state)?, next_poll });
            }
        }
        if complete {
            break;
        }
    }
    Ok(listed)
}

/// A connection deleted between asking whether there is one and updating it leaves a row without provider, which reads as none.
pub async fn set_state(store: &ScyllaStore, id: Uuid, state: ConnectionState, why: Option<&str>, at: i64) -> Result<bool> {
    let statements = store.statements().await?;
    let known: Option<Whole> = store.first(&statements.connection, (id,)).await?;
    if known.is_none_or(|row| row.provider.is_none()) {
        return Ok(false);
    }
    let both = logged([&statements.set_listed_state, &statements.set_state]);
    let values = ((state.as_str(), i32::from(shard(id)), id), (state.as_str(), why, at, id));
    store.session.batch(&both, values).await.map_err(failed)?;
    Ok(true)
}

/// Without a batch: this comes with every poll, and when only one of the two is written, the next poll writes both.
pub async fn set_polled(store: &ScyllaStore, id: Uuid, at: i64, next_poll: i64) -> Result<()> {
    let statements = store.statements().await?;
    let listed = store.execute(&statements.set_listed_polled, (next_poll, i32::from(shard(id)), id));
    let whole = store.execute(&statements.set_polled, (at, next_poll, id));
    try_join!(listed, whole).map(drop)
}

#[derive(DeserializeRow)]
struct Whole {
    provider: Option<String>,
    provider_user: Option<Vec<u8>>,
    subjects: Option<Vec<String>>,
    zone: Option<String>,
    scopes: Option<Vec<String>>,
    state: Option<String>,
    reason: Option<String>,
    created_at: Option<i64>,
    state_at: Option<i64>,
    last_poll: Option<i64>,
    next_poll: Option<i64>,
}

/// Both or none: a connection that is not listed would never be polled.
fn logged(statements: [&PreparedStatement; 2]) -> Batch {
    let mut batch =
        Batch::new_with_statements(BatchType::Logged, statements.into_iter().cloned().map(BatchStatement::from).collect());
    batch.set_is_idempotent(true);
    batch
}
