//! FHIR R4 MedicationAdministration from what a pump, a pen or a person recorded.

use headwater_schemas::codes::{self, UCUM};
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Status;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Dose;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Position, ids};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use uuid::Uuid;

use super::columns::Scratch;
use super::fhir::{effective, meta};
use super::json::Json;
use super::{MAPPER_VERSION, blank};

/// Appends one dose.
pub(super) fn put(raw: &Raw<'_>, position: Position<'_>, dose: &Dose<'_>, scratch: &mut Scratch, out: &mut Outbox) {
    let id = ids::observation(raw.connection_id, raw.subject_id, dose.data_type, &dose.record_id);
    let device = dose.device.as_ref().map(|id| ids::device(raw.connection_id, raw.subject_id, id));
    scratch.fhir.clear();
    render(raw, position, dose, id, device, &mut scratch.fhir);
    let digits = |number: Option<Decimal>| number.map(|n| n.to_string());
    let (dose_text, rate_text) = (digits(dose.dose), digits(dose.rate));
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
        dose: dose.dose.and_then(|n| n.to_f64()),
        dose_text: dose_text.as_deref(),
        rate: dose.rate.and_then(|n| n.to_f64()),
        rate_text: rate_text.as_deref(),
        product: dose.product.as_deref(),
        device_id: device,
        method: dose.method,
        source_modified: dose.modified,
        version: dose.modified.unwrap_or(raw.fetched_at).max(raw.version_floor.unwrap_or(i64::MIN)),
        raw_topic: position.topic,
        raw_partition: position.partition,
        raw_offset: position.offset,
        mapper_version: MAPPER_VERSION,
        fhir: &scratch.fhir,
    };
    out.put(&topics::MEDICATION, None, raw.subject_id.as_bytes(), |bytes| record.encode(bytes));
}

fn render(raw: &Raw<'_>, position: Position<'_>, dose: &Dose<'_>, id: Uuid, device: Option<Uuid>, out: &mut String) {
    let withdrawn = dose.status == Status::EnteredInError;
    Json::object(out, |o| {
        o.plain("resourceType", "MedicationAdministration").plain("id", id);
        meta(o, raw, position, None, dose.effective.start().origin);
        o.only("identifier", |i| {
            i.plain("system", format_args!("urn:headwater:record:{}", raw.provider)).plain("value", id);
        });
        o.plain(
            "status",
            match dose.status {
                Status::EnteredInError => "entered-in-error",
                Status::Preliminary => "in-progress",
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
            s.plain("reference", format_args!("Patient/{}", raw.subject_id));
        });
        effective(o, dose.effective, None);
        if let Some(device) = device {
            o.only("device", |d| {
                d.plain("reference", format_args!("Device/{device}"));
            });
        }
        if (dose.dose.is_some() || dose.rate.is_some()) && !withdrawn {
            o.nested("dosage", |d| {
                if let Some(note) = dose.note {
                    d.plain("text", note);
                }
                if let Some(units) = dose.dose {
                    d.nested("dose", |q| quantity(q, units, "U", "[iU]"));
                }
                if let Some(rate) = dose.rate {
                    d.nested("rateQuantity", |q| quantity(q, rate, "U/h", "[iU]/h"));
                }
            });
        }
    });
}

fn quantity(q: &mut Json<'_>, value: Decimal, unit: &str, code: &str) {
    q.number("value", value).plain("unit", unit).plain("system", UCUM).plain("code", code);
}
