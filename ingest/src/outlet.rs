//! The only thing this crate knows about the log.

use async_trait::async_trait;
use headwater_schemas::Outbox;
use std::time::Duration;

/// Somewhere to append records to.
#[async_trait]
pub trait Outlet: Send + Sync + 'static {
    /// Appends all records; resolves when the broker has acknowledged every one of them. A failure is ambiguous: some may be in.
    ///
    /// # Errors
    /// [`OutletError::Full`] at once when there is no room, so that a caller can say so; [`OutletError::Unavailable`] when the broker did not
    /// acknowledge in time.
    async fn append(&self, outbox: &Outbox) -> Result<(), OutletError>;
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum OutletError {
    #[error("no room, try again in {retry_after:?}")]
    Full { retry_after: Duration },
    #[error("log unavailable: {why}")]
    Unavailable { why: String },
}
