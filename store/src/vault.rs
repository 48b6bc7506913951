//! Data keys: made for an owner, wrapped by a key-encryption key, kept in the store, opened through a bounded cache.
//!
//! Start at [`Owner`] and [`Kms`]. The wrapping service is a trait, so that a key management service can stand in for the configured keys;
//! every call of it names the owner, so that such a service can tell who is who.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::seal::{DataKey, KeyBytes, Keyring, Kind, Place, random_key};
use crate::{Result, Unavailable};

/// Opened keys that are held at most, and for how long: a key that another instance deleted is forgotten by then at the latest.
const CACHED: u64 = 20_000;
const CACHED_FOR: Duration = Duration::from_secs(300);
const PAGE: usize = 500;

/// Whose a data key is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Seals raw payloads and who the person is elsewhere. Deleting it erases the person from a log that cannot be edited.
    Subject(String),
    /// Seals tokens and the account's name. Several subjects may share the account, so it is not theirs.
    Connection(Uuid),
    /// Seals what belongs to nobody: half-finished connections, invitations.
    Service,
}

impl Owner {
    /// As it stands in the store.
    pub fn key(&self) -> String {
        match self {
            Self::Subject(id) => format!("subject/{id}"),
            Self::Connection(id) => format!("connection/{id}"),
            Self::Service => "service".to_owned(),
        }
    }

    /// For errors, which name nobody.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Subject(_) => "a subject",
            Self::Connection(_) => "a connection",
            Self::Service => "the service",
        }
    }
}

/// Wraps data keys. [`Keyring`] does it with configured keys; a key management service would do it by request.
#[async_trait]
pub trait Kms: Send + Sync + std::fmt::Debug {
    /// # Errors
    /// When the service does not answer.
    async fn wrap(&self, owner: &str, id: Uuid, key: &KeyBytes) -> Result<Vec<u8>>;
    /// # Errors
    /// When the service does not answer, or did not wrap this key for this owner.
    async fn unwrap(&self, owner: &str, id: Uuid, wrapped: &[u8]) -> Result<KeyBytes>;
    /// Whether the key that wraps now wrapped this.
    fn is_current(&self, wrapped: &[u8]) -> bool;
}

#[async_trait]
impl Kms for Keyring {
    async fn wrap(&self, owner: &str, id: Uuid, key: &KeyBytes) -> Result<Vec<u8>> {
        self.seal(&place(&row(owner, id)), &**key).map_err(|e| Unavailable::new(format!("a data key cannot be wrapped: {e}")))
    }

    async fn unwrap(&self, owner: &str, id: Uuid, wrapped: &[u8]) -> Result<KeyBytes> {
        let failed = |why: String| Unavailable::new(format!("data key {id} cannot be unwrapped: {why}"));
        let plain = self.open(&place(&row(owner, id)), wrapped).map_err(|e| failed(e.to_string()))?;
        <[u8; 32]>::try_from(plain.as_slice()).map(Zeroizing::new).map_err(|_| failed("it has another length".to_owned()))
    }

    fn is_current(&self, wrapped: &[u8]) -> bool {
        self.sealed_by_current(wrapped)
    }
}

fn row(owner: &str, id: Uuid) -> Vec<u8> {
    [owner.as_bytes(), b"\0", id.as_bytes()].concat()
}

fn place(row: &[u8]) -> Place<'_> {
    Place { table: "data_keys", row, kind: Kind::DataKey, generation: 0 }
}

/// A wrapped data key as it stands in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub owner: String,
    pub id: Uuid,
    pub wrapped: Vec<u8>,
    /// Microseconds since the epoch. The newest key of an owner seals.
    pub created_at: i64,
}

/// What both stores can do with wrapped keys.
#[async_trait]
pub(crate) trait KeyRows: Sync {
    async fn keys_of(&self, owner: &str) -> Result<Vec<KeyRow>>;
    /// False when this owner has a key of this id.
    async fn insert_key(&self, row: &KeyRow) -> Result<bool>;
    /// Only while the stored one is still `row`: a deleted key must not come back.
    async fn replace_key(&self, row: &KeyRow, wrapped: &[u8]) -> Result<bool>;
    async fn delete_keys_of(&self, owner: &str) -> Result<u64>;
    /// All keys in some order, a page at a time. May scan.
    async fn page_of_keys(&self, after: Option<Vec<u8>>, limit: usize) -> Result<(Vec<KeyRow>, Option<Vec<u8>>)>;
    /// Whether a subject's erasure was begun.
    async fn erased(&self, subject: &str) -> Result<bool>;
}

/// What became of the keys at a rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    pub seen: u64,
    pub rewrapped: u64,
    /// Deleted or rewrapped by somebody else meanwhile.
    pub passed: u64,
    /// Wrapped by a key that is not configured: they stay as they are, and so must that key.
    pub failed: u64,
}

/// The data keys of a store.
pub struct Vault {
    kms: Arc<dyn Kms>,
    opened: Cache<(String, Uuid), Arc<DataKey>>,
    sealing: Cache<String, Arc<DataKey>>,
}

impl From<Keyring> for Vault {
    fn from(keys: Keyring) -> Self {
        Self::new(Arc::new(keys))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vault").field(&self.kms).finish()
    }
}

impl Vault {
    pub fn new(kms: Arc<dyn Kms>) -> Self {
        let opened = Cache::builder().max_capacity(CACHED).time_to_live(CACHED_FOR).build();
        let sealing = Cache::builder().max_capacity(CACHED).time_to_live(CACHED_FOR).build();
        Self { kms, opened, sealing }
    }

    /// The key that seals for this owner, made if there is none yet. `None` for a subject that was erased.
    pub(crate) async fn sealing(&self, rows: &dyn KeyRows, owner: &Owner, now: i64) -> Result<Option<Arc<DataKey>>> {
        let name = owner.key();
        // An account's key may be deleted and made anew, by any instance: its newest is looked up each time.
        let cached = !matches!(owner, Owner::Connection(_));
        if cached && let Some(key) = self.sealing.get(&name) {
            return Ok(Some(key));
        }
        let key = match rows.keys_of(&name).await?.into_iter().max_by_key(|row| (row.created_at, row.id)) {
            Some(row) => self.open(&row).await?,
            None => match owner {
                Owner::Subject(subject) if rows.erased(subject).await? => return Ok(None),
                _ => self.make(rows, owner, &name, now).await?,
            },
        };
        if cached {
            self.sealing.insert(name, key.clone());
        }
        Ok(Some(key))
    }

    /// The same where an erased owner is a fault.
    pub(crate) async fn key(&self, rows: &dyn KeyRows, owner: &Owner, now: i64) -> Result<Arc<DataKey>> {
        self.sealing(rows, owner, now).await?.ok_or_else(|| Unavailable::new(format!("{} was erased", owner.kind())))
    }

    /// A key by its id. `None` when it is not there, or no longer.
    pub(crate) async fn opening(&self, rows: &dyn KeyRows, owner: &Owner, id: Uuid) -> Result<Option<Arc<DataKey>>> {
        let name = (owner.key(), id);
        if let Some(key) = self.opened.get(&name) {
            return Ok(Some(key));
        }
        match rows.keys_of(&name.0).await?.iter().find(|row| row.id == id) {
            Some(row) => self.open(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Deletes an owner's keys here and in the store; how many there were.
    pub(crate) async fn delete(&self, rows: &dyn KeyRows, owner: &Owner) -> Result<u64> {
        let deleted = rows.delete_keys_of(&owner.key()).await;
        self.forget(owner);
        deleted
    }

    /// Drops the opened keys of an owner from memory.
    pub(crate) fn forget(&self, owner: &Owner) {
        let name = owner.key();
        self.sealing.invalidate(&name);
        let held: Vec<_> = self.opened.iter().map(|(key, _)| key).filter(|key| key.0 == name).collect();
        for key in held {
            self.opened.invalidate(&*key);
        }
    }

    /// Wraps every key anew that another than the current key-encryption key wrapped. What the data keys sealed stays as it is.
    pub(crate) async fn rewrap(&self, rows: &dyn KeyRows) -> Result<Rewrapped> {
        let (mut done, mut after) = (Rewrapped::default(), None);
        loop {
            let (page, next) = rows.page_of_keys(after, PAGE).await?;
            for row in &page {
                done.seen += 1;
                if self.kms.is_current(&row.wrapped) {
                    continue;
                }
                let key = match self.kms.unwrap(&row.owner, row.id, &row.wrapped).await {
                    Ok(key) => key,
                    Err(error) => {
                        tracing::warn!(key = %row.id, "{error}");
                        done.failed += 1;
                        continue;
                    }
                };
                let wrapped = self.kms.wrap(&row.owner, row.id, &key).await?;
                if rows.replace_key(row, &wrapped).await? {
                    done.rewrapped += 1;
                } else {
                    done.passed += 1;
                }
            }
            after = next;
            if after.is_none() {
                return Ok(done);
            }
        }
    }

    async fn open(&self, row: &KeyRow) -> Result<Arc<DataKey>> {
        let name = (row.owner.clone(), row.id);
        if let Some(key) = self.opened.get(&name) {
            return Ok(key);
        }
        let bytes = self.kms.unwrap(&row.owner, row.id, &row.wrapped).await?;
        let key = Arc::new(DataKey::new(row.id, &bytes));
        self.opened.insert(name, key.clone());
        Ok(key)
    }

    async fn make(&self, rows: &dyn KeyRows, owner: &Owner, name: &str, now: i64) -> Result<Arc<DataKey>> {
        let bytes = random_key().map_err(|e| Unavailable::new(e.to_string()))?;
        // The service's key also makes marks that rows are found by, so there must be one for ever: its id is fixed, and the first wins.
        let id = if *owner == Owner::Service { Uuid::nil() } else { Uuid::new_v4() };
        let row = KeyRow { owner: name.to_owned(), id, wrapped: self.kms.wrap(name, id, &bytes).await?, created_at: now };
        if rows.insert_key(&row).await? {
            return self.open(&row).await;
        }
        let stands = rows.keys_of(name).await?.into_iter().find(|row| row.id == id);
        self.open(&stands.ok_or_else(|| Unavailable::new("a data key was made and deleted at once"))?).await
    }
}
