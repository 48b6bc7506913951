//! Asking at once, and what came of it.

use headwater_schemas::Outbox;
use headwater_schemas::hint::Cause;
use headwater_store::ConnectionState;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::join::live;
use super::{AccountError, Accounts, hash};
use crate::Unavailable;
use crate::shared::Shared;

/// How long a result can be asked for.
const LIFE: i64 = 3_600_000_000;

/// What a fetch came to, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Windows whose answer was new, was the one we held, had no row, or could not be had.
    pub fetched: u32,
    pub unchanged: u32,
    pub empty: u32,
    pub failed: u32,
    /// Observations in the new answers, and how many of them were corrections; observations that were gone.
    pub observations: u32,
    pub amended: u32,
    pub withdrawn: u32,
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// `done`, `later` (the rest waits, see `reason`), or `not_active`.
    pub outcome: String,
    pub reason: Option<String>,
    pub at: i64,
    pub tally: Tally,
}

impl Accounts {
    /// Asks for what is fresh, now. The id is that of [`Accounts::synced`].
    ///
    /// # Errors
    /// [`AccountError::NeedsReauth`] where nothing can be asked.
    pub async fn sync(&self, id: Uuid) -> Result<Uuid, AccountError> {
        let connection = self.shared.store.connection(id).await?.ok_or(AccountError::Unknown)?;
        if connection.state != ConnectionState::Active {
            return Err(AccountError::NeedsReauth);
        }
        let (cloud, _) = self.cloud(&connection.provider)?;
        let (sync, mut out) = (Uuid::now_v7(), Outbox::default());
        live(&cloud, &connection, sync, Cause::SyncNow, self.now(), &mut out);
        self.shared.outlet.append(&out).await?;
        Ok(sync)
    }

    /// What came of it; `None` while it goes on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn synced(&self, sync: Uuid) -> Result<Option<Synced>, AccountError> {
        let kept = self.shared.store.pending(&hash("sync", &sync.to_string()), self.now()).await?;
        Ok(kept.and_then(|text| serde_json::from_slice(&text).ok()))
    }
}

/// Keeps a result for whoever asked.
pub(crate) async fn keep(shared: &Shared, syncs: &[Uuid], result: &Synced) -> Result<(), Unavailable> {
    let (now, text) = (shared.clock.now(), serde_json::to_vec(result).expect("words and numbers are JSON"));
    for sync in syncs {
        shared.store.put_pending(&hash("sync", &sync.to_string()), &text, now, now + LIFE).await?;
    }
    Ok(())
}
