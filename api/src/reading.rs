//! One person's observations of several types as one sequence: page by page from the store, never more in memory than a few pages.

use std::cmp::Ordering;
use std::collections::VecDeque;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use headwater_schemas::codes;
use headwater_store::{ObservationQuery, Order, Result, Store, StoredObservation};
use uuid::Uuid;

/// Rows asked of the store at once, over all types.
const CHUNK: usize = 1000;
/// And of each type, where there are many.
const CHUNK_LEAST: usize = 10;
/// Types that are asked for at once.
const AT_ONCE: usize = 8;

/// Start and id: where a page ended.
pub(crate) type Place = (i64, Uuid);

/// What is to be read, `[from, to)`.
pub(crate) struct Ask<'a> {
    pub subject: &'a str,
    pub types: Vec<&'static str>,
    pub from: i64,
    pub to: i64,
    pub order: Order,
    pub after: Option<Place>,
    /// About how many rows are wanted.
    pub expect: usize,
}

/// The rows of all types in order of their start; rows of one start in the order of their ids.
pub(crate) struct Sequence<'s> {
    store: &'s dyn Store,
    order: Order,
    types: Vec<Source>,
}

/// The rows of one type.
struct Source {
    query: ObservationQuery,
    rows: VecDeque<StoredObservation>,
    more: bool,
}

impl<'s> Sequence<'s> {
    pub async fn new(store: &'s dyn Store, ask: Ask<'_>) -> Result<Self> {
        let types = match &ask.types[..] {
            [one] => vec![*one],
            several => held(store, ask.subject, several).await?,
        };
        let limit = if types.len() > 1 { (2 * ask.expect / types.len()).clamp(CHUNK_LEAST, CHUNK) } else { ask.expect + 1 };
        let mut filled = Vec::with_capacity(types.len());
        for data_type in types {
            let query = ObservationQuery {
                subject_id: ask.subject.to_owned(),
                data_type: data_type.to_owned(),
                from: ask.from,
                to: ask.to,
                limit: limit.min(CHUNK),
                order: ask.order,
                after: ask.after,
            };
            filled.push(Source::new(store, query).boxed());
        }
        Ok(Self { store, order: ask.order, types: stream::iter(filled).buffered(AT_ONCE).try_collect().await? })
    }

    pub async fn next(&mut self) -> Result<Option<StoredObservation>> {
        let order = self.order;
        let first = self.types.iter_mut().filter(|source| !source.rows.is_empty());
        let Some(source) = first.min_by(|a, b| compare(order, &a.rows[0], &b.rows[0])) else { return Ok(None) };
        let row = source.rows.pop_front();
        // At once, because an empty one would be taken for one that has ended.
        if source.rows.is_empty() && source.more {
            source.fill(self.store).await?;
        }
        Ok(row)
    }
}

/// Those of the types that the subject has: a search for everything asks for what there is, not for every type that could be.
async fn held(store: &dyn Store, subject: &str, types: &[&'static str]) -> Result<Vec<&'static str>> {
    let held = store.data_types(subject).await?;
    Ok(types.iter().copied().filter(|slug| held.iter().any(|found| found == slug)).collect())
}

impl Source {
    async fn new(store: &dyn Store, query: ObservationQuery) -> Result<Self> {
        let mut source = Self { query, rows: VecDeque::new(), more: true };
        source.fill(store).await?;
        Ok(source)
    }

    async fn fill(&mut self, store: &dyn Store) -> Result<()> {
        let page = store.observations(&self.query).await?;
        self.rows = page.rows.into();
        self.query.after = page.next;
        self.more = page.next.is_some();
        Ok(())
    }
}

fn compare(order: Order, a: &StoredObservation, b: &StoredObservation) -> Ordering {
    match order {
        Order::NewestFirst => b.start.cmp(&a.start).then(a.id.cmp(&b.id)),
        Order::OldestFirst => a.start.cmp(&b.start).then(b.id.cmp(&a.id)),
    }
}

/// All types there are.
pub(crate) fn all_types() -> Vec<&'static str> {
    codes::ALL.iter().map(|measure| measure.slug).collect()
}

/// A place as it stands in links.
pub(crate) fn cursor((start, id): Place) -> String {
    format!("{start}.{}", id.simple())
}

pub(crate) fn place(cursor: &str) -> Option<Place> {
    let (start, id) = cursor.split_once('.')?;
    Some((start.parse().ok()?, Uuid::try_parse(id).ok()?))
}
