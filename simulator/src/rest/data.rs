//! Times and figures as these clouds write them.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::day::{Day, Rest, Stage};
use crate::people::{Profile, instant};

/// `2026-10-25T07:05:11.000Z`
pub(super) fn utc(epoch: i64) -> String {
    format!("{}.000Z", instant(epoch).strftime("%Y-%m-%dT%H:%M:%S"))
}

/// `2026-10-25T08:05:11+01:00`
pub(super) fn local(who: &Profile, epoch: i64) -> String {
    format!("{}{}", clock(who, epoch), offset(who, epoch))
}

/// The wall clock, without an offset.
pub(super) fn clock(who: &Profile, epoch: i64) -> String {
    let offset = Offset::from_seconds(i32::try_from(who.offset(epoch)).unwrap_or(0)).unwrap_or(Offset::UTC);
    offset.to_datetime(instant(epoch)).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `+01:00`
pub(super) fn offset(who: &Profile, epoch: i64) -> String {
    let minutes = who.offset(epoch) / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// A UUID that follows from a record's number.
pub(super) fn uuid(id: u64) -> String {
    let hex = crate::dice::hex(&[id, 77], 16);
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// Seconds asleep: light, deep, REM.
pub(super) fn asleep(rest: &Rest) -> [i64; 3] {
    [rest.seconds(Stage::Light), rest.seconds(Stage::Deep), rest.seconds(Stage::Rem)]
}

/// Mean pulse of a span.
pub(super) fn mean_bpm(day: &Day<'_>, from: i64, to: i64) -> i64 {
    let beats: Vec<i64> = (from..to.max(from + 1)).step_by(300).map(|at| day.bpm(at)).filter(|bpm| *bpm > 0).collect();
    beats.iter().sum::<i64>() / i64::try_from(beats.len().max(1)).unwrap_or(1)
}

pub(super) fn max_bpm(day: &Day<'_>, from: i64, to: i64) -> i64 {
    (from..to.max(from + 1)).step_by(60).map(|at| day.bpm(at)).max().unwrap_or(0)
}

/// Steps, millimetres and kilocalories of a span.
pub(super) fn movement(day: &Day<'_>, from: i64, to: i64) -> (i64, i64, f64) {
    let minutes = (from..to).step_by(60);
    minutes
        .fold((0, 0, 0.0), |(steps, way, energy), at| (steps + day.steps(at), way + day.millimetres(at), energy + day.kcal(at).0))
}

/// The instant of a civil time in UTC without a zone.
pub(super) fn civil_utc(text: &str) -> Option<i64> {
    format!("{text}Z").parse::<Timestamp>().ok().map(|at| at.as_second())
}
