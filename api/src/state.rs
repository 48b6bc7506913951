//! What the handlers share, who is let in, and the record that every act leaves.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use headwater_ingest::Accounts;
use headwater_schemas::audit::{Audit, AuditOutcome};
use headwater_store::{Connection, Store};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::auth::{Action, Caller, Verifier, bearer};
use crate::health::Feed;
use crate::mail::Mailer;
use crate::problem::Problem;
use crate::settings::Settings;

/// Who is let in.
#[derive(Clone, Default)]
pub struct Access {
    /// Whoever has this bearer token is an operator who may read.
    pub token: Option<SecretString>,
    /// JSON web tokens.
    pub verifier: Option<Arc<Verifier>>,
}

/// The API over one store.
pub struct Api {
    pub store: Arc<dyn Store>,
    pub accounts: Arc<Accounts>,
    pub settings: Settings,
    pub access: Access,
    pub mailer: Option<Mailer>,
    /// Without it there is no live stream.
    pub feed: Option<Arc<dyn Feed>>,
}

/// What somebody did, for the record.
pub(crate) struct Act<'a> {
    pub actor: &'a str,
    pub action: &'static str,
    pub subject: Option<&'a str>,
    pub connection: Option<Uuid>,
    pub detail: Option<&'a str>,
}

impl Api {
    /// Leaves the record of an act. The act's answer is given after this.
    pub(crate) async fn done(&self, act: Act<'_>) -> Result<(), Problem> {
        self.record(act, AuditOutcome::Success).await
    }

    /// Whether the caller may do this to this subject; a refusal leaves a record.
    pub(crate) async fn allow(&self, caller: &Caller, action: Action, name: &'static str, subject: &str) -> Result<(), Problem> {
        match caller.require(action, subject) {
            Ok(()) => Ok(()),
            Err(denied) => {
                self.denied(caller, name, Some(subject).filter(|subject| !subject.is_empty()), None).await?;
                Err(denied.into())
            }
        }
    }

    /// The connection and whom of its subjects the caller acts for. To whoever may not see it, it is not there.
    pub(crate) async fn connection(
        &self,
        caller: &Caller,
        action: Action,
        name: &'static str,
        (id, subject): (Uuid, Option<&str>),
    ) -> Result<(Connection, String), Problem> {
        let nothing = || Problem::new(404, "not found", "no such connection");
        let Some(connection) = self.store.connection(id).await? else { return Err(nothing()) };
        let mut subjects = connection.subjects.iter().filter(|s| subject.is_none_or(|asked| asked == s.as_str()));
        match subjects.find(|s| caller.may(action, s)).cloned() {
            Some(subject) => Ok((connection, subject)),
            None => {
                self.denied(caller, name, None, Some(id)).await?;
                Err(nothing())
            }
        }
    }

    async fn denied(
        &self,
        caller: &Caller,
        action: &'static str,
        subject: Option<&str>,
        connection: Option<Uuid>,
    ) -> Result<(), Problem> {
        self.record(Act { actor: &caller.actor, action, subject, connection, detail: None }, AuditOutcome::Denied).await
    }

    async fn record(&self, act: Act<'_>, outcome: AuditOutcome) -> Result<(), Problem> {
        let record = Audit {
            audit_id: Uuid::now_v7(),
            at: self.accounts.now(),
            actor: act.actor,
            action: act.action,
            outcome,
            subject_id: act.subject,
            connection_id: act.connection,
            detail: act.detail,
        };
        Ok(self.accounts.audit(&[record]).await?)
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let given = bearer(headers)?;
        if let Some(token) = &self.access.token
            && bool::from(given.as_bytes().ct_eq(token.expose_secret().as_bytes()))
        {
            return Ok(Caller::system("service"));
        }
        match &self.access.verifier {
            Some(verifier) => Ok(verifier.verify(given).await?),
            None => Err(crate::auth::Denied::of(crate::auth::Reason::Signature).into()),
        }
    }
}

/// Lets a request through with its [`Caller`].
pub(crate) async fn guard(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    match api.caller(&headers).await {
        Ok(caller) => {
            request.extensions_mut().insert(Arc::new(caller));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
