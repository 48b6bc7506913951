//! How far each stream was fetched, and what its last answers looked like.

use libsql::{Connection as Handle, params};
use uuid::Uuid;

use super::{all, execute, first};
use crate::Result;
use crate::rows::Cursor;

pub async fn cursor(handle: &Handle, id: Uuid, stream: &str) -> Result<Option<Cursor>> {
    let sql = "SELECT fetched_to, history_from FROM cursors WHERE id = ?1 AND stream = ?2";
    first(handle, sql, params![id.into_bytes().to_vec(), stream], |row| {
        Ok(Cursor { fetched_to: row.get(0)?, history_from: row.get(1)? })
    })
    .await
}

pub async fn cursors(handle: &Handle, id: Uuid) -> Result<Vec<(String, Cursor)>> {
    let sql = "SELECT stream, fetched_to, history_from FROM cursors WHERE id = ?1 ORDER BY stream";
    all(handle, sql, params![id.into_bytes().to_vec()], |row| {
        Ok((row.get(0)?, Cursor { fetched_to: row.get(1)?, history_from: row.get(2)? }))
    })
    .await
}

pub async fn put_cursor(handle: &Handle, id: Uuid, stream: &str, cursor: &Cursor) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO cursors (id, stream, fetched_to, history_from) VALUES (?1, ?2, ?3, ?4)";
    execute(handle, sql, params![id.into_bytes().to_vec(), stream, cursor.fetched_to, cursor.history_from]).await.map(drop)
}

pub async fn digest(handle: &Handle, id: Uuid, stream: &str, window_start: i64) -> Result<Option<[u8; 16]>> {
    let sql = "SELECT digest FROM digests WHERE id = ?1 AND stream = ?2 AND window_start = ?3";
    first(handle, sql, params![id.into_bytes().to_vec(), stream, window_start], |row| row.get(0)).await
}

pub async fn put_digest(handle: &Handle, id: Uuid, stream: &str, window_start: i64, digest: [u8; 16]) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO digests (id, stream, window_start, digest) VALUES (?1, ?2, ?3, ?4)";
    execute(handle, sql, params![id.into_bytes().to_vec(), stream, window_start, digest.to_vec()]).await.map(drop)
}

pub async fn forget_digests(handle: &Handle, id: Uuid) -> Result<()> {
    execute(handle, "DELETE FROM digests WHERE id = ?1", params![id.into_bytes().to_vec()]).await.map(drop)
}

pub async fn held(handle: &Handle, id: Uuid, stream: &str, bucket: i64) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT content FROM held WHERE id = ?1 AND stream = ?2 AND bucket = ?3";
    first(handle, sql, params![id.into_bytes().to_vec(), stream, bucket], |row| row.get(0)).await
}

pub async fn put_held(handle: &Handle, id: Uuid, stream: &str, bucket: i64, blob: &[u8]) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO held (id, stream, bucket, content) VALUES (?1, ?2, ?3, ?4)";
    execute(handle, sql, params![id.into_bytes().to_vec(), stream, bucket, blob.to_vec()]).await.map(drop)
}
