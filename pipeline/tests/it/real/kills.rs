//! SIGKILL in mid-stream: every record arrives, none wrong.

use std::time::Duration;

use super::feed;
use super::parts_or_skip;
use super::rig::Rig;

const RECORDS: u64 = 12_000;
const KILLS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn killing_processor_and_sink_twenty_times_each_loses_nothing_and_writes_nothing_wrong() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let mut normalize = rig.start(&["process", "normalize"]).await;
    let mut scylla = rig.start(&["sink", "scylla"]).await;
    for round in 0..KILLS {
        let each = RECORDS / KILLS;
        feed::put(&producer, round * each, (round + 1) * each).await;
        // Into the middle of the work: it has begun, and it is not over.
        tokio::time::sleep(Duration::from_millis(150 + round * 37 % 300)).await;
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
