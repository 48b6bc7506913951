//! Makes observations with their FHIR R4 resource of a provider's raw records. Runs until SIGTERM and ends with 0 then, and with an error at the
//! first record it cannot map.

mod codec;
mod fhir;
mod getmeas;
mod ids;
mod observations;
mod records;
mod stream;

use clap::Parser;

#[derive(Parser)]
struct Arguments {
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: String,
    /// Of the schema registry
    #[arg(long, value_name = "URL")]
    registry: String,
    /// Topic of raw records
    #[arg(long)]
    from: String,
    /// Topic of the observations
    #[arg(long)]
    to: String,
    #[arg(long)]
    group: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    stream::run(&Arguments::parse()).await
}
