//! What nobody gets below: a record through the broker, once for each of the two hops, and a row into Cassandra.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::Subject as _;
use headwater_schemas::wire;
use headwater_store::month;
use headwater_store::scylla::ObservationBody;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use uuid::Uuid;

use super::feed::{Feed, To};
use super::plan::{Plan, now, times};
use crate::broker::{Broker, TIMEOUT};
use crate::payload;
use crate::rig::Rig;
use crate::sink::insert;

/// Rows that are inserted one after the other; as many as a fifth of them to warm up.
const ROWS: u64 = 2000;
/// As long as a resource of the mapper.
const FHIR: usize = 1200;

/// From when a record was due until a consumer has it, with a producer and a consumer as the loop has them.
pub async fn hop(broker: &Broker<'_>, to: To, plan: impl FnOnce() -> Plan) -> anyhow::Result<Histogram<u64>> {
    broker.create(&to.topic).await?;
    let mut config = broker.client();
    config
        .set("group.id", format!("{}.hop", to.topic))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.set("fetch.wait.max.ms", "100").set("fetch.queue.backoff.ms", "20").create()?;
    let mut places = TopicPartitionList::new();
    places.add_partition_range(&to.topic, 0, broker.partitions - 1);
    places.set_all_offsets(Offset::Beginning)?;
    consumer.assign(&places)?;
    let plan = plan();
    let (topic, feed) = (to.topic.clone(), Feed::start(broker, to, plan)?);
    let (mut taken, mut left): (_, HashSet<u64>) = (times(), plan.numbers().collect());
    while !left.is_empty() {
        let message = consumer.poll(TIMEOUT).with_context(|| format!("{} records do not come through {topic}", left.len()))??;
        let at = now();
        let (_, body) = wire::split(message.payload().unwrap_or_default()).map_err(|why| anyhow::anyhow!("no frame: {why:?}"))?;
        let raw = Raw::decode(body).map_err(|why| anyhow::anyhow!("no raw record: {why:?}"))?;
        let n = u64::try_from(raw.raw_id.as_u128())?;
        if left.remove(&n) {
            plan.note(&mut taken, n, at);
        }
    }
    feed.end()?;
    Ok(taken)
}

/// What one prepared insert takes after the other, of rows from this number on, in the rig's tables.
pub async fn rows(rig: &Rig<'_>, first: u64) -> anyhow::Result<Histogram<u64>> {
    let mut statement = rig.session.prepare(insert(&rig.namespace)).await?;
    statement.set_is_idempotent(true);
    let (mut taken, fhir) = (times(), "x".repeat(FHIR));
    for n in first..first + ROWS + ROWS / 5 {
        let (person, start) = (payload::person(n), payload::start(n));
        let observation =
            Observation { fhir: &fhir, ..Observation::of(payload::MEASURES[0], &person, Uuid::from_u128(n.into()), start) };
        let body = ObservationBody::of(&observation, start);
        let row = (&person, month::of(start), observation.data_type, start, observation.id, body, start, 0);
        let began = std::time::Instant::now();
        rig.session.execute_unpaged(&statement, row).await?;
        if n >= first + ROWS / 5 {
            taken.saturating_record(u64::try_from(began.elapsed().as_micros())?);
        }
    }
    Ok(taken)
}

/// Linger of the producer before each hop: that of whoever brings raw records, and that between topics.
pub const LINGERS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(5)];
