//! Subjects, half-finished things, data keys, and what is left of the erased.

use async_trait::async_trait;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::conditional::{ATTEMPTS, Outcome, conditional, pause};
use super::{ScyllaStore, failed, unexpected};
use crate::rows::ErasureStep;
use crate::vault::{KeyRow, KeyRows};
use crate::{Result, Unavailable};

/// Deletions of observations carry a time this much after now: the rows carry versions of their source's clock, which may run fast. A
/// cluster may refuse times that are days ahead.
const AHEAD: i64 = 86_400_000_000;

/// A year, in seconds: nothing half-finished waits longer, and CQL refuses ends that are decades away.
const TTL_MAX: i64 = 31_536_000;

/// Identity, mark, and when it came.
type SubjectRow = (Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>);

pub async fn put(store: &ScyllaStore, id: &str, sealed: Option<(Vec<u8>, Vec<u8>)>, at: i64) -> Result<bool> {
    let statements = store.statements().await?;
    let (identity, mark) = sealed.unzip();
    if let Some(mark) = &mark {
        once(store, &statements.put_mark, (mark, id)).await?;
        if by_mark(store, mark.clone()).await?.as_deref() != Some(id) {
            return Ok(false);
        }
    }
    // Where it may have been ours, the caller may take it for ours: the same subject comes of the same identity.
    Ok(once(store, &statements.put_subject, (id, identity, mark, at)).await?.unwrap_or(true))
}

pub async fn get(store: &ScyllaStore, id: &str) -> Result<Option<(Option<Vec<u8>>, i64)>> {
    let row: Option<SubjectRow> = store.first(&store.statements().await?.subject, (id,)).await?;
    Ok(row.map(|(identity, _, created_at)| (identity, created_at.unwrap_or_default())))
}

pub async fn by_mark(store: &ScyllaStore, mark: Vec<u8>) -> Result<Option<String>> {
    let row: Option<(String,)> = store.first(&store.statements().await?.by_mark, (mark,)).await?;
    Ok(row.map(|(id,)| id))
}

pub async fn consent(store: &ScyllaStore, subject: &str) -> Result<Option<(i64, String)>> {
    store.first(&store.statements().await?.consent, (subject,)).await
}

/// Of an outcome that stays unknown the text tells whether it was ours.
pub async fn put_consent(store: &ScyllaStore, subject: &str, expected: i64, terms: &str) -> Result<bool> {
    let statements = store.statements().await?;
    for attempt in 0..ATTEMPTS {
        let outcome = if expected == 0 {
            conditional(store, &statements.insert_consent, (subject, 1_i64, terms)).await?
        } else {
            conditional(store, &statements.update_consent, (expected + 1, terms, subject, expected)).await?
        };
        match outcome {
            Outcome::Applied => return Ok(true),
            Outcome::Refused if attempt == 0 => return Ok(false),
            Outcome::Refused => return Ok(consent(store, subject).await? == Some((expected + 1, terms.to_owned()))),
            Outcome::Unknown(_) => pause(attempt).await,
        }
    }
    Err(Unavailable::new("cql: a consent could not be written"))
}

pub async fn put_pending(store: &ScyllaStore, key: &[u8; 32], sealed: Vec<u8>, now: i64, until: i64) -> Result<()> {
    // Kept a little longer than it counts: whether it counts is judged by the caller's clock.
    let seconds = ((until - now) / 1_000_000 + 60).clamp(60, TTL_MAX) as i32;
    let statement = &store.statements().await?.put_pending;
    once(store, statement, (key.as_slice(), sealed, until, seconds)).await.map(drop)
}

pub async fn pending(store: &ScyllaStore, key: &[u8; 32], now: i64) -> Result<Option<Vec<u8>>> {
    Ok(read_pending(store, key).await?.filter(|(_, until)| *until > now).map(|(body, _)| body))
}

/// Of an outcome that stays unknown nobody gets it: a secret that may have been used is used.
pub async fn take_pending(store: &ScyllaStore, key: &[u8; 32], now: i64) -> Result<Option<Vec<u8>>> {
    let Some(body) = pending(store, key, now).await? else { return Ok(None) };
    match conditional(store, &store.statements().await?.take_pending, (key.as_slice(),)).await? {
        Outcome::Applied => Ok(Some(body)),
        Outcome::Refused => Ok(None),
        Outcome::Unknown(error) => Err(error),
    }
}

async fn read_pending(store: &ScyllaStore, key: &[u8; 32]) -> Result<Option<(Vec<u8>, i64)>> {
    store.first(&store.statements().await?.pending, (key.as_slice(),)).await
}

/// Observations and devices that were removed.
pub async fn erase(store: &ScyllaStore, subject: &str, at: i64) -> Result<(u64, u64)> {
    let statements = store.statements().await?;
    let mut months: Vec<(i32, String)> = store.all(&statements.all_months, (subject,)).await?;
    months.dedup_by_key(|(month, _)| *month);
    let mut observations = 0;
    for (month, _) in months {
        // What moved left a mark at its old place, which is no observation.
        let rows: Vec<(Option<i64>,)> = store.all(&statements.in_month, (subject, month)).await?;
        observations += rows.iter().filter(|(moved,)| moved.is_none()).count() as u64;
        store.execute(&statements.delete_month, (at.saturating_add(AHEAD), subject, month)).await?;
    }
    let devices = super::devices::list(store, subject).await?.len() as u64;
    store.execute(&statements.delete_devices, (at.saturating_add(AHEAD), subject)).await?;
    store.execute(&statements.delete_months, (subject,)).await?;
    store.forget_months(subject);
    let row: Option<SubjectRow> = store.first(&statements.subject, (subject,)).await?;
    if let Some((_, Some(mark), _)) = row {
        gone(store, &statements.delete_mark, (mark, subject)).await?;
    }
    gone(store, &statements.delete_subject, (subject,)).await?;
    Ok((observations, devices))
}

pub async fn erasure(store: &ScyllaStore, subject: &str) -> Result<Vec<ErasureStep>> {
    type Row = (String, i64, i64, Option<String>);
    let rows: Vec<Row> = store.all(&store.statements().await?.erasure, (subject,)).await?;
    let mut steps: Vec<ErasureStep> =
        rows.into_iter().map(|(step, at, count, note)| ErasureStep { step, at, count, note }).collect();
    steps.sort_by(|a, b| (a.at, &a.step).cmp(&(b.at, &b.step)));
    Ok(steps)
}

pub async fn put_erasure(store: &ScyllaStore, subject: &str, step: &ErasureStep) -> Result<()> {
    let values = (subject, &step.step, step.at, step.count, &step.note);
    store.execute(&store.statements().await?.put_erasure, values).await.map(drop)
}

#[async_trait]
impl KeyRows for ScyllaStore {
    async fn keys_of(&self, owner: &str) -> Result<Vec<KeyRow>> {
        let rows: Vec<(Uuid, Vec<u8>, i64)> = self.all(&self.statements().await?.keys_of, (owner,)).await?;
        let row = |(id, wrapped, created_at)| KeyRow { owner: owner.to_owned(), id, wrapped, created_at };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn insert_key(&self, row: &KeyRow) -> Result<bool> {
        let values = (&row.owner, row.id, &row.wrapped, row.created_at);
        // Wrapped anew each time, so the same bytes are nobody else's.
        for attempt in 0..ATTEMPTS {
            match conditional(self, &self.statements().await?.insert_key, values).await? {
                Outcome::Applied => return Ok(true),
                Outcome::Refused => {
                    return Ok(self.keys_of(&row.owner).await?.iter().any(|stands| stands.wrapped == row.wrapped));
                }
                Outcome::Unknown(_) => pause(attempt).await,
            }
        }
        Err(Unavailable::new("cql: a data key could not be written"))
    }

    async fn replace_key(&self, row: &KeyRow, wrapped: &[u8]) -> Result<bool> {
        let values = (wrapped, &row.owner, row.id, &row.wrapped);
        for attempt in 0..ATTEMPTS {
            match conditional(self, &self.statements().await?.replace_key, values).await? {
                Outcome::Applied => return Ok(true),
                Outcome::Refused => return Ok(self.keys_of(&row.owner).await?.iter().any(|stands| stands.wrapped == wrapped)),
                Outcome::Unknown(_) => pause(attempt).await,
            }
        }
        Err(Unavailable::new("cql: a data key could not be replaced"))
    }

    async fn delete_keys_of(&self, owner: &str) -> Result<u64> {
        let keys = self.keys_of(owner).await?;
        for key in &keys {
            gone(self, &self.statements().await?.delete_key, (owner, key.id)).await?;
        }
        Ok(keys.len() as u64)
    }

    async fn page_of_keys(&self, after: Option<Vec<u8>>, limit: usize) -> Result<(Vec<KeyRow>, Option<Vec<u8>>)> {
        let mut statement = self.statements().await?.page_of_keys.clone();
        statement.set_page_size(i32::try_from(limit).unwrap_or(i32::MAX));
        let state = after.map_or_else(PagingState::start, PagingState::new_from_raw_bytes);
        let (page, next) = self.session.execute_single_page(&statement, (), state).await.map_err(failed)?;
        let page = page.into_rows_result().map_err(|_| unexpected())?;
        let rows = page.rows::<(String, Uuid, Vec<u8>, i64)>().map_err(|_| unexpected())?;
        let rows: Vec<KeyRow> = rows
            .map(|row| {
                row.map(|(owner, id, wrapped, created_at)| KeyRow { owner, id, wrapped, created_at }).map_err(|_| unexpected())
            })
            .collect::<Result<_>>()?;
        let next = match next {
            PagingStateResponse::HasMorePages { state } => state.as_bytes_slice().map(|bytes| bytes.to_vec()),
            PagingStateResponse::NoMorePages => None,
        };
        Ok((rows, next))
    }

    async fn erased(&self, subject: &str) -> Result<bool> {
        Ok(!erasure(self, subject).await?.is_empty())
    }
}

/// Inserts once. `None`: it is there now, and may have been ours.
async fn once(store: &ScyllaStore, statement: &PreparedStatement, values: impl SerializeRow + Clone) -> Result<Option<bool>> {
    let mut unsure = false;
    for attempt in 0..ATTEMPTS {
        match conditional(store, statement, values.clone()).await? {
            Outcome::Applied => return Ok(Some(true)),
            Outcome::Refused => return Ok((!unsure).then_some(false)),
            Outcome::Unknown(_) => unsure = true,
        }
        pause(attempt).await;
    }
    Err(Unavailable::new("cql: a row could not be inserted"))
}

/// Deletes, whether it was there or not.
async fn gone(store: &ScyllaStore, statement: &PreparedStatement, values: impl SerializeRow + Clone) -> Result<()> {
    let mut why = None;
    for attempt in 0..ATTEMPTS {
        match conditional(store, statement, values.clone()).await? {
            Outcome::Applied | Outcome::Refused => return Ok(()),
            Outcome::Unknown(error) => why = Some(error),
        }
        pause(attempt).await;
    }
    Err(why.unwrap_or_else(|| Unavailable::new("cql: a row could not be deleted")))
}
