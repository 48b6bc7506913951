//! Bodies that come by themselves: pushed by a provider, uploaded by a phone, read from a file.

use headwater_schemas::Outbox;
use headwater_schemas::raw::{Lane, Origin, Raw};
use headwater_store::Connection;
use headwater_store::vault::Owner;
use uuid::Uuid;

use crate::Unavailable;
use crate::account::consent;
use crate::cloud::Cloud;
use crate::fetch::window::put_sealed;
use crate::shared::Shared;

/// One body and how it came.
#[derive(Clone, Copy)]
pub(crate) struct Pushed<'a> {
    pub stream: &'a str,
    pub body: &'a [u8],
    pub content_type: &'a str,
    pub origin: Origin,
    pub lane: Lane,
    pub now: i64,
}

/// The raw record of a body for one of the connection's subjects.
pub(crate) fn envelope<'a>(cloud: &Cloud, connection: &'a Connection, subject: &'a str, pushed: Pushed<'a>) -> Raw<'a> {
    Raw {
        raw_id: Uuid::now_v7(),
        provider: cloud.profile().id,
        connection_id: connection.id,
        subject_id: subject,
        stream: pushed.stream,
        lane: pushed.lane,
        origin: pushed.origin,
        fetched_at: pushed.now,
        window_start: None,
        window_end: None,
        request: None,
        http_status: None,
        content_type: pushed.content_type,
        headers: vec![],
        time_zone: connection.zone.as_deref(),
        amended: vec![],
        version_floor: None,
        encryption: None,
        body: pushed.body,
    }
}

/// Puts a raw record for each of the connection's subjects whose consent stands, and says how many these are.
pub(crate) async fn put(
    shared: &Shared,
    cloud: &Cloud,
    connection: &Connection,
    pushed: Pushed<'_>,
    out: &mut Outbox,
) -> Result<usize, Unavailable> {
    let mut taken = 0;
    for subject in &connection.subjects {
        if !consent::in_force(&*shared.store, subject).await?.stands(pushed.now) {
            continue;
        }
        // Nobody is left whom an erased subject's data could be for.
        let key = shared.store.sealing_key(&Owner::Subject(subject.clone()), pushed.now).await?;
        let Some(key) = key else { continue };
        let key = shared.settings.seal_raw.then_some(&*key);
        put_sealed(envelope(cloud, connection, subject, pushed), key, cloud.profile().id, out)?;
        taken += 1;
    }
    Ok(taken)
}
