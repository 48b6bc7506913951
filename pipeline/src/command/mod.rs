//! The command line. One file per subcommand.

mod coverage;
mod dead;
mod dictionary;
mod import;
mod new;
mod normalize;
pub mod replay;
mod schemas;
pub mod store;
mod streams;
mod tail;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::config::Config;
use crate::role::{self, Role};
use crate::telemetry;

/// Every worker: consumer group, dead-letter topic and metric label.
pub fn workers() -> Vec<&'static str> {
    let processors = headwater_processors::ALL.iter().map(|p| p.name());
    processors.chain(headwater_sinks::ALL.iter().copied()).chain(role::FETCH_WORKERS.iter().copied()).collect()
}

/// Wearable-health data from providers' clouds to FHIR, on Kafka.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, max_term_width = 110)]
pub struct Cli {
    /// Configuration file
    #[arg(long, global = true, env = "HEADWATER_CONFIG", default_value = "headwater.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in this process, with embedded broker, registry, store and simulated providers
    #[cfg(feature = "embedded")]
    Dev(crate::dev::Dev),
    /// Take providers' webhooks
    Receive,
    /// Ask providers for data: on hints, and on schedule
    Fetch,
    /// Run a processor
    Process {
        /// normalize
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(headwater_processors::ALL.iter().map(|p| p.name())))]
        name: String,
    },
    /// Run a sink
    Sink {
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(headwater_sinks::ALL.iter().copied()))]
        name: String,
    },
    /// Serve the reading side
    Api,
    /// Serve simulated provider clouds
    Simulator,
    Import(import::Import),
    Normalize(normalize::Normalize),
    Replay(replay::Replay),
    Streams(streams::Streams),
    Dictionary(dictionary::Dictionary),
    /// Begin something new in a checkout
    #[command(subcommand)]
    New(new::New),
    Coverage(coverage::Coverage),
    /// Compare topics with the catalogue, or make them
    #[command(subcommand)]
    Topics(topics::Topics),
    /// Check schemas for compatibility, or register them
    #[command(subcommand)]
    Schemas(schemas::Schemas),
    /// Manage the store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Look at dead letters, do them again, or drop them
    #[command(subcommand)]
    Dead(dead::Dead),
    Tail(tail::Tail),
    /// Check the configuration file
    Config,
}

impl Cli {
    /// Runs the command. Exit code 0: done; 1: failed or refused; 2: a plan has changes.
    pub fn run(self) -> ExitCode {
        match self.dispatch() {
            Ok(code) => code,
            Err(e) => {
                eprintln!("error: {e:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn dispatch(self) -> anyhow::Result<ExitCode> {
        let truth = |ok: bool, otherwise: u8| if ok { ExitCode::SUCCESS } else { ExitCode::from(otherwise) };
        match self.command {
            Command::Normalize(command) => return Ok(truth(command.run()?, 1)),
            Command::Streams(command) => return command.run().map(|()| ExitCode::SUCCESS),
            Command::Dictionary(command) => return command.run().map(|()| ExitCode::SUCCESS),
            Command::New(command) => return command.run().map(|()| ExitCode::SUCCESS),
            #[cfg(feature = "embedded")]
            Command::Dev(command) => return block_on(command.run()),
            Command::Store(store::StoreCommand::NewKey { id }) => {
                println!("{}", store::new_key(&id));
                return Ok(ExitCode::SUCCESS);
            }
            _ => {}
        }
        let config = Config::load(&self.config)?;
        let telemetry = telemetry::install(&config.telemetry)?;
        let app = App::new(config)?;
        block_on(async move {
            let role = match self.command {
                Command::Topics(command) => {
                    let otherwise = if matches!(command, topics::Topics::Plan) { 2 } else { 1 };
                    return Ok(truth(command.run(&app).await?, otherwise));
                }
                Command::Schemas(command) => return Ok(truth(command.run(&app).await?, 1)),
                Command::Import(command) => return command.run(&app).await.map(|()| ExitCode::SUCCESS),
                Command::Store(command) => return command.run(&app).await.map(|()| ExitCode::SUCCESS),
                Command::Dead(command) => return command.run(&Arc::new(app)).await.map(|()| ExitCode::SUCCESS),
                Command::Coverage(command) => return command.run(&app).await.map(|()| ExitCode::SUCCESS),
                Command::Replay(command) => return Ok(truth(command.run(std::sync::Arc::new(app)).await?, 2)),
                Command::Tail(command) => return tokio::task::block_in_place(|| command.run(&app)).map(|()| ExitCode::SUCCESS),
                Command::Config => {
                    println!("{}: good", self.config.display());
                    return Ok(ExitCode::SUCCESS);
                }
                Command::Receive => Role::Receive,
                Command::Fetch => Role::Fetch,
                Command::Process { name } => Role::Process(headwater_processors::by_name(&name).expect("clap checked the name")),
                Command::Sink { name } => {
                    Role::Sink(headwater_sinks::ALL.iter().copied().find(|s| *s == name).expect("clap checked the name"))
                }
                Command::Api => Role::Api,
                Command::Simulator => Role::Simulator,
                Command::Normalize(_) | Command::Streams(_) | Command::Dictionary(_) | Command::New(_) => {
                    unreachable!("handled above")
                }
                #[cfg(feature = "embedded")]
                Command::Dev(_) => unreachable!("handled above"),
            };
            role::serve(app, role, telemetry).await.map(|()| ExitCode::SUCCESS)
        })
    }
}

fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(task)
}
