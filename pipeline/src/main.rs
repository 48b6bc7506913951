//! `headwater`: one binary, one role per subcommand.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    headwater::command::Cli::parse().run()
}
