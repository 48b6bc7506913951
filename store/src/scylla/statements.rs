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

    delete_connection: Plain "DELETE FROM {ks}.connections WHERE id = ?",
    delete_listed: Plain "DELETE FROM {ks}.connections_by_shard WHERE shard = ? AND id = ?",
    put_of_subject: Plain "INSERT INTO {ks}.connections_by_subject (subject, id) VALUES (?, ?)",
    of_subject: Plain "SELECT id FROM {ks}.connections_by_subject WHERE subject = ?",
    delete_of_subject: Plain "DELETE FROM {ks}.connections_by_subject WHERE subject = ? AND id = ?",
    health: Plain "SELECT synced_at, last_error, last_error_at, subscribed_at FROM {ks}.health WHERE id = ?",
    set_synced: Plain "INSERT INTO {ks}.health (id, synced_at, last_error, last_error_at) VALUES (?, ?, null, null)",
    set_failed: Plain "INSERT INTO {ks}.health (id, last_error, last_error_at) VALUES (?, ?, ?)",
    set_subscribed: Plain "INSERT INTO {ks}.health (id, subscribed_at) VALUES (?, ?)",
    delete_health: Plain "DELETE FROM {ks}.health WHERE id = ?",

    put_subject: Conditional "INSERT INTO {ks}.subjects (id, identity, mark, created_at) VALUES (?, ?, ?, ?) IF NOT EXISTS",
    subject: SerialRead "SELECT identity, mark, created_at FROM {ks}.subjects WHERE id = ?",
    delete_subject: Conditional "DELETE FROM {ks}.subjects WHERE id = ? IF EXISTS",
    put_mark: Conditional "INSERT INTO {ks}.subjects_by_mark (mark, id) VALUES (?, ?) IF NOT EXISTS",
    by_mark: SerialRead "SELECT id FROM {ks}.subjects_by_mark WHERE mark = ?",
    delete_mark: Conditional "DELETE FROM {ks}.subjects_by_mark WHERE mark = ? IF id = ?",
    erasure: Plain "SELECT step, at, count, note FROM {ks}.erasures WHERE subject = ?",
    put_erasure: Plain "INSERT INTO {ks}.erasures (subject, step, at, count, note) VALUES (?, ?, ?, ?, ?)",

    consent: SerialRead "SELECT version, terms FROM {ks}.consents WHERE subject = ?",
    insert_consent: Conditional "INSERT INTO {ks}.consents (subject, version, terms) VALUES (?, ?, ?) IF NOT EXISTS",
    update_consent: Conditional "UPDATE {ks}.consents SET version = ?, terms = ? WHERE subject = ? IF version = ?",

    keys_of: SerialRead "SELECT id, wrapped, created_at FROM {ks}.data_keys WHERE owner = ?",
    insert_key: Conditional "INSERT INTO {ks}.data_keys (owner, id, wrapped, created_at) VALUES (?, ?, ?, ?) IF NOT EXISTS",
    replace_key: Conditional "UPDATE {ks}.data_keys SET wrapped = ? WHERE owner = ? AND id = ? IF wrapped = ?",
    delete_key: Conditional "DELETE FROM {ks}.data_keys WHERE owner = ? AND id = ? IF EXISTS",
    page_of_keys: Plain "SELECT owner, id, wrapped, created_at FROM {ks}.data_keys",
    put_pending: Conditional "INSERT INTO {ks}.pending (key, body, until_at) VALUES (?, ?, ?) IF NOT EXISTS USING TTL ?",
    pending: SerialRead "SELECT body, until_at FROM {ks}.pending WHERE key = ?",
    take_pending: Conditional "DELETE FROM {ks}.pending WHERE key = ? IF EXISTS",

    tokens: SerialRead "SELECT access, refresh, expires_at, generation FROM {ks}.tokens WHERE id = ?",
    insert_tokens: Conditional "INSERT INTO {ks}.tokens (access, refresh, expires_at, generation, id) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
    update_tokens: Conditional "UPDATE {ks}.tokens SET access = ?, refresh = ?, expires_at = ?, generation = ? WHERE id = ? \
        IF generation = ?",
    delete_tokens: Conditional "DELETE FROM {ks}.tokens WHERE id = ? IF EXISTS",

    intent: Plain "SELECT generation, at FROM {ks}.intents WHERE id = ?",
    put_intent: Plain "INSERT INTO {ks}.intents (id, generation, at) VALUES (?, ?, ?)",
    delete_intent: Plain "DELETE FROM {ks}.intents WHERE id = ?",

    lease: SerialRead "SELECT owner, until_at, fence FROM {ks}.leases WHERE name = ?",
    insert_lease: Conditional "INSERT INTO {ks}.leases (owner, until_at, fence, name) VALUES (?, ?, ?, ?) IF NOT EXISTS",
    update_lease: Conditional "UPDATE {ks}.leases SET owner = ?, until_at = ?, fence = ? WHERE name = ? \
        IF owner = ? AND until_at = ? AND fence = ?",
    release_lease: Conditional "UPDATE {ks}.leases SET until_at = ? WHERE name = ? IF owner = ? AND fence = ?",

    cursor: Plain "SELECT fetched_to, history_from FROM {ks}.cursors WHERE id = ? AND stream = ?",
    cursors: Plain "SELECT stream, fetched_to, history_from FROM {ks}.cursors WHERE id = ?",
    delete_cursors: Plain "DELETE FROM {ks}.cursors WHERE id = ?",
    delete_digests: Plain "DELETE FROM {ks}.digests WHERE id = ? AND stream = ?",
    delete_held: Plain "DELETE FROM {ks}.held WHERE id = ? AND stream = ?",
    put_cursor: Plain "INSERT INTO {ks}.cursors (id, stream, fetched_to, history_from) VALUES (?, ?, ?, ?)",
    digest: Plain "SELECT digest FROM {ks}.digests WHERE id = ? AND stream = ? AND window_start = ?",
    put_digest: Plain "INSERT INTO {ks}.digests (id, stream, window_start, digest) VALUES (?, ?, ?, ?)",
    held: Plain "SELECT content FROM {ks}.held WHERE id = ? AND stream = ? AND bucket = ?",
    put_held: Plain "INSERT INTO {ks}.held (id, stream, bucket, content) VALUES (?, ?, ?, ?)",

    put_observation: Plain "INSERT INTO {ks}.observations (subject_id, month, data_type, start_at, id, body) VALUES (?, ?, ?, ?, ?, ?) \
        USING TIMESTAMP ? AND TTL ?",
    put_month: Plain "INSERT INTO {ks}.observation_months (subject_id, month, data_type) VALUES (?, ?, ?)",
    months: Plain "SELECT month, data_type FROM {ks}.observation_months WHERE subject_id = ? AND month >= ? AND month <= ?",
    range: Plain "SELECT start_at, id, body FROM {ks}.observations WHERE subject_id = ? AND month = ? AND data_type = ? \
        AND start_at >= ? AND start_at < ? LIMIT ?",
    ties: Plain "SELECT start_at, id, body FROM {ks}.observations WHERE subject_id = ? AND month = ? AND data_type = ? \
        AND start_at = ? AND id > ? LIMIT ?",
    range_up: Plain "SELECT start_at, id, body FROM {ks}.observations WHERE subject_id = ? AND month = ? AND data_type = ? \
        AND start_at >= ? AND start_at < ? ORDER BY data_type DESC, start_at ASC, id DESC LIMIT ?",
    ties_up: Plain "SELECT start_at, id, body FROM {ks}.observations WHERE subject_id = ? AND month = ? AND data_type = ? \
        AND start_at = ? AND id < ? ORDER BY data_type DESC, start_at ASC, id DESC LIMIT ?",
    scan: Plain "SELECT body.moved_to FROM {ks}.observations",

    all_months: Plain "SELECT month, data_type FROM {ks}.observation_months WHERE subject_id = ?",
    in_month: Plain "SELECT body.moved_to FROM {ks}.observations WHERE subject_id = ? AND month = ?",
    delete_month: Plain "DELETE FROM {ks}.observations USING TIMESTAMP ? WHERE subject_id = ? AND month = ?",
    delete_months: Plain "DELETE FROM {ks}.observation_months WHERE subject_id = ?",
    delete_devices: Plain "DELETE FROM {ks}.devices USING TIMESTAMP ? WHERE subject_id = ?",

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
