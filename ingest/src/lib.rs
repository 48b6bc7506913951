//! The door and the driver: webhooks in, polls out, and what decides when.
//!
//! Start at [`receive`] (what providers call) and [`fetch`] (the one path that asks them). Between the two stand [`schedule`], [`tokens`] and
//! [`limits`]. This crate knows Kafka only as an [`Outlet`] and each provider only as a `Source`; it never says what data means.

pub mod outlet;

pub use outlet::{Outlet, OutletError};
