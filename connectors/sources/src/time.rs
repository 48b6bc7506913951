//! From the many ways providers write times to [`Stamp`]: an instant, the person's offset, and where the offset came from.

use headwater_schemas::observation::OffsetOrigin;
use headwater_schemas::reading::{Effective, Stamp};
use headwater_schemas::reject::{Reject, code};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const SECOND: i64 = 1_000_000;
/// 1970-01-01 and 2100-01-01: device clocks that were reset report times outside.
const PLAUSIBLE: std::ops::Range<i64> = 0..4_102_444_800 * SECOND;

/// A zone by its IANA name.
///
/// # Errors
/// `bad_time` when there is no such zone.
pub fn zone(name: &str) -> Result<TimeZone, Reject> {
    TimeZone::get(name).map_err(|_| Reject::new(code::BAD_TIME, "expected an IANA time zone such as Europe/Paris"))
}

/// The zone of the person's profile in a raw record.
///
/// # Errors
/// `bad_time` when it names no zone.
pub fn profile_zone(name: Option<&str>) -> Result<Option<TimeZone>, Reject> {
    name.map(zone).transpose()
}

/// An instant whose offset follows from a zone the source gave.
///
/// # Errors
/// `implausible` when the instant is before 1970 or after 2100.
pub fn epoch_in_zone(seconds: i64, zone: Option<&TimeZone>) -> Result<Stamp, Reject> {
    let micros = seconds.checked_mul(SECOND).unwrap_or(i64::MAX);
    match zone {
        Some(zone) => in_zone(micros, zone, OffsetOrigin::Zone),
        None => plausible(Stamp { micros, offset: None, origin: OffsetOrigin::None }),
    }
}

/// An instant with the offset of a zone at that instant.
///
/// # Errors
/// `implausible` when the instant is before 1970 or after 2100.
pub fn in_zone(micros: i64, zone: &TimeZone, origin: OffsetOrigin) -> Result<Stamp, Reject> {
    let instant = Timestamp::from_microsecond(micros).map_err(|_| out_of_range())?;
    plausible(Stamp { micros, offset: Some(zone.to_offset(instant).seconds()), origin })
}

/// RFC 3339 text. `Z` says nothing about where the person was, so it gives no offset.
///
/// # Errors
/// `bad_time` when it is no RFC 3339 time, `implausible` outside 1970–2100.
pub fn rfc3339(text: &str) -> Result<Stamp, Reject> {
    let instant: Timestamp =
        text.parse().map_err(|_| Reject::new(code::BAD_TIME, "expected a time such as 2026-11-01T07:30:00+01:00"))?;
    let offset = if text.ends_with(['Z', 'z']) {
        None
    } else {
        jiff::fmt::temporal::Pieces::parse(text).ok().and_then(|p| p.to_numeric_offset())
    };
    let origin = if offset.is_some() { OffsetOrigin::Source } else { OffsetOrigin::None };
    plausible(Stamp { micros: instant.as_microsecond(), offset: offset.map(|o| o.seconds()), origin })
}

/// A wall-clock time in a zone. In the hour that exists twice the first is taken, in the hour that does not exist the later offset's.
///
/// # Errors
/// `bad_time` when the text is no civil time, `implausible` outside 1970–2100.
pub fn civil_in_zone(text: &str, zone: &TimeZone, origin: OffsetOrigin) -> Result<Stamp, Reject> {
    let civil: DateTime =
        text.parse().map_err(|_| Reject::new(code::BAD_TIME, "expected a local time such as 2026-11-01T07:30:00"))?;
    let zoned = zone.to_ambiguous_timestamp(civil).compatible().map_err(|_| out_of_range())?;
    in_zone(zoned.as_microsecond(), zone, origin)
}

/// A wall-clock time of which no zone is known: placed as if it were UTC and marked as having no offset.
///
/// # Errors
/// `bad_time` when the text is no civil time, `implausible` outside 1970–2100.
pub fn civil_without_zone(text: &str) -> Result<Stamp, Reject> {
    Ok(Stamp { offset: None, ..civil_in_zone(text, &TimeZone::UTC, OffsetOrigin::None)? })
}

/// A wall-clock time in the profile's zone where that is known.
///
/// # Errors
/// As [`civil_in_zone`].
pub fn civil(text: &str, profile: Option<&TimeZone>) -> Result<Stamp, Reject> {
    match profile {
        Some(zone) => civil_in_zone(text, zone, OffsetOrigin::Profile),
        None => civil_without_zone(text),
    }
}

/// A calendar day, YYYY-MM-DD.
///
/// # Errors
/// `bad_time` when it is none.
pub fn date(text: &str) -> Result<Date, Reject> {
    text.parse().map_err(|_| Reject::new(code::BAD_TIME, "expected a date such as 2026-11-01"))
}

/// A whole local day: from its midnight to the next, each with its own offset, so 23, 24 or 25 hours.
///
/// # Errors
/// `implausible` outside 1970–2100.
pub fn day(day: Date, zone: Option<&TimeZone>, origin: OffsetOrigin) -> Result<Effective, Reject> {
    let next = day.checked_add(1.day()).map_err(|_| out_of_range())?;
    let utc = TimeZone::UTC;
    let midnight = |date: Date| -> Result<Stamp, Reject> {
        let (tz, origin) = zone.map_or((&utc, OffsetOrigin::None), |zone| (zone, origin));
        // A zone may skip midnight itself; its day then begins at the first time that exists.
        let start = tz
            .to_ambiguous_timestamp(date.to_datetime(jiff::civil::Time::midnight()))
            .compatible()
            .map_err(|_| out_of_range())?;
        let stamp = in_zone(start.as_microsecond(), tz, origin)?;
        Ok(if zone.is_some() { stamp } else { Stamp { offset: None, ..stamp } })
    };
    Ok(Effective::During(midnight(day)?, midnight(next)?))
}

/// An instant and the offset the source gave for it, in seconds.
///
/// # Errors
/// `implausible` outside 1970–2100 or when the offset is beyond 18 hours.
pub fn with_offset(micros: i64, offset: Option<i32>) -> Result<Stamp, Reject> {
    if offset.is_some_and(|o| o.abs() > 18 * 3600) {
        return Err(Reject::new(code::BAD_TIME, "expected a UTC offset of at most 18 hours"));
    }
    plausible(Stamp { micros, offset, origin: if offset.is_some() { OffsetOrigin::Source } else { OffsetOrigin::None } })
}

/// An offset such as `-05:00`, `+0530` or `Z`, in seconds east of UTC.
///
/// # Errors
/// `bad_time` when it is none.
pub fn offset(text: &str) -> Result<i32, Reject> {
    let wrong = || Reject::new(code::BAD_TIME, "expected a UTC offset such as -05:00");
    if matches!(text, "Z" | "z") {
        return Ok(0);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(wrong()),
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().map_err(|_| wrong())?, digits[2..].parse().map_err(|_| wrong())?);
    Ok(sign * (hours * 3600 + minutes * 60))
}

/// An instant in UTC beside the offset the person lived by.
///
/// # Errors
/// `bad_time` when either is none, `implausible` outside 1970–2100.
pub fn beside(instant: &str, offset_text: Option<&str>) -> Result<Stamp, Reject> {
    let stamp = rfc3339(instant)?;
    match offset_text {
        Some(text) => with_offset(stamp.micros, Some(offset(text)?)),
        None => Ok(stamp),
    }
}

/// A stamp some milliseconds later: within a month, forwards.
///
/// # Errors
/// `implausible` when it is not.
pub fn after(start: Stamp, millis: i64) -> Result<Stamp, Reject> {
    if !(0..=31 * 86_400_000).contains(&millis) {
        return Err(Reject::new(code::IMPLAUSIBLE, "expected a length within a month"));
    }
    plausible(Stamp { micros: start.micros + millis * 1000, ..start })
}

/// From one stamp to another that does not lie before it.
///
/// # Errors
/// `bad_time` when it does.
pub fn between(start: Stamp, end: Stamp) -> Result<Effective, Reject> {
    if end.micros < start.micros {
        return Err(Reject::new(code::BAD_TIME, "expected an end after the start"));
    }
    Ok(Effective::During(start, end))
}

fn plausible(stamp: Stamp) -> Result<Stamp, Reject> {
    if PLAUSIBLE.contains(&stamp.micros) { Ok(stamp) } else { Err(out_of_range()) }
}

fn out_of_range() -> Reject {
    Reject::new(code::IMPLAUSIBLE, "expected a time between 1970 and 2100")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(effective: Effective) -> i64 {
        (effective.end().unwrap().micros - effective.start().micros) / SECOND / 3600
    }

    #[test]
    fn a_day_is_as_long_as_the_clock_makes_it() {
        let berlin = zone("Europe/Berlin").unwrap();
        let length = |text| hours(day(date(text).unwrap(), Some(&berlin), OffsetOrigin::Zone).unwrap());
        assert_eq!((length("2026-03-29"), length("2026-07-01"), length("2026-10-25")), (23, 24, 25));
    }

    #[test]
    fn the_two_ends_of_a_changing_day_have_their_own_offsets() {
        let berlin = zone("Europe/Berlin").unwrap();
        let Effective::During(from, to) = day(date("2026-10-25").unwrap(), Some(&berlin), OffsetOrigin::Zone).unwrap() else {
            panic!()
        };
        assert_eq!((from.offset, to.offset), (Some(7200), Some(3600)));
    }

    #[test]
    fn wall_clock_times_in_the_gap_and_in_the_overlap_keep_their_order() {
        let berlin = zone("Europe/Berlin").unwrap();
        let at = |text| civil_in_zone(text, &berlin, OffsetOrigin::Profile).unwrap().micros;
        assert!(at("2026-03-29T01:59:00") < at("2026-03-29T02:30:00"));
        assert!(at("2026-03-29T02:30:00") >= at("2026-03-29T03:00:00"));
        assert!(at("2026-10-25T01:59:00") < at("2026-10-25T02:30:00"));
        assert!(at("2026-10-25T02:30:00") < at("2026-10-25T03:00:00"));
    }

    #[test]
    fn zulu_says_nothing_about_the_person() {
        assert_eq!(rfc3339("2026-06-29T00:00:00Z").unwrap().offset, None);
        assert_eq!(rfc3339("2026-06-29T00:00:00-07:00").unwrap().offset, Some(-25_200));
    }

    #[test]
    fn a_clock_that_was_reset_is_implausible() {
        assert_eq!(epoch_in_zone(-5, None).unwrap_err().code, code::IMPLAUSIBLE);
        assert_eq!(epoch_in_zone(i64::MAX, None).unwrap_err().code, code::IMPLAUSIBLE);
    }
}
