//! SIGKILL in mid-stream: every record arrives, none wrong.

use std::time::Duration;

use headwater_schemas::topics;

use super::feed;
use super::parts_or_skip;
use super::rig::{Rig, until};

const RECORDS: u64 = 12_000;
const KILLS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn killing_processor_and_sink_twenty_times_each_loses_nothing_and_writes_nothing_wrong() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let mut normalize = rig.start(&["process", "normalize"]).await;
    let mut scylla = rig.start(&["sink", "scylla"]).await;
    let observations = topics::OBSERVATION.name(&rig.namespace, None);
    for round in 0..KILLS {
        let each = RECORDS / KILLS;
        let before = rig.values(&observations).len();
        feed::put(&producer, round * each, (round + 1) * each).await;
        // Into the middle of the work: this life has made something, and the sink is at it.
        until("some output", async || (rig.values(&observations).len() > before).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(round * 17 % 120)).await;
        normalize.kill();
        scylla.kill();
        normalize = rig.launch(&["process", "normalize"]);
        scylla = rig.launch(&["sink", "scylla"]);
    }
    feed::complete(&rig, RECORDS, Duration::from_secs(120)).await;
    assert!(normalize.running() && scylla.running());
    assert!(rig.command(&["dead", "list"]).stdout.is_empty());
    assert!(normalize.stop().success() && scylla.stop().success(), "a drained stop is a success");
}
