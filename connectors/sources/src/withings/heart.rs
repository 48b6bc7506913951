//! Recordings of the heart: their list, and one signal.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::devices::named;
use super::measures::rhythm;
use super::time_of;
use crate::{json, series, time};

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    series: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Recording<'a> {
    timestamp: i64,
    modified: Option<i64>,
    #[serde(borrow)]
    deviceid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hash_deviceid: Option<Cow<'a, str>>,
    ecg: Option<Ecg>,
    bloodpressure: Option<Pressure>,
    heart_rate: Option<i64>,
    #[serde(borrow)]
    timezone: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Ecg {
    signalid: Option<i64>,
    afib: Option<i64>,
}

#[derive(Deserialize)]
struct Pressure {
    systole: i64,
    diastole: i64,
}

pub(super) fn list<'a>(body: &'a [u8], profile: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: List<'a> = json::parse(body).map_err(|r| r.under("body"))?;
    json::each::<Recording<'a>>(&parsed.series, "body.series", out, |row, out| {
        let own = row.timezone.as_deref().map(time::zone).transpose().map_err(|r| r.at("timezone"))?;
        let at = Effective::At(time_of(row.timestamp, own.as_ref(), profile)?);
        let signal = row.ecg.as_ref().and_then(|e| e.signalid);
        let id = signal.map_or_else(|| row.timestamp.to_string(), |id| format!("signal {id}"));
        let device = named(row.deviceid, row.hash_deviceid);
        let modified = row.modified.and_then(|s| s.checked_mul(1_000_000));
        let reading = |measure, value| Reading {
            method: Method::Device,
            device: device.clone(),
            modified,
            ..Reading::new(measure, id.clone(), at, value)
        };
        if let Some(pulse) = row.heart_rate.filter(|p| *p > 0) {
            out.push(reading(&HEART_RATE, Value::Quantity(pulse.into())));
        }
        if let Some(afib) = row.ecg.as_ref().and_then(|e| e.afib) {
            let rhythm = rhythm(afib, out);
            out.push(reading(&ECG_CLASSIFICATION, Value::Code(rhythm)));
        }
        if let Some(pressure) = &row.bloodpressure {
            let half = |measure, value: i64| Component { measure, value: Value::Quantity(value.into()) };
            let components = vec![half(&SYSTOLIC, pressure.systole), half(&DIASTOLIC, pressure.diastole)];
            out.push(Reading { components, ..reading(&BLOOD_PRESSURE, Value::Panel) });
        }
        Ok(())
    });
    Ok(())
}

#[derive(Deserialize)]
struct Signal {
    signal: Vec<i32>,
    sampling_frequency: u32,
}

/// One signal in µV. The answer has no time of its own: it is the window's start, which the fetch of a signal sets to the recording's time.
pub(super) fn signal<'a>(
    body: &'a [u8],
    raw: &Raw<'_>,
    profile: Option<&TimeZone>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let parsed: Signal = json::parse(body).map_err(|r| r.under("body"))?;
    if parsed.sampling_frequency == 0 || parsed.signal.is_empty() {
        return Err(Reject::new(code::IMPLAUSIBLE, "expected samples and a frequency above 0").at("body.sampling_frequency"));
    }
    let start = raw
        .window_start
        .ok_or_else(|| Reject::new(code::BAD_TIME, "expected the time of the recording as start of the window"))?;
    let start = time_of(start / 1_000_000, None, profile)?;
    let period_ms = (Decimal::ONE_THOUSAND / Decimal::from(parsed.sampling_frequency)).round_dp(9).normalize();
    let id = (start.micros / 1_000_000).to_string().into();
    let signal = parsed.signal.iter().map(|sample| Ok(Some(Decimal::from(*sample))));
    for piece in series::pieces(&id, start, period_ms, signal).map_err(|r| r.at("body.signal"))? {
        out.push(Reading {
            components: vec![Component { measure: &ECG_LEAD_I, value: Value::Samples(piece.samples) }],
            method: Method::Device,
            ..Reading::new(&ECG, piece.record_id, Effective::During(piece.start, piece.end), Value::Panel)
        });
    }
    Ok(())
}
