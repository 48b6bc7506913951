//! The contracts every other crate speaks: topics, Avro schemas, Rust records, identities and the code table.
//!
//! Start at [`topics`] (what exists on the log), then [`raw`] and [`observation`] (the two records everything is about), [`codes`] (what a
//! reading may be called) and [`reading`] (what a source says before it becomes FHIR). This crate never does I/O, never waits and never asks
//! for the time: whatever depends on the outside is an argument.

pub mod audit;
pub mod avro;
pub mod codes;
pub mod connection;
pub mod consent;
pub mod coverage;
pub mod device;
pub mod device_types;
pub mod extensions;
pub mod hint;
pub mod ids;
pub mod medication;
pub mod observation;
pub mod outbox;
pub mod raw;
pub mod reading;
pub mod reject;
pub mod released;
pub mod resolve;
pub mod topics;
pub mod wire;

pub use outbox::{Outbox, Position};
pub use reject::Reject;
pub use topics::{Subject, Topic};
