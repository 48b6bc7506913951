//! A record's fingerprint: where it stands in the order of its id's states, and what each group of its fields says.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use headwater_schemas::Topic;
use headwater_schemas::device::Device;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};
use uuid::Uuid;

use crate::consent::ConsentTable;

/// Groups of fields that are compared apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Value,
    Unit,
    Time,
    Code,
    /// Columns that are none of these: status, method, device, version.
    Other,
    /// The whole FHIR resource, less where its raw record stands.
    Fhir,
}

/// One state of an id. 32 bits of each group are kept: of four billion changed values, one may go unnoticed in its column, and is in the resource's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub version: i64,
    pub mapper: i32,
    partition: i32,
    offset: i64,
    pub prints: [u32; 6],
}

impl State {
    /// As the stores have it. Of two states of one version and one mapper, that of the later raw record, so that both sides take the same.
    pub fn order(&self) -> (i64, i32, i32, i64) {
        (self.version, self.mapper, self.partition, self.offset)
    }

    pub fn differs(&self, other: &Self, field: Field) -> bool {
        self.prints[field as usize] != other.prints[field as usize]
    }
}

/// A record as it is compared.
#[derive(Debug)]
pub struct Seen<'b> {
    pub id: Uuid,
    pub subject: &'b str,
    pub provider: &'b str,
    pub stream: &'b str,
    pub data_type: &'b str,
    /// Where the raw record stands that it was made from.
    pub raw: Option<(&'b str, i32, i64)>,
    pub state: State,
}

impl Seen<'_> {
    /// Whether the person's decision lets it be made now.
    pub fn permitted(&self, consents: &ConsentTable, now: i64) -> bool {
        let device = self.data_type == topics::DEVICE.stage;
        consents.terms(self.subject).is_none_or(|terms| terms.stands(now) && (device || terms.covers(self.data_type)))
    }
}

/// What a body of this topic says; `None` where it is no such record.
pub fn seen<'b>(topic: &Topic, body: &'b [u8]) -> Option<Seen<'b>> {
    if topic == &topics::MEDICATION {
        Medication::decode(body).ok().map(|m| medication(&m))
    } else if topic == &topics::DEVICE {
        Device::decode(body).ok().map(|d| device(&d))
    } else {
        Observation::decode(body).ok().map(|o| observation(&o))
    }
}

/// What is made from a raw record says so in columns of the same names.
macro_rules! made {
    ($of:expr, $prints:expr) => {{
        let (of, prints) = ($of, $prints);
        let (partition, offset) = (of.raw_partition, of.raw_offset);
        Seen {
            id: of.id,
            subject: of.subject_id,
            provider: of.provider,
            stream: of.stream,
            data_type: of.data_type,
            raw: Some((of.raw_topic, partition, offset)),
            state: State { version: of.version, mapper: of.mapper_version, partition, offset, prints },
        }
    }};
}

fn observation<'b>(o: &Observation<'b>) -> Seen<'b> {
    let samples = o.samples.as_ref();
    let components = || o.components.iter();
    let values: Vec<_> = components().map(|c| (c.value_text, c.value.map(f64::to_bits), c.value_code, c.absent_reason)).collect();
    let units: Vec<_> = components().map(|c| c.unit).collect();
    let codes: Vec<_> = components().map(|c| (c.data_type, c.code)).collect();
    let value = (o.value.map(f64::to_bits), o.value_text, o.comparator, o.value_code, o.absent_reason);
    let prints = [
        print(&(value, samples.map(|s| (s.period_ms, s.data)), values)),
        print(&(o.unit, samples.map(|s| s.unit), units)),
        print(&(o.start, o.end, o.utc_offset, o.offset_origin.as_str(), o.local_date, o.previous_start)),
        print(&(o.data_type, o.code, o.code_system, o.category, codes)),
        print(&(o.status.as_str(), o.method.as_str(), o.device_id, o.record_id, o.source_modified, o.version)),
        resource(o.fhir, (o.raw_topic, o.raw_partition, o.raw_offset)),
    ];
    made!(o, prints)
}

fn medication<'b>(m: &Medication<'b>) -> Seen<'b> {
    let given = (m.dose_text, m.rate_text, m.normal_text, m.extended_text);
    let expected = (m.expected_text, m.expected_normal_text, m.expected_extended_text, m.expected_duration_ms);
    let prints = [
        print(&(given, expected)),
        // Insulin is counted in units everywhere.
        0,
        print(&(m.start, m.end, m.utc_offset, m.offset_origin.as_str())),
        print(&(m.data_type, m.product, m.delivery)),
        print(&(m.status.as_str(), m.method.as_str(), m.device_id, m.record_id, m.source_modified, m.version)),
        resource(m.fhir, (m.raw_topic, m.raw_partition, m.raw_offset)),
    ];
    made!(m, prints)
}

fn device<'b>(d: &Device<'b>) -> Seen<'b> {
    let other = print(&(d.kind, d.manufacturer, d.model, d.firmware, d.battery, d.last_sync, d.version));
    let prints = [0, 0, 0, 0, other, print(d.fhir)];
    Seen {
        id: d.id,
        subject: d.subject_id,
        provider: d.provider,
        stream: "",
        data_type: topics::DEVICE.stage,
        // A device does not say which raw record it was made from.
        raw: None,
        state: State { version: d.version, mapper: d.mapper_version, partition: 0, offset: 0, prints },
    }
}

/// The resource without the place of its raw record: of two records that say the same, either may have been the last.
fn resource(fhir: &str, (topic, partition, offset): (&str, i32, i64)) -> u32 {
    let source = format!("urn:headwater:{topic}:{partition}:{offset}");
    match fhir.split_once(&source) {
        Some(parts) => print(&parts),
        None => print(&(fhir, "")),
    }
}

fn print(said: &(impl Hash + ?Sized)) -> u32 {
    let mut hasher = DefaultHasher::new();
    said.hash(&mut hasher);
    #[expect(clippy::cast_possible_truncation, reason = "32 bits of a hash are kept")]
    let low = hasher.finish() as u32;
    low
}
