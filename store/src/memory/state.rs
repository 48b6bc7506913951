//! The tables of the store in memory, and what one statement does to them.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::observations::Observations;
use crate::rows::{Connection, Cursor, ErasureStep, Health, Identity, Intent, Lease, Listed, Subject, Tokens};
use crate::vault::KeyRow;

#[derive(Default)]
pub(super) struct State {
    pub connections: BTreeMap<Uuid, Connection>,
    pub by_subject: BTreeSet<(String, Uuid)>,
    pub health: BTreeMap<Uuid, Health>,
    pub subjects: BTreeMap<String, Subject>,
    pub consents: BTreeMap<String, (i64, String)>,
    pub pending: BTreeMap<[u8; 32], (Zeroizing<Vec<u8>>, i64)>,
    pub keys: BTreeMap<(String, Uuid), KeyRow>,
    /// By subject and step.
    pub erasures: BTreeMap<(String, String), ErasureStep>,
    pub tokens: BTreeMap<Uuid, Tokens>,
    pub intents: BTreeMap<Uuid, Intent>,
    leases: BTreeMap<String, Tenure>,
    pub cursors: BTreeMap<(Uuid, String), Cursor>,
    pub digests: BTreeMap<(Uuid, String, i64), [u8; 16]>,
    pub held: BTreeMap<(Uuid, String, i64), Vec<u8>>,
    pub observations: Observations,
}

struct Tenure {
    owner: Uuid,
    until: i64,
    fence: i64,
}

impl State {
    pub fn put_connection(&mut self, connection: &Connection) {
        self.by_subject.extend(connection.subjects.iter().map(|subject| (subject.clone(), connection.id)));
        self.connections.insert(connection.id, connection.clone());
    }

    pub fn with_connection(&mut self, id: Uuid, change: impl FnOnce(&mut Connection)) -> bool {
        self.connections.get_mut(&id).map(change).is_some()
    }

    pub fn listed(&self, shard: u8, after: Option<Uuid>, limit: usize) -> Vec<Listed> {
        let of_shard = self.connections.values().filter(|c| crate::shard(c.id) == shard && after.is_none_or(|a| c.id > a));
        of_shard
            .take(limit)
            .map(|c| Listed { id: c.id, provider: c.provider.clone(), state: c.state, next_poll: c.next_poll })
            .collect()
    }

    pub fn connections_of(&self, subject: &str) -> Vec<Uuid> {
        self.by_subject.iter().filter(|(of, _)| of == subject).map(|(_, id)| *id).collect()
    }

    pub fn set_synced(&mut self, id: Uuid, error: Option<&str>, at: i64) {
        let health = self.health.entry(id).or_default();
        match error {
            None => (health.synced_at, health.last_error, health.last_error_at) = (Some(at), None, None),
            Some(why) => (health.last_error, health.last_error_at) = (Some(why.to_owned()), Some(at)),
        }
    }

    pub fn delete_connection(&mut self, id: Uuid) {
        self.connections.remove(&id);
        self.tokens.remove(&id);
        self.health.remove(&id);
        self.intents.remove(&id);
        self.cursors.retain(|(of, _), _| *of != id);
        self.digests.retain(|(of, _, _), _| *of != id);
        self.held.retain(|(of, _, _), _| *of != id);
        self.by_subject.retain(|(_, of)| *of != id);
    }

    pub fn put_subject(&mut self, subject: &Subject) -> bool {
        let known = self.subjects.contains_key(&subject.id)
            || subject.identity.as_ref().is_some_and(|identity| self.subject_by_identity(identity).is_some());
        if !known {
            self.subjects.insert(subject.id.clone(), subject.clone());
        }
        !known
    }

    pub fn subject_by_identity(&self, identity: &Identity) -> Option<String> {
        self.subjects.values().find(|subject| subject.identity.as_ref() == Some(identity)).map(|subject| subject.id.clone())
    }

    pub fn put_consent(&mut self, subject: &str, expected: i64, text: &str) -> bool {
        let stands = self.consents.get(subject).map_or(0, |(version, _)| *version) == expected;
        if stands {
            self.consents.insert(subject.to_owned(), (expected + 1, text.to_owned()));
        }
        stands
    }

    pub fn put_pending(&mut self, key: &[u8; 32], body: &[u8], now: i64, until: i64) {
        self.pending.retain(|_, (_, end)| *end > now);
        self.pending.insert(*key, (Zeroizing::new(body.to_vec()), until));
    }

    pub fn pending(&self, key: &[u8; 32], now: i64) -> Option<Zeroizing<Vec<u8>>> {
        self.pending.get(key).filter(|(_, until)| *until > now).map(|(body, _)| body.clone())
    }

    pub fn erase(&mut self, subject: &str) -> (u64, u64) {
        self.subjects.remove(subject);
        self.by_subject.retain(|(of, _)| of != subject);
        self.observations.erase(subject)
    }

    pub fn erasure(&self, subject: &str) -> Vec<ErasureStep> {
        let mut steps: Vec<ErasureStep> =
            self.erasures.iter().filter(|((of, _), _)| of == subject).map(|(_, step)| step.clone()).collect();
        steps.sort_by(|a, b| (a.at, &a.step).cmp(&(b.at, &b.step)));
        steps
    }

    /// A renewal of a running lease keeps its fence; whoever takes a free one gets the next.
    pub fn lease(&mut self, name: &str, owner: Uuid, now: i64, until: i64) -> Option<Lease> {
        let tenure = self.leases.entry(name.to_owned()).or_insert(Tenure { owner, until: i64::MIN, fence: 0 });
        let over = tenure.until <= now;
        if !over && tenure.owner != owner {
            return None;
        }
        *tenure = Tenure { owner, until, fence: tenure.fence + i64::from(over) };
        Some(Lease { name: name.to_owned(), owner, fence: tenure.fence })
    }

    pub fn release(&mut self, lease: &Lease) {
        if let Some(tenure) = self.leases.get_mut(&lease.name).filter(|t| t.owner == lease.owner && t.fence == lease.fence) {
            tenure.until = i64::MIN;
        }
    }
}
