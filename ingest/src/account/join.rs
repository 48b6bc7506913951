//! An account that was just granted becomes a connection: tokens, events, history, announcements.

use headwater_schemas::connection::State;
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, ids};
use headwater_sources::profile::OAuth;
use headwater_sources::source::{Tokens as Given, Window};
use headwater_store::{Connection, ConnectionState, Subject};
use uuid::Uuid;

use super::begin::Attempt;
use super::{AccountError, Accounts};
use crate::cloud::Cloud;
use crate::events::{self, Told};
use crate::schedule::next_poll;
use crate::tokens;

impl Accounts {
    /// The connection, and what was asked for and not granted.
    pub(super) async fn join(
        &self,
        cloud: &Cloud,
        oauth: &OAuth,
        attempt: &Attempt,
        given: &Given,
        user: &str,
    ) -> Result<(Uuid, Vec<String>), AccountError> {
        let id = ids::connection(&attempt.provider, user);
        let lease = self.lease(id).await?;
        let joined = self.joined(cloud, oauth, attempt, given, (id, user)).await;
        self.release(&lease).await;
        let (connection, missing) = joined?;
        // Without announcements data still comes by schedule, so a refusal is told and not fatal.
        if let Err(why) = self.subscribe(cloud, &connection).await {
            tracing::warn!(provider = connection.provider, connection = %id, why, "not subscribed; data comes by schedule only");
        }
        Ok((id, missing))
    }

    async fn joined(
        &self,
        cloud: &Cloud,
        oauth: &OAuth,
        attempt: &Attempt,
        given: &Given,
        (id, user): (Uuid, &str),
    ) -> Result<(Connection, Vec<String>), AccountError> {
        let (store, now) = (&self.shared.store, self.now());
        if !store.erasure(&attempt.subject).await?.is_empty() {
            return Err(AccountError::Erased);
        }
        store.put_subject(&Subject { id: attempt.subject.clone(), identity: None, created_at: now }).await?;
        let old = store.connection(id).await?;
        let mut subjects = old.as_ref().map(|c| c.subjects.clone()).unwrap_or_default();
        let shared = !subjects.is_empty() && !subjects.contains(&attempt.subject);
        if !subjects.contains(&attempt.subject) {
            subjects.push(attempt.subject.clone());
        }
        // A provider that names no scopes granted what was asked for.
        let asked = || oauth.scopes.iter().map(|s| (*s).to_owned());
        let scopes: Vec<String> = if given.scopes.is_empty() { asked().collect() } else { given.scopes.clone() };
        let missing: Vec<String> = asked().filter(|scope| !scopes.contains(scope)).collect();
        let connection = Connection {
            id,
            provider: attempt.provider.clone(),
            provider_user: user.to_owned(),
            subjects,
            zone: attempt.zone.clone().or_else(|| old.as_ref().and_then(|c| c.zone.clone())),
            scopes,
            state: ConnectionState::Active,
            reason: (!missing.is_empty()).then(|| "fewer_scopes".to_owned()),
            created_at: old.as_ref().map_or(now, |c| c.created_at),
            state_at: now,
            last_poll: None,
            next_poll: Some(next_poll(cloud, &*self.shared.clock, now)),
        };
        // Tokens first: a connection without them would be called broken by the first hint that finds it.
        loop {
            let present = store.tokens(id).await?;
            let pair = tokens::tokens(given, present.as_ref(), now);
            if store.put_tokens(id, present.map(|t| t.generation), &pair).await? {
                break;
            }
        }
        if shared {
            // Somebody new for data we hold: what did not change is appended once more, for all who share the account.
            let streams: Vec<&str> = cloud.profile().streams.iter().map(|s| s.id).collect();
            store.forget_digests(id, &streams).await?;
        }
        store.put_connection(&connection).await?;
        let mut out = Outbox::default();
        let told = Told { reason: connection.reason.as_deref(), ..Told::state(State::Connected) };
        events::put(&connection, told, now, &mut out);
        live(cloud, &connection, Uuid::now_v7(), Cause::SyncNow, now, &mut out);
        history(cloud, &connection, now, &mut out);
        self.shared.outlet.append(&out).await?;
        Ok((connection, missing))
    }
}

/// What is fresh, of all streams.
pub(super) fn live(cloud: &Cloud, connection: &Connection, hint: Uuid, cause: Cause, now: i64, out: &mut Outbox) {
    put(cloud, connection, Asked { hint, lane: Lane::Live, cause, streams: vec![], window: None }, now, out);
}

/// History, a hint per stream, as far back as the provider's setting says.
pub(super) fn history(cloud: &Cloud, connection: &Connection, now: i64, out: &mut Outbox) {
    let window = Window { start: now - cloud.history(), end: now };
    for stream in cloud.profile().streams.iter().filter(|s| s.poll.is_some() && cloud.covered(connection, s)) {
        let (hint, streams) = (Uuid::now_v7(), vec![stream.id]);
        let asked = Asked { hint, lane: Lane::History, cause: Cause::Backfill, streams, window: Some(window) };
        put(cloud, connection, asked, now, out);
    }
}

struct Asked {
    hint: Uuid,
    lane: Lane,
    cause: Cause,
    streams: Vec<&'static str>,
    window: Option<Window>,
}

fn put(cloud: &Cloud, connection: &Connection, asked: Asked, now: i64, out: &mut Outbox) {
    let topic = if asked.lane == Lane::Live { &topics::HINT_LIVE } else { &topics::HINT_HISTORY };
    let hint = Hint {
        hint_id: asked.hint,
        provider: cloud.profile().id,
        connection_id: connection.id,
        cause: asked.cause,
        lane: asked.lane,
        change: Change::Data,
        streams: asked.streams,
        window_start: asked.window.map(|w| w.start),
        window_end: asked.window.map(|w| w.end),
        created_at: now,
        not_before: None,
        attempt: 0,
        object: None,
    };
    out.put(topic, None, connection.id.to_string().as_bytes(), |bytes| hint.encode(bytes));
}
