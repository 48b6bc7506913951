//! Search by date: what a parameter's value covers, and which observations it fits.

use headwater_store::StoredObservation;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Observations are found by their start. One that began before a searched time may reach into it: a night, a day, a workout. What is
/// longer is found by its start alone.
pub(super) const LONGEST: i64 = 48 * 3_600_000_000;

/// `ge2026-11-01`: a comparison with a time that may be as coarse as a year, `[from, to)` in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Comparison {
    prefix: Prefix,
    from: i64,
    to: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    StartsAfter,
    EndsBefore,
}

pub(super) const EXPECTED: &str =
    "eq, gt, ge, lt, le, sa, eb or no prefix, and a date such as 2026, 2026-11, 2026-11-21 or 2026-11-21T07:30:00Z";

impl Comparison {
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = match text.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_lowercase())) {
            None => (Prefix::Equal, text),
            Some(prefix) => (
                match prefix {
                    "eq" => Prefix::Equal,
                    "gt" => Prefix::Greater,
                    "ge" => Prefix::GreaterOrEqual,
                    "lt" => Prefix::Less,
                    "le" => Prefix::LessOrEqual,
                    "sa" => Prefix::StartsAfter,
                    "eb" => Prefix::EndsBefore,
                    _ => return None,
                },
                &text[2..],
            ),
        };
        let (from, to) = span(rest)?;
        Some(Self { prefix, from, to })
    }

    /// The starts, `[from, to)`, outside of which nothing fits.
    pub fn bounds(&self) -> (i64, i64) {
        match self.prefix {
            Prefix::Equal => (self.from, self.to),
            Prefix::Greater => (self.to - LONGEST, i64::MAX),
            Prefix::GreaterOrEqual => (self.from - LONGEST, i64::MAX),
            Prefix::StartsAfter => (self.to, i64::MAX),
            Prefix::Less | Prefix::EndsBefore => (i64::MIN, self.from),
            Prefix::LessOrEqual => (i64::MIN, self.to),
        }
    }

    /// Whether an observation fits. A period fits an equal that covers it, and an open side that it reaches into.
    pub fn fits(&self, row: &StoredObservation) -> bool {
        let reaches = |bound: i64| row.start >= bound || row.end.is_some_and(|end| end > bound);
        match self.prefix {
            Prefix::Equal => row.start >= self.from && row.start < self.to && row.end.is_none_or(|end| end <= self.to),
            Prefix::Greater => reaches(self.to),
            Prefix::GreaterOrEqual => reaches(self.from),
            Prefix::Less => row.start < self.from,
            Prefix::LessOrEqual => row.start < self.to,
            Prefix::StartsAfter => row.start >= self.to,
            Prefix::EndsBefore => row.end.unwrap_or(row.start) <= self.from && row.start < self.from,
        }
    }

    /// The same for an instant.
    pub fn fits_instant(&self, at: i64) -> bool {
        match self.prefix {
            Prefix::Equal => (self.from..self.to).contains(&at),
            Prefix::Greater | Prefix::StartsAfter => at >= self.to,
            Prefix::GreaterOrEqual => at >= self.from,
            Prefix::Less | Prefix::EndsBefore => at < self.from,
            Prefix::LessOrEqual => at < self.to,
        }
    }
}

/// What a date of any precision covers, in UTC where it says no offset.
fn span(text: &str) -> Option<(i64, i64)> {
    let micros = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp().as_microsecond());
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    if let Some((_, time)) = text.split_once('T') {
        return instant(text, time);
    }
    let parts: Vec<&str> = text.split('-').collect();
    let (first, next) = match parts[..] {
        [year] if digits(year, 4) => {
            let first = Date::new(year.parse().ok()?, 1, 1).ok()?;
            (first, first.checked_add(1.year()).ok()?)
        }
        [year, month] if digits(year, 4) && digits(month, 2) => {
            let first = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
            (first, first.checked_add(1.month()).ok()?)
        }
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            let first = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
            (first, first.checked_add(1.day()).ok()?)
        }
        _ => return None,
    };
    Some((micros(first)?, micros(next)?))
}

/// A time covers its last given unit: a minute, a second, or as little as its fraction says.
fn instant(text: &str, time: &str) -> Option<(i64, i64)> {
    let clock = time.find(['Z', '+', '-']).map_or(time, |zone| &time[..zone]);
    let mut text = text.to_owned();
    if clock.len() == 5 {
        text.insert_str(text.len() - (time.len() - clock.len()), ":00");
    }
    if clock.len() == time.len() {
        text.push('Z');
    }
    let at = text.parse::<Timestamp>().ok()?.as_microsecond();
    let unit = match clock.split_once('.') {
        None if clock.len() == 5 => 60_000_000,
        None => 1_000_000,
        Some((_, fraction)) => 10_i64.pow(6_u32.saturating_sub(u32::try_from(fraction.len()).ok()?)),
    };
    Some((at, at.checked_add(unit)?))
}

#[cfg(test)]
mod tests {
    use headwater_schemas::codes;
    use headwater_schemas::observation::Observation;
    use uuid::Uuid;

    use super::*;

    fn micros(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn row(start: &str, end: Option<&str>) -> StoredObservation {
        let observation = Observation::of(&codes::SLEEP, "s", Uuid::nil(), micros(start));
        StoredObservation::of(&Observation { end: end.map(micros), ..observation }, 0)
    }

    #[test]
    fn a_date_covers_what_it_leaves_open() {
        for (text, from, to) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2026-12-31", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-11-21T07:30", "2026-11-21T07:30:00Z", "2026-11-21T07:31:00Z"),
            ("2026-11-21T07:30Z", "2026-11-21T07:30:00Z", "2026-11-21T07:31:00Z"),
            ("2026-11-21T07:30:05+02:00", "2026-11-21T05:30:05Z", "2026-11-21T05:30:06Z"),
            ("2026-11-21T07:30:05.25-05:00", "2026-11-21T12:30:05.25Z", "2026-11-21T12:30:05.26Z"),
        ] {
            assert_eq!(span(text), Some((micros(from), micros(to))), "{text}");
        }
        for text in [
            "",
            "26",
            "2026-1",
            "2026-13",
            "2026-02-30",
            "2026-11-21T",
            "2026-11-21T25:00",
            "yesterday",
            "2026-11-21 07:30",
            "-1",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn prefixes_mean_what_fhir_says() {
        let point = row("2026-11-21T12:00:00Z", None);
        let night = row("2026-11-20T22:00:00Z", Some("2026-11-21T06:00:00Z"));
        let day = row("2026-11-21T00:00:00Z", Some("2026-11-22T00:00:00Z"));
        for (text, fits) in [
            ("2026-11-21", [true, false, true]),
            ("ge2026-11-21", [true, true, true]),
            ("gt2026-11-21", [false, false, false]),
            ("gt2026-11-20", [true, true, true]),
            ("sa2026-11-20", [true, false, true]),
            ("lt2026-11-21", [false, true, false]),
            ("le2026-11-21", [true, true, true]),
            ("eb2026-11-22", [true, true, true]),
            ("eb2026-11-21", [false, false, false]),
        ] {
            let comparison = Comparison::parse(text).unwrap();
            let (from, to) = comparison.bounds();
            for (row, fits) in [&point, &night, &day].into_iter().zip(fits) {
                assert_eq!(comparison.fits(row), fits, "{text} {row:?}");
                assert!(!fits || (from..to).contains(&row.start), "{text} is looked for where it is");
            }
        }
        assert_eq!(Comparison::parse("ap2026"), None);
        assert_eq!(Comparison::parse("é"), None);
    }
}
