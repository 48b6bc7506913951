//! Access tokens. A refreshed pair is stored durably before it is used, by one flight per connection across all instances.
//!
//! | dies                                              | on the next call                                                            |
//! | ------------------------------------------------- | --------------------------------------------------------------------------- |
//! | with the lease, before the provider was asked     | the lease runs out; the old pair is refreshed                               |
//! | after the provider's answer, before the store's   | the intent tells; the old pair is tried again: a provider with grace takes  |
//! |                                                   | it, of a strict one the pair is lost, counted, and the person is asked      |
//! | after the store's answer                          | the new pair is there                                                       |
//!
//! A process that is told to end waits for its flights, as long as its drain lasts ([`TokenKeeper::landed`]).
//!
//! A store that fails while a new pair is in hand is asked again for as long as the lease lasts: giving up would lose the pair as a crash does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_schemas::connection::State;
use headwater_sources::profile::{ClientAuth, Dialect, OAuth};
use headwater_sources::source::{Grant, TokenFault, Tokens as Given};
use headwater_store::{ConnectionState, Intent, Tokens};
use oauth2::basic::BasicClient;
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RefreshToken, RequestTokenError,
    TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clock::micros;
use crate::cloud::Cloud;
use crate::events;
use crate::http::{Http, NoAnswer};
use crate::limits::backoff;
use crate::shared::Shared;

/// Refreshes, by provider and outcome.
pub const REFRESHES: &str = "headwater_token_refreshes_total";

/// Connections whose pair was used up by a refresh whose answer was lost, by provider. With a provider that gives grace it stays 0.
pub const LOST_PAIRS: &str = "headwater_token_pairs_lost_total";

/// Why such a connection needs its person again.
const LOST: &str = "lost_in_refresh";

/// This long after the instance of a flight died another may try. Renewed while it flies; long enough for clocks that are some seconds apart.
const LEASE: Duration = Duration::from_secs(30);
/// How long a pair in hand is tried to be stored, in waits between the tries.
const KEEP: Duration = Duration::from_secs(60);
/// The time of an intent whose flight is over.
const LANDED: i64 = i64::MIN / 2;
/// How long a caller waits for somebody else's flight: longer than a request and its answer may take.
const LEASE_WAIT: Duration = Duration::from_secs(120);
/// How often a caller looks whether somebody else's flight has landed.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The consent is gone: the person must give it again. Nothing is tried on this connection until then.
    #[error("the person must consent again: {0}")]
    NeedsReauth(&'static str),
    #[error("no token now: {0}")]
    Later(&'static str),
    #[error(transparent)]
    Store(#[from] headwater_store::Unavailable),
}

pub struct TokenKeeper {
    desk: Desk,
    /// One flight per connection in this process; the store's lease does it between processes.
    flights: Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>,
    /// Flights end by landing: whoever waited may hang up, or lose what it worked under, and the answer is still stored.
    landing: Mutex<JoinSet<()>>,
}

/// What a flight needs, wherever it runs.
#[derive(Clone)]
struct Desk {
    shared: Arc<Shared>,
}

/// A token and which of the connection's pairs it belongs to.
#[derive(Debug, Clone)]
pub struct Access {
    pub token: SecretString,
    pub generation: i64,
}

impl TokenKeeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { desk: Desk { shared }, flights: Mutex::default(), landing: Mutex::default() }
    }

    /// A token that is good for a while. `refused` is the generation of one that the provider no longer accepts.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn access(&self, connection: Uuid, provider: &str, refused: Option<i64>) -> Result<Access, TokenError> {
        if let Some(access) = self.desk.stored(connection, refused).await? {
            return Ok(access);
        }
        let flight = self.flights.lock().expect("nothing panics under this lock").entry(connection).or_default().clone();
        let mine = flight.clone().lock_owned().await;
        let landed = self.refresh(mine, connection, provider, refused).await;
        let mut flights = self.flights.lock().expect("nothing panics under this lock");
        if flights.get(&connection).is_some_and(|f| Arc::strong_count(f) <= 2) {
            flights.remove(&connection);
        }
        landed
    }

    /// Waits until no flight is under way, for who is about to end: with a flight that is broken off goes the only copy of its new pair.
    pub async fn landed(&self) {
        loop {
            let mut flights = std::mem::take(&mut *self.landing.lock().expect("nothing panics under this lock"));
            if flights.is_empty() {
                return;
            }
            while flights.join_next().await.is_some() {}
        }
    }

    /// `mine` is held until the flight has landed, also where the caller hangs up: with the store away its lease may run out, and the next caller
    /// would take it for dead and use its token again.
    async fn refresh(
        &self,
        mine: OwnedMutexGuard<()>,
        connection: Uuid,
        provider: &str,
        refused: Option<i64>,
    ) -> Result<Access, TokenError> {
        let (shared, desk) = (&self.desk.shared, &self.desk);
        let cloud = shared.cloud(provider).ok_or(TokenError::Later("provider_not_configured"))?;
        let (name, owner) = (format!("refresh/{connection}"), Uuid::new_v4());
        let give_up = shared.clock.now() + micros(LEASE_WAIT);
        let lease = loop {
            // Somebody else's flight may have landed since we looked.
            if let Some(access) = desk.stored(connection, refused).await? {
                return Ok(access);
            }
            let now = shared.clock.now();
            if let Some(lease) = shared.store.lease(&name, owner, now, now + micros(LEASE)).await? {
                break lease;
            }
            if now > give_up {
                return Err(TokenError::Later("refresh_in_flight"));
            }
            shared.clock.sleep(LOOK).await;
        };
        let (desk, (tell, told)) = (desk.clone(), oneshot::channel());
        self.land(async move {
            let flight = desk.flight(connection, &cloud, refused);
            // The compare-and-set on the generation guards a flight without its lease.
            let landed = desk.shared.through(&lease, LEASE, flight).await;
            drop(mine);
            let _ = tell.send(landed);
        });
        told.await.unwrap_or(Err(TokenError::Later("stopping")))
    }

    fn land(&self, flight: impl Future<Output = ()> + Send + 'static) {
        let mut landing = self.landing.lock().expect("nothing panics under this lock");
        while landing.try_join_next().is_some() {}
        landing.spawn(flight);
    }
}

impl Desk {
    async fn flight(&self, connection: Uuid, cloud: &Cloud, refused: Option<i64>) -> Result<Access, TokenError> {
        match self.stored(connection, refused).await {
            Ok(Some(access)) => Ok(access),
            Ok(None) => self.fly(connection, cloud).await,
            Err(e) => Err(e),
        }
    }

    /// The stored token, if it is neither refused nor about to expire.
    async fn stored(&self, connection: Uuid, refused: Option<i64>) -> Result<Option<Access>, TokenError> {
        let Some(tokens) = self.shared.store.tokens(connection).await? else { return Err(TokenError::NeedsReauth("no_token")) };
        let margin = micros(Duration::from_millis(self.shared.settings.refresh_margin_ms));
        let fresh = tokens.expires_at.is_none_or(|at| at - margin > self.shared.clock.now());
        // A refused pair is older than or equal to the one refused; a newer one has not been tried yet.
        let accepted = refused.is_none_or(|generation| tokens.generation > generation);
        Ok((fresh && accepted).then(|| Access { token: tokens.access, generation: tokens.generation }))
    }

    /// One refresh: ask the provider, store, and only then hand out.
    async fn fly(&self, connection: Uuid, cloud: &Cloud) -> Result<Access, TokenError> {
        let provider = cloud.profile().id;
        let Some(old) = self.shared.store.tokens(connection).await? else { return Err(TokenError::NeedsReauth("no_token")) };
        let Some(refresh) = &old.refresh else { return self.lost(connection, provider, "no_refresh_token").await };
        let store = &self.shared.store;
        // Left by a flight that ended without an answer: the provider may have taken this refresh token already.
        let intent = store.intent(connection).await?.filter(|intent| intent.generation == old.generation);
        let unanswered = intent.is_some();
        let now = self.shared.clock.now();
        let flight = KEEP + self.shared.settings.request_timeout();
        let single_use = cloud.profile().oauth.as_ref().is_some_and(|oauth| oauth.rotates);
        if single_use && intent.is_some_and(|intent| (0..micros(flight)).contains(&(now - intent.at))) {
            // It may be on its way still, with a pair in hand that cannot be stored just now: to use its token again would be the end of both.
            return Err(TokenError::Later("refresh_in_flight"));
        }
        store.put_intent(connection, Some(Intent { generation: old.generation, at: now })).await?;
        if self.shared.clock.now() - now >= micros(LEASE) {
            // The store hung for so long that the lease may be another's by now, and the token in use there.
            return Err(TokenError::Later("store_slow"));
        }
        match exchange(&self.shared, cloud, Ask::Refresh(refresh)).await {
            Ok(given) => {
                let new = tokens(&given, Some(&old), self.shared.clock.now());
                if self.keep(connection, old.generation, &new).await? {
                    metrics::counter!(REFRESHES, "provider" => provider, "outcome" => "refreshed").increment(1);
                    Ok(Access { token: new.access, generation: new.generation })
                } else {
                    // The lease should make this impossible; whoever was faster has the newer pair.
                    Err(TokenError::Later("pair_replaced"))
                }
            }
            Err(TokenFault::Terminal(why)) => {
                // A flight that outlived its lease may have landed meanwhile: then it is the old token that is refused, not the person's consent.
                if let Some(access) = self.stored(connection, Some(old.generation)).await? {
                    return Ok(access);
                }
                let why = if unanswered { LOST } else { why };
                let lost = self.lost(connection, provider, why).await;
                // Until it is told, the next flight must still know why.
                if matches!(lost, Err(TokenError::NeedsReauth(_))) || !unanswered {
                    store.put_intent(connection, None).await?;
                } else {
                    store.put_intent(connection, Some(Intent { generation: old.generation, at: LANDED })).await?;
                }
                lost
            }
            // The intent stays: whether the provider took the token is not known. But nobody is on the way with it.
            Err(TokenFault::Again(why)) => {
                metrics::counter!(REFRESHES, "provider" => provider, "outcome" => "again").increment(1);
                store.put_intent(connection, Some(Intent { generation: old.generation, at: LANDED })).await?;
                Err(TokenError::Later(why))
            }
        }
    }

    /// Stores a pair, again and again where the store fails: nobody else has it, and of a single-use token there is no other. False where
    /// another pair took its place.
    async fn keep(&self, connection: Uuid, before: i64, new: &Tokens) -> Result<bool, TokenError> {
        // By the waits alone: a try that hung for a minute, or a clock that was put forward, is no reason to try no more.
        let (store, mut left) = (&self.shared.store, KEEP);
        for attempt in 0u32.. {
            let failed = match store.put_tokens(connection, Some(before), new).await {
                Ok(true) => return Ok(true),
                // The answer to an earlier try may have been lost: then it is ours that stands.
                Ok(false) => match store.tokens(connection).await {
                    Ok(stands) => {
                        return Ok(stands.is_some_and(|stands| stands.access.expose_secret() == new.access.expose_secret()));
                    }
                    Err(e) => e,
                },
                Err(e) => e,
            };
            if left.is_zero() {
                return Err(failed.into());
            }
            let wait = backoff(attempt, LOOK, Duration::from_secs(5), self.shared.clock.chance()).min(left);
            self.shared.clock.sleep(wait).await;
            left -= wait;
        }
        unreachable!("the loop ends by returning")
    }

    async fn lost(&self, connection: Uuid, provider: &'static str, why: &'static str) -> Result<Access, TokenError> {
        events::state(&self.shared, connection, ConnectionState::NeedsReauth, State::NeedsReauth, why)
            .await
            .map_err(|_| TokenError::Later("log_unavailable"))?;
        metrics::counter!(REFRESHES, "provider" => provider, "outcome" => "terminal").increment(1);
        if why == LOST {
            metrics::counter!(LOST_PAIRS, "provider" => provider).increment(1);
        }
        Err(TokenError::NeedsReauth(why))
    }
}

/// What is asked of the token endpoint.
#[derive(Clone, Copy)]
pub(crate) enum Ask<'a> {
    Code {
        code: &'a str,
        redirect_uri: &'a str,
        /// PKCE's.
        verifier: Option<&'a str>,
    },
    Refresh(&'a SecretString),
}

/// The pair to store: what was given, and of the old one what was not given again.
pub(crate) fn tokens(given: &Given, old: Option<&Tokens>, now: i64) -> Tokens {
    Tokens {
        access: given.access.clone().into(),
        refresh: given.refresh.clone().map(SecretString::from).or_else(|| old?.refresh.clone()),
        expires_at: given.expires_in.map(|life| now + micros(life)),
        generation: old.map_or(1, |old| old.generation + 1),
    }
}

/// One call to the token endpoint.
pub(crate) async fn exchange(shared: &Shared, cloud: &Cloud, ask: Ask<'_>) -> Result<Given, TokenFault> {
    let oauth = cloud.profile().oauth.as_ref().ok_or(TokenFault::Terminal("no_oauth"))?;
    match oauth.dialect {
        Dialect::Standard => standard(shared, cloud, oauth, ask).await,
        Dialect::Own => {
            let (client_id, client_secret) = (cloud.settings.client_id.as_str(), cloud.settings.client_secret.expose_secret());
            let grant = match ask {
                Ask::Code { code, redirect_uri, .. } => Grant::Code { code, redirect_uri, client_id, client_secret },
                Ask::Refresh(token) => Grant::Refresh { refresh_token: token.expose_secret(), client_id, client_secret },
            };
            let form = cloud.source.token_form(&grant);
            let answer = shared
                .http
                .post_form(&token_url(cloud, oauth), &form)
                .await
                .map_err(|NoAnswer { why }| TokenFault::Again(why))?;
            cloud.source.read_tokens(&answer.as_response())
        }
    }
}

/// Ends a grant at a provider that follows RFC 7009. True where the provider says so, or no longer knows the token.
pub(crate) async fn revoke(shared: &Shared, cloud: &Cloud, url: &str, token: &SecretString) -> Result<bool, NoAnswer> {
    let form = [
        ("token", token.expose_secret().to_owned()),
        ("client_id", cloud.settings.client_id.clone()),
        ("client_secret", cloud.settings.client_secret.expose_secret().to_owned()),
    ];
    Ok(matches!(shared.http.post_form(url, &form).await?.status, 200 | 400))
}

fn token_url(cloud: &Cloud, oauth: &OAuth) -> String {
    cloud.settings.token_url.clone().unwrap_or_else(|| oauth.token.to_owned())
}

/// RFC 6749, through the `oauth2` crate.
async fn standard(shared: &Shared, cloud: &Cloud, oauth: &OAuth, ask: Ask<'_>) -> Result<Given, TokenFault> {
    let url = TokenUrl::new(token_url(cloud, oauth)).map_err(|_| TokenFault::Again("bad_token_url"))?;
    let client = BasicClient::new(ClientId::new(cloud.settings.client_id.clone()))
        .set_client_secret(ClientSecret::new(cloud.settings.client_secret.expose_secret().to_owned()))
        .set_auth_type(if oauth.client_auth == ClientAuth::Basic { AuthType::BasicAuth } else { AuthType::RequestBody })
        .set_token_uri(url);
    let http = Adapter { http: shared.http.clone(), body: Mutex::default() };
    let answered = match ask {
        Ask::Code { code, redirect_uri, verifier } => {
            let redirect =
                oauth2::RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| TokenFault::Terminal("bad_redirect_uri"))?;
            let mut request = client.exchange_code(oauth2::AuthorizationCode::new(code.to_owned()));
            if let Some(verifier) = verifier {
                request = request.set_pkce_verifier(oauth2::PkceCodeVerifier::new(verifier.to_owned()));
            }
            request.set_redirect_uri(std::borrow::Cow::Owned(redirect)).request_async(&http).await
        }
        Ask::Refresh(token) => {
            client.exchange_refresh_token(&RefreshToken::new(token.expose_secret().to_owned())).request_async(&http).await
        }
    };
    let given = answered.map_err(|error| match error {
        RequestTokenError::ServerResponse(answer) => match answer.error().as_ref() {
            "invalid_grant" => TokenFault::Terminal("invalid_grant"),
            "invalid_client" | "unauthorized_client" => TokenFault::Again("client_refused"),
            _ => TokenFault::Again("refused"),
        },
        RequestTokenError::Request(NoAnswer { why }) => TokenFault::Again(why),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => TokenFault::Again("not_understood"),
    })?;
    Ok(Given {
        access: given.access_token().secret().clone(),
        refresh: given.refresh_token().map(|t| t.secret().clone()),
        expires_in: given.expires_in(),
        scopes: given.scopes().map(|scopes| scopes.iter().map(|s| s.to_string()).collect()).unwrap_or_default(),
        user: oauth.user_field.and_then(|field| user(&http.body.lock().expect("nothing panics under this lock"), field)),
    })
}

/// The provider's user id in a token answer, as text or as a number.
fn user(body: &[u8], field: &str) -> Option<String> {
    let answer: std::collections::BTreeMap<&str, &serde_json::value::RawValue> = serde_json::from_slice(body).ok()?;
    Some(answer.get(field)?.get().trim_matches('"').to_owned()).filter(|id| !id.is_empty() && id != "null")
}

/// Our HTTP client as the `oauth2` crate wants one.
struct Adapter {
    http: Http,
    /// Of the last answer: the crate reads the standard's fields only.
    body: Mutex<zeroize::Zeroizing<Vec<u8>>>,
}

impl<'c> AsyncHttpClient<'c> for Adapter {
    type Error = NoAnswer;
    type Future = BoxFuture<'c, Result<HttpResponse, NoAnswer>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.http.execute(request).await?;
            *self.body.lock().expect("nothing panics under this lock") = answer.body.clone().into();
            let mut response = axum::http::Response::builder().status(answer.status);
            if let Some(kind) = answer.header("content-type") {
                response = response.header("content-type", kind);
            }
            response.body(answer.body).map_err(|_| NoAnswer { why: "bad_answer" })
        })
    }
}
