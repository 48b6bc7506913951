//! The trait of a stateless step.

use headwater_schemas::consent::Terms;
use headwater_schemas::{Outbox, Position, Reject, Topic};

/// One record, decoded as far as the log can: frame taken off, body in our own schema's layout, seal opened.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub position: Position<'a>,
    pub key: &'a [u8],
    pub body: &'a [u8],
    /// The opened payload of a record whose own is sealed.
    pub payload: Option<&'a [u8]>,
    /// What the person agreed to, where that is less than everything. That it stands at all was judged before.
    pub terms: Option<&'a Terms>,
}

impl<'a> Input<'a> {
    /// A record that is not sealed, of somebody who agreed to everything.
    pub fn plain(position: Position<'a>, key: &'a [u8], body: &'a [u8]) -> Self {
        Self { position, key, body, payload: None, terms: None }
    }
}

/// What became of a record that was accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows inside the record that can never be accepted. The record goes to the dead letters for their sake; its other rows go on.
    pub problems: Vec<Reject>,
    /// Things this build does not know, tolerated.
    pub unknown: usize,
    /// Readings left out because the person did not agree to their type.
    pub withheld: usize,
}

/// A typed pure function from one record to any number of records.
pub trait Processor: Send + Sync + 'static {
    /// Subcommand argument, consumer group and dead-letter topic.
    fn name(&self) -> &'static str;
    /// The topics it reads, with the family's word where they have one.
    fn inputs(&self) -> Vec<(&'static Topic, Option<&'static str>)>;
    /// Appends what follows from `input` to `out`. What an error leaves behind in `out` is dropped by the caller.
    ///
    /// # Errors
    /// [`Reject`] when nothing of the record can be accepted.
    fn process(&self, input: &Input<'_>, out: &mut Outbox) -> Result<Report, Reject>;
}
