//! Roll-ups: totals of civil days, and of other windows where somebody asked for those.

use std::borrow::Cow;

use headwater_schemas::codes::{self as c, Measure};
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::ToSpan as _;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::points::{count, duration_minutes, heart_rate_zone, levels, payload, take};
use super::types::{DataType, Number, RollUp};
use super::when;
use crate::fields::{Fields, label, missing};
use crate::json;

/// What the numbers of a row add up to.
struct Total<'a> {
    measure: &'static Measure,
    value: Value<'a>,
}

/// When a row was true. A day total may only be called one where the window is one whole civil day.
struct Span {
    effective: Effective,
    id: String,
    date: Option<String>,
}

/// Takes a row of a roll-up whose stream is of `kind`. `now` is when the answer was fetched: a day that was not over then is preliminary.
///
/// # Errors
/// `unexpected_shape`, `bad_time`, `bad_number`, `implausible`.
pub fn row<'a>(
    mut fields: Fields<'a>,
    kind: &'static DataType,
    zone: Option<&TimeZone>,
    now: i64,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let span = span(&mut fields, zone)?;
    // A window in which nothing was worn has no value. That is not zero.
    if fields.names().next().is_none() {
        return Ok(());
    }
    let Some(mut data) = payload(&mut fields, kind, out)? else { return Ok(()) };
    fields.tell("roll-up", &[], out);
    let totals = totals(&mut data, kind, &span, out).map_err(|r| r.under(&kind.camel()))?;
    for Total { measure, value } in totals {
        let mut reading = Reading::new(measure, span.id.clone(), span.effective, value);
        reading.local_date = span.date.clone().map(Cow::Owned);
        reading.method = Method::Derived;
        if span.effective.end().is_some_and(|end| end.micros > now) {
            reading.status = Status::Preliminary;
        }
        out.push(reading);
    }
    data.tell(kind.name, &[], out);
    Ok(())
}

fn span(fields: &mut Fields<'_>, zone: Option<&TimeZone>) -> Result<Span, Reject> {
    let mut civil = |name: &'static str| -> Result<Option<DateTime>, Reject> {
        let Some(found) = fields.read::<Fields>(name)? else { return Ok(None) };
        let (date, at) = when::civil(found).map_err(|r| r.under(name))?;
        Ok(Some(date.to_datetime(at.unwrap_or_else(Time::midnight))))
    };
    match (civil("civilStartTime")?, civil("civilEndTime")?) {
        (Some(start), Some(end)) => civil_span(start, end, zone),
        (Some(_), None) => Err(missing("civilEndTime")),
        (None, Some(_)) => Err(missing("civilStartTime")),
        (None, None) => {
            let (start, end) = when::interval(fields, zone)?;
            let id = format!("rollup {}/{}", when::instant(start), when::instant(end));
            Ok(Span { effective: Effective::During(start, end), id, date: None })
        }
    }
}

fn civil_span(start: DateTime, end: DateTime, zone: Option<&TimeZone>) -> Result<Span, Reject> {
    if end <= start {
        return Err(Reject::new(code::BAD_TIME, "expected an end after the start").at("civilEndTime"));
    }
    let day = start.time() == Time::midnight() && start.checked_add(1.day()).is_ok_and(|next| next == end);
    if day {
        let date = start.date().to_string();
        return Ok(Span { effective: when::day(start.date(), zone)?, id: date.clone(), date: Some(date) });
    }
    let effective = Effective::During(when::placed(start, zone)?, when::placed(end, zone)?);
    Ok(Span { effective, id: format!("rollup {start}/{end}"), date: None })
}

fn totals<'a>(
    data: &mut Fields<'a>,
    kind: &'static DataType,
    span: &Span,
    out: &mut Normalized<'a>,
) -> Result<Vec<Total<'a>>, Reject> {
    Ok(match &kind.roll_up {
        RollUp::Numbers(numbers) => {
            let found = take(data, numbers)?;
            found.into_iter().filter_map(|(number, value)| Some(Total { measure: named(number, span, out)?, value })).collect()
        }
        RollUp::ActiveZoneMinutes => {
            let mut sum = Decimal::ZERO;
            for name in ["sumInFatBurnHeartZone", "sumInCardioHeartZone", "sumInPeakHeartZone"] {
                let part = data.decimal(name)?.unwrap_or_default();
                count(part, name)?;
                let too_much = || Reject::new(code::BAD_NUMBER, "expected fewer minutes").at(name);
                sum = sum.checked_add(part).ok_or_else(too_much)?;
            }
            vec![Total { measure: &c::ACTIVE_ZONE_MINUTES, value: Value::Quantity(sum) }]
        }
        RollUp::ActiveMinutes => levels(data, "activeMinutesRollupByActivityLevel", "activeMinutesSum", out)?
            .into_iter()
            .map(|(measure, minutes)| Total { measure, value: Value::Quantity(minutes) })
            .collect(),
        RollUp::Sedentary => {
            let text = data.text("durationSum")?.unwrap_or(Cow::Borrowed("0s"));
            let minutes = duration_minutes(&text).map_err(|r| r.at("durationSum"))?;
            vec![Total { measure: &c::SEDENTARY, value: Value::Quantity(minutes) }]
        }
        RollUp::ZoneTime => zones(data, out)?,
        RollUp::None => {
            out.unknown(format!("roll-up of {}", kind.name));
            Vec::new()
        }
    })
}

/// What a sum is called: of a day, or of some other window.
fn named(number: &Number, span: &Span, out: &mut Normalized<'_>) -> Option<&'static Measure> {
    if span.date.is_some() {
        return Some(number.measure);
    }
    if number.part.is_none() {
        out.unknown(format!("{} of a window that is not a day", number.field));
    }
    number.part
}

fn zones<'a>(data: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<Vec<Total<'a>>, Reject> {
    const LIST: &str = "timeInHeartRateZones";
    let mut found = Vec::new();
    for row in data.need::<Vec<&RawValue>>(LIST)? {
        let mut row: Fields = json::parse(row.get().as_bytes()).map_err(|r| r.under(LIST))?;
        let word = row.word("heartRateZone").map_err(|r| r.under(LIST))?;
        let Some(measure) = word.as_deref().and_then(heart_rate_zone) else {
            out.unknown(format!("heartRateZone {}", word.as_deref().map_or("(absent)", label)));
            continue;
        };
        let text = row.text("duration").map_err(|r| r.under(LIST))?.unwrap_or(Cow::Borrowed("0s"));
        found.push(Total { measure, value: Value::Quantity(duration_minutes(&text).map_err(|r| r.under(LIST))?) });
    }
    Ok(found)
}
