//! What the connection topic is told.

use headwater_schemas::Outbox;
use headwater_schemas::connection::{Connection as Event, State};
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::{Connection, ConnectionState};
use uuid::Uuid;

use crate::Unavailable;
use crate::shared::Shared;

/// What happened to a connection.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub state: State,
    pub stream: Option<&'a str>,
    pub since: Option<i64>,
    pub reason: Option<&'a str>,
}

impl Told<'_> {
    pub(crate) fn state(state: State) -> Self {
        Self { state, stream: None, since: None, reason: None }
    }
}

/// Puts one event per subject of the connection.
pub(crate) fn put(connection: &Connection, told: Told<'_>, at: i64, out: &mut Outbox) {
    for subject in &connection.subjects {
        put_for(connection, subject, told, at, out);
    }
}

/// Puts the event for one subject. The key is the link's, and a stage's own where it is of one stream: compaction keeps the last of each.
pub(crate) fn put_for(connection: &Connection, subject: &str, told: Told<'_>, at: i64, out: &mut Outbox) {
    let Told { state, stream, since, reason } = told;
    let event = Event {
        connection_id: connection.id,
        provider: &connection.provider,
        subject_id: subject,
        state,
        stream,
        since,
        at,
        reason,
    };
    let key = match stream {
        Some(stream) => format!("{}|{subject}|{stream}", connection.id),
        None => format!("{}|{subject}", connection.id),
    };
    out.put(&topics::CONNECTION, None, key.as_bytes(), |bytes| event.encode(bytes));
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
    put(&connection, Told { reason: Some(why), ..Told::state(event) }, now, &mut out);
    shared.outlet.append(&out).await?;
    shared.store.set_state(id, state, Some(why), now).await?;
    tracing::info!(provider = connection.provider, connection = %id, ?state, why, "connection changed");
    Ok(())
}
