//! `headwater store migrate`.

use clap::Subcommand;

use crate::app::App;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Make keyspace and tables, or bring them up to date
    Migrate,
    /// Print a new random key for `store.keys`; put it before the old ones to seal with it from now on
    NewKey {
        /// Name of the key
        id: String,
    },
}

/// A random key as `store.keys` wants it.
pub fn new_key(id: &str) -> String {
    use base64::Engine as _;
    use rand::TryRngCore as _;
    let mut key = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut key).expect("the operating system gives random numbers");
    format!("{id}:{}", base64::engine::general_purpose::STANDARD.encode(key))
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
            Self::NewKey { .. } => unreachable!("needs no configuration and is handled before it is read"),
        }
    }
}
