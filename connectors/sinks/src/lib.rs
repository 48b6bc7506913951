//! Outbound systems: where normalized records are written, one folder each.
//!
//! Start at [`Sink`]. A sink writes a batch by key, so that a repeat is harmless, and says what became of each record. It never decides what
//! happens to a refused record and never touches an offset: that is the loop's.

pub mod eventhubs;
pub mod fhir;
pub mod hooks;
mod http;
pub mod scylla;
mod sink;
#[cfg(test)]
mod testing;
mod time;

pub use sink::{Incoming, Sink, Unavailable, Verdict};

/// Names of all sinks: subcommand argument, consumer group and dead-letter topic.
pub static ALL: &[&str] = &[scylla::NAME, eventhubs::NAME, fhir::NAME, hooks::NAME];
