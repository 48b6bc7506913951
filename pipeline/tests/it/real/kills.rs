//! SIGKILL in mid-stream: every record arrives, none wrong. SIGTERM in mid-refresh: no token is lost.

use std::time::Duration;

use headwater_schemas::topics;
use headwater_simulator::{Fault, People, Provider, Settings};

use super::feed;
use super::parts_or_skip;
use super::rig::{Rig, small, until};

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

/// A provider takes its time over a refresh, whoever asked for it hangs up, and the process is told to end: the only copy of the new pair is on its
/// way.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_under_way_at_sigterm_is_stored_before_the_process_ends() {
    let parts = parts_or_skip!();
    let mut settings = Settings { people: People { withings: 1, google_health: 0, others: 0 }, ..small() };
    settings.oauth.withings_refresh_grace = Duration::ZERO;
    let rig = Rig::at(parts, Some(settings), "").await;
    let connection = rig.connect(&rig.person(Provider::Withings), "person-1").await;
    let mut tokens = rig.store.tokens(connection).await.expect("the store").expect("tokens");
    let expected = Some(tokens.generation);
    (tokens.expires_at, tokens.generation) = (Some(1), tokens.generation + 1);
    assert!(rig.store.put_tokens(connection, expected, &tokens).await.expect("the store"));
    let calls = || {
        let counts = rig.control().counts();
        counts[&Provider::Withings].requests.iter().filter(|(name, _)| name.contains("requesttoken")).map(|(_, n)| n).sum::<u64>()
    };
    let before = calls();
    rig.control().fault_at(Provider::Withings, "requesttoken", Fault::Slow { millis: 5_000 }, 1);
    let api = rig.start(&["api"]).await;
    let path = format!("/v1/connections/{connection}?subject=person-1");
    tokio::select! {
        answer = rig.ask("DELETE", &path, None) => panic!("answered without a token: {answer:?}"),
        () = until("the refresh to be asked for", async || (calls() > before).then_some(())) => {}
    }
    let stored = || async { rig.store.tokens(connection).await.expect("the store").expect("tokens").generation };
    assert_eq!(stored().await, tokens.generation, "it is on its way");
    assert!(api.stop().success(), "a drained stop is a success");
    assert_eq!((stored().await, calls()), (tokens.generation + 1, before + 1));
}
