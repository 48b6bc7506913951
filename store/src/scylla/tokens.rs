//! Token pairs, by compare-and-set on their generation.

use uuid::Uuid;

use super::ScyllaStore;
use super::conditional::{ATTEMPTS, Outcome, conditional, pause};
use crate::columns::{self, SealedTokens};
use crate::rows::{Intent, Tokens};
use crate::vault::Owner;
use crate::{Result, Unavailable};

pub async fn get(store: &ScyllaStore, id: Uuid) -> Result<Option<Tokens>> {
    match read(store, id).await? {
        Some(sealed) => sealed.open(&store.vault, store, id).await.map(Some),
        None => Ok(None),
    }
}

/// After an outcome that is unknown the row is read again. The sealed blob tells whose pair it is: a seal has a random nonce, so no other
/// worker can have written the same bytes.
pub async fn put(store: &ScyllaStore, id: Uuid, expected: Option<i64>, tokens: &Tokens) -> Result<bool> {
    let key = store.vault.key(store, &Owner::Connection(id), tokens.expires_at.unwrap_or(0)).await?;
    let (access, refresh) = columns::seal_tokens(&key, id, tokens)?;
    let statements = store.statements().await?;
    let mut why = None;
    for attempt in 0..ATTEMPTS {
        let values = (&access, &refresh, tokens.expires_at, tokens.generation, id);
        let outcome = match expected {
            None => conditional(store, &statements.insert_tokens, values).await?,
            Some(expected) => {
                let (access, refresh, expires_at, generation, id) = values;
                conditional(store, &statements.update_tokens, (access, refresh, expires_at, generation, id, expected)).await?
            }
        };
        match outcome {
            Outcome::Applied => return Ok(true),
            Outcome::Refused if why.is_none() => return Ok(false),
            Outcome::Refused => {}
            Outcome::Unknown(error) => why = Some(error),
        }
        match read(store, id).await {
            Ok(Some(row)) if row.access == access => return Ok(true),
            Ok(stands) if stands.as_ref().map(|row| row.generation) != expected => return Ok(false),
            // Not applied yet: trying again is safe, as the condition is the same.
            Ok(_) => {}
            Err(error) => why = Some(error),
        }
        pause(attempt).await;
    }
    Err(why.unwrap_or_else(|| Unavailable::new("cql: a token pair could not be written")))
}

pub async fn delete(store: &ScyllaStore, id: Uuid) -> Result<()> {
    let mut why = None;
    for attempt in 0..ATTEMPTS {
        match conditional(store, &store.statements().await?.delete_tokens, (id,)).await? {
            Outcome::Applied | Outcome::Refused => return Ok(()),
            Outcome::Unknown(error) => why = Some(error),
        }
        pause(attempt).await;
    }
    Err(why.unwrap_or_else(|| Unavailable::new("cql: a token pair could not be deleted")))
}

pub async fn intent(store: &ScyllaStore, id: Uuid) -> Result<Option<Intent>> {
    let row: Option<(i64, i64)> = store.first(&store.statements().await?.intent, (id,)).await?;
    Ok(row.map(|(generation, at)| Intent { generation, at }))
}

pub async fn put_intent(store: &ScyllaStore, id: Uuid, intent: Option<Intent>) -> Result<()> {
    let statements = store.statements().await?;
    match intent {
        Some(Intent { generation, at }) => store.execute(&statements.put_intent, (id, generation, at)).await,
        None => store.execute(&statements.delete_intent, (id,)).await,
    }
    .map(drop)
}

async fn read(store: &ScyllaStore, id: Uuid) -> Result<Option<SealedTokens>> {
    type Row = (Vec<u8>, Option<Vec<u8>>, Option<i64>, i64);
    let statement = &store.statements().await?.tokens;
    let row: Option<Row> = store.first(statement, (id,)).await?;
    Ok(row.map(|(access, refresh, expires_at, generation)| SealedTokens { access, refresh, expires_at, generation }))
}
