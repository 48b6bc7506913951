//! What a stage costs, beside the cost of moving the same bytes with no work done: CPU-seconds of the subject's process, from one run on one
//! broker, rounds interleaved. Start at `normalize.rs`. `door` measures what taking one call costs, `sink` what writing rows costs beside the bare
//! driver, `replay.rs` what going through raw records once more costs, `import.rs` a large file, `reading.rs` what pages cost beside a bare read,
//! `connections.rs` what many connections cost, `schedule` how late they are asked, `idle.rs` what roles hold with nothing to do, `cost.rs` what a
//! cost sheet is made of, `latency` how long a record is under way to its rows, `overload.rs` what the door does with more than it carries, `scale_out`
//! what stands still while instances come and go; `report` makes a page and a picture of comparisons, of which `results.rs` is the file.

mod broker;
mod connections;
mod copy;
mod cost;
mod digest;
mod door;
mod entrant;
mod group;
mod held;
mod idle;
mod import;
mod latency;
mod normalize;
mod overload;
mod payload;
mod process;
mod reading;
mod replay;
mod report;
mod results;
mod rig;
mod rows;
mod scale_out;
mod schedule;
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
    /// How late due polls of a million connections are hinted, beside a task per connection
    Schedule(schedule::Schedule),
    /// What each role holds with nothing to do
    Idle(idle::Idle),
    /// What raw records cost on their way into tables: CPU of the roles, bytes of the topics and of the tables
    Cost(cost::Cost),
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
    /// From when a raw record was due on its topic until its rows can be read, beside what brokers and Cassandra take at least and peers
    Latency(latency::Latency),
    /// Observations into Cassandra, beside the bare driver with the same rows
    Sink(sink::Sink),
    /// Tables and a picture of what `normalize`, `door` and `sink` left by `--results`
    Report(report::Report),
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
        Command::Schedule(command) => command.run().await,
        Command::Idle(command) => command.run().await,
        Command::Cost(command) => command.run().await,
        Command::Reading(command) => command.run().await,
        Command::Replay(command) => command.run().await,
        Command::Import(command) => command.run().await,
        Command::Overload(command) => command.run().await,
        Command::ScaleOut(command) => command.run().await,
        Command::Latency(command) => command.run().await,
        Command::Sink(command) => command.run().await,
        Command::Report(command) => command.run(),
        Command::Copy(command) => command.run(),
        Command::BareSink(command) => command.run().await,
        Command::BareDoor(command) => command.run().await,
    }
}
