//! The loop and the roles: everything that moves a record from one place to the next.
//!
//! Start at [`run`] (the loop and its crash table), then [`log`] (what it runs on) and [`work`] (what it runs). `command` has one file per
//! subcommand. This crate knows Kafka and wires all others together; it decides nothing about what data means.

pub mod app;
pub mod breaker;
pub mod command;
pub mod config;
pub mod consent;
pub mod dead;
#[cfg(feature = "embedded")]
pub mod dev;
pub mod listen;
pub mod live;
pub mod log;
pub mod ops;
pub mod registry;
pub mod role;
pub mod run;
pub mod supervise;
pub mod telemetry;
pub mod work;
pub mod worker;
