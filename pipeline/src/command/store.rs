//! `headwater store migrate`.

use clap::Subcommand;

use crate::app::App;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Make keyspace and tables, or bring them up to date
    Migrate,
}

impl StoreCommand {
    /// # Errors
    /// When the store refuses.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Migrate => {
                app.store().await?.migrate().await?;
                println!("store is up to date");
                Ok(())
            }
        }
    }
}
