//! Token pairs and leases: what two workers may want at the same time. Each change is one conditional statement.

use libsql::{Connection as Handle, params};
use uuid::Uuid;

use super::{execute, first};
use crate::Result;
use crate::columns::{self, SealedTokens};
use crate::rows::{Intent, Lease, Tokens};
use crate::seal::DataKey;

/// A renewal of a running lease keeps its fence; whoever takes a free one gets the next.
const LEASE: &str = "INSERT INTO leases (name, owner, until_at, fence) VALUES (?1, ?2, ?4, 1)
    ON CONFLICT (name) DO UPDATE SET fence = fence + (until_at <= ?3), owner = excluded.owner, until_at = excluded.until_at
    WHERE owner = excluded.owner OR until_at <= ?3
    RETURNING fence";

pub async fn get(handle: &Handle, id: Uuid) -> Result<Option<SealedTokens>> {
    let sql = "SELECT access, refresh, expires_at, generation FROM tokens WHERE id = ?1";
    let sealed = first(handle, sql, params![id.into_bytes().to_vec()], |row| {
        Ok(SealedTokens { access: row.get(0)?, refresh: row.get(1)?, expires_at: row.get(2)?, generation: row.get(3)? })
    });
    sealed.await
}

pub async fn put(handle: &Handle, key: &DataKey, id: Uuid, expected: Option<i64>, tokens: &Tokens) -> Result<bool> {
    let (access, refresh) = columns::seal_tokens(key, id, tokens)?;
    let id = id.into_bytes().to_vec();
    let changed = match expected {
        None => {
            let sql = "INSERT INTO tokens (id, access, refresh, expires_at, generation) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
            execute(handle, sql, params![id, access, refresh, tokens.expires_at, tokens.generation]).await?
        }
        Some(expected) => {
            let sql =
                "UPDATE tokens SET access = ?2, refresh = ?3, expires_at = ?4, generation = ?5 WHERE id = ?1 AND generation = ?6";
            execute(handle, sql, params![id, access, refresh, tokens.expires_at, tokens.generation, expected]).await?
        }
    };
    Ok(changed == 1)
}

pub async fn delete(handle: &Handle, id: Uuid) -> Result<()> {
    execute(handle, "DELETE FROM tokens WHERE id = ?1", params![id.into_bytes().to_vec()]).await.map(drop)
}

pub async fn intent(handle: &Handle, id: Uuid) -> Result<Option<Intent>> {
    let sql = "SELECT generation, at FROM intents WHERE id = ?1";
    first(handle, sql, params![id.into_bytes().to_vec()], |row| Ok(Intent { generation: row.get(0)?, at: row.get(1)? })).await
}

pub async fn put_intent(handle: &Handle, id: Uuid, intent: Option<Intent>) -> Result<()> {
    let id = id.into_bytes().to_vec();
    match intent {
        Some(Intent { generation, at }) => {
            let sql = "INSERT OR REPLACE INTO intents (id, generation, at) VALUES (?1, ?2, ?3)";
            execute(handle, sql, params![id, generation, at]).await
        }
        None => execute(handle, "DELETE FROM intents WHERE id = ?1", params![id]).await,
    }
    .map(drop)
}

pub async fn lease(handle: &Handle, name: &str, owner: Uuid, now: i64, until: i64) -> Result<Option<Lease>> {
    let fence = first(handle, LEASE, params![name, owner.into_bytes().to_vec(), now, until], |row| row.get(0)).await?;
    Ok(fence.map(|fence| Lease { name: name.to_owned(), owner, fence }))
}

/// The row stays, so that the next holder's fence is greater.
pub async fn release(handle: &Handle, lease: &Lease) -> Result<()> {
    let sql = "UPDATE leases SET until_at = ?4 WHERE name = ?1 AND owner = ?2 AND fence = ?3";
    execute(handle, sql, params![lease.name.as_str(), lease.owner.into_bytes().to_vec(), lease.fence, i64::MIN]).await.map(drop)
}
