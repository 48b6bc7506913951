//! Subjects, half-finished things, data keys, and what is left of the erased.

use async_trait::async_trait;
use libsql::{Connection as Handle, TransactionBehavior, params};

use super::{SqliteStore, all, execute, failed, first, uuid};
use crate::Result;
use crate::rows::ErasureStep;
use crate::vault::{KeyRow, KeyRows};

pub async fn put(handle: &Handle, id: &str, sealed: Option<(Vec<u8>, Vec<u8>)>, at: i64) -> Result<bool> {
    let (identity, mark) = sealed.unzip();
    let sql = "INSERT INTO subjects (id, identity, mark, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    Ok(execute(handle, sql, params![id, identity, mark, at]).await? == 1)
}

/// The sealed identity, if any, and when the subject came.
pub async fn get(handle: &Handle, id: &str) -> Result<Option<(Option<Vec<u8>>, i64)>> {
    let sql = "SELECT identity, created_at FROM subjects WHERE id = ?1";
    first(handle, sql, params![id], |row| Ok((row.get(0)?, row.get(1)?))).await
}

pub async fn by_mark(handle: &Handle, mark: Vec<u8>) -> Result<Option<String>> {
    first(handle, "SELECT id FROM subjects WHERE mark = ?1", params![mark], |row| row.get(0)).await
}

pub async fn consent(handle: &Handle, subject: &str) -> Result<Option<(i64, String)>> {
    let sql = "SELECT version, terms FROM consents WHERE subject = ?1";
    first(handle, sql, params![subject], |row| Ok((row.get(0)?, row.get(1)?))).await
}

pub async fn put_consent(handle: &Handle, subject: &str, expected: i64, terms: &str) -> Result<bool> {
    let sql = if expected == 0 {
        "INSERT INTO consents (subject, version, terms) VALUES (?1, ?2 + 1, ?3) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE consents SET version = ?2 + 1, terms = ?3 WHERE subject = ?1 AND version = ?2"
    };
    Ok(execute(handle, sql, params![subject, expected, terms]).await? == 1)
}

pub async fn put_pending(handle: &Handle, key: &[u8; 32], sealed: Vec<u8>, now: i64, until: i64) -> Result<()> {
    execute(handle, "DELETE FROM pending WHERE until_at <= ?1", params![now]).await?;
    let sql = "INSERT OR REPLACE INTO pending (key, body, until_at) VALUES (?1, ?2, ?3)";
    execute(handle, sql, params![key.to_vec(), sealed, until]).await.map(drop)
}

pub async fn pending(handle: &Handle, key: &[u8; 32], now: i64) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT body FROM pending WHERE key = ?1 AND until_at > ?2";
    first(handle, sql, params![key.to_vec(), now], |row| row.get(0)).await
}

pub async fn take_pending(handle: &Handle, key: &[u8; 32], now: i64) -> Result<Option<Vec<u8>>> {
    let sql = "DELETE FROM pending WHERE key = ?1 AND until_at > ?2 RETURNING body";
    first(handle, sql, params![key.to_vec(), now], |row| row.get(0)).await
}

/// Observations and devices that were removed.
pub async fn erase(handle: &Handle, subject: &str) -> Result<(u64, u64)> {
    let transaction = handle.transaction_with_behavior(TransactionBehavior::Immediate).await.map_err(failed)?;
    let observations = execute(&transaction, "DELETE FROM observations WHERE subject_id = ?1", params![subject]).await?;
    let devices = execute(&transaction, "DELETE FROM devices WHERE subject_id = ?1", params![subject]).await?;
    execute(&transaction, "DELETE FROM subjects WHERE id = ?1", params![subject]).await?;
    execute(&transaction, "DELETE FROM connections_by_subject WHERE subject = ?1", params![subject]).await?;
    transaction.commit().await.map_err(failed)?;
    Ok((observations, devices))
}

pub async fn erasure(handle: &Handle, subject: &str) -> Result<Vec<ErasureStep>> {
    let sql = "SELECT step, at, count, note FROM erasures WHERE subject = ?1 ORDER BY at, step";
    let read = |row: &libsql::Row| Ok(ErasureStep { step: row.get(0)?, at: row.get(1)?, count: row.get(2)?, note: row.get(3)? });
    all(handle, sql, params![subject], read).await
}

pub async fn put_erasure(handle: &Handle, subject: &str, step: &ErasureStep) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO erasures (subject, step, at, count, note) VALUES (?1, ?2, ?3, ?4, ?5)";
    execute(handle, sql, params![subject, step.step.as_str(), step.at, step.count, step.note.as_deref()]).await.map(drop)
}

const KEY: &str = "owner, id, wrapped, created_at";

fn key(row: &libsql::Row) -> libsql::Result<KeyRow> {
    Ok(KeyRow { owner: row.get(0)?, id: uuid(row, 1)?, wrapped: row.get(2)?, created_at: row.get(3)? })
}

#[async_trait]
impl KeyRows for SqliteStore {
    async fn keys_of(&self, owner: &str) -> Result<Vec<KeyRow>> {
        let sql = format!("SELECT {KEY} FROM data_keys WHERE owner = ?1");
        all(&*self.read().await, &sql, params![owner], key).await
    }

    async fn insert_key(&self, row: &KeyRow) -> Result<bool> {
        let sql = format!("INSERT INTO data_keys ({KEY}) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING");
        let values = params![row.owner.as_str(), row.id.into_bytes().to_vec(), row.wrapped.clone(), row.created_at];
        Ok(execute(&*self.write().await, &sql, values).await? == 1)
    }

    async fn replace_key(&self, row: &KeyRow, wrapped: &[u8]) -> Result<bool> {
        let sql = "UPDATE data_keys SET wrapped = ?4 WHERE owner = ?1 AND id = ?2 AND wrapped = ?3";
        let values = params![row.owner.as_str(), row.id.into_bytes().to_vec(), row.wrapped.clone(), wrapped.to_vec()];
        Ok(execute(&*self.write().await, sql, values).await? == 1)
    }

    async fn delete_keys_of(&self, owner: &str) -> Result<u64> {
        execute(&*self.write().await, "DELETE FROM data_keys WHERE owner = ?1", params![owner]).await
    }

    async fn page_of_keys(&self, after: Option<Vec<u8>>, limit: usize) -> Result<(Vec<KeyRow>, Option<Vec<u8>>)> {
        // The position is the last row's: id (16 bytes), then owner.
        let (id, owner) = after.as_deref().and_then(|at| at.split_at_checked(16)).unwrap_or_default();
        let owner = String::from_utf8_lossy(owner).into_owned();
        let sql = format!("SELECT {KEY} FROM data_keys WHERE (owner, id) > (?1, ?2) ORDER BY owner, id LIMIT ?3");
        let ask = i64::try_from(limit).unwrap_or(i64::MAX);
        let page = all(&*self.read().await, &sql, params![owner, id.to_vec(), ask], key).await?;
        let next = page.last().filter(|_| page.len() == limit).map(|row| [row.id.as_bytes(), row.owner.as_bytes()].concat());
        Ok((page, next))
    }

    async fn erased(&self, subject: &str) -> Result<bool> {
        Ok(!erasure(&*self.read().await, subject).await?.is_empty())
    }
}
