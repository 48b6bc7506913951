//! What a stage costs, beside the cost of moving the same bytes with no work done: CPU-seconds of the subject's process, from one run on one
//! broker, rounds interleaved. Start at `normalize.rs`. `connections.rs` measures what many connections cost, `reading.rs` what pages cost
//! beside a bare read, `replay.rs` what going through raw records once more costs, `import.rs` a large file, `door` what taking one call costs,
//! `overload.rs` what the door does with more than it carries, `sink` what writing rows costs beside the bare driver, `scale_out` what stands still
//! while instances come and go.

mod broker;
mod connections;
mod copy;
mod digest;
mod door;
mod entrant;
mod import;
mod normalize;
mod overload;
mod payload;
mod process;
mod reading;
mod replay;
mod rig;
mod rows;
mod scale_out;
mod sink;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "headwater-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Raw to normalized, beside a bare consume-and-produce copy of the same records
    Normalize(normalize::Normalize),
    /// What taking a signed webhook costs, beside a bare handler and peers
    Door(door::Door),
    /// Many connections: the scheduler's memory, hints, listing and status
    Connections(connections::Connections),
    /// Pages of the API beside a bare read of the same rows
    Reading(reading::Reading),
    /// A whole raw topic gone through once more, twice: what it costs, and that every stored row is the same
    Replay(replay::Replay),
    /// A large file brought by `headwater import`, twice
    Import(import::Import),
    /// Ten times as many webhooks as the door carries
    Overload(overload::Overload),
    /// What stands still while instances come and go
    ScaleOut(scale_out::ScaleOut),
    /// Observations into Cassandra, beside the bare driver with the same rows
    Sink(sink::Sink),
    /// The bare copy itself: a subject of `normalize`, run by it
    #[command(hide = true)]
    Copy(copy::Copy),
    /// The bare driver: a subject of `sink`, run by it
    #[command(hide = true)]
    BareSink(sink::BareSink),
    /// The bare handler itself: a subject of `door`, run by it
    #[command(hide = true)]
    BareDoor(door::BareDoor),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Normalize(command) => command.run().await,
        Command::Door(command) => command.run().await,
        Command::Connections(command) => command.run().await,
        Command::Reading(command) => command.run().await,
        Command::Replay(command) => command.run().await,
        Command::Import(command) => command.run().await,
        Command::Overload(command) => command.run().await,
        Command::ScaleOut(command) => command.run().await,
        Command::Sink(command) => command.run().await,
        Command::Copy(command) => command.run(),
        Command::BareSink(command) => command.run().await,
        Command::BareDoor(command) => command.run().await,
    }
}
