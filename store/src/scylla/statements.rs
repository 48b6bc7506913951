//! Every statement the store runs, prepared once.

use std::sync::Arc;

use futures::try_join;
use scylla::client::session::Session;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};

use crate::{Result, Unavailable};

macro_rules! statements {
    ($($name:ident: $kind:ident $cql:literal,)*) => {
        pub struct Statements { $(pub $name: PreparedStatement,)* }

        impl Statements {
            /// # Errors
            /// Also when the tables are not there yet: run [`crate::Store::migrate`] first.
            pub async fn prepare(session: &Session, keyspace: &str) -> Result<Self> {
                let ($($name,)*) = try_join!($(prepare(session, keyspace, $cql, Kind::$kind),)*)?;
                Ok(Self { $($name,)* })
            }
        }
    };
}

statements! {
    put_connection: Plain "INSERT INTO {ks}.connections (id, provider, provider_user, subjects, zone, scopes, state, reason, created_at, \
        state_at, last_poll, next_poll) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    put_listed: Plain "INSERT INTO {ks}.connections_by_shard (shard, id, provider, state, next_poll) VALUES (?, ?, ?, ?, ?)",
    connection: Plain "SELECT provider, provider_user, subjects, zone, scopes, state, reason, created_at, state_at, last_poll, next_poll \
        FROM {ks}.connections WHERE id = ?",
    list: Plain "SELECT id, provider, state, next_poll FROM {ks}.connections_by_shard WHERE shard = ? LIMIT ?",
    list_after: Plain "SELECT id, provider, state, next_poll FROM {ks}.connections_by_shard WHERE shard = ? AND id > ? LIMIT ?",
    set_state: Plain "UPDATE {ks}.connections SET state = ?, reason = ?, state_at = ? WHERE id = ?",
    set_listed_state: Plain "UPDATE {ks}.connections_by_shard SET state = ? WHERE shard = ? AND id = ?",
    set_polled: Plain "UPDATE {ks}.connections SET last_poll = ?, next_poll = ? WHERE id = ?",
    set_listed_polled: Plain "UPDATE {ks}.connections_by_shard SET next_poll = ? WHERE shard = ? AND id = ?",

    tokens: SerialRead "SELECT access, refresh, expires_at, generation FROM {ks}.tokens WHERE id = ?",
    insert_tokens: Conditional "INSERT INTO {ks}.tokens (access, refresh, expires_at, generation, id) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
    update_tokens: Conditional "UPDATE {ks}.tokens SET access = ?, refresh = ?, expires_at = ?, generation = ? WHERE id = ? \
        IF generation = ?",
    delete_tokens: Conditional "DELETE FROM {ks}.tokens WHERE id = ? IF EXISTS",

    lease: SerialRead "SELECT owner, until_at, fence FROM {ks}.leases WHERE name = ?",
    insert_lease: Conditional "INSERT INTO {ks}.leases (owner, until_at, fence, name) VALUES (?, ?, ?, ?) IF NOT EXISTS",
    update_lease: Conditional "UPDATE {ks}.leases SET owner = ?, until_at = ?, fence = ? WHERE name = ? \
        IF owner = ? AND until_at = ? AND fence = ?",
    release_lease: Conditional "UPDATE {ks}.leases SET until_at = ? WHERE name = ? IF owner = ? AND fence = ?",

    cursor: Plain "SELECT fetched_to, history_from FROM {ks}.cursors WHERE id = ? AND stream = ?",
    put_cursor: Plain "INSERT INTO {ks}.cursors (id, stream, fetched_to, history_from) VALUES (?, ?, ?, ?)",
    digest: Plain "SELECT digest FROM {ks}.digests WHERE id = ? AND stream = ? AND window_start = ?",
    put_digest: Plain "INSERT INTO {ks}.digests (id, stream, window_start, digest) VALUES (?, ?, ?, ?)",
    held: Plain "SELECT content FROM {ks}.held WHERE id = ? AND stream = ? AND bucket = ?",
    put_held: Plain "INSERT INTO {ks}.held (id, stream, bucket, content) VALUES (?, ?, ?, ?)",

    put_observation: Plain "INSERT INTO {ks}.observations (subject_id, month, data_type, start_at, id, body) VALUES (?, ?, ?, ?, ?, ?) \
        USING TIMESTAMP ? AND TTL ?",
    put_month: Plain "INSERT INTO {ks}.observation_months (subject_id, month) VALUES (?, ?)",
    months: Plain "SELECT month FROM {ks}.observation_months WHERE subject_id = ? AND month >= ? AND month <= ?",
    range: Plain "SELECT start_at, id, body FROM {ks}.observations WHERE subject_id = ? AND month = ? AND data_type = ? \
        AND start_at >= ? AND start_at < ? LIMIT ?",
    ties: Plain "SELECT start_at, id, body FROM {ks}.observations WHERE subject_id = ? AND month = ? AND data_type = ? \
        AND start_at = ? AND id > ? LIMIT ?",
    scan: Plain "SELECT body.moved_to FROM {ks}.observations",

    put_device: Plain "INSERT INTO {ks}.devices (subject_id, id, body) VALUES (?, ?, ?) USING TIMESTAMP ?",
    devices: Plain "SELECT id, body FROM {ks}.devices WHERE subject_id = ?",
}

#[derive(Clone, Copy)]
enum Kind {
    /// Repeating it does no harm, so the driver may.
    Plain,
    /// Completes what a conditional write left half done before it answers.
    SerialRead,
    /// A lightweight transaction. Never repeated by the driver: a repeated one can be refused by its own first attempt.
    Conditional,
}

async fn prepare(session: &Session, keyspace: &str, cql: &str, kind: Kind) -> Result<PreparedStatement> {
    let prepared = session.prepare(cql.replace("{ks}", keyspace)).await;
    // The text of the error names tables and columns; no value is bound yet.
    let mut statement = prepared.map_err(|e| Unavailable::new(format!("cql: a statement cannot be prepared: {e}")))?;
    match kind {
        Kind::Plain => statement.set_is_idempotent(true),
        Kind::SerialRead => {
            statement.set_is_idempotent(true);
            statement.set_consistency(Consistency::LocalSerial);
        }
        Kind::Conditional => {
            statement.set_is_idempotent(false);
            statement.set_serial_consistency(Some(SerialConsistency::LocalSerial));
            statement.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy)));
        }
    }
    Ok(statement)
}
