//! Observations and devices.
//!
//! A row is replaced as a whole, and only by a greater (version, mapper version): an older state that comes late changes nothing, the same
//! state again changes nothing, and what a corrected mapper made of the same state replaces what the old mapper made. A moved start needs
//! no second step, because the primary key is the id alone.

use std::sync::LazyLock;

use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use libsql::{Connection as Handle, Row, TransactionBehavior, Value, params};

use super::{all, failed, first, uuid};
use crate::rows::{ObservationPage, ObservationQuery, Order, StoredDevice, StoredObservation};
use crate::{Result, columns, month};

const OBSERVATION: &str = "id, record_id, subject_id, connection_id, provider, stream, lane, data_type, code, code_system, category, status, \
    start_at, end_at, utc_offset, offset_origin, local_date, value, value_text, unit, comparator, value_code, absent_reason, components, \
    device_id, method, source_modified, version, raw_topic, raw_partition, raw_offset, mapper_version, fhir, stored_at";
const DEVICE: &str = "id, subject_id, connection_id, provider, kind, manufacturer, model, firmware, battery, last_sync, version, \
    mapper_version, fhir";
const STORED: &str = "id, subject_id, data_type, provider, status, start_at, end_at, local_date, value, value_text, unit, comparator, \
    value_code, absent_reason, components, device_id, version, stored_at, fhir";

static PUT_OBSERVATION: LazyLock<String> = LazyLock::new(|| upsert("observations", OBSERVATION));
static PUT_DEVICE: LazyLock<String> = LazyLock::new(|| upsert("devices", DEVICE));

pub async fn write(handle: &Handle, rows: &[Observation<'_>], at: i64) -> Result<()> {
    batch(handle, &PUT_OBSERVATION, rows.iter().map(|row| observation_values(row, at))).await
}

pub async fn write_devices(handle: &Handle, rows: &[Device<'_>]) -> Result<()> {
    batch(handle, &PUT_DEVICE, rows.iter().map(device_values)).await
}

pub async fn devices(handle: &Handle, subject_id: &str) -> Result<Vec<StoredDevice>> {
    let sql = "SELECT id, subject_id, provider, battery, last_sync, version, fhir FROM devices WHERE subject_id = ?1 ORDER BY id";
    let read = |row: &Row| {
        Ok(StoredDevice {
            id: uuid(row, 0)?,
            subject_id: row.get(1)?,
            provider: row.get(2)?,
            battery: row.get(3)?,
            last_sync: row.get(4)?,
            version: row.get(5)?,
            fhir: row.get(6)?,
        })
    };
    all(handle, sql, params![subject_id], read).await
}

pub async fn page(handle: &Handle, query: &ObservationQuery) -> Result<ObservationPage> {
    let limit = query.limit.max(1);
    // Without a position: beyond the last possible start there is everything.
    let (beyond, before, order, first, least) = match query.order {
        Order::NewestFirst => ("<", ">", "start_at DESC, id", i64::MAX, vec![]),
        Order::OldestFirst => (">", "<", "start_at, id DESC", i64::MIN, vec![0xff; 17]),
    };
    let (start, id) = query.after.map_or((first, least), |(start, id)| (start, id.into_bytes().to_vec()));
    let sql = format!(
        "SELECT {STORED} FROM observations WHERE subject_id = ?1 AND data_type = ?2 AND start_at >= ?3 AND start_at < ?4
         AND start_at {beyond}= ?5 AND (start_at {beyond} ?5 OR id {before} ?6) ORDER BY {order} LIMIT ?7"
    );
    let ask = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let values = params![query.subject_id.as_str(), query.data_type.as_str(), query.from, query.to, start, id, ask];
    let mut rows = all(handle, &sql, values, stored).await?;
    let next = if rows.len() > limit {
        rows.truncate(limit);
        rows.last().map(|row| (row.start, row.id))
    } else {
        None
    };
    Ok(ObservationPage { rows, next })
}

pub async fn data_types(handle: &Handle, subject_id: &str) -> Result<Vec<String>> {
    // From one type to the next in the index, instead of over all of its rows.
    let sql = "WITH RECURSIVE types(name) AS (
         SELECT min(data_type) FROM observations WHERE subject_id = ?1
         UNION ALL SELECT (SELECT min(data_type) FROM observations WHERE subject_id = ?1 AND data_type > name) FROM types
         WHERE name IS NOT NULL)
         SELECT name FROM types WHERE name IS NOT NULL";
    all(handle, sql, params![subject_id], |row| row.get(0)).await
}

pub async fn latest(
    handle: &Handle,
    subject_id: &str,
    data_types: &[&str],
    now: i64,
    months: u32,
) -> Result<Vec<StoredObservation>> {
    let from = month::start(month::before(month::of(now), months));
    let sql = format!(
        "SELECT {STORED} FROM observations WHERE subject_id = ?1 AND data_type = ?2 AND start_at >= ?3 AND start_at <= ?4 AND status <> ?5
         ORDER BY start_at DESC, id LIMIT 1"
    );
    let mut out = Vec::with_capacity(data_types.len());
    for data_type in data_types {
        out.extend(first(handle, &sql, params![subject_id, *data_type, from, now, columns::WITHDRAWN], stored).await?);
    }
    Ok(out)
}

pub async fn count(handle: &Handle) -> Result<u64> {
    let count: Option<i64> = first(handle, "SELECT count(*) FROM observations", (), |row| row.get(0)).await?;
    Ok(count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}

/// All rows in one transaction: all are written, or none.
async fn batch(handle: &Handle, sql: &str, rows: impl Iterator<Item = Vec<Value>>) -> Result<()> {
    let transaction = handle.transaction_with_behavior(TransactionBehavior::Immediate).await.map_err(failed)?;
    let statement = transaction.prepare(sql).await.map_err(failed)?;
    for values in rows {
        statement.execute(values).await.map_err(failed)?;
        statement.reset();
    }
    drop(statement);
    transaction.commit().await.map_err(failed)
}

fn upsert(table: &str, columns: &str) -> String {
    let names: Vec<&str> = columns.split(", ").collect();
    let marks = vec!["?"; names.len()].join(", ");
    let sets: Vec<String> = names[1..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {} \
         WHERE (excluded.version, excluded.mapper_version) > ({table}.version, {table}.mapper_version)",
        sets.join(", ")
    )
}

/// In the order of [`OBSERVATION`].
fn observation_values(o: &Observation<'_>, at: i64) -> Vec<Value> {
    vec![
        blob(&o.id),
        o.record_id.into(),
        o.subject_id.into(),
        blob(&o.connection_id),
        o.provider.into(),
        o.stream.into(),
        o.lane.as_str().into(),
        o.data_type.into(),
        o.code.into(),
        o.code_system.into(),
        o.category.into(),
        o.status.as_str().into(),
        o.start.into(),
        o.end.into(),
        o.utc_offset.into(),
        o.offset_origin.as_str().into(),
        o.local_date.into(),
        o.value.into(),
        o.value_text.into(),
        o.unit.into(),
        o.comparator.into(),
        o.value_code.into(),
        o.absent_reason.into(),
        columns::components(&o.components).into(),
        o.device_id.as_ref().map_or(Value::Null, blob),
        o.method.as_str().into(),
        o.source_modified.into(),
        o.version.into(),
        o.raw_topic.into(),
        o.raw_partition.into(),
        o.raw_offset.into(),
        o.mapper_version.into(),
        o.fhir.into(),
        at.into(),
    ]
}

/// In the order of [`DEVICE`].
fn device_values(d: &Device<'_>) -> Vec<Value> {
    vec![
        blob(&d.id),
        d.subject_id.into(),
        blob(&d.connection_id),
        d.provider.into(),
        d.kind.into(),
        d.manufacturer.into(),
        d.model.into(),
        d.firmware.into(),
        d.battery.into(),
        d.last_sync.into(),
        d.version.into(),
        d.mapper_version.into(),
        d.fhir.into(),
    ]
}

fn blob(id: &uuid::Uuid) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

/// In the order of [`STORED`].
fn stored(row: &Row) -> libsql::Result<StoredObservation> {
    Ok(StoredObservation {
        id: uuid(row, 0)?,
        subject_id: row.get(1)?,
        data_type: row.get(2)?,
        provider: row.get(3)?,
        status: row.get(4)?,
        start: row.get(5)?,
        end: row.get(6)?,
        local_date: row.get(7)?,
        value: row.get(8)?,
        value_text: row.get(9)?,
        unit: row.get(10)?,
        comparator: row.get(11)?,
        value_code: row.get(12)?,
        absent_reason: row.get(13)?,
        components: row.get(14)?,
        device_id: row.get::<Option<Vec<u8>>>(15)?.is_some().then(|| uuid(row, 15)).transpose()?,
        version: row.get(16)?,
        stored_at: row.get(17)?,
        fhir: row.get(18)?,
    })
}
