//! Records as resources to write.

use headwater_schemas::device::Device;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::reject::code;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Reject, ids};
use uuid::Uuid;

use crate::Incoming;

/// One resource to write, and what it leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    /// Which record of the batch.
    pub index: usize,
    pub kind: &'static str,
    pub id: Uuid,
    pub subject: &'a str,
    pub provider: &'a str,
    pub device: Option<Uuid>,
    /// Orders the states of this resource.
    pub version: i64,
    pub mapper: i32,
    pub fhir: &'a str,
}

impl<'a> Item<'a> {
    pub fn of(index: usize, incoming: &Incoming<'a>) -> Result<Self, Reject> {
        let broken = |e: headwater_schemas::avro::Malformed| Reject::new(code::BAD_AVRO, e.to_string());
        let item = if incoming.topic == &topics::DEVICE {
            let d = Device::decode(incoming.body).map_err(broken)?;
            let (kind, device) = ("Device", None);
            let (version, mapper) = (d.version, d.mapper_version);
            Self { index, kind, id: d.id, subject: d.subject_id, provider: d.provider, device, version, mapper, fhir: d.fhir }
        } else if incoming.topic == &topics::MEDICATION {
            let m = Medication::decode(incoming.body).map_err(broken)?;
            let (kind, device) = ("MedicationAdministration", m.device_id);
            let (version, mapper) = (m.version, m.mapper_version);
            Self { index, kind, id: m.id, subject: m.subject_id, provider: m.provider, device, version, mapper, fhir: m.fhir }
        } else {
            let o = Observation::decode(incoming.body).map_err(broken)?;
            let (kind, device) = ("Observation", o.device_id);
            let (version, mapper) = (o.version, o.mapper_version);
            Self { index, kind, id: o.id, subject: o.subject_id, provider: o.provider, device, version, mapper, fhir: o.fhir }
        };
        if ids::is_fhir(item.subject) {
            Ok(item)
        } else {
            Err(Reject::new(code::REFUSED, "expected a subject id that FHIR takes: 1 to 64 letters, digits, - or .")
                .at("subject_id"))
        }
    }

    /// Which state of which resource it is.
    pub fn state(&self) -> (Uuid, i64, i32) {
        (self.id, self.version, self.mapper)
    }

    /// The resource, about the patient whom the server knows under `patient`.
    ///
    /// # Errors
    /// When it says of whom it is in other words than ours.
    pub fn about(&self, patient: &str) -> Result<String, Reject> {
        if patient == self.subject {
            return Ok(self.fhir.to_owned());
        }
        let ours = format!(r#""reference":"Patient/{}""#, self.subject);
        if !self.fhir.contains(&ours) {
            return Err(Reject::new(code::REFUSED, "expected a resource that refers to its subject").at("fhir"));
        }
        Ok(self.fhir.replacen(&ours, &format!(r#""reference":"Patient/{patient}""#), 1))
    }
}

/// The newest state of each resource, in the order of the records. The others are superseded by it.
pub(super) fn newest(mut items: Vec<Item<'_>>) -> Vec<Item<'_>> {
    items.sort_by_key(|item| (item.kind, item.id, item.version, item.mapper, item.index));
    let mut kept: Vec<Item<'_>> = Vec::with_capacity(items.len());
    for item in items {
        match kept.last_mut() {
            Some(last) if (last.kind, last.id) == (item.kind, item.id) => *last = item,
            _ => kept.push(item),
        }
    }
    kept.sort_by_key(|item| item.index);
    kept
}
