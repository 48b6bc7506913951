//! The way back from the provider's consent page. Some providers' codes live for seconds, so all of it happens in the redirect's own request.

use headwater_schemas::ids;
use headwater_sources::profile::OAuth;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::begin::Attempt;
use super::{AccountError, Accounts, hash};
use crate::cloud::Cloud;
use crate::tokens::{self, Ask};

/// What came with the redirect. Nothing of it is to be trusted.
#[derive(Clone, Copy)]
pub struct Callback<'a> {
    /// From the path of the redirect address.
    pub provider: &'a str,
    pub state: &'a str,
    pub code: Option<&'a str>,
    pub error: Option<&'a str>,
    pub issuer: Option<&'a str>,
    /// Hash of the browser's secret; `None` where it had none.
    pub session: Option<&'a [u8; 32]>,
}

/// A connected account.
#[derive(Debug)]
pub struct Finished {
    pub connection: Uuid,
    pub subject: String,
    pub provider: String,
    /// What was asked for and not granted: what needs it is not fetched.
    pub missing: Vec<String>,
    pub note: String,
}

/// Nothing was connected.
#[derive(Debug)]
pub struct Unfinished {
    pub why: FinishError,
    /// The caller's own, where the attempt was known.
    pub note: Option<String>,
    pub subject: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// Invented, used before, or too late. Which of these is told to nobody.
    #[error("this attempt to connect is not known, or no longer")]
    UnknownState,
    #[error("the answer is another provider's")]
    OtherProvider,
    #[error("another browser began this attempt")]
    OtherSession,
    #[error("the person declined")]
    Declined,
    #[error("the provider could not do it")]
    ProviderError,
    #[error("the invitation was used before")]
    InvitationUsed,
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<headwater_store::Unavailable> for FinishError {
    fn from(error: headwater_store::Unavailable) -> Self {
        Self::Account(error.into())
    }
}

impl Accounts {
    /// Judges the redirect, exchanges the code, and connects.
    ///
    /// # Errors
    /// [`Unfinished`]; the attempt is used up whatever it was.
    pub async fn finish(&self, callback: Callback<'_>) -> Result<Finished, Unfinished> {
        let unknown = |why| Unfinished { why, note: None, subject: None };
        let taken = self.shared.store.take_pending(&hash("state", callback.state), self.now()).await;
        let taken = taken.map_err(|e| unknown(e.into()))?.ok_or_else(|| unknown(FinishError::UnknownState))?;
        let attempt: Attempt = serde_json::from_slice(&taken).map_err(|_| unknown(FinishError::UnknownState))?;
        // Whoever lacks the browser's secret learns nothing of the attempt, not even where it would have led.
        let same = callback.session.is_some_and(|session| bool::from(session.ct_eq(&attempt.session)));
        if !same {
            return Err(unknown(FinishError::OtherSession));
        }
        match self.exchange(&attempt, callback).await {
            Ok((connection, missing)) => {
                Ok(Finished { connection, subject: attempt.subject, provider: attempt.provider, missing, note: attempt.note })
            }
            Err(why) => Err(Unfinished { why, note: Some(attempt.note), subject: Some(attempt.subject) }),
        }
    }

    async fn exchange(&self, attempt: &Attempt, callback: Callback<'_>) -> Result<(Uuid, Vec<String>), FinishError> {
        let (cloud, oauth) = self.cloud(&attempt.provider)?;
        judge(attempt, oauth, callback)?;
        let code = callback.code.filter(|code| !code.is_empty()).ok_or(FinishError::ProviderError)?;
        let ask = Ask::Code { code, redirect_uri: &attempt.redirect_uri, verifier: attempt.verifier.as_deref() };
        let given = tokens::exchange(&self.shared, &cloud, ask).await.map_err(AccountError::Refused)?;
        let user = match &given.user {
            Some(user) => user.clone(),
            None => self.identify(&cloud, &given.access).await?,
        };
        self.register(&cloud, &given.access, &user).await?;
        if let Some(invitation) = &attempt.invitation
            && self.shared.store.take_pending(invitation, self.now()).await?.is_none()
        {
            return Err(FinishError::InvitationUsed);
        }
        Ok(self.join(&cloud, oauth, attempt, &given, &user).await?)
    }

    /// Where the provider gives nothing of somebody who is not made known to it.
    async fn register(&self, cloud: &Cloud, access: &str, user: &str) -> Result<(), AccountError> {
        let member = ids::connection(cloud.profile().id, user).to_string();
        let Some(fetch) = cloud.source.register(&member) else { return Ok(()) };
        let asked = self.shared.http.fetch(cloud.api(), &fetch, &access.to_owned().into()).await;
        let answer = asked.map_err(|_| AccountError::Nobody)?;
        cloud.source.read(&fetch, &answer.as_response()).map_err(|_| AccountError::Nobody)?;
        Ok(())
    }

    async fn identify(&self, cloud: &Cloud, access: &str) -> Result<String, AccountError> {
        let fetch = cloud.source.identify().ok_or(AccountError::Nobody)?;
        let asked = self.shared.http.fetch(cloud.api(), &fetch, &access.to_owned().into()).await;
        let answer = asked.map_err(|_| AccountError::Nobody)?;
        cloud.source.read_identity(&answer.as_response()).ok_or(AccountError::Nobody)
    }
}

/// Whether the answer is the one that was asked for: one redirect address per provider, and the issuer where it says who it is.
fn judge(attempt: &Attempt, oauth: &OAuth, callback: Callback<'_>) -> Result<(), FinishError> {
    if attempt.provider != callback.provider {
        return Err(FinishError::OtherProvider);
    }
    if let (Some(expected), Some(issuer)) = (oauth.issuer, callback.issuer)
        && expected != issuer
    {
        return Err(FinishError::OtherProvider);
    }
    match callback.error {
        None => Ok(()),
        Some("access_denied") => Err(FinishError::Declined),
        Some(_) => Err(FinishError::ProviderError),
    }
}
