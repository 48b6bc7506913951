//! Many things in one number: what is the same has the same, in whatever order it is read.

use uuid::Uuid;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    pub count: u64,
    sum: u128,
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x} of {}", self.sum, self.count)
    }
}

impl Digest {
    pub fn add(&mut self, text: &str) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(Uuid::new_v5(&Uuid::nil(), text.as_bytes()).as_u128());
    }

    pub fn with(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }

    pub fn without(self, before: Self) -> Self {
        Self { count: self.count - before.count, sum: self.sum.wrapping_sub(before.sum) }
    }
}
