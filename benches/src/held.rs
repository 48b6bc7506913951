//! What this process holds, counted by its allocator.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated and not freed. What C code allocates is not among them.
pub fn held() -> usize {
    let stats = ALLOCATOR.stats();
    // What a reallocation adds or takes is in both sums already.
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}
