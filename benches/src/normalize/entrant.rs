//! Who takes part, and what it has cost so far.

use std::path::PathBuf;

use crate::digest::Digest;
use crate::process::Cost;

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// The floor: the same records moved, and nothing done with them.
    Copy,
    /// `headwater process normalize`; exactly once where a commit interval is given, in milliseconds.
    Ours(Option<u64>),
    /// The same job by others, in this folder.
    Peer(PathBuf),
}

pub struct Entrant {
    pub name: String,
    pub kind: Kind,
    /// Per million records, one of each round.
    pub costs: Vec<Cost>,
    /// What it made in the first round.
    pub outcome: Option<Digest>,
}

impl Entrant {
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, costs: vec![], outcome: None }
    }
}
