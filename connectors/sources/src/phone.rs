//! What batches from phones share: who a record is, when it was, what measured it, and what was deleted.
//!
//! A batch is `{"records": […], "deleted": […]}`. A deleted record names its `id`, its `type` and when it began, because a phone that forgot the
//! record still knows these and nobody else does.

use std::borrow::Cow;

use headwater_schemas::codes::Measure;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Absent, Device, Dose, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields::{Fields, label};
use crate::profile::{Limits, Profile, Status as Cloud, Stream, Upload};
use crate::source::{Fault, Response, digest};
use crate::{json, time};

/// A phone's batch, unpacked. Kafka takes eight megabytes.
pub const UPLOAD: Upload = Upload { body_limit: 6 << 20 };

/// A profile without a cloud: nothing is asked, everything is brought.
pub const fn brought(id: &'static str, name: &'static str, streams: &'static [Stream]) -> Profile {
    Profile {
        id,
        name,
        status: Cloud::Live,
        api: "",
        oauth: None,
        webhook: None,
        upload: Some(UPLOAD),
        streams,
        limits: Limits { app_per_minute: None, user_per_minute: None, user_per_hour: None },
        poll_minutes: (60, 60),
        history_days: 0,
    }
}

/// A stream that is only ever brought.
pub const fn stream(id: &'static str, doc: &'static str, becomes: &'static [&'static Measure]) -> Stream {
    Stream { id, doc, becomes, devices: true, poll: None }
}

/// There is no cloud to answer.
pub fn nobody_answers(_got: &Response<'_>) -> Fault {
    Fault::Refused("no_cloud")
}

/// What a type of record may have become, for those that are deleted.
#[derive(Default)]
pub struct Became {
    pub measures: Vec<&'static Measure>,
    pub doses: &'static [&'static str],
}

impl From<Vec<&'static Measure>> for Became {
    fn from(measures: Vec<&'static Measure>) -> Self {
        Self { measures, doses: &[] }
    }
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    records: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    deleted: Option<Vec<&'a RawValue>>,
}

/// Reads a batch, row by row. `became` is what a type may have become.
///
/// # Errors
/// [`Reject`] when the body is no batch.
pub fn batch<'a>(
    body: &'a [u8],
    out: &mut Normalized<'a>,
    take: fn(Fields<'a>, &mut Normalized<'a>) -> Result<(), Reject>,
    became: fn(&str) -> Became,
) -> Result<(), Reject> {
    let batch: Batch<'a> = json::parse(body)?;
    if batch.records.is_none() && batch.deleted.is_none() {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected records, deleted, or both"));
    }
    json::each::<Fields<'a>>(&batch.records.unwrap_or_default(), "records", out, take);
    json::each::<Fields<'a>>(&batch.deleted.unwrap_or_default(), "deleted", out, |mut row, out| {
        let (id, kind): (Cow<'a, str>, Cow<'a, str>) = (row.need("id")?, row.need("type")?);
        let at = stamp(&mut row, "start", "offset")?.ok_or_else(|| crate::fields::missing("start"))?;
        let known = became(&kind);
        if known.measures.is_empty() && known.doses.is_empty() {
            out.unknown(format!("deleted type {}", label(&kind)));
        }
        for data_type in known.doses {
            let status = Status::EnteredInError;
            out.doses.push(Dose { status, ..Dose::new(data_type, id.clone(), Effective::At(at)) });
        }
        for measure in known.measures {
            let gone = Reading::new(measure, id.clone(), Effective::At(at), Value::Absent(Absent::Unknown));
            out.push(Reading { status: Status::EnteredInError, ..gone });
        }
        Ok(())
    });
    Ok(())
}

/// An RFC 3339 time, with the offset beside it where it is written in UTC.
///
/// # Errors
/// `bad_time` or `implausible`.
pub fn stamp(row: &mut Fields<'_>, name: &'static str, offset: &str) -> Result<Option<Stamp>, Reject> {
    let (text, offset) = (row.text(name)?, row.text(offset)?);
    let Some(text) = text else { return Ok(None) };
    let stamp = time::rfc3339(&text).map_err(|r| r.at(name))?;
    match offset.filter(|_| stamp.offset.is_none()) {
        Some(offset) => time::with_offset(stamp.micros, Some(time::offset(&offset)?)).map_err(|r| r.at(name)).map(Some),
        None => Ok(Some(stamp)),
    }
}

/// A point, or a span where the end is another moment.
///
/// # Errors
/// `bad_time` when the end lies before the start.
pub fn effective(start: Stamp, end: Option<Stamp>) -> Result<Effective, Reject> {
    match end {
        Some(end) if end.micros != start.micros => time::between(start, end).map_err(|r| r.at("end")),
        _ => Ok(Effective::At(start)),
    }
}

/// What a record says about itself.
pub struct Head<'a> {
    pub id: Cow<'a, str>,
    pub device: Option<Cow<'a, str>>,
    pub method: Method,
    pub modified: Option<i64>,
}

impl<'a> Head<'a> {
    pub fn reading(&self, measure: &'static Measure, effective: Effective, value: Value<'a>) -> Reading<'a> {
        Reading {
            device: self.device.clone(),
            method: self.method,
            modified: self.modified,
            ..Reading::new(measure, self.id.clone(), effective, value)
        }
    }
}

/// The id a record came with; else what it is of, from whom and when. Names that people give their things stay out of it.
pub fn identity<'a>(id: Option<Cow<'a, str>>, source: &str, start: Stamp, end: Option<Stamp>) -> Cow<'a, str> {
    id.unwrap_or_else(|| {
        let source: String = digest([source.as_bytes()])[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let second = |stamp: Stamp| stamp.micros.div_euclid(1_000_000);
        match end.filter(|end| end.micros != start.micros) {
            Some(end) => format!("{source}:{}:{}", second(start), second(end)).into(),
            None => format!("{source}:{}", second(start)).into(),
        }
    })
}

/// Maker and model are all the identity that a device on a phone has.
pub fn device<'a>(
    kind: Option<Cow<'a, str>>,
    manufacturer: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    firmware: Option<Cow<'a, str>>,
    out: &mut Normalized<'a>,
) -> Option<Cow<'a, str>> {
    let id: Cow<'a, str> = match (&manufacturer, &model) {
        (Some(maker), Some(model)) => format!("{maker} {model}").into(),
        (None, Some(one)) | (Some(one), None) => one.clone(),
        (None, None) => return None,
    };
    out.device(Device { provider_id: id.clone(), kind, manufacturer, model, firmware, ..Device::default() });
    Some(id)
}

/// Nought and less are no readings of anything that lives.
pub fn positive(value: Option<Decimal>) -> Option<Decimal> {
    value.filter(|v| v.is_sign_positive() && !v.is_zero())
}
