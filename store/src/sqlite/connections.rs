//! Connections and their listing by shard.

use libsql::{Connection as Handle, TransactionBehavior, params};
use uuid::Uuid;

use super::{all, execute, failed, first, uuid};
use crate::columns::{self, SealedConnection};
use crate::rows::{Connection, ConnectionState, Health, Listed};
use crate::seal::DataKey;
use crate::{Result, Unavailable};

const PUT: &str = "INSERT OR REPLACE INTO connections
    (id, shard, provider, provider_user, subjects, zone, scopes, state, reason, created_at, state_at, last_poll, next_poll)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const GET: &str =
    "SELECT provider, provider_user, subjects, zone, scopes, state, reason, created_at, state_at, last_poll, next_poll
    FROM connections WHERE id = ?1";
const LIST: &str = "SELECT id, provider, state, next_poll FROM connections WHERE shard = ?1 AND id > ?2 ORDER BY id LIMIT ?3";

pub async fn put(handle: &Handle, key: &DataKey, c: &Connection) -> Result<()> {
    let values = params![
        c.id.into_bytes().to_vec(),
        crate::shard(c.id),
        c.provider.as_str(),
        columns::seal_user(key, c)?,
        json(&c.subjects),
        c.zone.as_deref(),
        json(&c.scopes),
        c.state.as_str(),
        c.reason.as_deref(),
        c.created_at,
        c.state_at,
        c.last_poll,
        c.next_poll,
    ];
    let transaction = handle.transaction_with_behavior(TransactionBehavior::Immediate).await.map_err(failed)?;
    execute(&transaction, PUT, values).await?;
    for subject in &c.subjects {
        let sql = "INSERT OR IGNORE INTO connections_by_subject (subject, id) VALUES (?1, ?2)";
        execute(&transaction, sql, params![subject.as_str(), c.id.into_bytes().to_vec()]).await?;
    }
    transaction.commit().await.map_err(failed)
}

pub async fn of(handle: &Handle, subject: &str) -> Result<Vec<Uuid>> {
    let sql = "SELECT id FROM connections_by_subject WHERE subject = ?1 ORDER BY id";
    all(handle, sql, params![subject], |row| uuid(row, 0)).await
}

pub async fn unlist(handle: &Handle, subject: &str, id: Uuid) -> Result<()> {
    let sql = "DELETE FROM connections_by_subject WHERE subject = ?1 AND id = ?2";
    execute(handle, sql, params![subject, id.into_bytes().to_vec()]).await.map(drop)
}

pub async fn health(handle: &Handle, id: Uuid) -> Result<Health> {
    let sql = "SELECT synced_at, last_error, last_error_at, subscribed_at FROM health WHERE id = ?1";
    let row = first(handle, sql, params![id.into_bytes().to_vec()], |row| {
        Ok(Health { synced_at: row.get(0)?, last_error: row.get(1)?, last_error_at: row.get(2)?, subscribed_at: row.get(3)? })
    });
    Ok(row.await?.unwrap_or_default())
}

pub async fn set_synced(handle: &Handle, id: Uuid, error: Option<&str>, at: i64) -> Result<()> {
    let sql = match error {
        None => {
            "INSERT INTO health (id, synced_at) VALUES (?1, ?2)
            ON CONFLICT (id) DO UPDATE SET synced_at = ?2, last_error = NULL, last_error_at = NULL"
        }
        Some(_) => {
            "INSERT INTO health (id, last_error_at, last_error) VALUES (?1, ?2, ?3)
            ON CONFLICT (id) DO UPDATE SET last_error_at = ?2, last_error = ?3"
        }
    };
    let id = id.into_bytes().to_vec();
    match error {
        None => execute(handle, sql, params![id, at]).await,
        Some(error) => execute(handle, sql, params![id, at, error]).await,
    }
    .map(drop)
}

pub async fn set_subscribed(handle: &Handle, id: Uuid, at: Option<i64>) -> Result<()> {
    let sql = "INSERT INTO health (id, subscribed_at) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET subscribed_at = ?2";
    execute(handle, sql, params![id.into_bytes().to_vec(), at]).await.map(drop)
}

/// Everything that is kept of a connection beside its observations and its key.
pub async fn delete(handle: &Handle, c: &Connection) -> Result<()> {
    const TABLES: &[&str] =
        &["connections", "tokens", "health", "intents", "cursors", "digests", "held", "connections_by_subject"];
    let transaction = handle.transaction_with_behavior(TransactionBehavior::Immediate).await.map_err(failed)?;
    for table in TABLES {
        execute(&transaction, &format!("DELETE FROM {table} WHERE id = ?1"), params![c.id.into_bytes().to_vec()]).await?;
    }
    transaction.commit().await.map_err(failed)
}

pub async fn get(handle: &Handle, id: Uuid) -> Result<Option<SealedConnection>> {
    let row = first(handle, GET, params![id.into_bytes().to_vec()], |row| {
        let lists: (String, String) = (row.get(2)?, row.get(4)?);
        let (user, state): (Vec<u8>, String) = (row.get(1)?, row.get(5)?);
        let connection = Connection {
            id,
            provider: row.get(0)?,
            provider_user: String::new(),
            subjects: Vec::new(),
            zone: row.get(3)?,
            scopes: Vec::new(),
            state: ConnectionState::Disconnected,
            reason: row.get(6)?,
            created_at: row.get(7)?,
            state_at: row.get(8)?,
            last_poll: row.get(9)?,
            next_poll: row.get(10)?,
        };
        Ok((connection, user, lists, state))
    })
    .await?;
    let Some((connection, user, (subjects, scopes), state)) = row else { return Ok(None) };
    let connection =
        Connection { subjects: list_of(&subjects)?, scopes: list_of(&scopes)?, state: columns::state(&state)?, ..connection };
    Ok(Some(SealedConnection { connection, user }))
}

pub async fn list(handle: &Handle, shard: u8, after: Option<Uuid>, limit: usize) -> Result<Vec<Listed>> {
    // Every id is greater than the empty blob.
    let after = after.map(|id| id.into_bytes().to_vec()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = all(handle, LIST, params![shard, after, limit], |row| {
        Ok((uuid(row, 0)?, row.get::<String>(1)?, row.get::<String>(2)?, row.get::<Option<i64>>(3)?))
    });
    let listed = |(id, provider, state, next_poll): (Uuid, String, String, _)| {
        Ok(Listed { id, provider, state: columns::state(&state)?, next_poll })
    };
    rows.await?.into_iter().map(listed).collect()
}

pub async fn set_state(handle: &Handle, id: Uuid, state: ConnectionState, why: Option<&str>, at: i64) -> Result<bool> {
    let sql = "UPDATE connections SET state = ?2, reason = ?3, state_at = ?4 WHERE id = ?1";
    Ok(execute(handle, sql, params![id.into_bytes().to_vec(), state.as_str(), why, at]).await? == 1)
}

pub async fn set_polled(handle: &Handle, id: Uuid, at: i64, next_poll: i64) -> Result<()> {
    let sql = "UPDATE connections SET last_poll = ?2, next_poll = ?3 WHERE id = ?1";
    execute(handle, sql, params![id.into_bytes().to_vec(), at, next_poll]).await.map(drop)
}

fn json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

fn list_of(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|_| Unavailable::new("sqlite: a list of a connection is not a JSON array of texts"))
}
