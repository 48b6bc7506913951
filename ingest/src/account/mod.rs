//! How people come and go: connecting an account, what is agreed to, asking at once, leaving, being erased.
//!
//! Start at [`Accounts`]. Nothing here knows HTTP servers or who a caller is: that a caller may do this to this subject was decided before.

mod begin;
pub(crate) mod consent;
mod enroll;
mod erase;
mod finish;
mod join;
mod leave;
pub(crate) mod subscriptions;
pub(crate) mod sync;

use std::sync::Arc;
use std::time::Duration;

use headwater_schemas::Outbox;
use headwater_schemas::audit::Audit;
use headwater_schemas::topics::{self, Subject as _};
use headwater_sources::profile::{OAuth, Status};
use headwater_sources::source::TokenFault;
use headwater_store::{Connection, Lease};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use begin::{Begin, Started};
pub use consent::{Agreed, ConsentError};
pub use enroll::Enrolled;
pub use finish::{Callback, FinishError, Finished, Unfinished};
pub use leave::{Left, Revoked};
pub use sync::{Synced, Tally};

use crate::cloud::Cloud;
use crate::shared::Shared;
use crate::tokens::TokenKeeper;
use crate::{OutletError, Unavailable};

/// Comings and goings of one connection are one after the other, whoever asks for them.
const LEASE: Duration = Duration::from_secs(60);
const LEASE_WAIT: Duration = Duration::from_secs(20);

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("provider {0} is not configured")]
    NotConfigured(String),
    #[error("{provider} was switched off on {since}; connect {successor} instead")]
    Migrated { provider: &'static str, since: &'static str, successor: &'static str },
    #[error("{0} does not connect by OAuth")]
    NoOAuth(&'static str),
    #[error("{0} takes no uploads")]
    NoUploads(&'static str),
    #[error("the provider's address is no URL")]
    BadAddress,
    #[error("the provider refused the code: {0}")]
    Refused(TokenFault),
    #[error("the provider does not say whose account it is")]
    Nobody,
    #[error("the person was erased")]
    Erased,
    #[error("there is no such connection")]
    Unknown,
    #[error("only the person can mend it, by connecting again")]
    NeedsReauth,
    #[error("somebody else is changing the same connection")]
    Busy,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<headwater_store::Unavailable> for AccountError {
    fn from(error: headwater_store::Unavailable) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<OutletError> for AccountError {
    fn from(error: OutletError) -> Self {
        Self::Unavailable(error.into())
    }
}

pub struct Accounts {
    shared: Arc<Shared>,
    tokens: Arc<TokenKeeper>,
}

impl Accounts {
    pub(crate) fn new(shared: Arc<Shared>, tokens: Arc<TokenKeeper>) -> Self {
        Self { shared, tokens }
    }

    /// The configured providers that can be connected.
    pub fn providers(&self) -> Vec<&'static headwater_sources::Profile> {
        let profiles = self.shared.clouds.values().map(|cloud| cloud.profile());
        profiles.filter(|profile| profile.live() && profile.oauth.is_some()).collect()
    }

    /// Where the browser goes to connect: what a page has to allow.
    pub fn authorize_origins(&self) -> Vec<String> {
        let base = |cloud: &Arc<Cloud>| {
            let oauth = cloud.profile().oauth.as_ref()?;
            let url = cloud.settings.authorize_url.as_deref().unwrap_or(oauth.authorize);
            Some(reqwest::Url::parse(url).ok()?.origin().ascii_serialization())
        };
        self.shared.clouds.values().filter_map(base).collect()
    }

    /// The streams of a connection with whether its grant covers them.
    pub fn streams(&self, connection: &Connection) -> Vec<(&'static str, bool)> {
        let Some(cloud) = self.shared.cloud(&connection.provider) else { return Vec::new() };
        let polled = cloud.profile().streams.iter().filter(|stream| stream.poll.is_some());
        polled.map(|stream| (stream.id, cloud.covered(connection, stream))).collect()
    }

    /// How far back a first connection looks, in microseconds.
    pub fn history(&self, provider: &str) -> Option<i64> {
        self.shared.cloud(provider).map(|cloud| cloud.history())
    }

    pub fn now(&self) -> i64 {
        self.shared.clock.now()
    }

    /// Leaves a record of who did what. Acknowledged before the act's answer is given.
    ///
    /// # Errors
    /// [`Unavailable`]: then the act's answer must not be given either.
    pub async fn audit(&self, records: &[Audit<'_>]) -> Result<(), Unavailable> {
        let mut out = Outbox::default();
        for record in records {
            out.put(&topics::AUDIT, None, record.subject_id.unwrap_or("-").as_bytes(), |bytes| record.encode(bytes));
        }
        Ok(self.shared.outlet.append(&out).await?)
    }

    fn cloud(&self, provider: &str) -> Result<(Arc<Cloud>, &'static OAuth), AccountError> {
        let cloud = self.shared.cloud(provider).ok_or_else(|| AccountError::NotConfigured(provider.to_owned()))?;
        let profile = cloud.profile();
        if let Status::Legacy { since, successor } = profile.status {
            return Err(AccountError::Migrated { provider: profile.id, since, successor });
        }
        let oauth = profile.oauth.as_ref().ok_or(AccountError::NoOAuth(profile.id))?;
        Ok((cloud, oauth))
    }

    async fn lease(&self, connection: Uuid) -> Result<Lease, AccountError> {
        self.shared.lease(&format!("account/{connection}"), LEASE, LEASE_WAIT).await?.ok_or(AccountError::Busy)
    }

    async fn release(&self, lease: &Lease) {
        // A lease that is not given back runs out by itself.
        let _ = self.shared.store.release(lease).await;
    }
}

/// What a secret is kept under: whoever reads the store cannot use it.
pub fn hash(what: &str, secret: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(what.as_bytes());
    hash.update([0]);
    hash.update(secret.as_bytes());
    hash.finalize().into()
}

/// 256 random bits as text for an address.
pub fn secret() -> String {
    use base64::Engine as _;
    use rand::TryRngCore as _;
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    rand::rngs::OsRng.try_fill_bytes(&mut *bytes).expect("the operating system gives random numbers");
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(*bytes)
}
