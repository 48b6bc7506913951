//! State: connections, sealed tokens, cursors, digests, leases and observations, behind one trait.
//!
//! Start at [`Store`]. Two implementations stand behind it: [`scylla`] (ScyllaDB or Cassandra, for any number of instances) and [`sqlite`]
//! (one process, nothing to install); [`memory`] is a model of them for tests in which time is played. Only this crate links a database driver. It never talks to Kafka or to a provider, and never decides
//! when something is to be done.

pub mod body;
mod columns;
pub mod fhir;
pub mod memory;
pub mod month;
pub mod rows;
pub mod scylla;
pub mod seal;
pub mod sqlite;
pub mod vault;

use std::sync::Arc;

use async_trait::async_trait;
use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use uuid::Uuid;
use zeroize::Zeroizing;

use seal::DataKey;
use vault::{Owner, Rewrapped};

pub use rows::{
    Connection, ConnectionState, Cursor, Erased, ErasureStep, Health, Identity, Intent, Lease, Listed, ObservationPage,
    ObservationQuery, Order, StoredDevice, StoredObservation, Subject, Tokens,
};

/// The store cannot be reached or did not answer in time. Everything else is a bug and says so in `why`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("store unavailable: {why}")]
pub struct Unavailable {
    pub why: String,
}

pub type Result<T> = std::result::Result<T, Unavailable>;

/// Connections are listed by shard, so that no request scans them all: `connection_id.as_bytes()[0] as usize % SHARDS`.
pub const SHARDS: u8 = 64;

/// The shard a connection is listed under.
pub fn shard(connection: Uuid) -> u8 {
    connection.as_bytes()[0] % SHARDS
}

impl Unavailable {
    /// `why` names what failed, never a value.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// All state. Times are microseconds since the epoch, given by the caller: the store never asks for the time.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes keyspace and tables, or brings them up to date. Safe to repeat and to run twice at once.
    async fn migrate(&self) -> Result<()>;
    /// A cheap real request.
    async fn ping(&self) -> Result<()>;

    /// Inserts or replaces a connection.
    async fn put_connection(&self, connection: &Connection) -> Result<()>;
    async fn connection(&self, id: Uuid) -> Result<Option<Connection>>;
    /// Connections of one shard in id order, after `after`, at most `limit`.
    async fn connections(&self, shard: u8, after: Option<Uuid>, limit: usize) -> Result<Vec<Listed>>;
    /// Sets the state alone; true if the connection exists.
    async fn set_state(&self, id: Uuid, state: ConnectionState, why: Option<&str>, at: i64) -> Result<bool>;
    /// After a poll: when it was, and when the next one is due.
    async fn set_polled(&self, id: Uuid, at: i64, next_poll: i64) -> Result<()>;

    /// The connections of a subject, in id order.
    async fn connections_of(&self, subject: &str) -> Result<Vec<Uuid>>;
    /// Takes a connection off a subject's list.
    async fn unlist(&self, subject: &str, id: Uuid) -> Result<()>;
    async fn health(&self, id: Uuid) -> Result<Health>;
    /// Notes a success (`None`) or why an attempt came to nothing.
    async fn set_synced(&self, id: Uuid, error: Option<&str>, at: i64) -> Result<()>;
    async fn set_subscribed(&self, id: Uuid, at: Option<i64>) -> Result<()>;
    /// Removes a connection with everything that is kept of it beside observations: tokens, their key, and how far these streams were
    /// fetched.
    async fn delete_connection(&self, connection: &Connection, streams: &[&str]) -> Result<()>;

    /// Inserts a subject; false when it was there. An erased one is refused by [`Store::sealing_key`], not here.
    async fn put_subject(&self, subject: &Subject) -> Result<bool>;
    async fn subject(&self, id: &str) -> Result<Option<Subject>>;
    async fn subject_by_identity(&self, identity: &Identity) -> Result<Option<String>>;

    /// What a subject agreed to: the version in force, and an opaque text of the caller's.
    async fn consent(&self, subject: &str) -> Result<Option<(i64, String)>>;
    /// Stores the next version if the one in force is still `expected` (0: there is none). False when somebody was faster.
    async fn put_consent(&self, subject: &str, expected: i64, text: &str) -> Result<bool>;

    /// Keeps a half-finished thing under a secret's hash until it expires. The body is sealed.
    async fn put_pending(&self, key: &[u8; 32], body: &[u8], now: i64, until: i64) -> Result<()>;
    async fn pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>>;
    /// The same, once: of all who ask, one gets it.
    async fn take_pending(&self, key: &[u8; 32], now: i64) -> Result<Option<Zeroizing<Vec<u8>>>>;

    /// The key that seals for this owner, made where there is none. `None` where the owner was erased.
    async fn sealing_key(&self, owner: &Owner, now: i64) -> Result<Option<Arc<DataKey>>>;
    /// A key by its id. `None` when it is not there, or no longer.
    async fn opening_key(&self, owner: &Owner, id: Uuid) -> Result<Option<Arc<DataKey>>>;
    /// Drops opened keys from memory: another instance deleted them.
    fn forget_keys(&self, owner: &Owner);
    /// Wraps every data key anew that the current key-encryption key did not wrap. Safe to repeat and under load.
    async fn rewrap_keys(&self) -> Result<Rewrapped>;

    /// Removes a subject's rows: observations, devices, identity, and the key that opens their raw records. What there was of it.
    /// `at` is now.
    async fn erase_subject(&self, subject: &str, at: i64) -> Result<Erased>;
    async fn erasure(&self, subject: &str) -> Result<Vec<ErasureStep>>;
    async fn put_erasure(&self, subject: &str, step: &ErasureStep) -> Result<()>;

    /// The current token pair, opened.
    async fn tokens(&self, id: Uuid) -> Result<Option<Tokens>>;
    /// Stores a pair durably if the stored generation is still `expected` (`None`: there is no row). False when somebody was faster.
    async fn put_tokens(&self, id: Uuid, expected: Option<i64>, tokens: &Tokens) -> Result<bool>;
    async fn delete_tokens(&self, id: Uuid) -> Result<()>;
    /// The refresh that was begun and neither finished nor given up, if any.
    async fn intent(&self, id: Uuid) -> Result<Option<Intent>>;
    async fn put_intent(&self, id: Uuid, intent: Option<Intent>) -> Result<()>;

    /// Takes or renews a lease until `until`. `None` while another owner holds it. The fence of a new holder is greater than every earlier one.
    async fn lease(&self, name: &str, owner: Uuid, now: i64, until: i64) -> Result<Option<Lease>>;
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// How far a stream of a connection was fetched.
    async fn cursor(&self, id: Uuid, stream: &str) -> Result<Option<Cursor>>;
    /// The cursors of all streams of a connection, by stream.
    async fn cursors(&self, id: Uuid) -> Result<Vec<(String, Cursor)>>;
    async fn put_cursor(&self, id: Uuid, stream: &str, cursor: &Cursor) -> Result<()>;

    /// Digest of the last answer to a window.
    async fn digest(&self, id: Uuid, stream: &str, window_start: i64) -> Result<Option<[u8; 16]>>;
    async fn put_digest(&self, id: Uuid, stream: &str, window_start: i64, digest: [u8; 16]) -> Result<()>;

    /// Forgets the digests of these streams: the next answers are appended whether they changed or not.
    async fn forget_digests(&self, id: Uuid, streams: &[&str]) -> Result<()>;

    /// What we hold of a stream in one bucket of time: an opaque blob of the fetcher's.
    async fn held(&self, id: Uuid, stream: &str, bucket: i64) -> Result<Option<Vec<u8>>>;
    async fn put_held(&self, id: Uuid, stream: &str, bucket: i64, blob: &[u8]) -> Result<()>;

    /// Writes observations. Idempotent; an older version never overwrites a newer one, in whatever order they come. `at` is now, for those
    /// who ask what came since they asked last.
    async fn write_observations(&self, rows: &[Observation<'_>], at: i64) -> Result<()>;
    /// Writes devices, by the rules of observations.
    async fn write_devices(&self, rows: &[Device<'_>]) -> Result<()>;
    /// The devices of a subject in id order.
    async fn devices(&self, subject_id: &str) -> Result<Vec<StoredDevice>>;
    /// One subject, one type, a time range, in order of the start.
    async fn observations(&self, query: &ObservationQuery) -> Result<ObservationPage>;
    /// The types that a subject has observations of, or had, in alphabetical order.
    async fn data_types(&self, subject_id: &str) -> Result<Vec<String>>;
    /// The newest observation of each of these types that is not entered-in-error, looking back at most `months` months from `now`.
    async fn latest(&self, subject_id: &str, data_types: &[&str], now: i64, months: u32) -> Result<Vec<StoredObservation>>;
    /// Number of observations, for counters and tests; may scan, never on a request path.
    async fn count_observations(&self) -> Result<u64>;
}
