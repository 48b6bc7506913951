//! The fault matrix: unique records through the real doors, one fault at a time, and a checker that counts. Each run has a seed, which says what is
//! sent and when it breaks.
//!
//! The test command runs the short matrix once. `infra/soak` runs all of it, many times, and prints the table that `docs/faults.md` explains:
//!
//! | variable | |
//! | --- | --- |
//! | `HEADWATER_TEST_RUNS` | runs of each fault; 1 where absent |
//! | `HEADWATER_TEST_MATRIX` | `short`, `all`, or part of a fault's name |
//! | `HEADWATER_TEST_SEED` | the first run's seed; drawn and printed where absent |
//! | `HEADWATER_TEST_TABLE` | file to write the table to |

mod check;
mod clock;
mod doors;
mod field;
mod ledger;
mod matrix;
mod poison;
mod proxy;
mod report;
mod upgrade;

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use self::check::{Watcher, difference, on_hub};
use self::doors::Doors;
use self::field::Field;
use self::ledger::Ledger;
use self::matrix::{CELLS, Cell, Fault, Moment};
use self::report::{Outcome, table};
use crate::real::environment::variable;
use crate::real::real_or_skip;
use crate::real::rig::until_within;

/// After this long what is not there is lost.
const PATIENCE: Duration = Duration::from_secs(120);

fn chosen() -> Vec<Cell> {
    let word = variable("HEADWATER_TEST_MATRIX").unwrap_or_else(|| "short".into());
    let fits = |cell: &Cell| match word.as_str() {
        "all" => true,
        "short" => cell.short,
        part => cell.name.contains(part),
    };
    let cells: Vec<Cell> = CELLS.iter().copied().filter(fits).collect();
    assert!(!cells.is_empty(), "HEADWATER_TEST_MATRIX={word}: expected short, all, or part of the name of a fault");
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_matrix_loses_doubles_or_reorders_anything() {
    real_or_skip!();
    let seed: u64 = variable("HEADWATER_TEST_SEED")
        .map_or_else(|| u64::from(rand::rng().random::<u32>()), |text| text.parse().expect("a number"));
    let runs: u64 = variable("HEADWATER_TEST_RUNS").map_or(1, |text| text.parse().expect("a number"));
    println!("HEADWATER_TEST_SEED={seed}");
    let mut field = Field::new().await;
    let doors = Doors::open(&field.rig).await;
    let mut watcher = Watcher::new(&field.rig);
    let (mut all, mut silent, mut outcomes) = (Ledger::default(), Ledger::default(), Vec::new());
    for run in 0..runs {
        for cell in chosen() {
            if cell.fault == Fault::Clock && clock::library().is_none() {
                println!("{}: not run, libfaketime is not installed", cell.name);
                continue;
            }
            let seed = seed.wrapping_add(run.wrapping_mul(1_000)).wrapping_add(outcomes.len() as u64);
            let (outcome, accepted, later) = round(&mut field, &doors, &mut watcher, cell, seed).await;
            println!("{}", outcome.line());
            outcomes.push(outcome);
            all.keys.extend(accepted.keys);
            silent.keys.extend(later.keys);
        }
    }
    outcomes.push(last_look(&field, &mut watcher, all, silent, seed).await);
    let table = table(&outcomes);
    println!("{table}");
    if let Some(file) = variable("HEADWATER_TEST_TABLE") {
        std::fs::write(&file, &table).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
    let bad: Vec<String> = outcomes.iter().filter(|o| o.bad() > 0).map(Outcome::line).collect();
    assert!(bad.is_empty(), "lost or wrong:\n{}", bad.join("\n"));
    let letters = field.rig.command(&["dead", "list"]);
    assert!(letters.stdout.is_empty(), "a fault is nobody's fault: {}", String::from_utf8_lossy(&letters.stdout));
}

/// Feeds while the fault happens, waits until all that was accepted is in the store, and counts.
async fn round(field: &mut Field, doors: &Doors, watcher: &mut Watcher, cell: Cell, seed: u64) -> (Outcome, Ledger, Ledger) {
    let mut dice = StdRng::seed_from_u64(seed);
    watcher.catch_up();
    let (duplicates, reordered) = (watcher.duplicates, watcher.reordered);
    let feeding = async {
        if matches!(cell.fault, Fault::Kill(_, Moment::Idle)) {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        doors.round(seed).await
    };
    let ((accepted, later), ()) = tokio::join!(feeding, field.suffer(cell.fault, &mut dice));
    let mut revived = field.revive();
    let since = Instant::now();
    let different = settle(field, &accepted, &mut revived).await;
    let ahead = watcher.ahead(&field.rig).await;
    let hub = hub(field, watcher, &mut revived).await;
    let recovery = since.elapsed().as_secs_f64();
    let outcome = Outcome {
        fault: cell.name,
        seed,
        records: (accepted.keys.len() + later.keys.len()) as u64,
        lost: different.missing.len() as u64 + hub,
        duplicates_upstream: watcher.duplicates - duplicates,
        duplicates_in_store: different.doubled.len() as u64,
        stale: different.stale.len() as u64,
        wrong: different.wrong.len() as u64,
        reordered: watcher.reordered - reordered,
        ahead,
        ended: revived,
        recovery,
    };
    (outcome, accepted, later)
}

/// What still differs when nothing is missing any more, or when patience ends.
async fn settle(field: &mut Field, ledger: &Ledger, revived: &mut u64) -> ledger::Difference {
    let started = Instant::now();
    loop {
        let different = difference(&field.rig, ledger).await;
        if different.settled() || started.elapsed() > PATIENCE {
            return different;
        }
        *revived += field.revive();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many observations never reach the other endpoint.
async fn hub(field: &mut Field, watcher: &Watcher, revived: &mut u64) -> u64 {
    let started = Instant::now();
    loop {
        let there: HashSet<String> = on_hub(&field.rig);
        let missing = watcher.ids().filter(|id| !there.contains(id)).count() as u64;
        if missing == 0 || started.elapsed() > PATIENCE {
            return missing;
        }
        *revived += field.revive();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Everything of all rounds once more, with what only the schedule finds.
async fn last_look(field: &Field, watcher: &mut Watcher, all: Ledger, silent: Ledger, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut whole = all;
    whole.keys.extend(silent.keys);
    // A poll a minute, and the way of what it finds.
    let patience = PATIENCE + Duration::from_secs(90);
    let _ = tokio::time::timeout(
        patience,
        until_within("what is not announced", patience * 2, async || {
            difference(&field.rig, &whole).await.settled().then_some(())
        }),
    )
    .await;
    let different = difference(&field.rig, &whole).await;
    Outcome {
        fault: "in the end, with what is only polled",
        seed,
        records: whole.keys.len() as u64,
        lost: different.missing.len() as u64,
        duplicates_in_store: different.doubled.len() as u64,
        stale: different.stale.len() as u64,
        wrong: different.wrong.len() as u64,
        ahead: watcher.ahead(&field.rig).await,
        recovery: started.elapsed().as_secs_f64(),
        ..Outcome::default()
    }
}
