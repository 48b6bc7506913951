//! Points: from a row of a list to readings.

use headwater_schemas::codes::{self as c, Measure};
use headwater_schemas::reading::{Effective, Normalized, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::row::{Row, joined};
use super::types::{self, DataType, Missing, Number, Rows, Time};
use super::{sessions, special, when};
use crate::fields::{Fields, label, missing};
use crate::json;

/// Takes a row of a list whose stream is of `kind`.
pub fn point<'a>(
    mut fields: Fields<'a>,
    kind: &'static DataType,
    zone: Option<&TimeZone>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let row = Row::read(&mut fields, out)?;
    let Some(mut data) = payload(&mut fields, kind, out)? else { return Ok(()) };
    fields.tell("point", &[], out);
    match kind.time {
        Time::Sleep => sessions::sleep(&mut data, &row, zone, out),
        Time::Session if matches!(kind.rows, Rows::Exercise) => sessions::exercise(&mut data, &row, zone, out),
        _ => values(&mut data, kind, &row, zone, out),
    }
    .map_err(|reject| reject.under(&kind.camel()))?;
    data.tell(kind.name, kind.left, out);
    Ok(())
}

/// The object under the name of the type. A row of another type in this stream is refused, one of an unknown type told.
pub fn payload<'a>(
    fields: &mut Fields<'a>,
    kind: &'static DataType,
    out: &mut Normalized<'a>,
) -> Result<Option<Fields<'a>>, Reject> {
    if let Some(data) = fields.read::<Fields>(&kind.camel())? {
        return Ok(Some(data));
    }
    if fields.names().any(|name| types::find(name).is_some()) {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, format!("expected a point of the type {}", kind.name)));
    }
    let Some(name) = fields.names().next() else {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, format!("missing field {}", kind.camel())));
    };
    out.unknown(format!("data type {}", label(name)));
    Ok(None)
}

fn values<'a>(
    data: &mut Fields<'a>,
    kind: &'static DataType,
    row: &Row<'a>,
    zone: Option<&TimeZone>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let at = At::read(data, kind.time, row, zone)?;
    match &kind.rows {
        Rows::Numbers(numbers) => {
            let found = take(data, numbers)?;
            // A day may have nothing but what has no measure here, which is told as unknown; a row without anything is none.
            if found.is_empty() && data.names().next().is_none() {
                return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected at least one of the type's values"));
            }
            for (number, value) in found {
                out.push(row.reading(number.measure, &at.id, &at, value));
            }
        }
        _ => special::values(data, kind, row, &at, out)?,
    }
    Ok(())
}

/// Reads the numbers a table names.
pub fn take(data: &mut Fields<'_>, numbers: &'static [Number]) -> Result<Vec<(&'static Number, Value<'static>)>, Reject> {
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        let value = match (data.decimal(number.field)?, number.missing) {
            (Some(value), Missing::Zero) => count(shifted(value, number.shift)?, number.field)?,
            (Some(value), _) => Value::Quantity(plausible(shifted(value, number.shift)?, number.measure, number.field)?),
            (None, Missing::Zero) => Value::Quantity(Decimal::ZERO),
            (None, Missing::Skipped) => continue,
            (None, Missing::Refused) => return Err(missing(number.field)),
        };
        found.push((number, value));
    }
    Ok(found)
}

/// Moves the decimal point. Zeros at the end go with it: `80000.0` g and `80000` g are both `80` kg, because the zeros of a converted number
/// would claim a precision nobody stated. A number whose unit stays keeps its digits as sent.
pub fn shifted(value: Decimal, places: u32) -> Result<Decimal, Reject> {
    if places == 0 {
        return Ok(value);
    }
    let mut value = value.normalize();
    value
        .set_scale(value.scale() + places)
        .map_err(|_| Reject::new(code::BAD_NUMBER, "expected a number of at most 28 places"))?;
    Ok(value.normalize())
}

/// Something counted: zero is a fact, less is none.
pub fn count(value: Decimal, field: &str) -> Result<Value<'static>, Reject> {
    if value < Decimal::ZERO {
        return Err(Reject::new(code::IMPLAUSIBLE, "expected a count that is not negative").at(field));
    }
    Ok(Value::Quantity(value))
}

/// Something measured: zero stands for "no reading" in many devices.
pub fn plausible(value: Decimal, measure: &Measure, field: &str) -> Result<Decimal, Reject> {
    let percent = measure.unit == Some(&c::PERCENT);
    if value <= Decimal::ZERO || (percent && value > Decimal::ONE_HUNDRED) {
        let range = if percent { "expected more than 0 and at most 100" } else { "expected more than 0" };
        return Err(Reject::new(code::IMPLAUSIBLE, range).at(field));
    }
    Ok(value)
}

/// A number that must be there and be one.
pub fn measured(data: &mut Fields<'_>, field: &'static str, measure: &Measure) -> Result<Decimal, Reject> {
    plausible(data.decimal(field)?.ok_or_else(|| missing(field))?, measure, field)
}

/// Minutes per activity level, in rows and in roll-ups.
pub fn levels<'a>(
    data: &mut Fields<'a>,
    list: &'static str,
    minutes: &'static str,
    out: &mut Normalized<'a>,
) -> Result<Vec<(&'static Measure, Decimal)>, Reject> {
    let mut found: Vec<(&'static Measure, Decimal)> = Vec::new();
    for row in data.need::<Vec<&RawValue>>(list)? {
        let mut row: Fields = json::parse(row.get().as_bytes()).map_err(|r| r.under(list))?;
        let measure = match row.word("activityLevel").map_err(|r| r.under(list))?.as_deref() {
            Some("LIGHT") => &c::LIGHT_ACTIVITY,
            Some("MODERATE") => &c::MODERATE_ACTIVITY,
            Some("VIGOROUS") => &c::VIGOROUS_ACTIVITY,
            other => {
                out.unknown(format!("activityLevel {}", other.map_or("(absent)", label)));
                continue;
            }
        };
        let value = row.decimal(minutes).map_err(|r| r.under(list))?.unwrap_or_default();
        count(value, list)?;
        found.push((measure, value));
    }
    Ok(found)
}

pub fn heart_rate_zone(word: &str) -> Option<&'static Measure> {
    match word {
        "LIGHT" => Some(&c::HEART_RATE_ZONE_LIGHT),
        "MODERATE" => Some(&c::HEART_RATE_ZONE_MODERATE),
        "VIGOROUS" => Some(&c::HEART_RATE_ZONE_INTENSE),
        "PEAK" => Some(&c::HEART_RATE_ZONE_PEAK),
        _ => None,
    }
}

/// When a row was true, and the id that follows from it.
pub struct At {
    pub effective: Effective,
    pub id: String,
    pub date: Option<String>,
}

impl At {
    fn read(data: &mut Fields<'_>, time: Time, row: &Row<'_>, zone: Option<&TimeZone>) -> Result<Self, Reject> {
        match time {
            Time::Sample => {
                let mut fields = data.need::<Fields>("sampleTime")?;
                let at = when::sample(&mut fields, zone).map_err(|r| r.under("sampleTime"))?;
                Ok(Self { effective: Effective::At(at), id: row.id(at, None), date: None })
            }
            Time::Daily => {
                let date = when::date(data.need("date")?).map_err(|r| r.under("date"))?;
                let effective = when::day(date, zone).map_err(|r| r.under("date"))?;
                let date = date.to_string();
                Ok(Self { effective, id: joined(date.clone(), &row.platform), date: Some(date) })
            }
            _ => {
                let (start, end) = interval(data, zone)?;
                Ok(Self { effective: Effective::During(start, end), id: row.id(start, Some(end)), date: None })
            }
        }
    }

    pub fn minutes(&self) -> Decimal {
        self.effective.end().map_or(Decimal::ZERO, |end| minutes(end.micros - self.effective.start().micros))
    }
}

pub fn interval(data: &mut Fields<'_>, zone: Option<&TimeZone>) -> Result<(Stamp, Stamp), Reject> {
    when::interval(&mut data.need("interval")?, zone).map_err(|r| r.under("interval"))
}

/// Microseconds as minutes, to four places: a minute is no decimal fraction of a second.
pub fn minutes(micros: i64) -> Decimal {
    (Decimal::from(micros) / Decimal::from(60_000_000)).round_dp(4).normalize()
}

/// A protobuf duration as minutes.
pub fn duration_minutes(text: &str) -> Result<Decimal, Reject> {
    let bad = || Reject::new(code::BAD_TIME, "expected a duration such as 1800s");
    let (whole, part) = when::duration(text).ok_or_else(bad)?;
    let part: i64 = format!("{part:0<6}")[..6].parse().map_err(|_| bad())?;
    let micros = whole.checked_mul(1_000_000).and_then(|micros| micros.checked_add(part)).ok_or_else(bad)?;
    if micros < 0 { Err(bad()) } else { Ok(minutes(micros)) }
}
