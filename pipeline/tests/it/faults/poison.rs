//! Records that can never be accepted, at every place of a batch and between good ones: each is buried, its neighbours go on.

use std::time::Duration;

use headwater_ingest::Outlet as _;
use headwater_schemas::Outbox;

use crate::real::parts_or_skip;
use crate::real::rig::{Rig, until};
use crate::real::{feed, rig};

/// Records of one person, one of them poison.
const GROUP: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_record_at_every_place_of_a_batch_takes_nobody_with_it() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    // All groups of a person in one append, and so in few batches: poison stands first, last, and everywhere between.
    let mut out = Outbox::default();
    for place in 0..GROUP {
        for n in 0..GROUP {
            let body =
                if n == place { br#"{"dataPoints":[{"weight":"#.to_vec() } else { feed::page(&[place * GROUP + n]).into_bytes() };
            feed::append(&mut out, &format!("person-{}", place % 5), &body);
        }
    }
    producer.append(&out).await.expect("kafka takes it");
    let mut normalize = rig.start(&["process", "normalize"]).await;
    let mut scylla = rig.start(&["sink", "scylla"]).await;
    let good = GROUP * (GROUP - 1);
    until("every good record", async || (rows(&rig).await == good).then_some(())).await;
    let listed = rig.command(&["dead", "list", "--each", "--json"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count() as u64, GROUP);
    assert!(normalize.running() && scylla.running(), "nobody ends by it");
    rig::quiet("no further letter", Duration::from_secs(1), || rig.command(&["dead", "list", "--each", "--json"]).stdout.len())
        .await;
}

async fn rows(rig: &Rig) -> u64 {
    let (from, to) = feed::span(GROUP * GROUP);
    let mut count = 0;
    for person in 0..5 {
        count += rig.rows(&format!("person-{person}"), "body-weight", from, to).await.len() as u64;
    }
    count
}
