//! The part of AIP-160 that the API documents: one time field per data type, `>=` and `<`, joined by `AND`. No more.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use super::Problem;
use super::shape::local;
use super::types::{Shape, Type};
use crate::people::Profile;
use crate::record::Record;

/// Bounds on one time of a record: instants, or local times that are compared without a zone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    member: Member,
    from: Option<Bound>,
    until: Option<Bound>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Member {
    Start,
    CivilStart,
    End,
    CivilEnd,
    Date,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Instant(Timestamp),
    Civil(DateTime),
}

impl Filter {
    pub fn parse(text: &str, kind: &Type) -> Result<Self, Problem> {
        let mut filter: Option<Self> = None;
        let mut rest = text.trim();
        loop {
            let (restriction, remainder) = restriction(rest)?;
            let member = member(restriction.field, kind)?;
            let filter = filter.get_or_insert(Self { member, from: None, until: None });
            if filter.member != member {
                return Err(Problem::argument("Invalid filter: only one time field can be restricted."));
            }
            let bound = bound(member, restriction.literal)?;
            let place = if restriction.operator == "<" { &mut filter.until } else { &mut filter.from };
            if place.replace(bound).is_some() {
                return Err(Problem::argument("Invalid filter: the same bound is given twice."));
            }
            rest = remainder.trim_start();
            if rest.is_empty() {
                break;
            }
            rest = match rest.strip_prefix("AND").filter(|next| next.starts_with(char::is_whitespace)) {
                Some(next) => next.trim_start(),
                None => return Err(Problem::argument("Invalid filter: only AND can join restrictions.")),
            };
        }
        filter.ok_or_else(|| Problem::argument("Invalid filter: it is empty."))
    }

    pub fn admits(&self, who: &Profile, record: &Record) -> bool {
        let after = |bound: &Bound| self.compare(who, record, bound).is_ge();
        self.from.as_ref().is_none_or(after) && !self.until.as_ref().is_some_and(after)
    }

    fn compare(&self, who: &Profile, record: &Record, bound: &Bound) -> std::cmp::Ordering {
        let epoch = if matches!(self.member, Member::End | Member::CivilEnd) { record.end } else { record.start };
        match bound {
            Bound::Instant(instant) => crate::people::instant(epoch).cmp(instant),
            Bound::Civil(at) if self.member == Member::Date => record.date.at(0, 0, 0, 0).cmp(at),
            Bound::Civil(at) => local(who, epoch).cmp(at),
        }
    }

    /// Epoch seconds between which everything admitted starts, with room to spare.
    pub fn window(&self) -> (i64, i64) {
        const MARGIN: i64 = 2 * 86_400;
        let epoch = |bound: &Bound| match bound {
            Bound::Instant(at) => at.as_second(),
            Bound::Civil(at) => at.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |at| at.timestamp().as_second()),
        };
        (
            self.from.as_ref().map_or(0, |from| epoch(from) - MARGIN),
            self.until.as_ref().map_or(i64::MAX / 4, |until| epoch(until) + MARGIN),
        )
    }
}

struct Restriction<'a> {
    field: &'a str,
    operator: &'a str,
    literal: &'a str,
}

/// `field >= "literal"` at the beginning of the text, and what follows.
fn restriction(text: &str) -> Result<(Restriction<'_>, &str), Problem> {
    let bad = |what: &str| Problem::argument(format!("Invalid filter: {what}."));
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '.')).unwrap_or(text.len());
    let (field, rest) = text.split_at(end);
    if field.is_empty() {
        return Err(bad("a field is expected"));
    }
    let rest = rest.trim_start();
    let operator = if rest.starts_with(">=") {
        ">="
    } else if rest.starts_with('<') && !rest.starts_with("<=") {
        "<"
    } else {
        return Err(bad("the operators are >= and <"));
    };
    let rest = rest[operator.len()..].trim_start();
    let rest = rest.strip_prefix('"').ok_or_else(|| bad("a quoted literal is expected"))?;
    let end = rest.find('"').ok_or_else(|| bad("a quote is not closed"))?;
    Ok((Restriction { field, operator, literal: &rest[..end] }, &rest[end + 1..]))
}

fn member(field: &str, kind: &Type) -> Result<Member, Problem> {
    let refuse = || {
        Problem::argument(format!("Invalid data type member in filter: {field}."))
            .because("INVALID_DATA_POINT_FILTER_DATA_TYPE_MEMBER")
    };
    let path = field.strip_prefix(&kind.snake()).and_then(|path| path.strip_prefix('.')).ok_or_else(refuse)?;
    match (kind.shape, path) {
        (Shape::Interval, "interval.start_time") => Ok(Member::Start),
        (Shape::Interval | Shape::Exercise | Shape::Session, "interval.civil_start_time") => Ok(Member::CivilStart),
        (Shape::Sample, "sample_time.physical_time") => Ok(Member::Start),
        (Shape::Sample, "sample_time.civil_time") => Ok(Member::CivilStart),
        (Shape::Daily, "date") => Ok(Member::Date),
        (Shape::Sleep, "interval.end_time") => Ok(Member::End),
        (Shape::Sleep, "interval.civil_end_time") => Ok(Member::CivilEnd),
        _ => Err(refuse()),
    }
}

fn bound(member: Member, literal: &str) -> Result<Bound, Problem> {
    let bad = |expected: &str| Problem::argument(format!("Invalid filter: the literal must be {expected}."));
    match member {
        Member::Start | Member::End => {
            // RFC 3339 wants the T, seconds and an offset; a bracketed zone or a blank is something else.
            let plausible = literal.as_bytes().get(10) == Some(&b'T') && literal.len() >= 20 && !literal.contains('[');
            let parsed = literal.parse().ok().filter(|_| plausible);
            parsed.map(Bound::Instant).ok_or_else(|| bad("an RFC 3339 timestamp"))
        }
        Member::Date => date(literal).map(Bound::Civil).ok_or_else(|| bad("a date, YYYY-MM-DD")),
        Member::CivilStart | Member::CivilEnd => {
            let time = || (literal.len() == 19 && literal.as_bytes()[10] == b'T').then(|| literal.parse().ok()).flatten();
            date(literal).or_else(time).map(Bound::Civil).ok_or_else(|| bad("YYYY-MM-DD[THH:mm:ss]"))
        }
    }
}

fn date(literal: &str) -> Option<DateTime> {
    let parsed: Date = literal.parse().ok().filter(|_| literal.len() == 10)?;
    Some(parsed.at(0, 0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::google_health::types::find;

    fn parse(kind: &str, text: &str) -> Result<Filter, Problem> {
        Filter::parse(text, find(kind).unwrap())
    }

    #[test]
    fn the_documented_filters_are_understood() {
        for (kind, text) in [
            (
                "steps",
                r#"steps.interval.start_time >= "2026-11-01T00:00:00Z" AND steps.interval.start_time < "2026-11-02T00:00:00Z""#,
            ),
            ("steps", r#"steps.interval.civil_start_time >= "2026-11-01""#),
            ("weight", r#"weight.sample_time.physical_time >= "2026-11-01T02:00:00+02:00""#),
            ("weight", r#"weight.sample_time.civil_time < "2026-11-01T12:34:56""#),
            ("daily-resting-heart-rate", r#"daily_resting_heart_rate.date >= "2026-11-01""#),
            ("sleep", r#"sleep.interval.end_time >= "2026-11-01T00:00:00Z""#),
            ("sleep", r#"sleep.interval.civil_end_time < "2026-11-01""#),
            ("exercise", r#"exercise.interval.civil_start_time >= "2026-11-01""#),
        ] {
            assert!(parse(kind, text).is_ok(), "{text}");
        }
    }

    #[test]
    fn everything_else_is_an_invalid_argument() {
        for (kind, text) in [
            ("steps", ""),
            ("steps", r#"steps.interval.startTime >= "2026-11-01T00:00:00Z""#),
            ("heart-rate", r#"heart-rate.sample_time.physical_time >= "2026-11-01T00:00:00Z""#),
            ("steps", r#"steps.interval.start_time > "2026-11-01T00:00:00Z""#),
            ("steps", r#"steps.interval.start_time <= "2026-11-01T00:00:00Z""#),
            ("steps", r#"steps.interval.start_time >= 2026-11-01T00:00:00Z"#),
            ("steps", r#"steps.interval.start_time >= "2026-11-01""#),
            (
                "steps",
                r#"steps.interval.start_time >= "2026-11-01T00:00:00Z" OR steps.interval.start_time < "2026-11-02T00:00:00Z""#,
            ),
            ("steps", r#"steps.interval.start_time >= "2026-11-01T00:00:00Z" AND"#),
            ("steps", r#"weight.sample_time.physical_time >= "2026-11-01T00:00:00Z""#),
            (
                "steps",
                r#"steps.interval.start_time >= "2026-11-01T00:00:00Z" AND steps.interval.civil_start_time < "2026-11-02""#,
            ),
            ("sleep", r#"sleep.interval.start_time >= "2026-11-01T00:00:00Z""#),
            ("exercise", r#"exercise.interval.start_time >= "2026-11-01T00:00:00Z""#),
            ("daily-resting-heart-rate", r#"daily_resting_heart_rate.date >= "2026-11-01T00:00:00Z""#),
        ] {
            let refused = parse(kind, text).expect_err(text);
            assert_eq!(refused.json()["error"]["status"], "INVALID_ARGUMENT", "{text}");
        }
    }
}
