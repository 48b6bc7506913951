//! Time series: sums of days as text, and the heart's day with its moments.

use std::borrow::Cow;
use std::collections::BTreeMap;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin};
use headwater_schemas::reading::{Absent, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields::Scale;
use crate::json::Number;
use crate::{json, time};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Day<'a> {
    #[serde(borrow)]
    date_time: Cow<'a, str>,
    #[serde(borrow)]
    value: Number<'a>,
}

/// `{"activities-steps":[{"dateTime":"2024-01-15","value":"6543"}]}`, with or without the intraday part beside it.
pub(super) fn days<'a>(stream: &str, body: &'a [u8], zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: BTreeMap<&'a str, &'a RawValue> = json::parse(body)?;
    let name = format!("activities-{stream}");
    let list = parsed.get(name.as_str()).ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, format!("expected {name}")))?;
    let rows: Vec<&'a RawValue> = json::parse(list.get().as_bytes()).map_err(|r| r.under(&name))?;
    json::each::<Day<'a>>(&rows, &name, out, |row, out| {
        let effective = day(&row.date_time, zone).map_err(|r| r.at("dateTime"))?;
        let value = row.value.decimal().map_err(|r| r.at("value"))?;
        let (measure, value): (&'static Measure, _) = match stream {
            // Nought steps is a day on which nothing was worn: a gap, not a measurement.
            "steps" if value.is_zero() => (&STEPS_DAY, Value::Absent(Absent::NotPerformed)),
            "steps" => (&STEPS_DAY, Value::Quantity(value)),
            "distance" => (&DISTANCE_DAY, Value::Quantity(Scale::Thousand.of(value)?)),
            "calories" => (&ENERGY_DAY, Value::Quantity(value)),
            _ => (&FLOORS, Value::Quantity(value)),
        };
        out.push(Reading {
            local_date: Some(row.date_time.clone()),
            method: Method::Device,
            note: (stream == "calories").then_some("includes basal calories"),
            ..Reading::new(measure, row.date_time, effective, value)
        });
        Ok(())
    });
    Ok(())
}

/// A local day in the profile's zone; without one, a day without offset.
pub(super) fn day(text: &str, zone: Option<&TimeZone>) -> Result<Effective, Reject> {
    time::day(time::date(text)?, zone, if zone.is_some() { OffsetOrigin::Profile } else { OffsetOrigin::None })
}

#[derive(Deserialize)]
struct Heart<'a> {
    #[serde(borrow, rename = "activities-heart")]
    days: Vec<&'a RawValue>,
    #[serde(rename = "activities-heart-intraday")]
    intraday: Option<Intraday<'a>>,
}

#[derive(Deserialize)]
struct Intraday<'a> {
    #[serde(borrow, default)]
    dataset: Vec<Moment<'a>>,
}

#[derive(Deserialize)]
struct Moment<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    value: Number<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeartDay<'a> {
    #[serde(borrow)]
    date_time: Cow<'a, str>,
    #[serde(borrow)]
    value: HeartValue<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeartValue<'a> {
    #[serde(borrow)]
    resting_heart_rate: Option<Number<'a>>,
}

pub(super) fn heart<'a>(body: &'a [u8], zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Heart<'a> = json::parse(body)?;
    let mut first = None;
    json::each::<HeartDay<'a>>(&parsed.days, "activities-heart", out, |row, out| {
        let effective = day(&row.date_time, zone).map_err(|r| r.at("dateTime"))?;
        first.get_or_insert_with(|| row.date_time.clone());
        if let Some(resting) = &row.value.resting_heart_rate {
            let value = Value::Quantity(resting.decimal().map_err(|r| r.at("value.restingHeartRate"))?);
            out.push(Reading {
                local_date: Some(row.date_time.clone()),
                method: Method::Derived,
                ..Reading::new(&RESTING_HEART_RATE, row.date_time, effective, value)
            });
        }
        Ok(())
    });
    let (Some(date), Some(intraday)) = (first, parsed.intraday) else { return Ok(()) };
    moments(&date, &intraday.dataset, zone, out);
    Ok(())
}

/// Moments in their order. Where the clock was set back, an hour comes twice: times that go backwards are the second.
fn moments<'a>(date: &str, dataset: &[Moment<'a>], zone: Option<&TimeZone>, out: &mut Normalized<'a>) {
    let mut last = i64::MIN;
    for (index, moment) in dataset.iter().enumerate() {
        let path = |name: &str| format!("activities-heart-intraday.dataset[{index}].{name}");
        let read = || -> Result<_, Reject> {
            let mut at = time::civil(&format!("{date}T{}", moment.time), zone).map_err(|r| r.at(path("time")))?;
            if at.micros <= last
                && let Some(zone) = zone
            {
                let later = at.micros + 3_600_000_000;
                let shifted = time::in_zone(later, zone, at.origin)?;
                if shifted.offset != at.offset {
                    at = shifted;
                }
            }
            Ok((at, moment.value.decimal().map_err(|r| r.at(path("value")))?))
        };
        match read() {
            Ok((_, value)) if value.is_zero() => {}
            Ok((at, value)) => {
                last = at.micros;
                let id = (at.micros / 1_000_000).to_string();
                out.push(Reading {
                    method: Method::Device,
                    ..Reading::new(&HEART_RATE, id, Effective::At(at), Value::Quantity(value))
                });
            }
            Err(reject) => out.problems.push(reject),
        }
    }
}
