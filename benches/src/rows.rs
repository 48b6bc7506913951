//! Everything the store holds.

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use scylla::client::session::Session;
use serde_json::Value;

use crate::digest::Digest;

/// Parts of the token ring, and how many are read at once.
const PARTS: i128 = 64;
const AT_ONCE: usize = 4;

/// What is read of a table: its columns, and those that say where a row is.
struct Table {
    name: &'static str,
    columns: &'static str,
    key: &'static str,
}

const OBSERVATIONS: Table = Table { name: "observations", columns: "*", key: "subject_id, month" };
const DEVICES: Table = Table { name: "devices", columns: "*", key: "subject_id" };
const MONTHS: Table = Table { name: "observation_months", columns: "*", key: "subject_id" };
/// With the time that says which of two writes wins.
const TIMED: Table = Table { columns: "subject_id, month, data_type, start_at, id, body, writetime(body)", ..OBSERVATIONS };

/// Of every row with every column of it, that of when it was stored included.
pub async fn digest(session: &Session, keyspace: &str) -> anyhow::Result<Digest> {
    let observations = each(session, keyspace, &OBSERVATIONS, Ok).await?;
    Ok(observations.with(each(session, keyspace, &DEVICES, Ok).await?))
}

/// What a writer of observations left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub observations: Digest,
    months: Digest,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, months {}", self.observations, self.months)
    }
}

/// Of every row but when it was stored and what the topic of raw records is called, in which two that do the same differ: of these only whether they
/// are there as they should be.
pub async fn written(session: &Session, keyspace: &str, raw: &str) -> anyhow::Result<Written> {
    let observations = each(session, keyspace, &TIMED, |row| {
        let mut row: Value = serde_json::from_str(&row.replace(raw, "raw")).context("a row that is no JSON")?;
        let stored = row.pointer_mut("/body/stored_at").context("a row without body.stored_at")?;
        *stored = stored.as_i64().is_some_and(i64::is_negative).into();
        Ok(row.to_string())
    });
    Ok(Written { observations: observations.await?, months: each(session, keyspace, &MONTHS, Ok).await? })
}

async fn each(
    session: &Session,
    keyspace: &str,
    table: &Table,
    look: impl Fn(String) -> anyhow::Result<String>,
) -> anyhow::Result<Digest> {
    let Table { name, columns, key } = table;
    let mut statement = session
        .prepare(format!("SELECT JSON {columns} FROM {keyspace}.{name} WHERE token({key}) >= ? AND token({key}) <= ?"))
        .await?;
    statement.set_page_size(500);
    let (statement, look) = (&statement, &look);
    let parts = futures::stream::iter(0..PARTS).map(|part| async move {
        let (from, to) = (edge(part), edge(part + 1).saturating_sub(1));
        let mut read = session.execute_iter(statement.clone(), (from, to)).await?.rows_stream::<(String,)>()?;
        let mut digest = Digest::default();
        while let Some(row) = read.try_next().await? {
            digest.add(&look(row.0)?);
        }
        anyhow::Ok(digest)
    });
    let mut parts = parts.buffer_unordered(AT_ONCE);
    let mut whole = Digest::default();
    while let Some(part) = parts.try_next().await? {
        whole = whole.with(part);
    }
    Ok(whole)
}

/// Where a part of the ring begins. The last token of all is one that nothing has.
fn edge(part: i128) -> i64 {
    let edge = i128::from(i64::MIN) + part * (1i128 << 64) / PARTS;
    i64::try_from(edge).unwrap_or(i64::MAX)
}
