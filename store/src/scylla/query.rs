//! Reading observations back.

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::body::StoredBody;
use super::{ScyllaStore, unexpected};
use crate::rows::{ObservationPage, ObservationQuery, StoredObservation};
use crate::{Result, columns, month};

/// Rows asked for at once.
const CHUNK: usize = 1_000;
/// When the first row was to be passed over, more of them are likely.
const CHUNK_AGAIN: usize = 16;
/// Data types read at once for one subject.
const TYPES: usize = 8;

pub async fn page(store: &ScyllaStore, query: &ObservationQuery) -> Result<ObservationPage> {
    let limit = query.limit.max(1);
    let after = query.after.filter(|(start, _)| *start < query.to);
    let newest = after.map_or(query.to.saturating_sub(1), |(start, _)| start);
    if query.from > newest {
        return Ok(ObservationPage { rows: Vec::new(), next: None });
    }
    let (first, last) = (month::of(query.from), month::of(newest));
    let months = if first == last { vec![last] } else { months(store, &query.subject_id, first, last).await? };
    let mut rows = Vec::new();
    for month in months {
        let part = Part {
            subject_id: &query.subject_id,
            month,
            data_type: &query.data_type,
            from: query.from,
            to: query.to,
            after: after.filter(|_| month == last),
        };
        // One more than asked for, to know whether there is more.
        rows.extend(part.read(store, limit + 1 - rows.len(), |_| true).await?);
        if rows.len() > limit {
            break;
        }
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| (row.start, row.id));
    Ok(ObservationPage { rows, next })
}

pub async fn latest(
    store: &ScyllaStore,
    subject_id: &str,
    data_types: &[&str],
    now: i64,
    back: u32,
) -> Result<Vec<StoredObservation>> {
    let this = month::of(now);
    let months = months(store, subject_id, month::before(this, back), this).await?;
    let mut asked = Vec::with_capacity(data_types.len());
    for data_type in data_types {
        asked.push(latest_of(store, subject_id, data_type, now, &months).boxed());
    }
    let found: Vec<Option<StoredObservation>> = stream::iter(asked).buffered(TYPES).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Scans the whole table.
pub async fn count(store: &ScyllaStore) -> Result<u64> {
    let pager = store.session.execute_iter(store.statements().await?.scan.clone(), ()).await;
    let pager = pager.map_err(|_| crate::Unavailable::new("cql: the table of observations cannot be scanned"))?;
    let rows = pager.rows_stream::<(Option<i64>,)>().map_err(|_| unexpected())?;
    let counted = rows.try_fold(0, |count, (moved_to,)| async move { Ok(count + u64::from(moved_to.is_none())) });
    counted.await.map_err(|_| crate::Unavailable::new("cql: the scan of observations broke off"))
}

async fn latest_of(
    store: &ScyllaStore,
    subject_id: &str,
    data_type: &str,
    now: i64,
    months: &[i32],
) -> Result<Option<StoredObservation>> {
    for &month in months {
        let part = Part { subject_id, month, data_type, from: i64::MIN, to: now.saturating_add(1), after: None };
        if let Some(row) = part.read(store, 1, |row| row.status != columns::WITHDRAWN).await?.pop() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Months that may have rows, newest first.
async fn months(store: &ScyllaStore, subject_id: &str, first: i32, last: i32) -> Result<Vec<i32>> {
    let rows: Vec<(i32,)> = store.all(&store.statements().await?.months, (subject_id, first, last)).await?;
    Ok(rows.into_iter().map(|(month,)| month).collect())
}

/// A range within one partition.
struct Part<'a> {
    subject_id: &'a str,
    month: i32,
    data_type: &'a str,
    from: i64,
    /// Not included.
    to: i64,
    after: Option<(i64, Uuid)>,
}

impl Part<'_> {
    /// At most `want` rows that `keep` accepts, newest first.
    ///
    /// Rows are in descending start and, within one start, ascending id. CQL cannot ask for "after (start, id)" in such an order, so a
    /// position is passed in two steps: the rest of its start, then everything below it.
    async fn read(
        &self,
        store: &ScyllaStore,
        want: usize,
        keep: impl Fn(&StoredObservation) -> bool,
    ) -> Result<Vec<StoredObservation>> {
        let (mut after, mut below) = (self.after, self.to);
        let mut out = Vec::new();
        let mut ask = want.min(CHUNK);
        loop {
            let rows = self.ask(store, after, below, ask).await?;
            let (got, position) = (rows.len(), rows.last().map(|(start, id, _)| (*start, *id)));
            for (start, id, body) in rows {
                out.extend(body.observation((self.subject_id, self.data_type, start, id))?.filter(&keep));
            }
            if out.len() >= want {
                out.truncate(want);
                return Ok(out);
            }
            if got == ask {
                after = position;
            } else if let Some((start, _)) = after.take() {
                below = start;
            } else {
                return Ok(out);
            }
            if after.is_none() && below <= self.from {
                return Ok(out);
            }
            ask = (want - out.len()).clamp(CHUNK_AGAIN, CHUNK);
        }
    }

    async fn ask(
        &self,
        store: &ScyllaStore,
        after: Option<(i64, Uuid)>,
        below: i64,
        ask: usize,
    ) -> Result<Vec<(i64, Uuid, StoredBody)>> {
        let statements = store.statements().await?;
        // At most CHUNK.
        let ask = ask as i32;
        match after {
            Some((start, id)) => store.all(&statements.ties, (self.subject_id, self.month, self.data_type, start, id, ask)).await,
            None => store.all(&statements.range, (self.subject_id, self.month, self.data_type, self.from, below, ask)).await,
        }
    }
}
