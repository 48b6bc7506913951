//! Devices: few, and written rarely, so one request each.

use futures::FutureExt;
use headwater_schemas::device::Device;
use uuid::Uuid;

use super::body::{DeviceBody, StoredDeviceBody};
use super::{ScyllaStore, in_flight};
use crate::Result;
use crate::rows::StoredDevice;

pub async fn write(store: &ScyllaStore, rows: &[Device<'_>]) -> Result<()> {
    let statement = &store.statements().await?.put_device;
    let mut writes = Vec::with_capacity(rows.len());
    for d in rows {
        writes.push(
            async move { store.execute(statement, (d.subject_id, d.id, DeviceBody::of(d), d.version)).await.map(drop) }.boxed(),
        );
    }
    in_flight(&store.limit, writes).await
}

pub async fn list(store: &ScyllaStore, subject_id: &str) -> Result<Vec<StoredDevice>> {
    let rows: Vec<(Uuid, StoredDeviceBody)> = store.all(&store.statements().await?.devices, (subject_id,)).await?;
    Ok(rows.into_iter().map(|(id, body)| body.device(subject_id, id)).collect())
}
