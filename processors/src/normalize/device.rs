//! FHIR R4 Device from what the provider says about a person's device. The provider's device id is personal: only its hash leaves.

use headwater_schemas::device::Device as Record;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Device;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, device_types, ids};
use jiff::Timestamp;
use uuid::Uuid;

use super::columns::Scratch;
use super::fhir::version;
use super::json::Json;
use super::{MAPPER_VERSION, blank};

/// Appends one device record.
pub(super) fn put(raw: &Raw<'_>, device: &Device<'_>, scratch: &mut Scratch, out: &mut Outbox) {
    let id = ids::device(raw.connection_id, raw.subject_id, &device.provider_id);
    scratch.fhir.clear();
    render(raw, device, id, &mut scratch.fhir);
    let record = Record {
        id,
        subject_id: raw.subject_id,
        connection_id: raw.connection_id,
        provider: raw.provider,
        kind: device.kind.as_deref(),
        manufacturer: device.manufacturer.as_deref(),
        model: device.model.as_deref(),
        firmware: device.firmware.as_deref(),
        battery: device.battery.as_deref(),
        last_sync: device.last_sync,
        version: raw.fetched_at,
        mapper_version: MAPPER_VERSION,
        fhir: &scratch.fhir,
    };
    let mut key = Uuid::encode_buffer();
    out.put(&topics::DEVICE, None, id.hyphenated().encode_lower(&mut key).as_bytes(), |bytes| record.encode(bytes));
}

fn render(raw: &Raw<'_>, device: &Device<'_>, id: Uuid, out: &mut String) {
    Json::object(out, |o| {
        o.plain("resourceType", "Device").plain("id", id);
        version(o, raw.fetched_at);
        o.only("identifier", |i| {
            i.plain("system", ["urn:headwater:device:", raw.provider]).plain("value", id);
        });
        if let Some(manufacturer) = device.manufacturer.as_deref().filter(|m| !blank(m)) {
            o.text("manufacturer", manufacturer);
        }
        if let Some(model) = device.model.as_deref().filter(|m| !blank(m)) {
            o.only("deviceName", |n| {
                n.text("name", model).plain("type", "model-name");
            });
        }
        if let Some(kind) = device.kind.as_deref().filter(|k| !blank(k)) {
            o.nested("type", |t| {
                if let Some(concept) = device_types::concept(kind) {
                    t.only("coding", |c| {
                        c.plain("system", device_types::SNOMED).plain("code", concept);
                    });
                }
                t.text("text", kind);
            });
        }
        if let Some(firmware) = device.firmware.as_deref().filter(|f| !blank(f)) {
            o.only("version", |v| {
                v.text("value", firmware);
            });
        }
        properties(o, device);
        o.nested("patient", |p| {
            p.plain("reference", ["Patient/", raw.subject_id]);
        });
    });
}

fn properties(o: &mut Json<'_>, device: &Device<'_>) {
    let battery = device.battery.as_deref().filter(|b| !blank(b));
    if battery.is_none() && device.last_sync.is_none() {
        return;
    }
    o.list("property", |list| {
        if let Some(battery) = battery {
            list.item(|p| {
                p.nested("type", |t| {
                    t.plain("text", "battery");
                });
                // A percentage, or the provider's own word.
                if let Ok(percent @ 0..=100) = battery.parse::<u8>() {
                    p.only("valueQuantity", |q| {
                        q.number("value", percent)
                            .plain("unit", "%")
                            .plain("system", "http://unitsofmeasure.org")
                            .plain("code", "%");
                    });
                } else {
                    p.only("valueCode", |c| {
                        c.text("text", battery);
                    });
                }
            });
        }
        if let Some(at) = device.last_sync.and_then(|micros| Timestamp::from_microsecond(micros).ok()) {
            list.item(|p| {
                p.nested("type", |t| {
                    t.plain("text", "last synchronisation");
                });
                p.only("valueCode", |c| {
                    c.plain("text", at);
                });
            });
        }
    });
}
