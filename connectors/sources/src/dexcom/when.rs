//! Times as they were met in the wild: without seconds, with seconds in the offset, a blank in place of the T, days that do not exist.

use headwater_schemas::reading::Stamp;
use headwater_schemas::reject::{Reject, code};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::time;

/// A wall clock, and an offset in seconds where one is written.
pub(super) struct Written {
    pub clock: DateTime,
    pub offset: Option<i32>,
}

/// The instant is the device's own UTC; the person's offset is how far the display was from it. Devices without a zone of their own tell
/// none, so the difference of the two clocks stands for it, to the quarter of an hour.
pub(super) fn stamp(system: &str, display: Option<&str>) -> Result<Stamp, Reject> {
    let system = parse(system).map_err(|r| r.at("systemTime"))?;
    let zoned = system.clock.to_zoned(TimeZone::UTC).map_err(|_| wrong().at("systemTime"))?;
    let micros = zoned.timestamp().as_microsecond() - i64::from(system.offset.unwrap_or(0)) * 1_000_000;
    let Some(display) = display else { return time::with_offset(micros, None) };
    let display = parse(display).map_err(|r| r.at("displayTime"))?;
    let offset = match display.offset {
        Some(offset) => offset,
        None => {
            let shown = display.clock.to_zoned(TimeZone::UTC).map_err(|_| wrong().at("displayTime"))?;
            let seconds = (shown.timestamp().as_microsecond() - micros).div_euclid(1_000_000);
            i32::try_from(seconds).map_err(|_| wrong().at("displayTime"))?
        }
    };
    let quarter = offset.saturating_add(450).div_euclid(900).saturating_mul(900);
    // A display set to another day says nothing of where the person was.
    let believable = (-12 * 3600..=14 * 3600).contains(&quarter);
    time::with_offset(micros, believable.then_some(quarter))
}

/// # Errors
/// `bad_time`.
pub(super) fn parse(text: &str) -> Result<Written, Reject> {
    let text = text.trim();
    let (date, rest) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00"));
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i16>().ok());
    let mut part = || parts.next().flatten().ok_or_else(wrong);
    let (year, month, day) = (part()?, part()?, part()?);
    let small = |n: i16| i8::try_from(n).map_err(|_| wrong());
    let date = Date::new(year, small(month)?, small(day)?).map_err(|_| wrong())?;
    let (clock, offset) = offset(rest)?;
    Ok(Written { clock: date.to_datetime(self::clock(clock)?), offset })
}

fn offset(text: &str) -> Result<(&str, Option<i32>), Reject> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Ok((clock, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Ok((text, None)) };
    let (clock, offset) = text.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let mut seconds = 0;
    for (part, weight) in offset[1..].split(':').zip([3600, 60, 1]) {
        let number: i32 = part.parse().ok().filter(|n| (0..100).contains(n)).ok_or_else(wrong)?;
        seconds += number * weight;
    }
    Ok((clock, Some(sign * seconds)))
}

fn clock(text: &str) -> Result<Time, Reject> {
    let mut parts = text.trim().splitn(3, ':');
    let mut number = |missing: Option<i8>| match parts.next() {
        Some(part) => part.split('.').next().and_then(|whole| whole.parse().ok()).ok_or_else(wrong),
        None => missing.ok_or_else(wrong),
    };
    let (hour, minute, second) = (number(None)?, number(None)?, number(Some(0))?);
    Time::new(hour, minute, second, 0).map_err(|_| wrong())
}

fn wrong() -> Reject {
    Reject::new(code::BAD_TIME, "expected a time such as 2026-11-01T07:30:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_time_that_was_met_is_read() {
        let at = |text| stamp(text, None).unwrap().micros;
        let expected = at("2026-02-06T08:12:31Z");
        for text in [
            "2026-02-06T08:12:31",
            "2026-02-06 08:12:31",
            "2026-2-6T8:12:31",
            "2026-02-06T08:12:31.000",
            "2026-02-06T00:12:31-08:00",
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
        assert_eq!(at("2026-02-06T08:12"), expected - 31_000_000);
        assert_eq!(at("2026-02-06T01:12:33-06:59:58"), expected);
    }

    #[test]
    fn what_is_no_time_is_refused_and_never_panics() {
        for text in [
            "",
            "T",
            "2018-02-29T00:00:00",
            "2026-13-01",
            "2026-02-06T25:00",
            "now",
            "2026-02-06T08:12:31+",
            "9999999-1-1",
            "--",
            "2026-02-06T-",
        ] {
            assert!(stamp(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn the_offset_is_the_displays_or_the_difference_of_the_clocks() {
        let offset = |display| stamp("2026-02-06T08:12:31Z", Some(display)).unwrap().offset;
        assert_eq!(offset("2026-02-06T00:12:31-08:00"), Some(-28_800));
        assert_eq!(offset("2026-02-06T09:12:30"), Some(3600), "two clocks a second apart");
        assert_eq!(offset("2026-02-06T13:57:31"), Some(20_700));
        assert_eq!(offset("2026-02-09T09:12:30"), None, "a display three days off is set wrong");
        assert_eq!(offset("2026-02-06T01:12:33-06:59:58"), Some(-25_200));
    }
}
