//! Lightweight transactions, and what their answers mean.

use std::time::Duration;

use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};

use super::{ScyllaStore, failed, unexpected};
use crate::{Result, Unavailable};

/// How often a change is tried whose outcome stays unknown.
pub const ATTEMPTS: u32 = 8;

/// What became of a conditional write.
pub enum Outcome {
    Applied,
    Refused,
    /// It may have been applied, or may still be: read again before deciding anything.
    Unknown(Unavailable),
}

pub async fn conditional(store: &ScyllaStore, statement: &PreparedStatement, values: impl SerializeRow) -> Result<Outcome> {
    let answer = match store.session.execute_unpaged(statement, values).await {
        Ok(answer) => answer,
        Err(e) => return Ok(Outcome::Unknown(failed(e))),
    };
    let rows = answer.into_rows_result().map_err(|_| unexpected())?;
    // By name: ScyllaDB always sends the old row along, Cassandra only on refusal, and the columns differ in order.
    let (index, _) = rows.column_specs().get_by_name("[applied]").ok_or_else(unexpected)?;
    let row: Row = rows.first_row().map_err(|_| unexpected())?;
    match row.columns.get(index) {
        Some(Some(CqlValue::Boolean(true))) => Ok(Outcome::Applied),
        Some(Some(CqlValue::Boolean(false))) => Ok(Outcome::Refused),
        _ => Err(unexpected()),
    }
}

/// Waits before another attempt, longer each time and by chance, so that racers do not meet again.
pub async fn pause(attempt: u32) {
    let most = 20_u64 << attempt.min(5);
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=most))).await;
}
