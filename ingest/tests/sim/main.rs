//! Our own asynchronous code in played time: door, upload, scheduler, fetcher and tokens, one to three instances of each over one store and one
//! log, against clouds in the process. Everything that happens follows from one number.
//!
//! A run has two halves. In the first, whatever can go wrong does: processes die at any await, appends are refused, torn or not acknowledged,
//! store and clouds fail before or after they acted, the store is away for a minute, clocks are wrong, leases run out under their holders. Then all is well and time runs on
//! until nothing is left to do, and [`check`] compares what stands on the log with what the clouds have.
//!
//! `HEADWATER_SIM_SEED=n` plays one run again and tells all of it, `HEADWATER_SIM_SEEDS=n` sets how many are played.

mod actors;
mod check;
mod cloud;
mod instance;
mod log;
mod outages;
mod plan;
mod play;
mod seams;
mod seeds;
mod world;

use plan::Plan;
use play::play;

/// What a failing run is played again with.
const COMMAND: &str = "cargo test -p headwater-ingest --ignore-rust-version --test sim";

#[test]
fn whatever_goes_wrong_nothing_is_lost_or_told_wrong() {
    let ran =
        seeds::play((COMMAND, "whatever_goes_wrong_nothing_is_lost_or_told_wrong"), 1000, |seed| play(seed, Plan::drawn(seed)));
    let Some(ran) = ran else { return };
    // A run in which nothing happens proves nothing.
    assert!(
        ran.deaths > 0 && ran.answers_lost > 0 && ran.appends_failed > 0 && ran.store_failed > 0 && ran.outages > 0,
        "{ran:?}"
    );
    assert!(ran.refreshes > 0 && ran.webhooks > 0 && ran.uploads > 0 && ran.compared > 0 && ran.partitions_moved > 0, "{ran:?}");
}

#[test]
fn without_faults_each_connection_is_asked_once_when_it_is_due() {
    seeds::play((COMMAND, "without_faults_each_connection_is_asked_once_when_it_is_due"), 60, |seed| {
        play(seed, Plan::quiet(seed))
    });
}

#[test]
fn the_same_number_is_the_same_run() {
    for seed in 0..8 {
        let digest = || play(seed, Plan::drawn(seed)).map(|ran| ran.digest).map_err(|broken| broken.digest);
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}
