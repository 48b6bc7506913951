//! The store in one file: nothing to install, one process.
//!
//! Start at [`SqliteStore::open`]. Never used by two processes that both write much: they would wait for each other's transactions.

mod connections;
mod observations;
mod progress;
mod schema;
mod subjects;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use libsql::params::IntoParams;
use libsql::{Builder, Connection as Handle, Row, TransactionBehavior};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::rows::{
    Connection, ConnectionState, Cursor, Erased, ErasureStep, Health, Identity, Intent, Lease, Listed, ObservationPage,
    ObservationQuery, StoredDevice, StoredObservation, Subject, Tokens,
};
use crate::seal::DataKey;
use crate::vault::{Owner, Rewrapped, Vault};
use crate::{Result, Store, Unavailable, columns};

/// How long a statement waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// State in one SQLite file.
pub struct SqliteStore {
    writer: Mutex<Handle>,
    /// A second handle, so that reading does not wait for a batch being written. `None` in memory, where a second handle would see another
    /// database.
    reader: Option<Mutex<Handle>>,
    vault: Vault,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens or makes the file; `:memory:` gives a store that ends with this value. [`Store::migrate`] makes the tables.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub async fn open(path: &Path, keys: impl Into<Vault>) -> Result<Self> {
        let database = Builder::new_local(path).build().await.map_err(failed)?;
        let connect = || database.connect().map_err(failed);
        let writer = connect()?;
        configure(&writer).await?;
        let reader = if path == Path::new(":memory:") {
            None
        } else {
            let reader = connect()?;
            configure(&reader).await?;
            Some(Mutex::new(reader))
        };
        Ok(Self { writer: Mutex::new(writer), reader, vault: keys.into() })
    }

    async fn write(&self) -> MutexGuard<'_, Handle> {
        self.writer.lock().await
    }

    async fn read(&self) -> MutexGuard<'_, Handle> {
        self.reader.as_ref().unwrap_or(&self.writer).lock().await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn migrate(&self) -> Result<()> {
        migrate(&*self.write().await).await
    }
    async fn ping(&self) -> Result<()> {
        first(&*self.read().await, "SELECT count(*) FROM sqlite_schema", (), |_| Ok(())).await.map(drop)
    }

    async fn put_connection(&self, connection: &Connection) -> Result<()> {
        let key = self.vault.key(self, &Owner::Connection(connection.id), connection.state_at).await?;
        connections::put(&*self.write().await, &key, connection).await
    }
    async fn connection(&self, id: Uuid) -> Result<Option<Connection>> {
        let sealed = connections::get(&*self.read().await, id).await?;
        match sealed {
            Some(sealed) => sealed.open(&self.vault, self).await.map(Some),
            None => Ok(None),
        }
    }
    async fn connections(&self, shard: u8, after: Option<Uuid>, limit: usize) -> Result<Vec<Listed>> {
        connections::list(&*self.read().await, shard, after, limit).await
    }
    async fn set_state(&self, id: Uuid, state: ConnectionState, why: Option<&str>, at: i64) -> Result<bool> {
        connections::set_state(&*self.write().await, id, state, why, at).await
    }
    async fn set_polled(&self, id: Uuid, at: i64, next_poll: i64) -> Result<()> {
        connections::set_polled(&*self.write().await, id, at, next_poll).await
    }

    async fn connections_of(&self, subject: &str) -> Result<Vec<Uuid>> {
        connections::of(&*self.read().await, subject).await
    }
    async fn unlist(&self, subject: &str, id: Uuid) -> Result<()> {
        connections::unlist(&*self.write().await, subject, id).await
    }
    async fn health(&self, id: Uuid) -> Result<Health> {
        connections::health(&*self.read().await, id).await
    }
    async fn set_synced(&self, id: Uuid, error: Option<&str>, at: i64) -> Result<()> {
        connections::set_synced(&*self.write().await, id, error, at).await
    }
    async fn set_subscribed(&self, id: Uuid, at: Option<i64>) -> Result<()> {
        connections::set_subscribed(&*self.write().await, id, at).await
    }
    async fn delete_connection(&self, connection: &Connection, _streams: &[&str]) -> Result<()> {
        connections::delete(&*self.write().await, connection).await?;
        self.vault.delete(self, &Owner::Connection(connection.id)).await.map(drop)
    }

    async fn put_subject(&self, subject: &Subject) -> Result<bool> {
        let sealed = columns::sealed_identity(&self.vault, self, subject).await?;
        subjects::put(&*self.write().await, &subject.id, sealed, subject.created_at).await
    }
    async fn subject(&self, id: &str) -> Result<Option<Subject>> {
        let row = subjects::get(&*self.read().await, id).await?;
        columns::opened_subject(&self.vault, self, id, row).await
    }
    async fn subject_by_identity(&self, identity: &Identity) -> Result<Option<String>> {
        let mark = columns::identity_mark(&self.vault, self, identity).await?;
        subjects::by_mark(&*self.read().await, mark).await
    }

    async fn consent(&self, subject: &str) -> Result<Option<(i64, String)>> {
        subjects::consent(&*self.read().await, subject).await
    }
    async fn put_consent(&self, subject: &str, expected: i64, text: &str) -> Result<bool> {
        subjects::put_consent(&*self.write().await, subject, expected, text).await
    }

    async fn put_pending(&self, key: &[u8; 32], body: &[u8], now: i64, until: i64) -> Result<()> {
        let sealed = columns::seal_pending(&self.vault, self, key, body, now).await?;
        subjects::put_pending(&*self.write().await, key, sealed, now, until).await
    }
    async fn pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let blob = subjects::pending(&*self.read().await, key, now).await?;
        columns::open_pending(&self.vault, self, key, blob).await
    }
    async fn take_pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let blob = subjects::take_pending(&*self.write().await, key, now).await?;
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

    async fn erase_subject(&self, subject: &str, _at: i64) -> Result<Erased> {
        let (observations, devices) = subjects::erase(&*self.write().await, subject).await?;
        let keys = self.vault.delete(self, &Owner::Subject(subject.to_owned())).await?;
        Ok(Erased { observations, devices, keys })
    }
    async fn erasure(&self, subject: &str) -> Result<Vec<ErasureStep>> {
        subjects::erasure(&*self.read().await, subject).await
    }
    async fn put_erasure(&self, subject: &str, step: &ErasureStep) -> Result<()> {
        subjects::put_erasure(&*self.write().await, subject, step).await
    }

    async fn tokens(&self, id: Uuid) -> Result<Option<Tokens>> {
        let sealed = tokens::get(&*self.read().await, id).await?;
        match sealed {
            Some(sealed) => sealed.open(&self.vault, self, id).await.map(Some),
            None => Ok(None),
        }
    }
    async fn put_tokens(&self, id: Uuid, expected: Option<i64>, tokens: &Tokens) -> Result<bool> {
        let key = self.vault.key(self, &Owner::Connection(id), tokens.expires_at.unwrap_or(0)).await?;
        tokens::put(&*self.write().await, &key, id, expected, tokens).await
    }
    async fn delete_tokens(&self, id: Uuid) -> Result<()> {
        tokens::delete(&*self.write().await, id).await
    }
    async fn intent(&self, id: Uuid) -> Result<Option<Intent>> {
        tokens::intent(&*self.read().await, id).await
    }
    async fn put_intent(&self, id: Uuid, intent: Option<Intent>) -> Result<()> {
        tokens::put_intent(&*self.write().await, id, intent).await
    }

    async fn lease(&self, name: &str, owner: Uuid, now: i64, until: i64) -> Result<Option<Lease>> {
        tokens::lease(&*self.write().await, name, owner, now, until).await
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        tokens::release(&*self.write().await, lease).await
    }

    async fn cursor(&self, id: Uuid, stream: &str) -> Result<Option<Cursor>> {
        progress::cursor(&*self.read().await, id, stream).await
    }
    async fn cursors(&self, id: Uuid) -> Result<Vec<(String, Cursor)>> {
        progress::cursors(&*self.read().await, id).await
    }
    async fn put_cursor(&self, id: Uuid, stream: &str, cursor: &Cursor) -> Result<()> {
        progress::put_cursor(&*self.write().await, id, stream, cursor).await
    }
    async fn digest(&self, id: Uuid, stream: &str, window_start: i64) -> Result<Option<[u8; 16]>> {
        progress::digest(&*self.read().await, id, stream, window_start).await
    }
    async fn put_digest(&self, id: Uuid, stream: &str, window_start: i64, digest: [u8; 16]) -> Result<()> {
        progress::put_digest(&*self.write().await, id, stream, window_start, digest).await
    }
    async fn forget_digests(&self, id: Uuid, _streams: &[&str]) -> Result<()> {
        progress::forget_digests(&*self.write().await, id).await
    }
    async fn held(&self, id: Uuid, stream: &str, bucket: i64) -> Result<Option<Vec<u8>>> {
        progress::held(&*self.read().await, id, stream, bucket).await
    }
    async fn put_held(&self, id: Uuid, stream: &str, bucket: i64, blob: &[u8]) -> Result<()> {
        progress::put_held(&*self.write().await, id, stream, bucket, blob).await
    }

    async fn write_observations(&self, rows: &[Observation<'_>], at: i64) -> Result<()> {
        observations::write(&*self.write().await, rows, at).await
    }
    async fn write_devices(&self, rows: &[Device<'_>]) -> Result<()> {
        observations::write_devices(&*self.write().await, rows).await
    }
    async fn devices(&self, subject_id: &str) -> Result<Vec<StoredDevice>> {
        observations::devices(&*self.read().await, subject_id).await
    }
    async fn observations(&self, query: &ObservationQuery) -> Result<ObservationPage> {
        observations::page(&*self.read().await, query).await
    }
    async fn data_types(&self, subject_id: &str) -> Result<Vec<String>> {
        observations::data_types(&*self.read().await, subject_id).await
    }
    async fn latest(&self, subject_id: &str, data_types: &[&str], now: i64, months: u32) -> Result<Vec<StoredObservation>> {
        observations::latest(&*self.read().await, subject_id, data_types, now, months).await
    }
    async fn count_observations(&self) -> Result<u64> {
        observations::count(&*self.read().await).await
    }
}

/// A commit is on the disk when it returns (`synchronous = FULL`): a token pair is used only after it was kept.
async fn configure(handle: &Handle) -> Result<()> {
    handle.busy_timeout(BUSY).map_err(failed)?;
    handle.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").await.map_err(failed)?;
    Ok(())
}

async fn migrate(handle: &Handle) -> Result<()> {
    let known = schema::STEPS.len();
    // Immediate: of two that migrate at once, the second waits here and then finds the work done.
    let transaction = handle.transaction_with_behavior(TransactionBehavior::Immediate).await.map_err(failed)?;
    let version: i64 = first(&transaction, "PRAGMA user_version", (), |row| row.get(0)).await?.unwrap_or(0);
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > known {
        return Err(Unavailable::new(format!("sqlite: the file has schema version {version}, expected at most {known}")));
    }
    for step in &schema::STEPS[version..] {
        transaction.execute_batch(step).await.map_err(failed)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {known}")).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Every row, read while the statement stands on it: a row of this driver is a view of its statement.
async fn all<T>(handle: &Handle, sql: &str, params: impl IntoParams, read: impl Fn(&Row) -> libsql::Result<T>) -> Result<Vec<T>> {
    let mut rows = handle.query(sql, params).await.map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().await.map_err(failed)? {
        out.push(read(&row).map_err(failed)?);
    }
    Ok(out)
}

/// The first row, if any. The statement is run to its end all the same, so that what it writes is written.
async fn first<T>(
    handle: &Handle,
    sql: &str,
    params: impl IntoParams,
    read: impl Fn(&Row) -> libsql::Result<T>,
) -> Result<Option<T>> {
    Ok(all(handle, sql, params, read).await?.into_iter().next())
}

/// Runs a statement; the number of rows it changed.
async fn execute(handle: &Handle, sql: &str, params: impl IntoParams) -> Result<u64> {
    handle.execute(sql, params).await.map_err(failed)
}

fn uuid(row: &Row, index: i32) -> libsql::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(index)?))
}

/// SQLite's messages name tables and columns, never values; the other variants may carry values and are named alone.
fn failed(error: libsql::Error) -> Unavailable {
    match error {
        libsql::Error::SqliteFailure(code, message) => Unavailable::new(format!("sqlite: {message} (code {code})")),
        libsql::Error::ConnectionFailed(_) => Unavailable::new("sqlite: the file cannot be opened"),
        libsql::Error::ToSqlConversionFailure(_) => Unavailable::new("sqlite: a value does not fit its column"),
        libsql::Error::NullValue | libsql::Error::InvalidColumnType | libsql::Error::InvalidBlobSize(_) => {
            Unavailable::new("sqlite: a column has another type than this version expects")
        }
        libsql::Error::InvalidUTF8Path => Unavailable::new("sqlite: the path is not UTF-8"),
        _ => Unavailable::new("sqlite: the driver failed"),
    }
}
