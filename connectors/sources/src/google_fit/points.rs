//! Points: a span, values in one of four forms, and where they came from.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Device, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::Reject;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::types::{self, Form, Time, Type};
use crate::fields::{Fields, blood_pressure, label, missing};
use crate::json::Number;
use crate::source::digest;
use crate::time;

/// Epoch nanoseconds, as decimal text or as a number. Never by way of a double, which cannot hold them.
fn nanos(row: &mut Fields<'_>, name: &'static str) -> Result<Stamp, Reject> {
    let number: Number<'_> = row.need(name)?;
    let nanos = number.integer().map_err(|r| r.at(name))?;
    time::with_offset(nanos.div_euclid(1000), None).map_err(|r| r.at(name))
}

/// What the values of a point are, in the order they came.
struct Values<'a>(Vec<Fields<'a>>);

impl<'a> Values<'a> {
    fn read(row: &mut Fields<'a>) -> Result<Self, Reject> {
        // The Takeout puts each value into an object of its own.
        match row.read::<Vec<Fields<'a>>>("fitValue")? {
            Some(list) => list.into_iter().map(|mut outer| outer.inner("value")).collect::<Result<_, _>>().map(Self),
            None => Ok(Self(row.read("value")?.unwrap_or_default())),
        }
    }

    fn decimal(&mut self, at: usize) -> Result<Option<Decimal>, Reject> {
        let Some(value) = self.0.get_mut(at) else { return Ok(None) };
        match value.decimal("fpVal")? {
            None => value.decimal("intVal"),
            some => Ok(some),
        }
    }
}

pub(super) fn point<'a>(
    mut row: Fields<'a>,
    kind: &'static Type,
    source: Option<&str>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    if let Some(other) = row.text("dataTypeName")?.filter(|name| name != kind.name) {
        out.unknown(format!("dataTypeName {}", other.rsplit('.').next().map_or("", label)));
        return Ok(());
    }
    let (start, end) = (nanos(&mut row, "startTimeNanos")?, nanos(&mut row, "endTimeNanos")?);
    let span = if end.micros == start.micros {
        Effective::At(start)
    } else {
        time::between(start, end).map_err(|r| r.at("endTimeNanos"))?
    };
    let origin = row.text("originDataSourceId")?;
    let origin = origin.as_deref().or(source).unwrap_or_default();
    let mut values = Values::read(&mut row)?;
    row.tell("point", &["modifiedTimeMillis", "rawTimestampNanos", "computationTimeMillis"], out);
    if values.0.is_empty() {
        out.unknown("point without a value");
        return Ok(());
    }
    if kind.form.is_span() && end.micros == start.micros {
        out.unknown("point without a length");
        return Ok(());
    }
    let short: String = digest([origin.as_bytes()])[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("{short}:{}:{}", start.micros, end.micros);
    let method = if origin.contains("user_input") { Method::Manual } else { Method::Device };
    let device = device(origin, out);
    let reading = |measure, at, value| Reading { method, device: device.clone(), ..Reading::new(measure, id.clone(), at, value) };
    match kind.form {
        Form::Number(measure, scale, time) => {
            let value = values.decimal(0)?.map(|v| scale.of(v)).transpose()?.ok_or_else(|| missing("fpVal"))?;
            if value < Decimal::ZERO || (time == Time::Moment && value.is_zero()) {
                out.unknown("point of nought");
                return Ok(());
            }
            // What is true of a moment is said of the end of its span.
            let at = if time == Time::Moment { Effective::At(end) } else { span };
            out.push(reading(measure, at, Value::Quantity(value)));
        }
        Form::Pressure => {
            let components = blood_pressure(values.decimal(0)?, values.decimal(1)?)?;
            out.push(Reading { components, ..reading(&BLOOD_PRESSURE, Effective::At(end), Value::Panel) });
        }
        Form::Temperature => {
            let value = values.decimal(0)?.ok_or_else(|| missing("fpVal"))?;
            let place = values.decimal(1)?;
            match types::temperature(place.map(|p| p.to_i64().unwrap_or(i64::MAX))) {
                _ if value <= Decimal::ZERO => out.unknown("point of nought"),
                Some(measure) => out.push(reading(measure, Effective::At(end), Value::Quantity(value))),
                None => out.unknown("place of a thermometer"),
            }
        }
        Form::Activity | Form::Sleep => {
            let number = values.decimal(0)?.and_then(|n| n.to_i64()).ok_or_else(|| missing("intVal"))?;
            let during = Effective::During(start, end);
            let stage =
                if matches!(kind.form, Form::Sleep) { types::stage_of_segment(number) } else { types::stage_of_activity(number) };
            match (stage, types::activity(number)) {
                (Some(stage), _) => out.push(reading(&SLEEP_STAGE, during, Value::Code(stage))),
                (None, Some(name)) if matches!(kind.form, Form::Activity) => {
                    out.push(reading(&EXERCISE, during, Value::Text(Cow::Borrowed(name))));
                }
                _ => out.unknown(format!("{} {number}", kind.stream)),
            }
        }
    }
    Ok(())
}

/// `raw:com.google.heart_rate.bpm:package:Maker:Model:uid:name`: maker and model, where they are told.
fn device<'a>(origin: &str, out: &mut Normalized<'a>) -> Option<Cow<'a, str>> {
    let mut parts = origin.split(':');
    if parts.next() != Some("raw") {
        return None;
    }
    let (maker, model) = (parts.nth(2)?.to_owned(), parts.next()?.to_owned());
    if maker.is_empty() || model.is_empty() {
        return None;
    }
    let id: Cow<'a, str> = format!("{maker} {model}").into();
    out.device(Device {
        provider_id: id.clone(),
        manufacturer: Some(maker.into()),
        model: Some(model.into()),
        ..Device::default()
    });
    Some(id)
}
