//! How far each stream was fetched, and what its last answers looked like. One worker at a time writes here, under its lease.

use uuid::Uuid;

use super::{ScyllaStore, unexpected};
use crate::Result;
use crate::rows::Cursor;

pub async fn cursor(store: &ScyllaStore, id: Uuid, stream: &str) -> Result<Option<Cursor>> {
    let row: Option<(i64, Option<i64>)> = store.first(&store.statements().await?.cursor, (id, stream)).await?;
    Ok(row.map(|(fetched_to, history_from)| Cursor { fetched_to, history_from }))
}

pub async fn cursors(store: &ScyllaStore, id: Uuid) -> Result<Vec<(String, Cursor)>> {
    let rows: Vec<(String, i64, Option<i64>)> = store.all(&store.statements().await?.cursors, (id,)).await?;
    Ok(rows.into_iter().map(|(stream, fetched_to, history_from)| (stream, Cursor { fetched_to, history_from })).collect())
}

pub async fn put_cursor(store: &ScyllaStore, id: Uuid, stream: &str, cursor: &Cursor) -> Result<()> {
    let values = (id, stream, cursor.fetched_to, cursor.history_from);
    store.execute(&store.statements().await?.put_cursor, values).await.map(drop)
}

pub async fn digest(store: &ScyllaStore, id: Uuid, stream: &str, window_start: i64) -> Result<Option<[u8; 16]>> {
    let row: Option<(Vec<u8>,)> = store.first(&store.statements().await?.digest, (id, stream, window_start)).await?;
    row.map(|(bytes,)| bytes.try_into().map_err(|_| unexpected())).transpose()
}

pub async fn put_digest(store: &ScyllaStore, id: Uuid, stream: &str, window_start: i64, digest: [u8; 16]) -> Result<()> {
    let values = (id, stream, window_start, digest.as_slice());
    store.execute(&store.statements().await?.put_digest, values).await.map(drop)
}

pub async fn forget_digests(store: &ScyllaStore, id: Uuid, streams: &[&str]) -> Result<()> {
    for stream in streams {
        store.execute(&store.statements().await?.delete_digests, (id, stream)).await?;
    }
    Ok(())
}

pub async fn held(store: &ScyllaStore, id: Uuid, stream: &str, bucket: i64) -> Result<Option<Vec<u8>>> {
    let row: Option<(Vec<u8>,)> = store.first(&store.statements().await?.held, (id, stream, bucket)).await?;
    Ok(row.map(|(blob,)| blob))
}

pub async fn put_held(store: &ScyllaStore, id: Uuid, stream: &str, bucket: i64, blob: &[u8]) -> Result<()> {
    store.execute(&store.statements().await?.put_held, (id, stream, bucket, blob)).await.map(drop)
}
