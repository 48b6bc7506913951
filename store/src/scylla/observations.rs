//! Writing observations: one unlogged batch per partition, many batches in flight.
//!
//! Every write carries the observation's version as its timestamp, so the order of arrival does not matter and repeating does no harm.

use std::collections::{HashMap, HashSet};

use futures::FutureExt;
use headwater_schemas::observation::Observation;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use uuid::Uuid;

use super::body::ObservationBody;
use super::{ScyllaStore, failed, in_flight};
use crate::{Result, month};

/// A batch of one partition becomes one mutation on the server; larger ones gain nothing and press its memory.
const BATCH_ROWS: usize = 50;
const BATCH_BYTES: usize = 100 * 1024;
/// Months of a type that are remembered as written; then all are forgotten, and written once more.
const MONTHS: usize = 100_000;

pub async fn write(store: &ScyllaStore, rows: &[Observation<'_>], at: i64) -> Result<()> {
    let partitions = partitions(rows, at);
    // The month first: a row in a month that nobody finds would be a row nobody reads.
    write_months(store, places(&partitions)).await?;
    let mut batches = Vec::new();
    for (partition, entries) in partitions {
        batches.extend(split(entries).into_iter().map(|entries| write_batch(store, partition, entries).boxed()));
    }
    in_flight(&store.limit, batches).await
}

/// Subject and month.
type Partition<'a> = (&'a str, i32);

/// Subject, month and data type.
type Place<'a> = (&'a str, i32, &'a str);

struct Entry<'a> {
    data_type: &'a str,
    start: i64,
    id: Uuid,
    version: i64,
    body: ObservationBody<'a>,
}

/// The months and types of subjects that were written already, up to a bound.
#[derive(Default)]
pub struct Months {
    subjects: HashMap<i32, HashMap<Box<str>, HashSet<Box<str>>>>,
    count: usize,
}

impl Months {
    fn has(&self, (subject, month, data_type): Place<'_>) -> bool {
        self.subjects.get(&month).and_then(|types| types.get(data_type)).is_some_and(|subjects| subjects.contains(subject))
    }

    pub fn forget(&mut self, subject: &str) {
        let types = self.subjects.values_mut().flat_map(HashMap::values_mut);
        self.count -= types.filter_map(|subjects| subjects.take(subject)).count();
    }

    fn remember(&mut self, (subject, month, data_type): Place<'_>) {
        if self.count >= MONTHS {
            *self = Self::default();
        }
        if self.subjects.entry(month).or_default().entry(data_type.into()).or_default().insert(subject.into()) {
            self.count += 1;
        }
    }
}

/// Rows by partition. An observation that moved leaves a second entry, at its old place.
fn partitions<'a>(rows: &[Observation<'a>], at: i64) -> HashMap<Partition<'a>, Vec<Entry<'a>>> {
    let mut partitions: HashMap<Partition<'a>, Vec<Entry<'a>>> = HashMap::new();
    let mut add = |o: &Observation<'a>, start, body| {
        let entry = Entry { data_type: o.data_type, start, id: o.id, version: o.version, body };
        partitions.entry((o.subject_id, month::of(start))).or_default().push(entry);
    };
    for o in rows {
        add(o, o.start, ObservationBody::of(o, at));
        if let Some(previous) = o.previous_start.filter(|&previous| previous != o.start) {
            add(o, previous, ObservationBody::moved(o));
        }
    }
    partitions
}

fn split(entries: Vec<Entry<'_>>) -> Vec<Vec<Entry<'_>>> {
    let mut batches: Vec<Vec<Entry<'_>>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.body.size();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_ROWS && bytes <= BATCH_BYTES => batch.push(entry),
            _ => {
                bytes = entry.body.size();
                batches.push(vec![entry]);
            }
        }
    }
    batches
}

/// Each once.
fn places<'a>(partitions: &HashMap<Partition<'a>, Vec<Entry<'a>>>) -> HashSet<Place<'a>> {
    partitions
        .iter()
        .flat_map(|(&(subject, month), entries)| entries.iter().map(move |e| (subject, month, e.data_type)))
        .collect()
}

async fn write_months(store: &ScyllaStore, places: HashSet<Place<'_>>) -> Result<()> {
    let missing: Vec<Place<'_>> = {
        let months = store.months.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        places.into_iter().filter(|&place| !months.has(place)).collect()
    };
    if missing.is_empty() {
        return Ok(());
    }
    let statement = &store.statements().await?.put_month;
    let writes = missing.iter().map(|&place| async move { store.execute(statement, place).await.map(drop) }.boxed()).collect();
    in_flight(&store.limit, writes).await?;
    let mut months = store.months.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    missing.into_iter().for_each(|place| months.remember(place));
    Ok(())
}

async fn write_batch(store: &ScyllaStore, (subject, month): Partition<'_>, entries: Vec<Entry<'_>>) -> Result<()> {
    let statement = BatchStatement::from(store.statements().await?.put_observation.clone());
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement; entries.len()]);
    batch.set_is_idempotent(true);
    let ttl = store.settings.ttl();
    let values: Vec<_> = entries.iter().map(|e| (subject, month, e.data_type, e.start, e.id, &e.body, e.version, ttl)).collect();
    store.session.batch(&batch, values).await.map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(sizes: impl IntoIterator<Item = usize>) -> Vec<Entry<'static>> {
        let text: &'static str = Box::leak("x".repeat(200 * 1024).into_boxed_str());
        let body = |size| ObservationBody::sized(&text[..size]);
        sizes.into_iter().map(|size| Entry { data_type: "t", start: 0, id: Uuid::nil(), version: 0, body: body(size) }).collect()
    }

    #[test]
    fn batches_are_bounded_by_rows_and_by_bytes_and_lose_nothing() {
        let lengths = |sizes: Vec<usize>| split(entries(sizes)).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(vec![100; 120]), [50, 50, 20]);
        assert_eq!(lengths(vec![30_000; 7]), [3, 3, 1]);
        assert_eq!(lengths(vec![10, 200_000, 10]), [1, 1, 1]);
        assert_eq!(lengths(vec![]), [] as [usize; 0]);
    }

    #[test]
    fn remembered_months_stay_within_their_bound() {
        let mut months = Months::default();
        for i in 0..=MONTHS as i32 {
            months.remember(("s", i, "t"));
            months.remember(("s", i, "t"));
        }
        assert!(months.count <= MONTHS);
        assert!(months.has(("s", MONTHS as i32, "t")) && !months.has(("s", 0, "t")));
        assert!(!months.has(("other", MONTHS as i32, "t")) && !months.has(("s", MONTHS as i32, "u")));
    }
}
