//! What the poll thread and the transactions of the same worker know of each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A transaction is committed under the gate, and a partition is let go under it: so a commit is either over before a partition goes, or sees
/// that it is gone.
#[derive(Debug, Default)]
pub(super) struct Gate {
    passing: Mutex<()>,
    /// Partitions whose worker has a batch in hand and is not waiting for something outside.
    in_hand: AtomicUsize,
    /// Some partition has more than a batch waiting behind the one in hand.
    pressed: AtomicBool,
}

impl Gate {
    pub fn pass(&self) -> MutexGuard<'_, ()> {
        // It guards no data: a thread that panicked while it held the gate leaves nothing half done.
        self.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The poll thread's look at its partitions.
    pub fn look(&self, in_hand: usize, pressed: bool) {
        self.in_hand.store(in_hand, Ordering::Relaxed);
        self.pressed.store(pressed, Ordering::Relaxed);
    }

    /// Whether to wait for more would only keep records waiting: all batches in hand are among these, and more wait behind them.
    pub fn hurry(&self, entered: usize) -> bool {
        self.pressed.load(Ordering::Relaxed) && entered >= self.in_hand.load(Ordering::Relaxed)
    }
}
