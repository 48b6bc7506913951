//! Reading, bounded by the input: no length is believed further than the bytes that are there.

use std::fmt;

/// What was expected and not found, and in which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    expected: &'static str,
    field: Option<&'static str>,
}

impl Malformed {
    pub const fn new(expected: &'static str) -> Self {
        Self { expected, field: None }
    }

    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        self.field.get_or_insert(field);
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "field {field}: expected {}", self.expected),
            None => write!(f, "expected {}", self.expected),
        }
    }
}

impl std::error::Error for Malformed {}

/// A cursor over one record's bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::new("more bytes than there are"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn long(&mut self) -> Result<i64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
            }
        }
        Err(Malformed::new("a long of at most 64 bits"))
    }

    pub(super) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.long()?).map_err(|_| Malformed::new("a length that is not negative"))?;
        self.take(len)
    }

    /// The size of the next block of an array or map, or `None` at its end.
    pub(super) fn block(&mut self) -> Result<Option<usize>, Malformed> {
        let count = self.long()?;
        if count < 0 {
            self.long()?; // a negative count is followed by the block's size in bytes
        }
        match usize::try_from(count.unsigned_abs()) {
            Ok(0) => Ok(None),
            // Every item we declare takes at least one byte, so a larger count is a lie.
            Ok(count) if count <= self.rest.len() => Ok(Some(count)),
            _ => Err(Malformed::new("a block no longer than the record")),
        }
    }
}
