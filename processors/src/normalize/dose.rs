//! FHIR R4 MedicationAdministration from what a pump, a pen or a person recorded.

use headwater_schemas::codes::{self, UCUM};
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Status;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Dose, Parts};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Position, extensions, ids};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use uuid::Uuid;

use super::columns::Scratch;
use super::fhir::{coded, effective, meta, seconds, version};
use super::json::Json;
use super::{MAPPER_VERSION, blank};

/// Appends one dose.
pub(super) fn put(raw: &Raw<'_>, position: Position<'_>, dose: &Dose<'_>, scratch: &mut Scratch, out: &mut Outbox) {
    let id = ids::observation(raw.connection_id, raw.subject_id, dose.data_type, &dose.record_id);
    let device = dose.device.as_ref().map(|id| ids::device(raw.connection_id, raw.subject_id, id));
    scratch.fhir.clear();
    let version = dose.modified.unwrap_or(raw.fetched_at).max(raw.version_floor.unwrap_or(i64::MIN));
    render(raw, position, dose, (id, version), device, &mut scratch.fhir);
    let [given, rate, expected] = [dose.dose, dose.rate, dose.expected].map(Number::of);
    let [normal, expected_normal] = [dose.parts, dose.expected_parts].map(|parts| Number::of(parts.map(|p| p.normal)));
    let [extended, expected_extended] = [dose.parts, dose.expected_parts].map(|parts| Number::of(parts.map(|p| p.extended)));
    let start = dose.effective.start();
    let record = Medication {
        id,
        record_id: &dose.record_id,
        subject_id: raw.subject_id,
        connection_id: raw.connection_id,
        provider: raw.provider,
        stream: raw.stream,
        lane: raw.lane,
        data_type: dose.data_type,
        status: dose.status,
        start: start.micros,
        end: dose.effective.end().map(|end| end.micros),
        utc_offset: start.offset,
        offset_origin: start.origin,
        dose: given.value,
        dose_text: given.text(),
        rate: rate.value,
        rate_text: rate.text(),
        product: dose.product.as_deref(),
        device_id: device,
        method: dose.method,
        source_modified: dose.modified,
        version,
        raw_topic: position.topic,
        raw_partition: position.partition,
        raw_offset: position.offset,
        mapper_version: MAPPER_VERSION,
        fhir: &scratch.fhir,
        delivery: dose.delivery.map(|delivery| delivery.concept().code),
        normal: normal.value,
        normal_text: normal.text(),
        extended: extended.value,
        extended_text: extended.text(),
        expected: expected.value,
        expected_text: expected.text(),
        expected_normal: expected_normal.value,
        expected_normal_text: expected_normal.text(),
        expected_extended: expected_extended.value,
        expected_extended_text: expected_extended.text(),
        expected_duration_ms: dose.expected_duration_ms,
    };
    out.put(&topics::MEDICATION, None, raw.subject_id.as_bytes(), |bytes| record.encode(bytes));
}

/// A number as the columns have it: for reckoning, and with the source's digits.
struct Number {
    value: Option<f64>,
    digits: Option<String>,
}

impl Number {
    fn of(number: Option<Decimal>) -> Self {
        Self { value: number.and_then(|n| n.to_f64()), digits: number.map(|n| n.to_string()) }
    }

    fn text(&self) -> Option<&str> {
        self.digits.as_deref()
    }
}

fn render(
    raw: &Raw<'_>,
    position: Position<'_>,
    dose: &Dose<'_>,
    (id, state): (Uuid, i64),
    device: Option<Uuid>,
    out: &mut String,
) {
    let withdrawn = dose.status == Status::EnteredInError;
    Json::object(out, |o| {
        o.plain("resourceType", "MedicationAdministration").plain("id", id);
        meta(o, raw, position, None, dose.effective.start().origin);
        version(o, state);
        o.only("identifier", |i| {
            i.plain("system", ["urn:headwater:record:", raw.provider]).plain("value", id);
        });
        o.plain(
            "status",
            match dose.status {
                Status::EnteredInError => "entered-in-error",
                Status::Preliminary => "in-progress",
                Status::Final | Status::Amended if dose.interrupted() => "stopped",
                Status::Final | Status::Amended => "completed",
                Status::Unknown => "unknown",
            },
        );
        o.nested("medicationCodeableConcept", |m| {
            m.only("coding", |c| {
                c.plain("system", codes::LOCAL).plain("code", dose.data_type);
            });
            m.text("text", dose.product.as_deref().filter(|p| !blank(p)).unwrap_or("Insulin"));
        });
        o.nested("subject", |s| {
            s.plain("reference", ["Patient/", raw.subject_id]);
        });
        effective(o, dose.effective, None);
        if let Some(device) = device {
            o.only("device", |d| {
                d.plain("reference", format_args!("Device/{device}"));
            });
        }
        if (dose.dose.is_some() || dose.rate.is_some()) && !withdrawn {
            o.nested("dosage", |d| dosage(d, dose));
        }
    });
}

fn dosage(d: &mut Json<'_>, dose: &Dose<'_>) {
    if dose.delivery.is_some() || dose.expected.is_some() || dose.expected_duration_ms.is_some() {
        d.list("extension", |list| {
            if let Some(delivery) = dose.delivery {
                list.item(|e| {
                    e.plain("url", extensions::INSULIN_DELIVERY).nested("valueCodeableConcept", |c| coded(c, delivery.concept()));
                });
            }
            if let Some(expected) = dose.expected {
                list.item(|e| {
                    e.plain("url", extensions::EXPECTED_DOSE)
                        .nested("valueQuantity", |q| insulin(q, expected, dose.expected_parts));
                });
            }
            if let Some(millis) = dose.expected_duration_ms {
                list.item(|e| {
                    e.plain("url", extensions::EXPECTED_DURATION).nested("valueDuration", |q| seconds(q, millis));
                });
            }
        });
    }
    if let Some(note) = dose.note {
        d.plain("text", note);
    }
    if let Some(units) = dose.dose {
        d.nested("dose", |q| insulin(q, units, dose.parts));
    }
    if let Some(rate) = dose.rate {
        d.nested("rateQuantity", |q| quantity(q, rate, "U/h", "[iU]/h"));
    }
}

/// An amount, and how it falls to its parts.
fn insulin(q: &mut Json<'_>, units: Decimal, parts: Option<Parts>) {
    if let Some(Parts { normal, extended }) = parts {
        q.list("extension", |list| {
            for (url, part) in [(extensions::INSULIN_NORMAL, normal), (extensions::INSULIN_EXTENDED, extended)] {
                list.item(|e| {
                    e.plain("url", url).nested("valueQuantity", |q| quantity(q, part, "U", "[iU]"));
                });
            }
        });
    }
    quantity(q, units, "U", "[iU]");
}

fn quantity(q: &mut Json<'_>, value: Decimal, unit: &str, code: &str) {
    q.number("value", value).plain("unit", unit).plain("system", UCUM).plain("code", code);
}

#[cfg(test)]
mod tests;
