//! Weight and fat logs, and devices.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Device, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::Reject;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Number;
use crate::{json, time};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    weight: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    fat: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    /// The wall clock written as epoch milliseconds: an id, never a time.
    log_id: i64,
    #[serde(borrow)]
    date: Cow<'a, str>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    weight: Option<Number<'a>>,
    #[serde(borrow)]
    bmi: Option<Number<'a>>,
    #[serde(borrow)]
    fat: Option<Number<'a>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
}

pub(super) fn normalize<'a>(body: &'a [u8], zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Body<'a> = json::parse(body)?;
    json::each::<Log<'a>>(&parsed.weight, "weight", out, |log, out| take(log, zone, out));
    json::each::<Log<'a>>(&parsed.fat, "fat", out, |log, out| take(log, zone, out));
    Ok(())
}

fn take<'a>(log: Log<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let clock = log.time.as_deref().unwrap_or("00:00:00");
    let at = Effective::At(time::civil(&format!("{}T{clock}", log.date), zone).map_err(|r| r.at("date"))?);
    // Scales say so; everything else was typed or sent by another program.
    let method = match log.source.as_deref() {
        Some(source) if source.starts_with("Aria") => Method::Device,
        Some("API" | "Web" | "Manual") => Method::Manual,
        _ => Method::Unknown,
    };
    for (measure, name, number) in [(&WEIGHT, "weight", &log.weight), (&BMI, "bmi", &log.bmi), (&BODY_FAT, "fat", &log.fat)] {
        if let Some(number) = number {
            let value = number.decimal().map_err(|r| r.at(name))?;
            let method = if measure == &BMI { Method::Derived } else { method };
            out.push(Reading { method, ..Reading::new(measure, log.log_id.to_string(), at, Value::Quantity(value)) });
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    device_version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    battery: Option<Cow<'a, str>>,
    battery_level: Option<i64>,
    #[serde(borrow)]
    last_sync_time: Option<Cow<'a, str>>,
}

pub(super) fn devices<'a>(body: &'a [u8], zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let rows: Vec<&'a RawValue> = json::parse(body)?;
    json::each::<Row<'a>>(&rows, "", out, |row, out| {
        let last_sync =
            row.last_sync_time.as_deref().map(|t| time::civil(t, zone)).transpose().map_err(|r| r.at("lastSyncTime"))?;
        out.device(Device {
            provider_id: row.id,
            kind: row.kind,
            manufacturer: Some("Fitbit".into()),
            model: row.device_version,
            firmware: None,
            battery: row.battery_level.map(|level| level.to_string().into()).or(row.battery),
            // Local like all its times: without a zone it would be said as if it were UTC.
            last_sync: last_sync.filter(|s| s.offset.is_some()).map(|s| s.micros),
        });
        Ok(())
    });
    Ok(())
}
