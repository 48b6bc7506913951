//! When the rows of a record can first be read: somebody who asks for them until they are there.
//!
//! Asking for every record would be most of Cassandra's work, so some are picked. A time is that of the answer that has the rows, which may be too
//! late by as much as has gone by since the last answer without them was asked for: that is what the reader itself adds at most.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use hdrhistogram::Histogram;
use headwater_store::month;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::plan::{Plan, now, times, until};
use crate::payload;

/// More than are ever waited for at once, short of a subject that does not keep up.
const AT_ONCE: usize = 4096;

pub struct Reader<'s> {
    session: &'s Session,
    statement: PreparedStatement,
    /// From one answer to the next question about the same record.
    pause: Duration,
    patience: Duration,
}

/// Of the records that were picked.
pub struct Read {
    pub taken: Histogram<u64>,
    /// How much of that may be the reader's.
    pub unsure: Histogram<u64>,
}

impl<'s> Reader<'s> {
    pub async fn new(session: &'s Session, keyspace: &str, (pause, patience): (Duration, Duration)) -> anyhow::Result<Self> {
        let types: Vec<String> = payload::MEASURES.iter().map(|measure| format!("'{}'", measure.slug)).collect();
        let text = format!(
            "SELECT id FROM {keyspace}.observations WHERE subject_id = ? AND month = ? AND data_type IN ({}) AND start_at = ?",
            types.join(", ")
        );
        Ok(Self { session, statement: session.prepare(text).await?, pause, patience })
    }

    /// Follows about so many records a second of those that count.
    pub async fn follow(&self, plan: &Plan, a_second: f64) -> anyhow::Result<Read> {
        let every = every(plan.rate, a_second);
        let picked = plan.numbers().filter(|n| plan.counts(*n)).step_by(every);
        let looks = futures::stream::iter(picked).map(|n| async move {
            tokio::time::sleep(until(plan.due(n))).await;
            anyhow::Ok((n, self.there(n, plan.due(n)).await?))
        });
        let (mut looks, mut read) = (looks.buffer_unordered(AT_ONCE), Read { taken: times(), unsure: times() });
        while let Some((n, (not_yet, there))) = looks.try_next().await? {
            plan.note(&mut read.taken, n, there);
            read.unsure.saturating_record(u64::try_from(there - not_yet).unwrap_or(0));
        }
        Ok(read)
    }

    /// Waits for all rows of record `n`, due at a moment. Gives when they were not there yet, and when they were.
    pub async fn there(&self, n: u64, due: i64) -> anyhow::Result<(i64, i64)> {
        let (person, start, mut not_yet) = (payload::person(n), payload::start(n), due);
        loop {
            let asked = now();
            let rows = self.session.execute_unpaged(&self.statement, (&person, month::of(start), start)).await?;
            if rows.into_rows_result()?.rows_num() as u64 == payload::EACH {
                return Ok((not_yet, now()));
            }
            not_yet = asked;
            let waited = Duration::from_micros(u64::try_from(asked - due).unwrap_or(0));
            anyhow::ensure!(waited < self.patience, "void: no rows of record {n} after {:?}", self.patience);
            tokio::time::sleep(self.pause).await;
        }
    }
}

/// One in so many is followed: a number without a factor of [`payload::PEOPLE`], so that everybody, and with them every partition, comes in turn.
fn every(rate: f64, a_second: f64) -> usize {
    let mut every = (rate / a_second).max(1.0) as u64;
    while every.is_multiple_of(2) || every.is_multiple_of(5) {
        every += 1;
    }
    usize::try_from(every).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn who_is_followed_is_everybody_in_turn() {
        for (rate, a_second, expected) in [(20.0, 50.0, 1), (2000.0, 50.0, 41), (1234.0, 50.0, 27)] {
            assert_eq!(every(rate, a_second), expected);
            let people: BTreeSet<u64> = (0..).step_by(expected).take(1000).map(|n: u64| n % payload::PEOPLE).collect();
            assert_eq!(people.len() as u64, payload::PEOPLE);
        }
    }
}
