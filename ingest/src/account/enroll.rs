//! Devices and files: connections that nobody consents to at a provider, because what they bring is the person's own.

use headwater_schemas::connection::State;
use headwater_schemas::{Outbox, ids};
use headwater_store::{Connection, ConnectionState, Subject, Tokens};
use secrecy::SecretString;
use uuid::Uuid;

use super::{AccountError, Accounts, secret};
use crate::events::{self, Told};

/// A device that may upload. Its credential is given once.
pub struct Enrolled {
    pub connection: Uuid,
    pub credential: SecretString,
}

/// Never: a schedule has nothing to ask.
const NEVER: i64 = i64::MAX;

impl Accounts {
    /// The providers that take uploads.
    pub fn uploads(&self) -> Vec<&'static headwater_sources::Profile> {
        let profiles = self.shared.clouds.values().map(|cloud| cloud.profile());
        profiles.filter(|profile| profile.upload.is_some()).collect()
    }

    /// Gives a device of a person's a credential of its own.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn enroll(&self, provider: &str, subject: &str, zone: Option<String>) -> Result<Enrolled, AccountError> {
        let user = Uuid::new_v4().to_string();
        let connection = self.open(provider, subject, &user, zone).await?;
        let secret = secret();
        let tokens = Tokens { access: secret.clone().into(), refresh: None, expires_at: None, generation: 1 };
        self.shared.store.put_tokens(connection.id, None, &tokens).await?;
        Ok(Enrolled { connection: connection.id, credential: format!("{}.{secret}", connection.id).into() })
    }

    /// The connection that a person's own files are imported under: one for each person and provider, so that a second import is the same records.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn import(&self, provider: &str, subject: &str, zone: Option<String>) -> Result<Connection, AccountError> {
        let user = format!("import/{subject}");
        let there = self.shared.store.connection(ids::connection(provider, &user)).await?;
        match there.filter(|c| c.state == ConnectionState::Active && c.subjects.iter().any(|s| s == subject)) {
            Some(connection) => Ok(connection),
            None => self.open(provider, subject, &user, zone).await,
        }
    }

    async fn open(&self, provider: &str, subject: &str, user: &str, zone: Option<String>) -> Result<Connection, AccountError> {
        let cloud = self.shared.cloud(provider).ok_or_else(|| AccountError::NotConfigured(provider.to_owned()))?;
        if cloud.profile().upload.is_none() {
            return Err(AccountError::NoUploads(cloud.profile().id));
        }
        let (store, now) = (&self.shared.store, self.now());
        if !store.erasure(subject).await?.is_empty() {
            return Err(AccountError::Erased);
        }
        store.put_subject(&Subject { id: subject.to_owned(), identity: None, created_at: now }).await?;
        let connection = Connection {
            id: ids::connection(provider, user),
            provider: provider.to_owned(),
            provider_user: user.to_owned(),
            subjects: vec![subject.to_owned()],
            zone,
            scopes: vec![],
            state: ConnectionState::Active,
            reason: None,
            created_at: now,
            state_at: now,
            last_poll: None,
            next_poll: Some(NEVER),
        };
        store.put_connection(&connection).await?;
        let mut out = Outbox::default();
        events::put(&connection, Told::state(State::Connected), now, &mut out);
        self.shared.outlet.append(&out).await?;
        Ok(connection)
    }
}
