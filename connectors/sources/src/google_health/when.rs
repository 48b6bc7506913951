//! Google's times: instants with an offset beside them, civil times in parts, and calendar days.

use headwater_schemas::observation::OffsetOrigin;
use headwater_schemas::reading::{Effective, Stamp};
use headwater_schemas::reject::{Reject, code};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::fields::{Fields, missing};
use crate::json;
use crate::time;

const SECOND: i64 = 1_000_000;

/// `ObservationTimeInterval` and `SessionTimeInterval`.
///
/// # Errors
/// `unexpected_shape`, `bad_time`, `implausible`.
pub fn interval(fields: &mut Fields<'_>, zone: Option<&TimeZone>) -> Result<(Stamp, Stamp), Reject> {
    let start = moment(fields, ["startTime", "startUtcOffset", "civilStartTime"], zone)?;
    let end = moment(fields, ["endTime", "endUtcOffset", "civilEndTime"], zone)?;
    if end.micros < start.micros {
        return Err(Reject::new(code::BAD_TIME, "expected an end that is not before the start").at("endTime"));
    }
    Ok((start, end))
}

/// `ObservationSampleTime`.
///
/// # Errors
/// As [`interval`].
pub fn sample(fields: &mut Fields<'_>, zone: Option<&TimeZone>) -> Result<Stamp, Reject> {
    moment(fields, ["physicalTime", "utcOffset", "civilTime"], zone)
}

/// The offset is the one beside the time, else the one in it, else the distance to the civil time, else that of the profile's zone.
fn moment(
    fields: &mut Fields<'_>,
    [instant, offset, civil]: [&'static str; 3],
    zone: Option<&TimeZone>,
) -> Result<Stamp, Reject> {
    let text = fields.text(instant)?.ok_or_else(|| missing(instant))?;
    let stamp = time::rfc3339(&text).map_err(|r| r.at(instant))?;
    let beside = fields.text(offset)?;
    let local = fields.read::<Fields>(civil)?;
    if let Some(text) = beside {
        return self::offset(&text).and_then(|o| time::with_offset(stamp.micros, Some(o))).map_err(|r| r.at(offset));
    }
    if stamp.offset.is_some() {
        return Ok(stamp);
    }
    if let Some(found) = local.and_then(|local| distance(local, stamp.micros)) {
        return time::with_offset(stamp.micros, Some(found));
    }
    match zone {
        Some(zone) => time::in_zone(stamp.micros, zone, OffsetOrigin::Profile),
        None => Ok(stamp),
    }
}

/// The offset by which a civil time differs from its instant. Only a civil time with a time of day tells it, and only in whole minutes.
fn distance(local: Fields<'_>, micros: i64) -> Option<i32> {
    let (date, Some(at)) = civil(local).ok()? else { return None };
    let local = date.to_datetime(at).to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    let seconds = i32::try_from(local - micros.div_euclid(SECOND)).ok()?;
    (seconds % 60 == 0 && seconds.abs() <= 18 * 3600).then_some(seconds)
}

/// A UTC offset: a protobuf duration (`-25200s`) or a clock (`-07:00`), which some intermediaries write.
///
/// # Errors
/// `bad_time`.
pub fn offset(text: &str) -> Result<i32, Reject> {
    let clock = || -> Option<i32> {
        let (sign, rest) = text.strip_prefix('-').map(|rest| (-1, rest)).or_else(|| Some((1, text.strip_prefix('+')?)))?;
        let mut parts = rest
            .split(':')
            .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u8>().ok().map(i32::from))?);
        let (hours, minutes) = (parts.next()??, parts.next()??);
        (parts.next().is_none() && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    };
    duration(text)
        .and_then(|seconds| i32::try_from(seconds.0).ok())
        .or_else(clock)
        .ok_or_else(|| Reject::new(code::BAD_TIME, "expected a UTC offset such as -25200s"))
}

/// A protobuf duration as whole seconds and the digits behind the point.
pub fn duration(text: &str) -> Option<(i64, &str)> {
    let number = text.strip_suffix('s')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if !part.bytes().all(|b| b.is_ascii_digit()) || part.len() > 9 {
        return None;
    }
    whole.parse().ok().map(|whole| (whole, part))
}

/// `google.type.Date`, all parts given.
///
/// # Errors
/// `unexpected_shape`, `bad_time`.
pub fn date(mut fields: Fields<'_>) -> Result<Date, Reject> {
    let mut part = |name: &'static str| fields.need::<json::Number>(name)?.integer().map_err(|r| r.at(name));
    let (year, month, day) = (part("year")?, part("month")?, part("day")?);
    let found = i16::try_from(year).ok().zip(i8::try_from(month).ok()).zip(i8::try_from(day).ok());
    found
        .and_then(|((year, month), day)| Date::new(year, month, day).ok())
        .ok_or_else(|| Reject::new(code::BAD_TIME, "expected a calendar date of year, month and day"))
}

/// `CivilDateTime`; without a time of day it is the start of the day.
///
/// # Errors
/// `unexpected_shape`, `bad_time`.
pub fn civil(mut fields: Fields<'_>) -> Result<(Date, Option<Time>), Reject> {
    let date = date(fields.need("date")?).map_err(|r| r.under("date"))?;
    let Some(mut time) = fields.read::<Fields>("time")? else { return Ok((date, None)) };
    let mut part = |name: &str| time.read::<i32>(name).map(Option::unwrap_or_default).map_err(|r| r.under("time"));
    let (hour, minute, second, nanos) = (part("hours")?, part("minutes")?, part("seconds")?, part("nanos")?);
    let narrow = |number: i32| i8::try_from(number).unwrap_or(-1);
    Time::new(narrow(hour), narrow(minute), narrow(second), nanos)
        .map(|at| (date, Some(at)))
        .map_err(|_| Reject::new(code::BAD_TIME, "expected a time of day").at("time"))
}

/// A calendar day of the person's, and how it is written.
///
/// # Errors
/// `implausible` outside 1970–2100.
pub fn day(date: Date, zone: Option<&TimeZone>) -> Result<Effective, Reject> {
    time::day(date, zone, OffsetOrigin::Profile)
}

/// A civil time placed by the profile's zone.
///
/// # Errors
/// `implausible` outside 1970–2100.
pub fn placed(at: DateTime, zone: Option<&TimeZone>) -> Result<Stamp, Reject> {
    time::civil(&at.to_string(), zone)
}

/// An instant as it stands in record ids: the same for every way of writing it.
pub fn instant(stamp: Stamp) -> String {
    Timestamp::from_microsecond(stamp.micros).map(|at| at.to_string()).unwrap_or_default()
}

/// The person's calendar day at a time of which the offset is known.
pub fn local_date(stamp: Stamp) -> Option<String> {
    let local = stamp.micros.checked_add(i64::from(stamp.offset?) * SECOND)?;
    Some(Timestamp::from_microsecond(local).ok()?.to_zoned(TimeZone::UTC).date().to_string())
}
