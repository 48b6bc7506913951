//! What goes into the store and comes out of it.

use headwater_schemas::observation::Observation;
use secrecy::SecretString;
use uuid::Uuid;

use crate::columns;

/// Where an account link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    Active,
    /// The provider no longer accepts our tokens.
    NeedsReauth,
    /// The provider's service was switched off.
    Migrated,
    Disconnected,
    /// Paused from our side; tokens are kept.
    Inactive,
}

impl ConnectionState {
    pub const ALL: [Self; 5] = [Self::Active, Self::NeedsReauth, Self::Migrated, Self::Disconnected, Self::Inactive];

    /// The state as it stands in the store and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
            Self::Migrated => "migrated",
            Self::Disconnected => "disconnected",
            Self::Inactive => "inactive",
        }
    }

    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == symbol)
    }
}

/// A link to one account at one provider. Several subjects may share it; each gets its own records, the provider is asked once.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    pub id: Uuid,
    pub provider: String,
    /// The provider's id of the account: personal, so it is sealed at rest and never printed.
    pub provider_user: String,
    pub subjects: Vec<String>,
    /// IANA zone of the profile.
    pub zone: Option<String>,
    pub scopes: Vec<String>,
    pub state: ConnectionState,
    /// Why the state is what it is, from a closed set.
    pub reason: Option<String>,
    pub created_at: i64,
    pub state_at: i64,
    pub last_poll: Option<i64>,
    pub next_poll: Option<i64>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("provider", &self.provider)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What a scheduler needs of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: Uuid,
    pub provider: String,
    pub state: ConnectionState,
    pub next_poll: Option<i64>,
}

/// How a connection fares, beside where it stands. Times are microseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// When everything asked for was last fetched and appended.
    pub synced_at: Option<i64>,
    /// Why the last attempt came to nothing, from a closed set; `None` after a success.
    pub last_error: Option<String>,
    pub last_error_at: Option<i64>,
    /// When the provider's announcements were last set up or seen to be.
    pub subscribed_at: Option<i64>,
}

/// A refresh that was begun: the generation it was to replace, and when. Left behind by a crash, it says that the pair may be used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    pub generation: i64,
    pub at: i64,
}

/// A person, pseudonymous everywhere but here.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    pub id: String,
    /// Who the person is elsewhere; sealed at rest and never printed.
    pub identity: Option<Identity>,
    pub created_at: i64,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An identifier in another system, as in FHIR: a URI and a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub system: String,
    pub value: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("system", &self.system).finish_non_exhaustive()
    }
}

/// What an erasure found and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    pub observations: u64,
    pub devices: u64,
    /// Data keys: what they sealed can be opened by nobody.
    pub keys: u64,
}

/// One thing that was done to remove a person: part of the proof that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ErasureStep {
    /// `requested`, `tokens`, `keys`, `rows`, `verified`, …; a step done again replaces what was noted of it.
    pub step: String,
    pub at: i64,
    /// How many things it removed, or found.
    pub count: i64,
    pub note: Option<String>,
}

/// A token pair.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    /// Microseconds since the epoch; `None` when the provider did not say.
    pub expires_at: Option<i64>,
    /// Counts the pairs of this connection; the compare-and-set number.
    pub generation: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    pub owner: Uuid,
    /// Greater than that of every earlier holder.
    pub fence: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Everything before this was looked through.
    pub fetched_to: i64,
    /// How far back history was looked through.
    pub history_from: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// One subject, one type, a time range `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservationQuery {
    pub subject_id: String,
    pub data_type: String,
    pub from: i64,
    pub to: i64,
    pub limit: usize,
    /// Newest first, and of the same start the least id first; or the other way round.
    pub order: Order,
    /// Where the page before ended: its [`ObservationPage::next`].
    pub after: Option<(i64, Uuid)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ObservationPage {
    pub rows: Vec<StoredObservation>,
    /// Set when there may be more.
    pub next: Option<(i64, Uuid)>,
}

/// A device as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDevice {
    pub id: Uuid,
    pub subject_id: String,
    pub provider: String,
    pub battery: Option<String>,
    pub last_sync: Option<i64>,
    pub version: i64,
    pub fhir: String,
}

/// An observation as it stands in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredObservation {
    pub id: Uuid,
    pub subject_id: String,
    pub data_type: String,
    pub provider: String,
    pub status: String,
    pub start: i64,
    pub end: Option<i64>,
    /// The person's calendar day.
    pub local_date: Option<String>,
    pub value: Option<f64>,
    pub value_text: Option<String>,
    pub unit: Option<String>,
    pub comparator: Option<String>,
    pub value_code: Option<String>,
    pub absent_reason: Option<String>,
    /// A JSON array of what a panel holds.
    pub components: Option<String>,
    pub device_id: Option<Uuid>,
    pub version: i64,
    /// When this state was written here, microseconds.
    pub stored_at: i64,
    pub fhir: String,
}

impl StoredObservation {
    /// The row that an observation becomes, written at `stored_at`.
    pub fn of(o: &Observation<'_>, stored_at: i64) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: o.id,
            subject_id: o.subject_id.to_owned(),
            data_type: o.data_type.to_owned(),
            provider: o.provider.to_owned(),
            status: o.status.as_str().to_owned(),
            start: o.start,
            end: o.end,
            local_date: owned(o.local_date),
            value: o.value,
            value_text: owned(o.value_text),
            unit: owned(o.unit),
            comparator: owned(o.comparator),
            value_code: owned(o.value_code),
            absent_reason: owned(o.absent_reason),
            components: columns::components(&o.components),
            device_id: o.device_id,
            version: o.version,
            stored_at,
            fhir: o.fhir.to_owned(),
        }
    }
}
