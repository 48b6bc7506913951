//! Where a replay begins and ends.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// A place in every partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Earliest,
    /// The end as it is when the replay begins.
    Now,
    /// The first record appended at or after this time.
    Time(Timestamp),
    Offset(i64),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected earliest, now, offset:N, or a time such as 2026-06-01T00:00:00Z, not {text:?}");
        match text {
            "earliest" => Ok(Self::Earliest),
            "now" => Ok(Self::Now),
            _ => match text.strip_prefix("offset:") {
                Some(number) => number.parse().ok().filter(|offset| *offset >= 0).map(Self::Offset).ok_or_else(expected),
                None => text.parse().map(Self::Time).map_err(|_| expected()),
            },
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Now => f.write_str("now"),
            Self::Time(time) => write!(f, "{time}"),
            Self::Offset(offset) => write!(f, "offset:{offset}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_read_as_it_is_written_and_anything_else_is_refused() {
        for text in ["earliest", "now", "offset:123", "2026-06-01T00:00:00Z"] {
            assert_eq!(text.parse::<Bound>().expect("a bound").to_string(), text);
        }
        for text in ["", "latest", "offset:-1", "offset:x", "2026-06-01", "yesterday"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }
}
