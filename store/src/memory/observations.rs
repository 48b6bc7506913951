//! Observations and devices in memory. A row is replaced as a whole, and only by a greater (version, mapper version).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use uuid::Uuid;

use crate::rows::{ObservationPage, ObservationQuery, Order, StoredDevice, StoredObservation};
use crate::{columns, month};

#[derive(Default)]
pub(super) struct Observations {
    /// With the mapper's version.
    rows: BTreeMap<Uuid, (i32, StoredObservation)>,
    devices: BTreeMap<Uuid, (i32, StoredDevice)>,
}

impl Observations {
    pub fn write(&mut self, rows: &[Observation<'_>], at: i64) {
        for row in rows {
            let newer = |(mapper, kept): &(i32, StoredObservation)| (row.version, row.mapper_version) > (kept.version, *mapper);
            if self.rows.get(&row.id).is_none_or(newer) {
                self.rows.insert(row.id, (row.mapper_version, StoredObservation::of(row, at)));
            }
        }
    }

    pub fn write_devices(&mut self, rows: &[Device<'_>]) {
        for row in rows {
            let newer = |(mapper, kept): &(i32, StoredDevice)| (row.version, row.mapper_version) > (kept.version, *mapper);
            if self.devices.get(&row.id).is_none_or(newer) {
                let stored = StoredDevice {
                    id: row.id,
                    subject_id: row.subject_id.to_owned(),
                    provider: row.provider.to_owned(),
                    battery: row.battery.map(str::to_owned),
                    last_sync: row.last_sync,
                    version: row.version,
                    fhir: row.fhir.to_owned(),
                };
                self.devices.insert(row.id, (row.mapper_version, stored));
            }
        }
    }

    pub fn devices(&self, subject: &str) -> Vec<StoredDevice> {
        self.devices.values().map(|(_, device)| device).filter(|d| d.subject_id == subject).cloned().collect()
    }

    /// Rows of a type of a subject, newest first, and of the same start the least id first.
    fn of(&self, subject: &str, data_type: &str) -> Vec<&StoredObservation> {
        let mut rows: Vec<_> =
            self.rows.values().map(|(_, row)| row).filter(|r| r.subject_id == subject && r.data_type == data_type).collect();
        rows.sort_by(|a, b| newest_first((a.start, a.id), (b.start, b.id)));
        rows
    }

    pub fn page(&self, query: &ObservationQuery) -> ObservationPage {
        let limit = query.limit.max(1);
        let mut rows = self.of(&query.subject_id, &query.data_type);
        rows.retain(|row| (query.from..query.to).contains(&row.start));
        let mut beyond = Ordering::Greater;
        if query.order == Order::OldestFirst {
            rows.reverse();
            beyond = Ordering::Less;
        }
        rows.retain(|row| query.after.is_none_or(|after| newest_first((row.start, row.id), after) == beyond));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| (row.start, row.id));
        ObservationPage { rows: rows.into_iter().cloned().collect(), next }
    }

    pub fn data_types(&self, subject: &str) -> Vec<String> {
        let types: BTreeSet<&String> =
            self.rows.values().filter(|(_, row)| row.subject_id == subject).map(|(_, row)| &row.data_type).collect();
        types.into_iter().cloned().collect()
    }

    pub fn latest(&self, subject: &str, data_types: &[&str], now: i64, months: u32) -> Vec<StoredObservation> {
        let from = month::start(month::before(month::of(now), months));
        let latest = |data_type: &&str| {
            let rows = self.of(subject, data_type);
            rows.into_iter().find(|row| (from..=now).contains(&row.start) && row.status != columns::WITHDRAWN).cloned()
        };
        data_types.iter().filter_map(latest).collect()
    }

    pub fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    /// How many observations and devices there were.
    pub fn erase(&mut self, subject: &str) -> (u64, u64) {
        let before = (self.rows.len(), self.devices.len());
        self.rows.retain(|_, (_, row)| row.subject_id != subject);
        self.devices.retain(|_, (_, device)| device.subject_id != subject);
        ((before.0 - self.rows.len()) as u64, (before.1 - self.devices.len()) as u64)
    }
}

fn newest_first(a: (i64, Uuid), b: (i64, Uuid)) -> Ordering {
    b.0.cmp(&a.0).then(a.1.cmp(&b.1))
}
