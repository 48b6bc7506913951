//! Everything the store holds.

use futures::{StreamExt as _, TryStreamExt as _};
use scylla::client::session::Session;

use crate::digest::Digest;

/// Parts of the token ring, and how many are read at once.
const PARTS: i128 = 64;
const AT_ONCE: usize = 4;
/// Columns and key of what is looked at.
const TABLES: [(&str, &str); 2] = [("observations", "subject_id, month"), ("devices", "subject_id")];

/// Where a part of the ring begins. The last token of all is one that nothing has.
fn edge(part: i128) -> i64 {
    let edge = i128::from(i64::MIN) + part * (1i128 << 64) / PARTS;
    i64::try_from(edge).unwrap_or(i64::MAX)
}

/// Of every row with every column of it, that of when it was stored included.
pub async fn digest(session: &Session, keyspace: &str) -> anyhow::Result<Digest> {
    let mut whole = Digest::default();
    for (table, key) in TABLES {
        let mut statement = session
            .prepare(format!("SELECT JSON * FROM {keyspace}.{table} WHERE token({key}) >= ? AND token({key}) <= ?"))
            .await?;
        statement.set_page_size(500);
        let parts = futures::stream::iter(0..PARTS).map(|part| {
            let (from, to) = (edge(part), edge(part + 1).saturating_sub(1));
            let statement = statement.clone();
            async move {
                let mut read = session.execute_iter(statement, (from, to)).await?.rows_stream::<(String,)>()?;
                let mut digest = Digest::default();
                while let Some(row) = read.try_next().await? {
                    digest.add(&row.0);
                }
                anyhow::Ok(digest)
            }
        });
        let mut parts = parts.buffer_unordered(AT_ONCE);
        while let Some(part) = parts.try_next().await? {
            whole = whole.with(part);
        }
    }
    Ok(whole)
}
