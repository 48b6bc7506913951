//! `headwater store …`: tables and keys.

use clap::Subcommand;

use crate::app::App;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Make keyspace and tables, or bring them up to date
    Migrate,
    /// Wrap every data key under the first of `store.keys`; afterwards the other keys can be taken out
    ///
    /// Put the new key first in every instance, restart them one by one, then run this once. Nothing stops meanwhile. Fails, naming the data
    /// keys, when one was wrapped by a key that is not configured: then no key may be taken out yet.
    RotateKeys,
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
            Self::RotateKeys => {
                let done = app.store().await?.rewrap_keys().await?;
                println!(
                    "{} data keys: {} wrapped anew, {} changed meanwhile, {} failed",
                    done.seen, done.rewrapped, done.passed, done.failed
                );
                anyhow::ensure!(done.failed == 0, "{} data keys are wrapped by keys that are not configured", done.failed);
                Ok(())
            }
            Self::NewKey { .. } => unreachable!("needs no configuration and is handled before it is read"),
        }
    }
}
