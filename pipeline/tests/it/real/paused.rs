//! Partitions that were paused because too much of them waits.

use std::time::{Duration, Instant};

use headwater::log::Lease as _;
use headwater::log::kafka::{Consumer, ConsumerSettings};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio_util::sync::CancellationToken;

use super::feed;
use super::parts_or_skip;
use super::rig::Rig;

/// More than waits of a partition, a record to a batch, before it is paused.
const TAKEN: usize = 12;
const TURNS: usize = 9;
/// Long enough to be paused, and for the thread that fetches to have seen it.
const STILL: Duration = Duration::from_millis(300);
/// That thread sleeps for up to a second when nobody wakes it. Of several turns the middle one: a machine may stand still as well.
const AT_ONCE: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_paused_goes_on_at_once_when_there_is_room() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let topic = format!("{}.paused", rig.namespace);
    let admin: AdminClient<DefaultClientContext> = rig.kafka().create().expect("an admin client");
    // One, so that all of the broker's are paused when it is.
    let made = admin.create_topics([&NewTopic::new(&topic, 1, TopicReplication::Fixed(1))], &AdminOptions::new()).await;
    assert!(made.expect("an answer").iter().all(Result::is_ok));
    feed::send(&rig, &topic, (0..TURNS * TAKEN * 2).map(|n| ("key", n.to_string())));

    let stop = CancellationToken::new();
    let settings = ConsumerSettings { batch_records: 1, ..ConsumerSettings::new(format!("{topic}.all"), vec![topic], "one") };
    let mut consumer = Consumer::start(&rig.app.config.kafka, settings, stop.clone()).expect("a consumer");
    let mut lease = consumer.lease().await.expect("a lease");
    lease.next().await.expect("a batch");
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        tokio::time::sleep(STILL).await;
        let started = Instant::now();
        for _ in 0..TAKEN {
            lease.next().await.expect("a batch");
        }
        turns.push(started.elapsed());
    }
    turns.sort_unstable();
    assert!(turns[TURNS / 2] < AT_ONCE, "{turns:?}");
    stop.cancel();
    drop(lease);
    consumer.ended().await.expect("a good end");
}
