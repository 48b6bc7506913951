//! `headwater`: one binary, one role per subcommand.

use std::process::ExitCode;

use clap::Parser as _;

/// A call at the door is many small allocations: with the C library's allocator a million of them cost a third more CPU (docs/measurements.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    headwater::command::Cli::parse().run()
}
