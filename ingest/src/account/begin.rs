//! The way to the provider's consent page.

use oauth2::{PkceCodeChallenge, Scope};
use serde::{Deserialize, Serialize};

use super::{AccountError, Accounts, hash, secret};

/// How long a person may take at the provider's.
const LIFE: i64 = 600_000_000;

/// What is to be connected, for whom, and by which browser.
#[derive(Clone, Copy)]
pub struct Begin<'a> {
    pub provider: &'a str,
    pub subject: &'a str,
    /// Hash of the secret that only this browser has.
    pub session: &'a [u8; 32],
    /// Where the provider sends the person back to; one address per provider.
    pub redirect_uri: &'a str,
    /// IANA zone of the person, where known.
    pub zone: Option<&'a str>,
    /// Hash of the invitation that is used up when this succeeds.
    pub invitation: Option<&'a [u8; 32]>,
    /// The caller's own, given back at the end.
    pub note: &'a str,
}

pub struct Started {
    /// Where to send the person.
    pub url: String,
    /// Microseconds since the epoch.
    pub expires_at: i64,
}

/// What is kept until the person comes back. Sealed at rest.
#[derive(Serialize, Deserialize)]
pub(super) struct Attempt {
    pub provider: String,
    pub subject: String,
    pub session: [u8; 32],
    pub redirect_uri: String,
    pub zone: Option<String>,
    pub invitation: Option<[u8; 32]>,
    pub verifier: Option<String>,
    pub note: String,
}

impl Accounts {
    /// # Errors
    /// When the provider cannot be connected, or the subject was erased.
    pub async fn begin(&self, ask: Begin<'_>) -> Result<Started, AccountError> {
        let (cloud, oauth) = self.cloud(ask.provider)?;
        let store = &self.shared.store;
        if !store.erasure(ask.subject).await?.is_empty() {
            return Err(AccountError::Erased);
        }
        let state = secret();
        let (challenge, verifier) = oauth.pkce.then(PkceCodeChallenge::new_random_sha256).unzip();
        let attempt = Attempt {
            provider: ask.provider.to_owned(),
            subject: ask.subject.to_owned(),
            session: *ask.session,
            redirect_uri: ask.redirect_uri.to_owned(),
            zone: ask.zone.map(str::to_owned),
            invitation: ask.invitation.copied(),
            verifier: verifier.map(|verifier| verifier.secret().clone()),
            note: ask.note.to_owned(),
        };
        let (now, body) = (self.now(), serde_json::to_vec(&attempt).expect("texts and bytes are JSON"));
        store.put_pending(&hash("state", &state), &body, now, now + LIFE).await?;

        let bad = |_| AccountError::BadAddress;
        let base = cloud.settings.authorize_url.clone().unwrap_or_else(|| oauth.authorize.to_owned());
        let client = oauth2::basic::BasicClient::new(oauth2::ClientId::new(cloud.settings.client_id.clone()))
            .set_auth_uri(oauth2::AuthUrl::new(base).map_err(bad)?)
            .set_redirect_uri(oauth2::RedirectUrl::new(ask.redirect_uri.to_owned()).map_err(bad)?);
        // One word for the crate, which would put a space between several.
        let scopes = oauth.scopes.join(&oauth.scope_separator.to_string());
        let mut request = client.authorize_url(|| oauth2::CsrfToken::new(state)).add_scope(Scope::new(scopes));
        for (name, value) in oauth.authorize_extra {
            request = request.add_extra_param(*name, *value);
        }
        if let Some(challenge) = challenge {
            request = request.set_pkce_challenge(challenge);
        }
        Ok(Started { url: request.url().0.into(), expires_at: now + LIFE })
    }
}
