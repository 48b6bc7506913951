//! The store in memory, for tests in which time is played: nothing here waits but at a [`Gate`], and a gate may delay a request, refuse it, or
//! lose its answer.
//!
//! Clones share the state, as instances share a server; [`MemoryStore::behind`] gives each its own gate. It keeps the contract that the other
//! stores keep (`tests/it/main.rs`), so what is learnt on it holds for them. Nothing is sealed in it and nothing outlives it.

mod observations;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::rows::{
    Connection, ConnectionState, Cursor, Erased, ErasureStep, Health, Identity, Intent, Lease, Listed, ObservationPage,
    ObservationQuery, StoredDevice, StoredObservation, Subject, Tokens,
};
use crate::seal::{DataKey, Keyring};
use crate::vault::{KeyRow, KeyRows, Owner, Rewrapped, Vault};
use crate::{Result, Store};
use state::State;

/// What stands between a caller and the store.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Before the request, named by its method, takes effect.
    ///
    /// # Errors
    /// The request never arrives.
    async fn before(&self, _request: &'static str) -> Result<()> {
        Ok(())
    }
    /// Told at the moment of the effect.
    fn wrote(&self, _what: &Written<'_>) {}
    /// After the effect.
    ///
    /// # Errors
    /// The request took effect, and its answer is lost.
    async fn after(&self, _request: &'static str) -> Result<()> {
        Ok(())
    }
}

/// A write that a test may want to judge when it happens.
#[derive(Debug)]
pub enum Written<'w> {
    Tokens { connection: Uuid, tokens: &'w Tokens },
    Cursor { connection: Uuid, stream: &'w str, cursor: &'w Cursor },
    Digest { connection: Uuid, stream: &'w str, window_start: i64, digest: [u8; 16] },
}

/// Lets everything through.
struct Open;

impl Gate for Open {}

#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    vault: Arc<Vault>,
    gate: Arc<dyn Gate>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Arc::default(), vault: Arc::new(Keyring::ephemeral().into()), gate: Arc::new(Open) }
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// The same store as it is reached through a gate.
    pub fn behind(&self, gate: Arc<dyn Gate>) -> Self {
        Self { gate, ..self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    async fn ask<T: Send>(&self, request: &'static str, effect: impl FnOnce(&mut State) -> T + Send) -> Result<T> {
        self.gate.before(request).await?;
        let answer = effect(&mut self.state());
        self.gate.after(request).await?;
        Ok(answer)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn migrate(&self) -> Result<()> {
        self.ask("migrate", |_| ()).await
    }
    async fn ping(&self) -> Result<()> {
        self.ask("ping", |_| ()).await
    }

    async fn put_connection(&self, connection: &Connection) -> Result<()> {
        self.ask("put_connection", |s| s.put_connection(connection)).await
    }
    async fn connection(&self, id: Uuid) -> Result<Option<Connection>> {
        self.ask("connection", |s| s.connections.get(&id).cloned()).await
    }
    async fn connections(&self, shard: u8, after: Option<Uuid>, limit: usize) -> Result<Vec<Listed>> {
        self.ask("connections", |s| s.listed(shard, after, limit)).await
    }
    async fn set_state(&self, id: Uuid, state: ConnectionState, why: Option<&str>, at: i64) -> Result<bool> {
        self.ask("set_state", |s| {
            s.with_connection(id, |c| (c.state, c.reason, c.state_at) = (state, why.map(str::to_owned), at))
        })
        .await
    }
    async fn set_polled(&self, id: Uuid, at: i64, next_poll: i64) -> Result<()> {
        self.ask("set_polled", |s| s.with_connection(id, |c| (c.last_poll, c.next_poll) = (Some(at), Some(next_poll))))
            .await
            .map(drop)
    }

    async fn connections_of(&self, subject: &str) -> Result<Vec<Uuid>> {
        self.ask("connections_of", |s| s.connections_of(subject)).await
    }
    async fn unlist(&self, subject: &str, id: Uuid) -> Result<()> {
        self.ask("unlist", |s| s.by_subject.remove(&(subject.to_owned(), id))).await.map(drop)
    }
    async fn health(&self, id: Uuid) -> Result<Health> {
        self.ask("health", |s| s.health.get(&id).cloned().unwrap_or_default()).await
    }
    async fn set_synced(&self, id: Uuid, error: Option<&str>, at: i64) -> Result<()> {
        self.ask("set_synced", |s| s.set_synced(id, error, at)).await
    }
    async fn set_subscribed(&self, id: Uuid, at: Option<i64>) -> Result<()> {
        self.ask("set_subscribed", |s| s.health.entry(id).or_default().subscribed_at = at).await
    }
    async fn delete_connection(&self, connection: &Connection, _streams: &[&str]) -> Result<()> {
        self.ask("delete_connection", |s| s.delete_connection(connection.id)).await?;
        self.vault.delete(self, &Owner::Connection(connection.id)).await.map(drop)
    }

    async fn put_subject(&self, subject: &Subject) -> Result<bool> {
        self.ask("put_subject", |s| s.put_subject(subject)).await
    }
    async fn subject(&self, id: &str) -> Result<Option<Subject>> {
        self.ask("subject", |s| s.subjects.get(id).cloned()).await
    }
    async fn subject_by_identity(&self, identity: &Identity) -> Result<Option<String>> {
        self.ask("subject_by_identity", |s| s.subject_by_identity(identity)).await
    }

    async fn consent(&self, subject: &str) -> Result<Option<(i64, String)>> {
        self.ask("consent", |s| s.consents.get(subject).cloned()).await
    }
    async fn put_consent(&self, subject: &str, expected: i64, text: &str) -> Result<bool> {
        self.ask("put_consent", |s| s.put_consent(subject, expected, text)).await
    }

    async fn put_pending(&self, key: &[u8; 32], body: &[u8], now: i64, until: i64) -> Result<()> {
        self.ask("put_pending", |s| s.put_pending(key, body, now, until)).await
    }
    async fn pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.ask("pending", |s| s.pending(key, now)).await
    }
    async fn take_pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.ask("take_pending", |s| {
            let taken = s.pending(key, now);
            if taken.is_some() {
                s.pending.remove(key);
            }
            taken
        })
        .await
    }

    async fn sealing_key(&self, owner: &Owner, now: i64) -> Result<Option<Arc<DataKey>>> {
        self.gate.before("sealing_key").await?;
        self.vault.sealing(self, owner, now).await
    }
    async fn opening_key(&self, owner: &Owner, id: Uuid) -> Result<Option<Arc<DataKey>>> {
        self.gate.before("opening_key").await?;
        self.vault.opening(self, owner, id).await
    }
    fn forget_keys(&self, owner: &Owner) {
        self.vault.forget(owner);
    }
    async fn rewrap_keys(&self) -> Result<Rewrapped> {
        self.vault.rewrap(self).await
    }

    async fn erase_subject(&self, subject: &str, _at: i64) -> Result<Erased> {
        let (observations, devices) = self.ask("erase_subject", |s| s.erase(subject)).await?;
        let keys = self.vault.delete(self, &Owner::Subject(subject.to_owned())).await?;
        Ok(Erased { observations, devices, keys })
    }
    async fn erasure(&self, subject: &str) -> Result<Vec<ErasureStep>> {
        self.ask("erasure", |s| s.erasure(subject)).await
    }
    async fn put_erasure(&self, subject: &str, step: &ErasureStep) -> Result<()> {
        self.ask("put_erasure", |s| s.erasures.insert((subject.to_owned(), step.step.clone()), step.clone())).await.map(drop)
    }

    async fn tokens(&self, id: Uuid) -> Result<Option<Tokens>> {
        self.ask("tokens", |s| s.tokens.get(&id).cloned()).await
    }
    async fn put_tokens(&self, id: Uuid, expected: Option<i64>, tokens: &Tokens) -> Result<bool> {
        self.ask("put_tokens", |s| {
            let stands = s.tokens.get(&id).map(|kept| kept.generation) == expected;
            if stands {
                s.tokens.insert(id, tokens.clone());
                self.gate.wrote(&Written::Tokens { connection: id, tokens });
            }
            stands
        })
        .await
    }
    async fn delete_tokens(&self, id: Uuid) -> Result<()> {
        self.ask("delete_tokens", |s| s.tokens.remove(&id)).await.map(drop)
    }
    async fn intent(&self, id: Uuid) -> Result<Option<Intent>> {
        self.ask("intent", |s| s.intents.get(&id).copied()).await
    }
    async fn put_intent(&self, id: Uuid, intent: Option<Intent>) -> Result<()> {
        self.ask("put_intent", |s| match intent {
            Some(intent) => s.intents.insert(id, intent),
            None => s.intents.remove(&id),
        })
        .await
        .map(drop)
    }

    async fn lease(&self, name: &str, owner: Uuid, now: i64, until: i64) -> Result<Option<Lease>> {
        self.ask("lease", |s| s.lease(name, owner, now, until)).await
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        self.ask("release", |s| s.release(lease)).await
    }

    async fn cursor(&self, id: Uuid, stream: &str) -> Result<Option<Cursor>> {
        self.ask("cursor", |s| s.cursors.get(&(id, stream.to_owned())).copied()).await
    }
    async fn cursors(&self, id: Uuid) -> Result<Vec<(String, Cursor)>> {
        self.ask("cursors", |s| {
            s.cursors.iter().filter(|((of, _), _)| *of == id).map(|((_, stream), c)| (stream.clone(), *c)).collect()
        })
        .await
    }
    async fn put_cursor(&self, id: Uuid, stream: &str, cursor: &Cursor) -> Result<()> {
        self.ask("put_cursor", |s| {
            s.cursors.insert((id, stream.to_owned()), *cursor);
            self.gate.wrote(&Written::Cursor { connection: id, stream, cursor });
        })
        .await
    }
    async fn digest(&self, id: Uuid, stream: &str, window_start: i64) -> Result<Option<[u8; 16]>> {
        self.ask("digest", |s| s.digests.get(&(id, stream.to_owned(), window_start)).copied()).await
    }
    async fn put_digest(&self, id: Uuid, stream: &str, window_start: i64, digest: [u8; 16]) -> Result<()> {
        self.ask("put_digest", |s| {
            s.digests.insert((id, stream.to_owned(), window_start), digest);
            self.gate.wrote(&Written::Digest { connection: id, stream, window_start, digest });
        })
        .await
    }
    async fn forget_digests(&self, id: Uuid, _streams: &[&str]) -> Result<()> {
        self.ask("forget_digests", |s| s.digests.retain(|(of, _, _), _| *of != id)).await
    }
    async fn held(&self, id: Uuid, stream: &str, bucket: i64) -> Result<Option<Vec<u8>>> {
        self.ask("held", |s| s.held.get(&(id, stream.to_owned(), bucket)).cloned()).await
    }
    async fn put_held(&self, id: Uuid, stream: &str, bucket: i64, blob: &[u8]) -> Result<()> {
        self.ask("put_held", |s| s.held.insert((id, stream.to_owned(), bucket), blob.to_vec())).await.map(drop)
    }

    async fn write_observations(&self, rows: &[Observation<'_>], at: i64) -> Result<()> {
        self.ask("write_observations", |s| s.observations.write(rows, at)).await
    }
    async fn write_devices(&self, rows: &[Device<'_>]) -> Result<()> {
        self.ask("write_devices", |s| s.observations.write_devices(rows)).await
    }
    async fn devices(&self, subject_id: &str) -> Result<Vec<StoredDevice>> {
        self.ask("devices", |s| s.observations.devices(subject_id)).await
    }
    async fn observations(&self, query: &ObservationQuery) -> Result<ObservationPage> {
        self.ask("observations", |s| s.observations.page(query)).await
    }
    async fn data_types(&self, subject_id: &str) -> Result<Vec<String>> {
        self.ask("data_types", |s| s.observations.data_types(subject_id)).await
    }
    async fn latest(&self, subject_id: &str, data_types: &[&str], now: i64, months: u32) -> Result<Vec<StoredObservation>> {
        self.ask("latest", |s| s.observations.latest(subject_id, data_types, now, months)).await
    }
    async fn count_observations(&self) -> Result<u64> {
        self.ask("count_observations", |s| s.observations.count()).await
    }
}

#[async_trait]
impl KeyRows for MemoryStore {
    async fn keys_of(&self, owner: &str) -> Result<Vec<KeyRow>> {
        Ok(self.state().keys.values().filter(|row| row.owner == owner).cloned().collect())
    }

    async fn insert_key(&self, row: &KeyRow) -> Result<bool> {
        let mut state = self.state();
        let free = !state.keys.contains_key(&(row.owner.clone(), row.id));
        if free {
            state.keys.insert((row.owner.clone(), row.id), row.clone());
        }
        Ok(free)
    }

    async fn replace_key(&self, row: &KeyRow, wrapped: &[u8]) -> Result<bool> {
        let mut state = self.state();
        let kept = state.keys.get_mut(&(row.owner.clone(), row.id)).filter(|kept| kept.wrapped == row.wrapped);
        Ok(kept.map(|kept| kept.wrapped = wrapped.to_vec()).is_some())
    }

    async fn delete_keys_of(&self, owner: &str) -> Result<u64> {
        let mut state = self.state();
        let before = state.keys.len();
        state.keys.retain(|(of, _), _| of != owner);
        Ok((before - state.keys.len()) as u64)
    }

    async fn page_of_keys(&self, _after: Option<Vec<u8>>, _limit: usize) -> Result<(Vec<KeyRow>, Option<Vec<u8>>)> {
        // All of them fit into one page.
        Ok((self.state().keys.values().cloned().collect(), None))
    }

    async fn erased(&self, subject: &str) -> Result<bool> {
        Ok(!self.state().erasure(subject).is_empty())
    }
}
