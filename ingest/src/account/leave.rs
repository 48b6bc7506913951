//! Pausing, coming back, and leaving.

use headwater_schemas::Outbox;
use headwater_schemas::connection::State;
use headwater_schemas::hint::Cause;
use headwater_sources::source::Revoke;
use headwater_store::{Connection, ConnectionState};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::join::live;
use super::{AccountError, Accounts};
use crate::cloud::Cloud;
use crate::events::{self, Told};
use crate::tokens;

/// What became of a connection that somebody left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Others share the account: it goes on for them.
    OthersRemain,
    Ended(Revoked),
}

/// Whether the provider knows that it is over. Our tokens are gone in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    AtProvider,
    /// The provider has no way to do it; its own account page has.
    NotOffered,
    /// The provider did not do it.
    Failed,
    /// There was no token to revoke.
    Nothing,
}

impl Accounts {
    /// Stops asking; tokens are kept.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn deactivate(&self, id: Uuid) -> Result<(), AccountError> {
        let connection = self.shared.store.connection(id).await?.ok_or(AccountError::Unknown)?;
        match connection.state {
            ConnectionState::Active => {
                events::state(&self.shared, id, ConnectionState::Inactive, State::Inactive, "deactivated").await?;
                Ok(())
            }
            ConnectionState::Inactive => Ok(()),
            _ => Err(AccountError::NeedsReauth),
        }
    }

    /// Asks again, from where it stopped.
    ///
    /// # Errors
    /// [`AccountError::NeedsReauth`] where only the person can mend it.
    pub async fn reactivate(&self, id: Uuid) -> Result<(), AccountError> {
        let store = &self.shared.store;
        let connection = store.connection(id).await?.ok_or(AccountError::Unknown)?;
        match connection.state {
            ConnectionState::Active => return Ok(()),
            ConnectionState::Inactive => {}
            _ => return Err(AccountError::NeedsReauth),
        }
        let (cloud, _) = self.cloud(&connection.provider)?;
        let now = self.now();
        let mut out = Outbox::default();
        events::put(&connection, Told::state(State::Connected), now, &mut out);
        live(&cloud, &connection, Uuid::now_v7(), Cause::SyncNow, now, &mut out);
        store.set_state(id, ConnectionState::Active, None, now).await?;
        Ok(self.shared.outlet.append(&out).await?)
    }

    /// Ends a subject's share of a connection, and the connection with its last subject: announcements, grant and tokens.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn disconnect(&self, id: Uuid, subject: &str) -> Result<Left, AccountError> {
        let lease = self.lease(id).await?;
        let left = self.left(id, subject, State::Disconnected).await;
        self.release(&lease).await;
        left
    }

    /// Under the connection's lease.
    pub(super) async fn left(&self, id: Uuid, subject: &str, told: State) -> Result<Left, AccountError> {
        let (store, now) = (&self.shared.store, self.now());
        let connection = store.connection(id).await?.filter(|c| c.subjects.iter().any(|s| s == subject));
        let connection = connection.ok_or(AccountError::Unknown)?;
        let mut out = Outbox::default();
        events::put_for(&connection, subject, Told { reason: Some("asked"), ..Told::state(told) }, now, &mut out);
        if connection.subjects.len() > 1 {
            let subjects = connection.subjects.iter().filter(|s| *s != subject).cloned().collect();
            store.put_connection(&Connection { subjects, ..connection }).await?;
            store.unlist(subject, id).await?;
            self.shared.outlet.append(&out).await?;
            return Ok(Left::OthersRemain);
        }
        // No more asking from here on, whatever of the rest fails.
        store.set_state(id, ConnectionState::Disconnected, Some("asked"), now).await?;
        let cloud = self.shared.cloud(&connection.provider);
        let revoked = match &cloud {
            Some(cloud) => self.revoke(cloud, &connection).await?,
            None => Revoked::Nothing,
        };
        store.delete_tokens(id).await?;
        store.set_subscribed(id, None).await?;
        self.shared.outlet.append(&out).await?;
        tracing::info!(provider = connection.provider, connection = %id, ?revoked, "disconnected");
        Ok(Left::Ended(revoked))
    }

    /// Tells the provider that it is over, as far as it has a way to be told.
    async fn revoke(&self, cloud: &Cloud, connection: &Connection) -> Result<Revoked, AccountError> {
        let Some(tokens) = self.shared.store.tokens(connection.id).await? else { return Ok(Revoked::Nothing) };
        self.unsubscribe(cloud, connection).await;
        let oauth = cloud.profile().oauth.as_ref();
        if let Some(url) = cloud.settings.revoke_url.as_deref().or_else(|| oauth?.revoke) {
            // Ending the refresh token ends the access tokens that came of it.
            let token = tokens.refresh.as_ref().unwrap_or(&tokens.access);
            return Ok(match tokens::revoke(&self.shared, cloud, url, token).await {
                Ok(true) => Revoked::AtProvider,
                Ok(false) | Err(_) => Revoked::Failed,
            });
        }
        let fresh =
            self.tokens.access(connection.id, &connection.provider, None).await.map_or(tokens.access, |access| access.token);
        Ok(self.revoke_own_way(cloud, connection, &fresh).await)
    }

    async fn revoke_own_way(&self, cloud: &Cloud, connection: &Connection, access: &SecretString) -> Revoked {
        let grant = Revoke {
            user: &connection.provider_user,
            client_id: &cloud.settings.client_id,
            client_secret: cloud.settings.client_secret.expose_secret(),
            access: access.expose_secret(),
            now: self.now() / 1_000_000,
        };
        let mut asked = cloud.source.revoke(&grant, None);
        let mut done = Revoked::NotOffered;
        while let Some(fetch) = asked {
            let Ok(answer) = self.shared.http.fetch_signed(cloud.api(), &fetch).await else { return Revoked::Failed };
            if cloud.source.read(&fetch, &answer.as_response()).is_err() {
                return Revoked::Failed;
            }
            done = Revoked::AtProvider;
            asked = cloud.source.revoke(&grant, Some(&answer.as_response()));
        }
        done
    }
}
