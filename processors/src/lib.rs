//! Stateless steps, pure: a record in, records out, always the same for the same input.
//!
//! Start at [`Processor`], then [`normalize`]. A processor never waits and never asks anybody: it cannot be transiently wrong, so the only
//! error it has is permanent.

pub mod normalize;
mod processor;

pub use processor::{Input, Processor, Report};

/// Every processor. Being in this list gives it a subcommand argument, a consumer group and a dead-letter topic.
pub static ALL: &[&dyn Processor] = &[&normalize::Normalize];

/// The processor with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Processor> {
    ALL.iter().copied().find(|p| p.name() == name)
}
