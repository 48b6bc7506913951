//! Connecting an account: code, tokens, who it is, and what to fetch first.

use std::sync::Arc;

use headwater_schemas::connection::State;
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, ids};
use headwater_sources::profile::{OAuth, Status};
use headwater_sources::source::TokenFault;
use headwater_store::{Connection, ConnectionState};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::cloud::Cloud;
use crate::events;
use crate::ingest::Shared;
use crate::schedule::next_poll;
use crate::tokens::{self, Ask, TokenKeeper};
use crate::{OutletError, Unavailable};

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("provider {0} is not configured")]
    NotConfigured(String),
    #[error("{provider} was switched off on {since}; connect {successor} instead")]
    Migrated { provider: &'static str, since: &'static str, successor: &'static str },
    #[error("{0} does not connect by OAuth")]
    NoOAuth(&'static str),
    #[error("the provider's address is no URL")]
    BadAddress,
    #[error("the provider refused the code: {0}")]
    Refused(TokenFault),
    #[error("the provider does not say whose account it is")]
    Nobody,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<headwater_store::Unavailable> for ConnectError {
    fn from(error: headwater_store::Unavailable) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<OutletError> for ConnectError {
    fn from(error: OutletError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What to connect.
#[derive(Clone, Copy)]
pub struct Connect<'a> {
    pub provider: &'a str,
    /// From the redirect. Some providers' codes live for seconds: this is called in the redirect's own request.
    pub code: &'a str,
    pub redirect_uri: &'a str,
    pub subject: &'a str,
    /// IANA zone of the person, where known.
    pub zone: Option<&'a str>,
    /// Where our webhooks are reached from outside: `https://host/webhooks`.
    pub webhooks: Option<&'a str>,
}

pub struct Connector {
    shared: Arc<Shared>,
    tokens: Arc<TokenKeeper>,
}

impl Connector {
    pub(crate) fn new(shared: Arc<Shared>, tokens: Arc<TokenKeeper>) -> Self {
        Self { shared, tokens }
    }

    fn cloud(&self, provider: &str) -> Result<(Arc<Cloud>, &'static OAuth), ConnectError> {
        let cloud = self.shared.cloud(provider).ok_or_else(|| ConnectError::NotConfigured(provider.to_owned()))?;
        let profile = cloud.profile();
        if let Status::Legacy { since, successor } = profile.status {
            return Err(ConnectError::Migrated { provider: profile.id, since, successor });
        }
        let oauth = profile.oauth.as_ref().ok_or(ConnectError::NoOAuth(profile.id))?;
        Ok((cloud, oauth))
    }

    /// Where to send the person.
    ///
    /// # Errors
    /// When the provider is not configured, switched off, or has no OAuth.
    pub fn authorize_url(&self, provider: &str, state: &str, redirect_uri: &str) -> Result<String, ConnectError> {
        let (cloud, oauth) = self.cloud(provider)?;
        let base = cloud.settings.authorize_url.as_deref().unwrap_or(oauth.authorize);
        let mut url = reqwest::Url::parse(base).map_err(|_| ConnectError::BadAddress)?;
        let scope = oauth.scopes.join(&oauth.scope_separator.to_string());
        let fixed = [
            ("response_type", "code"),
            ("client_id", &cloud.settings.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            ("state", state),
        ];
        url.query_pairs_mut().extend_pairs(fixed).extend_pairs(oauth.authorize_extra);
        Ok(url.into())
    }

    /// Exchanges the code, learns whose account it is, stores, subscribes, and asks for history and for what is fresh.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, ask: Connect<'_>) -> Result<Uuid, ConnectError> {
        let (cloud, _) = self.cloud(ask.provider)?;
        let exchanged =
            tokens::exchange(&self.shared, &cloud, Ask::Code { code: ask.code, redirect_uri: ask.redirect_uri }).await;
        let given = exchanged.map_err(ConnectError::Refused)?;
        let user = match &given.user {
            Some(user) => user.clone(),
            None => self.identify(&cloud, &given.access).await?,
        };
        let (id, now) = (ids::connection(ask.provider, &user), self.shared.clock.now());
        let store = &self.shared.store;
        let old = store.connection(id).await?;
        let mut subjects = old.as_ref().map(|c| c.subjects.clone()).unwrap_or_default();
        if !subjects.iter().any(|s| s == ask.subject) {
            subjects.push(ask.subject.to_owned());
        }
        let connection = Connection {
            id,
            provider: ask.provider.to_owned(),
            provider_user: user,
            subjects,
            zone: ask.zone.map(str::to_owned).or_else(|| old.as_ref().and_then(|c| c.zone.clone())),
            scopes: given.scopes.clone(),
            state: ConnectionState::Active,
            reason: None,
            created_at: old.as_ref().map_or(now, |c| c.created_at),
            state_at: now,
            last_poll: None,
            next_poll: Some(next_poll(&cloud, now)),
        };
        // Tokens first: a connection without them would be called broken by the first hint that finds it.
        loop {
            let present = store.tokens(id).await?;
            let pair = tokens::tokens(&given, present.as_ref(), now);
            if store.put_tokens(id, present.map(|t| t.generation), &pair).await? {
                break;
            }
        }
        store.put_connection(&connection).await?;
        let mut out = Outbox::default();
        events::put(&connection, State::Connected, None, None, now, &mut out);
        hints(&cloud, &connection, now, &mut out);
        self.shared.outlet.append(&out).await?;
        if let Some(webhooks) = ask.webhooks {
            self.subscribe(&cloud, &connection, webhooks).await?;
        }
        Ok(id)
    }

    async fn identify(&self, cloud: &Cloud, access: &str) -> Result<String, ConnectError> {
        let fetch = cloud.source.identify().ok_or(ConnectError::Nobody)?;
        let answer =
            self.shared.http.fetch(cloud.api(), &fetch, &access.to_owned().into()).await.map_err(|_| ConnectError::Nobody)?;
        cloud.source.read_identity(&answer.as_response()).ok_or(ConnectError::Nobody)
    }

    /// Asks the provider to announce changes. Without it data still comes by schedule, so a refusal is told and not fatal.
    async fn subscribe(&self, cloud: &Cloud, connection: &Connection, webhooks: &str) -> Result<(), ConnectError> {
        let mut callback = format!("{webhooks}/{}", cloud.profile().id);
        if let Some(secret) = &cloud.settings.webhook.path_secret {
            callback = format!("{callback}/{}", secret.expose_secret());
        }
        for fetch in cloud.source.subscribe(&callback) {
            let Ok(access) = self.tokens.access(connection.id, &connection.provider, None).await else { return Ok(()) };
            let answered = self.shared.http.fetch(cloud.api(), &fetch, &access.token).await;
            let fine = answered.as_ref().is_ok_and(|answer| cloud.source.read(&fetch, &answer.as_response()).is_ok());
            if !fine {
                tracing::warn!(provider = connection.provider, connection = %connection.id, "subscription refused; data comes by schedule only");
            }
        }
        Ok(())
    }
}

/// History per stream, and what is fresh.
fn hints(cloud: &Cloud, connection: &Connection, now: i64, out: &mut Outbox) {
    const DAY: i64 = 86_400_000_000;
    let days = cloud.settings.history_days.unwrap_or(cloud.profile().history_days);
    let hint = |lane, cause, streams: Vec<&'static str>, window: Option<(i64, i64)>| Hint {
        hint_id: Uuid::now_v7(),
        provider: cloud.profile().id,
        connection_id: connection.id,
        cause,
        lane,
        change: Change::Data,
        streams,
        window_start: window.map(|w| w.0),
        window_end: window.map(|w| w.1),
        created_at: now,
        not_before: None,
        attempt: 0,
    };
    let key = connection.id.to_string();
    let live = hint(Lane::Live, Cause::SyncNow, vec![], None);
    out.put(&topics::HINT_LIVE, None, key.as_bytes(), |bytes| live.encode(bytes));
    for stream in cloud.profile().streams.iter().filter(|s| s.poll.is_some()) {
        let history = hint(Lane::History, Cause::Backfill, vec![stream.id], Some((now - i64::from(days) * DAY, now)));
        out.put(&topics::HINT_HISTORY, None, key.as_bytes(), |bytes| history.encode(bytes));
    }
}
