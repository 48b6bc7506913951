//! The floor: the same rows in the same batches, read and understood before any is written. What the driver costs by itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clap::Args;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::Subject as _;
use headwater_schemas::wire;
use headwater_store::month;
use headwater_store::scylla::ObservationBody;
use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::PARTITIONS;
use crate::broker::Broker;

/// As much as the sink's loop takes from a partition at once, and how much of that it has in flight.
const TAKEN_RECORDS: usize = 200;
const TAKEN_BYTES: usize = 192 * 1024;
const IN_FLIGHT: usize = 64;
/// As much as the store puts into one batch.
const BATCH_ROWS: usize = 50;
const BATCH_BYTES: usize = 100 * 1024;
const COMMIT: Duration = Duration::from_millis(250);

#[derive(Args)]
pub struct BareSink {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    registry: String,
    #[arg(long)]
    from: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    node: String,
    #[arg(long)]
    keyspace: String,
}

/// A row as its statement takes it: subject, month, type, start, id, the rest, version, time to live.
type Row = (&'static str, i32, &'static str, i64, Uuid, ObservationBody<'static>, i64, i32);

/// Subject, month and data type.
type Place = (&'static str, i32, &'static str);

/// What is written before the next of its partition is begun.
#[derive(Default)]
struct Taken {
    /// Those that were not there before.
    months: Vec<Place>,
    batches: Vec<Vec<Row>>,
    /// The offset after it.
    end: i64,
}

struct Bare {
    session: Session,
    row: PreparedStatement,
    month: PreparedStatement,
}

impl BareSink {
    /// Runs until it is killed. How far it is stands in the group's offsets, as with all others.
    pub async fn run(self) -> anyhow::Result<()> {
        let parts = self.rows()?;
        let bare = Arc::new(self.connect().await?);
        let done: Vec<_> = parts.iter().map(|_| Arc::new(AtomicI64::new(0))).collect();
        let mut tasks = JoinSet::new();
        for (part, done) in parts.into_iter().zip(&done) {
            tasks.spawn(bare.clone().write(part, done.clone()));
        }
        let consumer: BaseConsumer = self.broker().client().set("group.id", &self.group).create()?;
        let mut every = tokio::time::interval(COMMIT);
        loop {
            every.tick().await;
            while let Some(ended) = tasks.try_join_next() {
                ended??;
            }
            let mut places = TopicPartitionList::new();
            for (partition, done) in (0..PARTITIONS).zip(&done) {
                places.add_partition_offset(&self.from, partition, Offset::Offset(done.load(Ordering::Relaxed)))?;
            }
            consumer.commit(&places, CommitMode::Async)?;
        }
    }

    fn broker(&self) -> Broker<'_> {
        Broker { bootstrap: &self.bootstrap, registry: &self.registry, partitions: PARTITIONS }
    }

    /// All that stands on the topic, by partition.
    fn rows(&self) -> anyhow::Result<Vec<Vec<Taken>>> {
        let mut parts: Vec<Vec<&'static [u8]>> = (0..PARTITIONS).map(|_| vec![]).collect();
        let mut strange = 0;
        self.broker().each(&self.from, |message| {
            let part = usize::try_from(message.partition()).ok().and_then(|at| parts.get_mut(at));
            match (part, message.payload()) {
                // Needed until this process ends.
                (Some(part), Some(value)) => part.push(Box::leak(value.into())),
                _ => strange += 1,
            }
        })?;
        anyhow::ensure!(strange == 0, "{strange} records of {} have no value or an unknown partition", self.from);
        parts.iter().map(|values| taken(values)).collect()
    }

    async fn connect(&self) -> anyhow::Result<Bare> {
        let profile = ExecutionProfile::builder().consistency(Consistency::LocalQuorum).build();
        let session =
            SessionBuilder::new().known_node(&self.node).default_execution_profile_handle(profile.into_handle()).build().await?;
        let keyspace = &self.keyspace;
        let row = insert(keyspace);
        let month = format!("INSERT INTO {keyspace}.observation_months (subject_id, month, data_type) VALUES (?, ?, ?)");
        let (mut row, mut month) = (session.prepare(row).await?, session.prepare(month).await?);
        row.set_is_idempotent(true);
        month.set_is_idempotent(true);
        Ok(Bare { session, row, month })
    }
}

/// The statement that writes a row of an observation.
pub fn insert(keyspace: &str) -> String {
    format!(
        "INSERT INTO {keyspace}.observations (subject_id, month, data_type, start_at, id, body) VALUES (?, ?, ?, ?, ?, ?) \
         USING TIMESTAMP ? AND TTL ?"
    )
}

impl Bare {
    async fn write(self: Arc<Self>, part: Vec<Taken>, done: Arc<AtomicI64>) -> anyhow::Result<()> {
        for taken in part {
            in_flight(taken.months.into_iter().map(|place| self.month(place).boxed()).collect()).await?;
            in_flight(taken.batches.into_iter().map(|rows| self.batch(rows).boxed()).collect()).await?;
            done.store(taken.end, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn month(&self, place: Place) -> anyhow::Result<()> {
        self.session.execute_unpaged(&self.month, place).await?;
        Ok(())
    }

    async fn batch(&self, rows: Vec<Row>) -> anyhow::Result<()> {
        let statement = BatchStatement::from(self.row.clone());
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement; rows.len()]);
        batch.set_is_idempotent(true);
        self.session.batch(&batch, rows).await?;
        Ok(())
    }
}

/// Boxed, because the compiler cannot yet see a stream of borrowing futures as `Send`.
async fn in_flight(requests: Vec<BoxFuture<'_, anyhow::Result<()>>>) -> anyhow::Result<()> {
    stream::iter(requests).buffer_unordered(IN_FLIGHT).try_collect().await
}

/// One partition's values as the loop would take them, if all were there at once.
fn taken(values: &[&'static [u8]]) -> anyhow::Result<Vec<Taken>> {
    let (mut all, mut months): (Vec<Taken>, HashSet<Place>) = (vec![], HashSet::new());
    let mut rest = values;
    let mut end = 0;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take(TAKEN_RECORDS).take_while(|value| {
            bytes += value.len();
            bytes <= TAKEN_BYTES
        });
        let (now, later) = rest.split_at(fit.count().max(1));
        rest = later;
        end += i64::try_from(now.len())?;
        let mut taken = Taken { end, ..Taken::default() };
        let mut partitions: HashMap<(&str, i32), Vec<Row>> = HashMap::new();
        for value in now {
            let row = row(value)?;
            if months.insert((row.0, row.1, row.2)) {
                taken.months.push((row.0, row.1, row.2));
            }
            partitions.entry((row.0, row.1)).or_default().push(row);
        }
        taken.batches = partitions.into_values().flat_map(batches).collect();
        all.push(taken);
    }
    Ok(all)
}

fn row(value: &'static [u8]) -> anyhow::Result<Row> {
    let (_, body) = wire::split(value).map_err(|why| anyhow::anyhow!("no frame: {why:?}"))?;
    let o = Observation::decode(body).map_err(|why| anyhow::anyhow!("no observation: {why:?}"))?;
    anyhow::ensure!(o.previous_start.is_none(), "an observation that moved, expected none in what the bench makes");
    let body = ObservationBody::of(&o, Timestamp::now().as_microsecond());
    Ok((o.subject_id, month::of(o.start), o.data_type, o.start, o.id, body, o.version, 0))
}

fn batches(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut batches: Vec<Vec<Row>> = vec![];
    let mut bytes = 0;
    for row in rows {
        bytes += row.5.size();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_ROWS && bytes <= BATCH_BYTES => batch.push(row),
            _ => {
                bytes = row.5.size();
                batches.push(vec![row]);
            }
        }
    }
    batches
}
