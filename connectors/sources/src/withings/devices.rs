//! The person's devices.

use std::borrow::Cow;

use headwater_schemas::reading::{Device, Normalized};
use headwater_schemas::reject::Reject;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    devices: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    battery: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    deviceid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hash_deviceid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    fw: Option<&'a RawValue>,
    last_session_date: Option<i64>,
}

pub(super) fn normalize<'a>(body: &'a [u8], out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Body<'_> = json::parse(body).map_err(|r| r.under("body"))?;
    json::each::<Row<'a>>(&parsed.devices, "body.devices", out, |row, out| {
        let model = text(row.model);
        let Some(id) = id(row.deviceid, row.hash_deviceid, model.as_deref()) else {
            out.unknown("device without id and model");
            return Ok(());
        };
        out.device(Device {
            provider_id: id,
            // Phones' health stores and sensors of others stand in the list too.
            manufacturer: (!row.kind.as_deref().is_some_and(foreign)).then(|| "Withings".into()),
            kind: text(row.kind),
            model,
            firmware: row.fw.map(|fw| Cow::Borrowed(fw.get().trim_matches('"'))).filter(|fw| !fw.is_empty() && fw != "null"),
            battery: text(row.battery).filter(|word| word != "unknown"),
            last_sync: row.last_session_date.filter(|at| *at > 0).and_then(|at| at.checked_mul(1_000_000)),
        });
        Ok(())
    });
    Ok(())
}

/// Types of what Withings only passes on.
fn foreign(kind: &str) -> bool {
    kind.starts_with("HealthKit") || matches!(kind, "iGlucose" | "Lingo")
}

fn text(value: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    value.filter(|v| !v.trim().is_empty())
}

/// What a device is known by: its own id, else the hash the newer answers give, else its model.
fn id<'a>(own: Option<Cow<'a, str>>, hash: Option<Cow<'a, str>>, model: Option<&str>) -> Option<Cow<'a, str>> {
    text(own).or_else(|| text(hash)).or_else(|| model.map(|m| Cow::Owned(format!("model {m}"))))
}

/// The device a row names. Rows do not describe it: that is the device list's business, and half a description would replace a whole one.
pub(super) fn named<'a>(own: Option<Cow<'a, str>>, hash: Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    id(own, hash, None)
}
