//! Reading observations back.

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::body::StoredBody;
use super::{ScyllaStore, unexpected};
use crate::rows::{ObservationPage, ObservationQuery, Order, StoredObservation};
use crate::{Result, columns, month};

/// Rows asked for at once.
const CHUNK: usize = 1_000;
/// When the first row was to be passed over, more of them are likely.
const CHUNK_AGAIN: usize = 16;
/// Data types read at once for one subject.
const TYPES: usize = 8;

pub async fn page(store: &ScyllaStore, query: &ObservationQuery) -> Result<ObservationPage> {
    let limit = query.limit.max(1);
    let after = query.after.filter(|(start, _)| (query.from..query.to).contains(start));
    let (mut oldest, mut newest) = (query.from, query.to.saturating_sub(1));
    match query.order {
        Order::NewestFirst => newest = query.after.map_or(newest, |(start, _)| newest.min(start)),
        Order::OldestFirst => oldest = query.after.map_or(oldest, |(start, _)| oldest.max(start)),
    }
    if oldest > newest {
        return Ok(ObservationPage { rows: Vec::new(), next: None });
    }
    let (first, last) = (month::of(oldest), month::of(newest));
    let mut months =
        if first == last { vec![last] } else { of_type(&months(store, &query.subject_id, first, last).await?, &query.data_type) };
    if query.order == Order::OldestFirst {
        months.reverse();
    }
    let mut rows = Vec::new();
    for month in months {
        let part = Part {
            subject_id: &query.subject_id,
            month,
            data_type: &query.data_type,
            from: query.from,
            to: query.to,
            after: after.filter(|(start, _)| month == month::of(*start)),
            order: query.order,
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
        asked.push(latest_of(store, subject_id, data_type, now, of_type(&months, data_type)).boxed());
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
    months: Vec<i32>,
) -> Result<Option<StoredObservation>> {
    for month in months {
        let part = Part {
            subject_id,
            month,
            data_type,
            from: i64::MIN,
            to: now.saturating_add(1),
            after: None,
            order: Order::NewestFirst,
        };
        if let Some(row) = part.read(store, 1, |row| row.status != columns::WITHDRAWN).await?.pop() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The types that have rows, or had.
pub async fn data_types(store: &ScyllaStore, subject_id: &str) -> Result<Vec<String>> {
    let rows: Vec<(i32, String)> = store.all(&store.statements().await?.all_months, (subject_id,)).await?;
    let mut types: Vec<String> = rows.into_iter().map(|(_, data_type)| data_type).collect();
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

/// Months that may have rows, and of which types, newest first.
async fn months(store: &ScyllaStore, subject_id: &str, first: i32, last: i32) -> Result<Vec<(i32, String)>> {
    store.all(&store.statements().await?.months, (subject_id, first, last)).await
}

fn of_type(months: &[(i32, String)], data_type: &str) -> Vec<i32> {
    months.iter().filter(|(_, found)| found == data_type).map(|(month, _)| *month).collect()
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
    order: Order,
}

impl Part<'_> {
    /// At most `want` rows that `keep` accepts, in the order asked for.
    ///
    /// Rows are in descending start and, within one start, ascending id, or the reverse. CQL cannot ask for "after (start, id)" in such an
    /// order, so a position is passed in two steps: the rest of its start, then everything beyond it.
    async fn read(
        &self,
        store: &ScyllaStore,
        want: usize,
        keep: impl Fn(&StoredObservation) -> bool,
    ) -> Result<Vec<StoredObservation>> {
        let (mut after, mut left) = (self.after, (self.from, self.to));
        let mut out = Vec::new();
        let mut ask = want.min(CHUNK);
        loop {
            let rows = self.ask(store, after, left, ask).await?;
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
                match self.order {
                    Order::NewestFirst => left.1 = start,
                    Order::OldestFirst => left.0 = start.saturating_add(1),
                }
            } else {
                return Ok(out);
            }
            if after.is_none() && left.1 <= left.0 {
                return Ok(out);
            }
            ask = (want - out.len()).clamp(CHUNK_AGAIN, CHUNK);
        }
    }

    async fn ask(
        &self,
        store: &ScyllaStore,
        after: Option<(i64, Uuid)>,
        (from, to): (i64, i64),
        ask: usize,
    ) -> Result<Vec<(i64, Uuid, StoredBody)>> {
        let statements = store.statements().await?;
        // At most CHUNK.
        let ask = ask as i32;
        let (ties, range) = match self.order {
            Order::NewestFirst => (&statements.ties, &statements.range),
            Order::OldestFirst => (&statements.ties_up, &statements.range_up),
        };
        match after {
            Some((start, id)) => store.all(ties, (self.subject_id, self.month, self.data_type, start, id, ask)).await,
            None => store.all(range, (self.subject_id, self.month, self.data_type, from, to, ask)).await,
        }
    }
}
