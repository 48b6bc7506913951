//! Figures of a night or a day: variability, oxygen, breathing, skin temperature, cardio fitness.

use std::borrow::Cow;
use std::collections::BTreeMap;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::series::day;
use crate::json;
use crate::json::Number;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    date_time: Cow<'a, str>,
    #[serde(borrow)]
    value: BTreeMap<&'a str, &'a RawValue>,
}

/// Stream, field, and what it is.
static FIELDS: &[(&str, &str, &Measure)] = &[
    // Both are RMSSD: neither ever stands under a code of SDNN.
    ("hrv", "dailyRmssd", &HRV_RMSSD),
    ("hrv", "deepRmssd", &HRV_RMSSD_DEEP_SLEEP),
    ("spo2", "avg", &SPO2),
    ("br", "breathingRate", &RESPIRATORY_RATE),
    // Against the person's own baseline: a difference, never a temperature.
    ("temp-skin", "nightlyRelative", &TEMPERATURE_DEVIATION),
    ("cardioscore", "vo2Max", &VO2_MAX),
];

fn fields(stream: &str) -> impl Iterator<Item = (&'static str, &'static Measure)> {
    FIELDS.iter().filter(move |f| f.0 == stream).map(|f| (f.1, f.2))
}

pub(super) fn normalize<'a>(
    stream: &str,
    body: &'a [u8],
    zone: Option<&TimeZone>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let name = match stream {
        "temp-skin" => "tempSkin",
        "cardioscore" => "cardioScore",
        other => other,
    };
    // One day of oxygen comes without a list around it.
    let whole: BTreeMap<&'a str, &'a RawValue> =
        if body.trim_ascii_start().starts_with(b"[") { BTreeMap::new() } else { json::parse(body)? };
    if let Some(list) = whole.get(name) {
        let rows: Vec<&'a RawValue> = json::parse(list.get().as_bytes()).map_err(|r| r.under(name))?;
        json::each::<Row<'a>>(&rows, name, out, |row, out| take(stream, row, zone, out));
        Ok(())
    } else if whole.is_empty() {
        let rows: Vec<&'a RawValue> = json::parse(body)?;
        json::each::<Row<'a>>(&rows, "", out, |row, out| take(stream, row, zone, out));
        Ok(())
    } else if whole.contains_key("dateTime") {
        take(stream, json::parse(body)?, zone, out)
    } else {
        Err(Reject::new(code::UNEXPECTED_SHAPE, format!("expected {name}")))
    }
}

fn take<'a>(stream: &str, row: Row<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let effective = day(&row.date_time, zone).map_err(|r| r.at("dateTime"))?;
    for (name, measure) in fields(stream) {
        let Some(raw) = row.value.get(&name).filter(|raw| raw.get() != "null") else { continue };
        let value = value(raw).map_err(|r| r.at(format!("value.{name}")))?;
        out.push(Reading {
            local_date: Some(row.date_time.clone()),
            method: Method::Derived,
            note: (stream == "cardioscore").then_some("estimated by the provider"),
            ..Reading::new(measure, row.date_time.clone(), effective, value)
        });
    }
    for name in row.value.keys().filter(|name| !fields(stream).any(|f| f.0 == **name)) {
        // The spread of oxygen beside its mean, and the like: kept in raw.
        out.unknown(format!("{stream} {}", crate::fields::label(name)));
    }
    Ok(())
}

/// A number, or two with a hyphen between them.
fn value(raw: &RawValue) -> Result<Value<'static>, Reject> {
    let text = raw.get().trim_matches('"');
    if let Some((low, high)) = text.split_once('-').filter(|(low, _)| !low.is_empty()) {
        let bound =
            |t: &str| Decimal::from_str_exact(t).map_err(|_| Reject::new(code::BAD_NUMBER, "expected a range such as 44-48"));
        return Ok(Value::Range(bound(low)?, bound(high)?));
    }
    json::parse::<Number<'_>>(raw.get().as_bytes())?.decimal().map(Value::Quantity)
}
