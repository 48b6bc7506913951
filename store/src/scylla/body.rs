//! The one cell that holds an observation or a device beside its key. Why one cell: `infra/cql/observations.cql`.

use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use scylla::{DeserializeValue, SerializeValue};
use uuid::Uuid;

use super::unexpected;
use crate::rows::{StoredDevice, StoredObservation};
use crate::{Result, columns};

/// What is written of an observation. Fields are matched by name; a null inside the cell makes no tombstone.
#[derive(SerializeValue, Default)]
pub struct ObservationBody<'a> {
    mapper_version: i32,
    version: i64,
    moved_to: Option<i64>,
    status: Option<&'a str>,
    record_id: Option<&'a str>,
    connection_id: Option<Uuid>,
    provider: Option<&'a str>,
    stream: Option<&'a str>,
    lane: Option<&'a str>,
    code: Option<&'a str>,
    code_system: Option<&'a str>,
    category: Option<&'a str>,
    end_at: Option<i64>,
    utc_offset: Option<i32>,
    offset_origin: Option<&'a str>,
    local_date: Option<&'a str>,
    value: Option<f64>,
    value_text: Option<&'a str>,
    unit: Option<&'a str>,
    comparator: Option<&'a str>,
    value_code: Option<&'a str>,
    absent_reason: Option<&'a str>,
    components: Option<String>,
    device_id: Option<Uuid>,
    method: Option<&'a str>,
    source_modified: Option<i64>,
    raw_topic: Option<&'a str>,
    raw_partition: Option<i32>,
    raw_offset: Option<i64>,
    fhir: Option<&'a str>,
    stored_at: Option<i64>,
}

impl<'a> ObservationBody<'a> {
    pub fn of(o: &Observation<'a>, at: i64) -> Self {
        Self {
            mapper_version: o.mapper_version,
            version: o.version,
            moved_to: None,
            status: Some(o.status.as_str()),
            record_id: Some(o.record_id),
            connection_id: Some(o.connection_id),
            provider: Some(o.provider),
            stream: Some(o.stream),
            lane: Some(o.lane.as_str()),
            code: Some(o.code),
            code_system: Some(o.code_system),
            category: Some(o.category),
            end_at: o.end,
            utc_offset: o.utc_offset,
            offset_origin: Some(o.offset_origin.as_str()),
            local_date: o.local_date,
            value: o.value,
            value_text: o.value_text,
            unit: o.unit,
            comparator: o.comparator,
            value_code: o.value_code,
            absent_reason: o.absent_reason,
            components: columns::components(&o.components),
            device_id: o.device_id,
            method: Some(o.method.as_str()),
            source_modified: o.source_modified,
            raw_topic: Some(o.raw_topic),
            raw_partition: Some(o.raw_partition),
            raw_offset: Some(o.raw_offset),
            fhir: Some(o.fhir),
            stored_at: Some(first(at)),
        }
    }

    /// What stays where an observation was before it moved. A row, not a deletion: the tombstone of a deletion is purged after a while, and
    /// an older version that is replayed after that would stand at the old start again.
    pub fn moved(o: &Observation<'a>) -> Self {
        Self { mapper_version: o.mapper_version, version: o.version, moved_to: Some(o.start), ..Self::default() }
    }

    #[cfg(test)]
    pub fn sized(fhir: &'a str) -> Self {
        Self { fhir: Some(fhir), ..Self::default() }
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        500 + self.fhir.map_or(0, str::len) + self.components.as_ref().map_or(0, String::len)
    }
}

/// A time of which the earliest wins: the greater bytes of two cells with one timestamp are kept, and this is their last field. So the same state
/// that comes again, as by a replay, is not news to those who ask what came since.
fn first(at: i64) -> i64 {
    -at
}

/// What is read back of it.
#[derive(DeserializeValue)]
pub struct StoredBody {
    version: i64,
    moved_to: Option<i64>,
    status: Option<String>,
    provider: Option<String>,
    end_at: Option<i64>,
    local_date: Option<String>,
    value: Option<f64>,
    value_text: Option<String>,
    unit: Option<String>,
    comparator: Option<String>,
    value_code: Option<String>,
    absent_reason: Option<String>,
    components: Option<String>,
    device_id: Option<Uuid>,
    fhir: Option<String>,
    stored_at: Option<i64>,
}

impl StoredBody {
    /// `None` where the observation has moved away from.
    pub fn observation(self, key: (&str, &str, i64, Uuid)) -> Result<Option<StoredObservation>> {
        if self.moved_to.is_some() {
            return Ok(None);
        }
        let (subject_id, data_type, start, id) = key;
        Ok(Some(StoredObservation {
            id,
            subject_id: subject_id.to_owned(),
            data_type: data_type.to_owned(),
            provider: self.provider.ok_or_else(unexpected)?,
            status: self.status.ok_or_else(unexpected)?,
            start,
            end: self.end_at,
            local_date: self.local_date,
            value: self.value,
            value_text: self.value_text,
            unit: self.unit,
            comparator: self.comparator,
            value_code: self.value_code,
            absent_reason: self.absent_reason,
            components: self.components,
            device_id: self.device_id,
            version: self.version,
            stored_at: self.stored_at.ok_or_else(unexpected)?.abs(),
            fhir: self.fhir.ok_or_else(unexpected)?,
        }))
    }
}

/// What is written of a device.
#[derive(SerializeValue)]
pub struct DeviceBody<'a> {
    mapper_version: i32,
    version: i64,
    connection_id: Uuid,
    provider: &'a str,
    kind: Option<&'a str>,
    manufacturer: Option<&'a str>,
    model: Option<&'a str>,
    firmware: Option<&'a str>,
    battery: Option<&'a str>,
    last_sync: Option<i64>,
    fhir: &'a str,
}

impl<'a> DeviceBody<'a> {
    pub fn of(d: &Device<'a>) -> Self {
        Self {
            mapper_version: d.mapper_version,
            version: d.version,
            connection_id: d.connection_id,
            provider: d.provider,
            kind: d.kind,
            manufacturer: d.manufacturer,
            model: d.model,
            firmware: d.firmware,
            battery: d.battery,
            last_sync: d.last_sync,
            fhir: d.fhir,
        }
    }
}

/// What is read back of it.
#[derive(DeserializeValue)]
pub struct StoredDeviceBody {
    version: i64,
    provider: String,
    battery: Option<String>,
    last_sync: Option<i64>,
    fhir: String,
}

impl StoredDeviceBody {
    pub fn device(self, subject_id: &str, id: Uuid) -> StoredDevice {
        StoredDevice {
            id,
            subject_id: subject_id.to_owned(),
            provider: self.provider,
            battery: self.battery,
            last_sync: self.last_sync,
            version: self.version,
            fhir: self.fhir,
        }
    }
}
