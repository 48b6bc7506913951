//! The typed columns of an observation, beside its FHIR form.

use std::fmt::Write as _;

use headwater_schemas::observation::{Component as Column, Observation, Samples};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Reading, Value};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Position};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::{Identity, MAPPER_VERSION, fhir, measured_by, told};

/// Buffers that live as long as one raw record and are reused for each of its readings.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) fhir: String,
    digits: Vec<Digits>,
}

/// A decimal's digits on the stack: 28 digits, sign, point, leading zero.
#[derive(Clone, Copy)]
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn of(value: &Decimal) -> Self {
        let mut digits = Self { bytes: [0; 32], len: 0 };
        write!(digits, "{value}").expect("a decimal has at most 31 characters");
        digits
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("digits are ASCII")
    }
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// The one number of a value, where it has one.
fn number<'v>(value: &'v Value<'_>) -> Option<&'v Decimal> {
    match value {
        Value::Quantity(number) | Value::Limit(_, number) => Some(number),
        _ => None,
    }
}

fn word<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match told(value) {
        Value::Code(concept) => Some(concept.code),
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn absent(value: &Value<'_>) -> Option<&'static str> {
    if let Value::Absent(reason) = told(value) { Some(reason.as_str()) } else { None }
}

impl Scratch {
    /// Appends one reading as an observation record.
    pub(super) fn observation(
        &mut self,
        raw: &Raw<'_>,
        position: Position<'_>,
        reading: &Reading<'_>,
        identity: &Identity,
        out: &mut Outbox,
    ) {
        let device = measured_by(raw, reading);
        self.fhir.clear();
        fhir::render(raw, position, reading, identity, device, &mut self.fhir);
        self.digits.clear();
        self.digits
            .extend(reading.components.iter().map(|c| number(&c.value).map_or(Digits { bytes: [0; 32], len: 0 }, Digits::of)));
        let components = reading
            .components
            .iter()
            .zip(&self.digits)
            .map(|(component, digits)| Column {
                data_type: component.measure.slug,
                code: component.measure.main().code,
                value: number(&component.value).and_then(Decimal::to_f64),
                value_text: number(&component.value).map(|_| digits.as_str()),
                unit: number(&component.value).and(component.measure.unit).map(|u| u.ucum),
                value_code: word(&component.value),
                absent_reason: absent(&component.value),
            })
            .collect();
        let digits = number(&reading.value).map(Digits::of);
        let period = if let Value::Samples(samples) = &reading.value { Some(Digits::of(&samples.period_ms)) } else { None };
        let (start, unit) = (reading.effective.start(), reading.measure.unit.map(|u| u.ucum));
        let record = Observation {
            id: identity.id,
            record_id: &reading.record_id,
            subject_id: raw.subject_id,
            connection_id: raw.connection_id,
            provider: raw.provider,
            stream: raw.stream,
            lane: raw.lane,
            data_type: reading.measure.slug,
            code: reading.measure.main().code,
            code_system: reading.measure.main().system,
            category: reading.measure.category.as_str(),
            status: identity.status,
            start: start.micros,
            end: reading.effective.end().map(|s| s.micros),
            utc_offset: start.offset,
            offset_origin: start.origin,
            local_date: reading.local_date.as_deref(),
            value: number(&reading.value).and_then(Decimal::to_f64),
            value_text: digits.as_ref().map(Digits::as_str),
            unit: digits.as_ref().and(unit),
            comparator: if let Value::Limit(comparator, _) = &reading.value { Some(comparator.as_str()) } else { None },
            value_code: word(&reading.value),
            absent_reason: absent(&reading.value),
            components,
            samples: match (&reading.value, &period) {
                (Value::Samples(samples), Some(period)) => {
                    Some(Samples { period_ms: period.as_str(), unit: unit.unwrap_or(""), data: &samples.data })
                }
                _ => None,
            },
            device_id: device,
            method: reading.method,
            source_modified: reading.modified,
            version: identity.version,
            previous_start: identity.previous_start,
            raw_topic: position.topic,
            raw_partition: position.partition,
            raw_offset: position.offset,
            mapper_version: MAPPER_VERSION,
            fhir: &self.fhir,
        };
        out.put(&topics::OBSERVATION, None, raw.subject_id.as_bytes(), |bytes| record.encode(bytes));
    }
}
