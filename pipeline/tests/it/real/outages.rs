//! Servers that go away and come back: nothing is lost, nobody has to do anything.

use std::time::Duration;

use super::environment::long;
use super::feed;
use super::parts_or_skip;
use super::rig::{Parts, Rig, until};
use super::server::Server;

/// How long Cassandra is away. Longer with `HEADWATER_TEST_LONG=1`.
fn outage() -> Duration {
    Duration::from_secs(if long() { 60 } else { 12 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_waited_for_without_loss_or_rebalance() {
    let parts = parts_or_skip!();
    let cassandra = Server::start("cassandra");
    let rig = Rig::new(Parts { cassandra: cassandra.address("CASSANDRA_NODE"), ..parts }, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let _normalize = rig.start(&["process", "normalize"]).await;
    let mut scylla = rig.start(&["sink", "scylla"]).await;
    feed::put(&producer, 0, 500).await;
    feed::complete(&rig, 500, Duration::from_secs(60)).await;
    let rebalances = scylla.metric("headwater_rebalances_total");
    let (before, _) = scylla.memory();
    cassandra.kill();
    for portion in (500..4000).step_by(500) {
        feed::put(&producer, portion, portion + 500).await;
    }
    until("the sink to notice", async || (scylla.metric("headwater_batch_retries_total") > 0.0).then_some(())).await;
    tokio::time::sleep(outage()).await;
    assert!(scylla.running(), "it waits and does not end");
    let (waiting, _) = scylla.memory();
    println!("memory of the sink: {before:.0} MiB before, {waiting:.0} MiB while the store is away");
    // A batch at work and one that waits per partition, and what the client reads ahead.
    assert!(waiting < before + 24.0, "{before:.0} MiB before, {waiting:.0} MiB while the store is away");
    cassandra.up();
    feed::complete(&rig, 4000, Duration::from_secs(120)).await;
    assert!((scylla.metric("headwater_rebalances_total") - rebalances).abs() < 0.5, "the group did not rebalance");
    assert!(rig.command(&["dead", "list"]).stdout.is_empty(), "an outage is nobody's fault");

    // Stopped in mid-air instead of dead: connections stay open and answer nothing.
    cassandra.pause();
    feed::put(&producer, 4000, 5000).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    cassandra.resume();
    feed::complete(&rig, 5000, Duration::from_secs(120)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_schema_ids_go_on_without_the_registry_and_an_unknown_one_waits() {
    let parts = parts_or_skip!();
    let registry = Server::start("registry");
    let rig = Rig::new(Parts { registry: registry.address("SCHEMA_REGISTRY_URL"), ..parts }, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let normalize = rig.start(&["process", "normalize"]).await;
    let mut scylla = rig.start(&["sink", "scylla"]).await;
    feed::put(&producer, 0, 200).await;
    feed::complete(&rig, 200, Duration::from_secs(60)).await;

    // In flight: what is known is known.
    registry.kill();
    feed::put(&producer, 200, 400).await;
    feed::complete(&rig, 400, Duration::from_secs(60)).await;

    // At the start: the cache file knows.
    assert!(normalize.stop().success());
    let mut normalize = rig.start(&["process", "normalize"]).await;
    feed::put(&producer, 400, 600).await;
    feed::complete(&rig, 600, Duration::from_secs(60)).await;

    // An id that nobody here has seen waits for the registry.
    std::fs::remove_file(rig.folder.path().join("schema-ids.json")).expect("the cache was written");
    normalize.kill();
    let mut normalize = rig.start(&["process", "normalize"]).await;
    feed::put(&producer, 600, 800).await;
    until("the processor to wait", async || (normalize.metric("headwater_batch_retries_total") > 0.0).then_some(())).await;
    assert_eq!(feed::present(&rig, 800).await, 600);
    assert!(normalize.running() && scylla.running());
    registry.up();
    feed::complete(&rig, 800, Duration::from_secs(60)).await;
    assert!(rig.command(&["dead", "list"]).stdout.is_empty(), "an outage is nobody's fault");
}
