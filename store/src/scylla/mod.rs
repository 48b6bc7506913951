//! The store on ScyllaDB or Cassandra, for any number of instances.
//!
//! Start at [`ScyllaStore::connect`]; the tables stand in `infra/cql`. Only what both servers have is used (protocol version 4).
//! Observations are last-write-wins by their own version, tokens and leases are lightweight transactions, the rest are plain upserts.

mod body;
mod conditional;
mod connections;
mod devices;
mod leases;
mod limit;
mod observations;
mod progress;
mod query;
mod schema;
mod settings;
mod statements;
mod subjects;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::{ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::timestamp_generator::MonotonicTimestampGenerator;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::SerialConsistency;
use scylla::statement::prepared::PreparedStatement;
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::rows::{
    Connection, ConnectionState, Cursor, Erased, ErasureStep, Health, Identity, Intent, Lease, Listed, ObservationPage,
    ObservationQuery, StoredDevice, StoredObservation, Subject, Tokens,
};
use crate::seal::DataKey;
use crate::vault::{Owner, Rewrapped, Vault};
use crate::{Result, Store, Unavailable, columns};
pub use body::ObservationBody;
use limit::Limit;
use observations::Months;
pub use settings::{Consistency, Settings, Tls};
use statements::Statements;

/// How long one request may take, retries of the driver included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Requests of one call that are on their way, or wait for their turn, at once.
const IN_FLIGHT: usize = 64;

/// State in a cluster.
pub struct ScyllaStore {
    session: Session,
    settings: Settings,
    vault: Vault,
    /// Prepared at the first use, because the tables may come later than the connection.
    statements: OnceCell<Statements>,
    months: Mutex<Months>,
    limit: Limit,
}

impl std::fmt::Debug for ScyllaStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScyllaStore").field("settings", &self.settings).field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl ScyllaStore {
    /// Connects to the cluster. [`Store::migrate`] makes the tables.
    ///
    /// # Errors
    /// When a setting cannot be used, or no node answers.
    pub async fn connect(settings: Settings, keys: impl Into<Vault>) -> Result<Self> {
        settings.check()?;
        let policy = DefaultPolicy::builder().prefer_datacenter(settings.datacenter.clone()).permit_dc_failover(false).build();
        let profile = ExecutionProfile::builder()
            .consistency(settings.consistency.of_driver())
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(TIMEOUT))
            .load_balancing_policy(policy)
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&settings.nodes)
            .default_execution_profile_handle(profile.into_handle())
            .keyspaces_to_fetch([settings.keyspace.clone()])
            // Two writes of this process to one row keep their order, whichever nodes they go to.
            .timestamp_generator(Arc::new(MonotonicTimestampGenerator::new()));
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            builder = builder.user(user, password.expose_secret());
        }
        if let Some(tls) = &settings.tls {
            builder = builder.tls_context(Some(tls.context()?));
        }
        let session = builder.build().await.map_err(|_| Unavailable::new("cql: no node could be connected to"))?;
        Ok(Self {
            session,
            settings,
            vault: keys.into(),
            statements: OnceCell::new(),
            months: Mutex::default(),
            limit: Limit::default(),
        })
    }

    fn forget_months(&self, subject: &str) {
        self.months.lock().unwrap_or_else(std::sync::PoisonError::into_inner).forget(subject);
    }

    async fn statements(&self) -> Result<&Statements> {
        self.statements.get_or_try_init(|| Statements::prepare(&self.session, &self.settings.keyspace)).await
    }

    async fn execute(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<QueryResult> {
        self.session.execute_unpaged(statement, values).await.map_err(failed)
    }

    async fn all<R>(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<Vec<R>>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let rows = self.execute(statement, values).await?.into_rows_result().map_err(|_| unexpected())?;
        rows.rows::<R>().map_err(|_| unexpected())?.map(|row| row.map_err(|_| unexpected())).collect()
    }

    async fn first<R>(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<Option<R>>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        Ok(self.all(statement, values).await?.into_iter().next())
    }
}

#[async_trait]
impl Store for ScyllaStore {
    async fn migrate(&self) -> Result<()> {
        schema::migrate(&self.session, &self.settings).await
    }
    async fn ping(&self) -> Result<()> {
        self.session.query_unpaged("SELECT key FROM system.local", ()).await.map(drop).map_err(failed)
    }

    async fn put_connection(&self, connection: &Connection) -> Result<()> {
        connections::put(self, connection).await
    }
    async fn connection(&self, id: Uuid) -> Result<Option<Connection>> {
        match connections::get(self, id).await? {
            Some(sealed) => sealed.open(&self.vault, self).await.map(Some),
            None => Ok(None),
        }
    }
    async fn connections(&self, shard: u8, after: Option<Uuid>, limit: usize) -> Result<Vec<Listed>> {
        connections::list(self, shard, after, limit).await
    }
    async fn set_state(&self, id: Uuid, state: ConnectionState, why: Option<&str>, at: i64) -> Result<bool> {
        connections::set_state(self, id, state, why, at).await
    }
    async fn set_polled(&self, id: Uuid, at: i64, next_poll: i64) -> Result<()> {
        connections::set_polled(self, id, at, next_poll).await
    }

    async fn connections_of(&self, subject: &str) -> Result<Vec<Uuid>> {
        connections::of(self, subject).await
    }
    async fn unlist(&self, subject: &str, id: Uuid) -> Result<()> {
        connections::unlist(self, subject, id).await
    }
    async fn health(&self, id: Uuid) -> Result<Health> {
        connections::health(self, id).await
    }
    async fn set_synced(&self, id: Uuid, error: Option<&str>, at: i64) -> Result<()> {
        connections::set_synced(self, id, error, at).await
    }
    async fn set_subscribed(&self, id: Uuid, at: Option<i64>) -> Result<()> {
        connections::set_subscribed(self, id, at).await
    }
    async fn delete_connection(&self, connection: &Connection, streams: &[&str]) -> Result<()> {
        connections::delete(self, connection, streams).await?;
        self.vault.delete(self, &Owner::Connection(connection.id)).await.map(drop)
    }

    async fn put_subject(&self, subject: &Subject) -> Result<bool> {
        let sealed = columns::sealed_identity(&self.vault, self, subject).await?;
        subjects::put(self, &subject.id, sealed, subject.created_at).await
    }
    async fn subject(&self, id: &str) -> Result<Option<Subject>> {
        let row = subjects::get(self, id).await?;
        columns::opened_subject(&self.vault, self, id, row).await
    }
    async fn subject_by_identity(&self, identity: &Identity) -> Result<Option<String>> {
        let mark = columns::identity_mark(&self.vault, self, identity).await?;
        subjects::by_mark(self, mark).await
    }

    async fn consent(&self, subject: &str) -> Result<Option<(i64, String)>> {
        subjects::consent(self, subject).await
    }
    async fn put_consent(&self, subject: &str, expected: i64, text: &str) -> Result<bool> {
        subjects::put_consent(self, subject, expected, text).await
    }

    async fn put_pending(&self, key: &[u8; 32], body: &[u8], now: i64, until: i64) -> Result<()> {
        let sealed = columns::seal_pending(&self.vault, self, key, body, now).await?;
        subjects::put_pending(self, key, sealed, now, until).await
    }
    async fn pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let blob = subjects::pending(self, key, now).await?;
        columns::open_pending(&self.vault, self, key, blob).await
    }
    async fn take_pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let blob = subjects::take_pending(self, key, now).await?;
        columns::open_pending(&self.vault, self, key, blob).await
    }

    async fn sealing_key(&self, owner: &Owner, now: i64) -> Result<Option<Arc<DataKey>>> {
        self.vault.sealing(self, owner, now).await
    }
    async fn opening_key(&self, owner: &Owner, id: Uuid) -> Result<Option<Arc<DataKey>>> {
        self.vault.opening(self, owner, id).await
    }
    fn forget_keys(&self, owner: &Owner) {
        self.vault.forget(owner);
    }
    async fn rewrap_keys(&self) -> Result<Rewrapped> {
        self.vault.rewrap(self).await
    }

    async fn erase_subject(&self, subject: &str, at: i64) -> Result<Erased> {
        let (observations, devices) = subjects::erase(self, subject, at).await?;
        let keys = self.vault.delete(self, &Owner::Subject(subject.to_owned())).await?;
        Ok(Erased { observations, devices, keys })
    }
    async fn erasure(&self, subject: &str) -> Result<Vec<ErasureStep>> {
        subjects::erasure(self, subject).await
    }
    async fn put_erasure(&self, subject: &str, step: &ErasureStep) -> Result<()> {
        subjects::put_erasure(self, subject, step).await
    }

    async fn tokens(&self, id: Uuid) -> Result<Option<Tokens>> {
        tokens::get(self, id).await
    }
    async fn put_tokens(&self, id: Uuid, expected: Option<i64>, tokens: &Tokens) -> Result<bool> {
        tokens::put(self, id, expected, tokens).await
    }
    async fn delete_tokens(&self, id: Uuid) -> Result<()> {
        tokens::delete(self, id).await
    }
    async fn intent(&self, id: Uuid) -> Result<Option<Intent>> {
        tokens::intent(self, id).await
    }
    async fn put_intent(&self, id: Uuid, intent: Option<Intent>) -> Result<()> {
        tokens::put_intent(self, id, intent).await
    }

    async fn lease(&self, name: &str, owner: Uuid, now: i64, until: i64) -> Result<Option<Lease>> {
        leases::take(self, name, owner, now, until).await
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        leases::release(self, lease).await
    }

    async fn cursor(&self, id: Uuid, stream: &str) -> Result<Option<Cursor>> {
        progress::cursor(self, id, stream).await
    }
    async fn cursors(&self, id: Uuid) -> Result<Vec<(String, Cursor)>> {
        progress::cursors(self, id).await
    }
    async fn put_cursor(&self, id: Uuid, stream: &str, cursor: &Cursor) -> Result<()> {
        progress::put_cursor(self, id, stream, cursor).await
    }
    async fn digest(&self, id: Uuid, stream: &str, window_start: i64) -> Result<Option<[u8; 16]>> {
        progress::digest(self, id, stream, window_start).await
    }
    async fn put_digest(&self, id: Uuid, stream: &str, window_start: i64, digest: [u8; 16]) -> Result<()> {
        progress::put_digest(self, id, stream, window_start, digest).await
    }
    async fn forget_digests(&self, id: Uuid, streams: &[&str]) -> Result<()> {
        progress::forget_digests(self, id, streams).await
    }
    async fn held(&self, id: Uuid, stream: &str, bucket: i64) -> Result<Option<Vec<u8>>> {
        progress::held(self, id, stream, bucket).await
    }
    async fn put_held(&self, id: Uuid, stream: &str, bucket: i64, blob: &[u8]) -> Result<()> {
        progress::put_held(self, id, stream, bucket, blob).await
    }

    async fn write_observations(&self, rows: &[Observation<'_>], at: i64) -> Result<()> {
        observations::write(self, rows, at).await
    }
    async fn write_devices(&self, rows: &[Device<'_>]) -> Result<()> {
        devices::write(self, rows).await
    }
    async fn devices(&self, subject_id: &str) -> Result<Vec<StoredDevice>> {
        devices::list(self, subject_id).await
    }
    async fn observations(&self, query: &ObservationQuery) -> Result<ObservationPage> {
        query::page(self, query).await
    }
    async fn data_types(&self, subject_id: &str) -> Result<Vec<String>> {
        query::data_types(self, subject_id).await
    }

    async fn latest(&self, subject_id: &str, data_types: &[&str], now: i64, months: u32) -> Result<Vec<StoredObservation>> {
        query::latest(self, subject_id, data_types, now, months).await
    }
    async fn count_observations(&self) -> Result<u64> {
        query::count(self).await
    }
}

/// Runs requests, a bounded number at a time. Boxed, because the compiler cannot yet see a stream of borrowing futures as `Send`.
async fn in_flight(limit: &Limit, requests: Vec<BoxFuture<'_, Result<()>>>) -> Result<()> {
    let turns: Vec<_> = requests.into_iter().map(|request| limit.run(request)).collect();
    stream::iter(turns).buffer_unordered(IN_FLIGHT).try_collect().await
}

/// Names what happened without the server's text, which may quote a value.
fn failed(error: ExecutionError) -> Unavailable {
    Unavailable::new(match error {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(answer, _)) => format!("cql: {answer}"),
        ExecutionError::LastAttemptError(RequestAttemptError::SerializationError(_)) | ExecutionError::BadQuery(_) => {
            "cql: a value does not fit its column".to_owned()
        }
        ExecutionError::LastAttemptError(RequestAttemptError::BrokenConnectionError(_)) => "cql: the connection broke".to_owned(),
        ExecutionError::LastAttemptError(_) => "cql: a request failed".to_owned(),
        ExecutionError::RequestTimeout(after) => format!("cql: no answer within {} ms", after.as_millis()),
        ExecutionError::EmptyPlan => "cql: no node to ask, is the datacenter right?".to_owned(),
        ExecutionError::ConnectionPoolError(_) => "cql: no connection to the node".to_owned(),
        ExecutionError::PrepareError(_) => "cql: a statement cannot be prepared".to_owned(),
        ExecutionError::SchemaAgreementError(_) => "cql: the nodes do not agree on the schema".to_owned(),
        _ => "cql: a request failed".to_owned(),
    })
}

fn unexpected() -> Unavailable {
    Unavailable::new("cql: a column is missing or has another type than this version expects")
}
