//! What the connection topic is told.

use headwater_schemas::Outbox;
use headwater_schemas::connection::{Connection as Event, State};
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::{Connection, ConnectionState};
use uuid::Uuid;

use crate::Unavailable;
use crate::ingest::Shared;

/// Puts one event per subject of the connection.
pub(crate) fn put(connection: &Connection, state: State, stream: Option<&str>, since: Option<i64>, at: i64, out: &mut Outbox) {
    for subject in &connection.subjects {
        let event =
            Event { connection_id: connection.id, provider: &connection.provider, subject_id: subject, state, stream, since, at };
        out.put(&topics::CONNECTION, None, connection.id.to_string().as_bytes(), |bytes| event.encode(bytes));
    }
}

/// Sets a connection's state in the store and says so on the topic. Told first: a state nobody heard of would be silent for ever.
pub(crate) async fn state(
    shared: &Shared,
    id: Uuid,
    state: ConnectionState,
    event: State,
    why: &'static str,
) -> Result<(), Unavailable> {
    let Some(connection) = shared.store.connection(id).await? else { return Ok(()) };
    if connection.state == state {
        return Ok(());
    }
    let now = shared.clock.now();
    let mut out = Outbox::default();
    put(&connection, event, None, None, now, &mut out);
    shared.outlet.append(&out).await?;
    shared.store.set_state(id, state, Some(why), now).await?;
    tracing::info!(provider = connection.provider, connection = %id, ?state, why, "connection changed");
    Ok(())
}
