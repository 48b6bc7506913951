//! What this process holds, counted by its allocator: the product's, so that floors have it as well.

use cap::Cap;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

/// Bytes that are allocated and not freed. What C code allocates is not among them.
pub fn held() -> usize {
    ALLOCATOR.allocated()
}
