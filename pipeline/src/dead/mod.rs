//! Dead letters: what is written of a record that a worker can never accept, how the letters are read back, and how they are settled.
//!
//! Start at [`letter`]. A letter is settled by a marker on its own topic, so that one reading of the topic gives both, and both end with the topic's
//! retention.

pub mod letter;
pub mod read;
pub mod replay;
pub mod select;
pub mod shape;
