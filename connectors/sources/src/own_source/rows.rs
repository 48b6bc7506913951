//! Rows in the words of the dictionary: types by their slug, units in UCUM or as the table of units knows them.

use std::borrow::Cow;

use headwater_schemas::codes::{self, Measure};
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use serde_json::value::RawValue;

use crate::fields::{Fields, label, missing};
use crate::json;
use crate::phone::{self, Head};
use crate::units::convert;

/// The measure of a row; `None`, counted, where the dictionary has none.
fn measure(row: &mut Fields<'_>, out: &mut Normalized<'_>) -> Result<Option<&'static Measure>, Reject> {
    let kind: Cow<'_, str> = row.need("type")?;
    let found = codes::by_slug(&kind);
    if found.is_none() {
        out.unknown(format!("type {}", label(&kind)));
    }
    Ok(found)
}

fn quantity<'a>(row: &mut Fields<'a>, measure: &'static Measure) -> Result<Option<Value<'a>>, Reject> {
    let Some(value) = row.decimal("value")? else { return Ok(None) };
    if measure.unit.is_none() {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected a type that has numbers").at("value"));
    }
    let unit: Cow<'a, str> = row.need("unit")?;
    Ok(Some(Value::Quantity(convert(value, &unit, measure)?)))
}

fn gear<'a>(row: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<(Option<Cow<'a, str>>, Method), Reject> {
    let mut gear = row.inner("device")?;
    let (kind, maker, model) = (gear.text("type")?, gear.text("manufacturer")?, gear.text("model")?);
    let device = phone::device(kind, maker, model, gear.text("firmware")?, out);
    let method = match row.text("method")?.as_deref() {
        Some("device") => Method::Device,
        Some("manual") => Method::Manual,
        Some("derived") => Method::Derived,
        None => Method::Unknown,
        Some(_) => return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected device, manual or derived").at("method")),
    };
    Ok((device, method))
}

pub(super) fn event<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let Some(measure) = measure(&mut row, out)? else { return Ok(()) };
    let start = phone::stamp(&mut row, "start", "offset")?.ok_or_else(|| missing("start"))?;
    let end = phone::stamp(&mut row, "end", "")?;
    let end = end.map(|end| if end.offset.is_none() { Stamp { micros: end.micros, ..start } } else { end });
    let (device, method) = gear(&mut row, out)?;
    let id = phone::identity(row.text("id")?, device.as_deref().unwrap_or_default(), start, end);
    let mut components = Vec::new();
    for (index, raw) in row.read::<Vec<&'a RawValue>>("components")?.unwrap_or_default().iter().enumerate() {
        let under = |r: Reject| Reject { line: None, column: None, ..r }.under(&format!("components[{index}]"));
        let mut part: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(under)?;
        let Some(measure) = self::measure(&mut part, out).map_err(under)? else { continue };
        let value = quantity(&mut part, measure).map_err(under)?.ok_or_else(|| under(missing("value")))?;
        components.push(Component { measure, value });
    }
    let value = match (quantity(&mut row, measure)?, row.text("text")?) {
        (Some(value), _) => value,
        (None, Some(text)) => Value::Text(text),
        (None, None) if !components.is_empty() => Value::Panel,
        (None, None) => return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected value, text or components")),
    };
    row.tell("event", &["name", "source", "parameters"], out);
    let head = Head { id, device, method, modified: None };
    out.push(Reading { components, ..head.reading(measure, phone::effective(start, end)?, value) });
    Ok(())
}

pub(super) fn datastream<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let Some(measure) = measure(&mut row, out)? else { return Ok(()) };
    if measure.unit.is_none() {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected a type that has numbers").at("type"));
    }
    let (device, method) = gear(&mut row, out)?;
    let unit: Cow<'a, str> = row.need("unit")?;
    for (index, raw) in row.need::<Vec<&'a RawValue>>("points")?.iter().enumerate() {
        let under = |r: Reject| Reject { line: None, column: None, ..r }.under(&format!("points[{index}]"));
        let mut point: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(under)?;
        let at = phone::stamp(&mut point, "at", "offset").map_err(under)?.ok_or_else(|| under(missing("at")))?;
        let value = point.decimal("value").map_err(under)?.ok_or_else(|| under(missing("value")))?;
        let value = convert(value, &unit, measure).map_err(under)?;
        let id = phone::identity(None, device.as_deref().unwrap_or_default(), at, None);
        let head = Head { id, device: device.clone(), method, modified: None };
        out.push(head.reading(measure, Effective::At(at), Value::Quantity(value)));
    }
    row.tell("datastream", &["name", "source", "confidence"], out);
    Ok(())
}
