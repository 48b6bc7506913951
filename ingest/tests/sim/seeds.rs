//! Many numbers a run, drawn anew each time; one, told in full, when a failure is to be seen again. The loop's simulation shares this file.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Why a run does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub what: String,
    pub trace: String,
    pub digest: u64,
}

/// What happened in a run, to be summed up over many.
pub trait Counts: Default + std::fmt::Debug + Send {
    fn add(&mut self, other: &Self);
}

/// Plays so many numbers and sums up what happened; `None` where one was asked for and played.
pub fn play<R: Counts>((command, test): (&str, &str), default: u64, one: impl Fn(u64) -> Result<R, Broken> + Sync) -> Option<R> {
    if let Some(seed) = asked("HEADWATER_SIM_SEED") {
        match one(seed) {
            Ok(ran) => println!("seed {seed} holds: {ran:?}"),
            Err(broken) => panic!("seed {seed}\n{}\n{}", broken.trace, broken.what),
        }
        return None;
    }
    let count = asked("HEADWATER_SIM_SEEDS").map_or(default, |asked| asked.min(default.max(asked * default / 1000)));
    let (base, started) = (rand::random::<u64>(), Instant::now());
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sum, failed) = (Mutex::new(R::default()), Mutex::new(None::<(u64, u64, Broken)>));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let seed = mixed(base.wrapping_add(index));

                    match one(seed) {
                        Ok(ran) => sum.lock().expect("no run panics under this lock").add(&ran),
                        Err(broken) => {
                            over.store(true, Ordering::Relaxed);
                            failed.lock().expect("no run panics under this lock").get_or_insert((index, seed, broken));
                        }
                    }
                }
            });
        }
    });
    if let Some((index, seed, broken)) = failed.into_inner().expect("no run panics under this lock") {
        panic!("{}\nafter {} seeds; again with: HEADWATER_SIM_SEED={seed} {command} {test}", broken.what, index + 1);
    }
    let sum = sum.into_inner().expect("no run panics under this lock");
    println!("{count} seeds from base {base} hold, {:.1} s: {sum:?}", started.elapsed().as_secs_f64());
    Some(sum)
}

fn asked(name: &str) -> Option<u64> {
    std::env::vars()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.parse().unwrap_or_else(|_| panic!("{name}: expected a number")))
}

/// Neighbours have nothing in common (the finalizer of splitmix64).
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
