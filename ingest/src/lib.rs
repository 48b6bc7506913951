//! The door and the driver: webhooks in, polls out, and what decides when.
//!
//! Start at [`receive`] (what providers call) and [`fetch`] (the one path that asks them). Between the two stand [`schedule`], [`tokens`] and
//! [`limits`]; [`account`] is how people come and go; [`Ingest`] wires them. This crate knows Kafka only as an [`Outlet`] and each provider only as a `Source`; it never says what
//! data means.

pub mod account;
pub mod clock;
mod cloud;
mod events;
pub mod fetch;
mod held;
pub mod http;
mod ingest;
pub mod limits;
pub mod outlet;
mod push;
pub mod receive;
mod room;
pub mod schedule;
pub mod settings;
mod shared;
pub mod tokens;
pub mod upload;
mod window;

pub use account::Accounts;
pub use fetch::Fetcher;
pub use ingest::{Ingest, IngestError};
pub use outlet::{Outlet, OutletError};
pub use schedule::Scheduler;
pub use upload::Uploads;

/// Store or log do not answer. Nothing is lost by it: the same is to be done again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why}")]
pub struct Unavailable {
    pub why: String,
}

impl From<headwater_store::Unavailable> for Unavailable {
    fn from(error: headwater_store::Unavailable) -> Self {
        Self { why: error.to_string() }
    }
}

impl From<OutletError> for Unavailable {
    fn from(error: OutletError) -> Self {
        Self { why: error.to_string() }
    }
}
