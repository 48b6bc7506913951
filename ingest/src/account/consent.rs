//! What a subject agreed to: which types, for whom, until when. Kept by version in the store, told on the consent topic.

use headwater_schemas::Outbox;
use headwater_schemas::consent::{Consent, Decision, Terms};
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::{ConnectionState, Store};
use serde::{Deserialize, Serialize};

use super::join::history;
use super::{AccountError, Accounts, LEASE, LEASE_WAIT};
use crate::Unavailable;

/// A decision, as the subject gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    pub granted: bool,
    /// Slugs; empty means all.
    pub data_types: Vec<String>,
    /// Names of sinks; empty means all.
    pub recipients: Vec<String>,
    /// Microseconds since the epoch.
    pub until: Option<i64>,
    pub actor: String,
    pub at: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    #[error("{0} is no data type, expected one of `headwater streams`")]
    DataType(String),
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Accounts {
    /// Records a decision. It is in force when this returns; processors and sinks obey it within seconds.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub async fn agree(&self, subject: &str, agreed: &Agreed) -> Result<i64, ConsentError> {
        if let Some(unknown) = agreed.data_types.iter().find(|slug| !headwater_schemas::codes::is_data_type(slug)) {
            return Err(ConsentError::DataType(unknown.clone()));
        }
        // Stored and told in one order, so that the last on the topic is the one in force.
        let name = format!("consent/{subject}");
        let lease = self.shared.lease(&name, LEASE, LEASE_WAIT).await.map_err(AccountError::from)?;
        let lease = lease.ok_or(AccountError::Busy)?;
        let recorded = self.recorded(subject, agreed).await;
        self.release(&lease).await;
        Ok(recorded?)
    }

    async fn recorded(&self, subject: &str, agreed: &Agreed) -> Result<i64, AccountError> {
        let store = &self.shared.store;
        if !store.erasure(subject).await?.is_empty() {
            return Err(AccountError::Erased);
        }
        let before = store.consent(subject).await?;
        let expected = before.as_ref().map_or(0, |(version, _)| *version);
        let text = serde_json::to_string(agreed).expect("words and numbers are JSON");
        if !store.put_consent(subject, expected, &text).await? {
            return Err(AccountError::Busy);
        }
        let decision = if agreed.granted { Decision::Granted } else { Decision::Withdrawn };
        let mut out = Outbox::default();
        put(subject, expected + 1, decision, agreed, &mut out);
        // What was passed over while less was agreed to is fetched again.
        let wider = agreed.granted && before.as_ref().is_some_and(|(_, text)| !terms(expected, text).unrestricted());
        if wider {
            self.fetch_again(subject, &mut out).await?;
        }
        self.shared.outlet.append(&out).await?;
        Ok(expected + 1)
    }

    async fn fetch_again(&self, subject: &str, out: &mut Outbox) -> Result<(), AccountError> {
        let store = &self.shared.store;
        for id in store.connections_of(subject).await? {
            let Some(connection) = store.connection(id).await?.filter(|c| c.state == ConnectionState::Active) else { continue };
            let Some(cloud) = self.shared.cloud(&connection.provider) else { continue };
            let streams: Vec<&str> = cloud.profile().streams.iter().map(|s| s.id).collect();
            store.forget_digests(id, &streams).await?;
            history(&cloud, &connection, self.now(), out);
        }
        Ok(())
    }

    /// What is in force, with its version; `None` where the subject decided nothing.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn agreed(&self, subject: &str) -> Result<Option<(i64, Agreed)>, AccountError> {
        let kept = self.shared.store.consent(subject).await?;
        Ok(kept.and_then(|(version, text)| serde_json::from_str(&text).ok().map(|agreed| (version, agreed))))
    }
}

pub(super) fn put(subject: &str, version: i64, decision: Decision, agreed: &Agreed, out: &mut Outbox) {
    let consent = Consent {
        subject_id: subject,
        version,
        decision,
        data_types: agreed.data_types.iter().map(String::as_str).collect(),
        recipients: agreed.recipients.iter().map(String::as_str).collect(),
        until: agreed.until,
        actor: &agreed.actor,
        at: agreed.at,
    };
    out.put(&topics::CONSENT, None, subject.as_bytes(), |bytes| consent.encode(bytes));
}

/// What is in force for a subject.
pub(crate) async fn in_force(store: &dyn Store, subject: &str) -> Result<Terms, Unavailable> {
    Ok(store.consent(subject).await?.map_or_else(Terms::default, |(version, text)| terms(version, &text)))
}

/// A text that cannot be read is taken for a withdrawal: what was agreed to is not known.
fn terms(version: i64, text: &str) -> Terms {
    let owned = |list: Vec<String>| list.into_iter().map(Into::into).collect();
    match serde_json::from_str::<Agreed>(text) {
        Ok(agreed) => Terms {
            version,
            decision: if agreed.granted { Decision::Granted } else { Decision::Withdrawn },
            data_types: owned(agreed.data_types),
            recipients: owned(agreed.recipients),
            until: agreed.until,
            at: agreed.at,
        },
        Err(_) => Terms { version, decision: Decision::Withdrawn, ..Terms::default() },
    }
}
