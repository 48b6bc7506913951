//! Removing a person everywhere, with a proof of what was done.
//!
//! | dies                                | when asked again                                                                  |
//! | ----------------------------------- | --------------------------------------------------------------------------------- |
//! | before `requested` is stored        | nothing was done                                                                  |
//! | anywhere after it                   | no new key is made for the subject from then on; each step is done again          |
//! | after the record on the topic       | sinks remove the rows by themselves; the keys are deleted when it is asked again   |

use crate::upload::BATCHES;
use headwater_schemas::Outbox;
use headwater_schemas::connection::State;
use headwater_schemas::consent::Decision;
use headwater_schemas::topics;
use headwater_store::{ConnectionState, ErasureStep};
use uuid::Uuid;

use super::consent::put;
use super::{AccountError, Accounts, Agreed, Left, Revoked};

/// The version of an erasure: greater than that of every decision.
const LAST: i64 = i64::MAX;

impl Accounts {
    /// Erases a subject: connections with their tokens, rows, identity, and the key that opens the raw records. Sinks do their part when they
    /// hear of it. Safe to repeat; an erased subject never comes back.
    ///
    /// # Errors
    /// [`AccountError`]: what was done is in the proof, the rest is to be asked for again.
    pub async fn erase(&self, subject: &str, actor: &str) -> Result<Vec<ErasureStep>, AccountError> {
        let store = &self.shared.store;
        if store.erasure(subject).await?.is_empty() {
            self.note(subject, "requested", 0, Some(actor)).await?;
        }
        let agreed = Agreed {
            granted: false,
            data_types: vec![],
            recipients: vec![],
            until: None,
            actor: actor.to_owned(),
            at: self.now(),
        };
        let mut out = Outbox::default();
        put(subject, LAST, Decision::Erased, &agreed, &mut out);
        self.shared.outlet.append(&out).await?;
        self.note(subject, "announced", 1, Some("processors and sinks withhold what is theirs from now on")).await?;
        self.leave_all(subject).await?;

        let devices = store.devices(subject).await?;
        let mut out = Outbox::default();
        for device in &devices {
            out.put_tombstone(&topics::DEVICE, None, device.id.to_string().as_bytes());
        }
        self.shared.outlet.append(&out).await?;
        let erased = store.erase_subject(subject, self.now()).await?;
        self.add(subject, "keys", erased.keys).await?;
        self.add(subject, "observations", erased.observations).await?;
        self.add(subject, "devices", erased.devices).await?;
        Ok(store.erasure(subject).await?)
    }

    async fn leave_all(&self, subject: &str) -> Result<(), AccountError> {
        let store = &self.shared.store;
        let (mut ended, mut revoked, mut shared) = (0, 0, 0);
        for id in store.connections_of(subject).await? {
            match self.leave_for_good(id, subject).await {
                Ok(Left::OthersRemain) => shared += 1,
                Ok(Left::Ended(how)) => {
                    ended += 1;
                    revoked += u64::from(how == Revoked::AtProvider);
                }
                Err(AccountError::Unknown) => store.unlist(subject, id).await?,
                Err(error) => return Err(error),
            }
        }
        self.add(subject, "connections", ended).await?;
        self.add(subject, "revoked_at_provider", revoked).await?;
        self.add(subject, "shared_connections_left", shared).await
    }

    async fn leave_for_good(&self, id: Uuid, subject: &str) -> Result<Left, AccountError> {
        let lease = self.lease(id).await?;
        let left = self.left(id, subject, State::Erased).await;
        let gone = match &left {
            Ok(Left::Ended(_)) => self.forget(id).await,
            _ => Ok(()),
        };
        self.release(&lease).await;
        gone.and(left)
    }

    async fn forget(&self, id: Uuid) -> Result<(), AccountError> {
        let store = &self.shared.store;
        let Some(connection) = store.connection(id).await? else { return Ok(()) };
        debug_assert_eq!(connection.state, ConnectionState::Disconnected);
        let streams: Vec<&str> = self
            .shared
            .cloud(&connection.provider)
            .map(|cloud| cloud.profile().streams.iter().map(|s| s.id).chain([BATCHES]).collect())
            .unwrap_or_default();
        Ok(store.delete_connection(&connection, &streams).await?)
    }

    /// The proof: what was done, and when.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn erasure(&self, subject: &str) -> Result<Vec<ErasureStep>, AccountError> {
        Ok(self.shared.store.erasure(subject).await?)
    }

    /// Counts of a repeat add to what was counted before.
    async fn add(&self, subject: &str, step: &str, count: u64) -> Result<(), AccountError> {
        let before = self.shared.store.erasure(subject).await?.into_iter().find(|s| s.step == step).map_or(0, |s| s.count);
        self.note(subject, step, before + i64::try_from(count).unwrap_or(i64::MAX), None).await
    }

    async fn note(&self, subject: &str, step: &str, count: i64, note: Option<&str>) -> Result<(), AccountError> {
        let step = ErasureStep { step: step.to_owned(), at: self.now(), count, note: note.map(str::to_owned) };
        Ok(self.shared.store.put_erasure(subject, &step).await?)
    }
}
