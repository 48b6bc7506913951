//! The hand that a test or a person has on the clouds.

mod edit;
pub(crate) mod http;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use self::edit::{add_patch, new_body, stamp, value_patch};
use crate::clock::Clock;
use crate::dice;
use crate::faults::{Fault, Queued};
use crate::google_health::subscribers::verify;
use crate::google_health::{types, webhook as google};
use crate::people::{Person, Profile, Provider};
use crate::record::{Origin, Record};
use crate::rest;
use crate::send::{Delivery, Notification, deliver, send};
use crate::withings::{data, webhook as withings};
use crate::world::{Counts, World};

/// Changes what the clouds hold, makes them speak, and makes them fail. Clones share one simulator.
#[derive(Clone)]
pub struct Control {
    pub(crate) world: Arc<World>,
}

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum ControlError {
    #[error("{0} knows nobody with this user id")]
    Person(&'static str),
    #[error("{provider} has no stream {stream:?}")]
    Stream { provider: &'static str, stream: String },
    #[error("no visible record of {0:?} fits")]
    Record(String),
    #[error("a record of {0:?} has no single value; give the body")]
    NoValue(String),
    #[error("the notification has no target: neither settings nor subscriptions name one")]
    NoTarget,
    #[error("a notification has one provider, and Withings' has one entry")]
    Batch,
    #[error("appli {0:?} is not a number")]
    Appli(String),
    #[error("the endpoint failed the handshake: {0}")]
    Handshake(String),
}

/// Which record of a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    Newest,
    Id(u64),
    /// The one that started at or last before this epoch second.
    At(i64),
}

/// What a correction writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The record's main number, in the unit of the API (kg of a weight group at Withings, grams at Google Health).
    Value(f64),
    /// A JSON merge patch (RFC 7386) of the record as the API returns it.
    Patch(Value),
}

/// A record that comes up late.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addition {
    /// Epoch seconds; equal for a sample.
    pub start: i64,
    pub end: i64,
    pub content: Content,
}

/// What an added record says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A weight in kg for Withings' `measures`; the main number of a Google Health interval or sample type.
    Value(f64),
    /// Everything as the API returns it. Ids and times of creation are filled in where they are missing.
    Body(Value),
}

/// What happened to a record, and to the notifications about it.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    pub id: u64,
    pub stream: String,
    /// Epoch seconds, as announced.
    pub window: (i64, i64),
    /// One per target; empty where nobody is to be told, or the type has no notifications.
    pub deliveries: Vec<Delivery>,
}

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    pub provider: Provider,
    pub user_id: String,
    /// `appli` at Withings (`"1"`), the data type at Google Health (`"steps"`).
    pub topic: String,
    /// Epoch seconds.
    pub start: i64,
    pub end: i64,
    /// Google Health's operation DELETE instead of UPSERT; Withings has no such thing.
    #[serde(default)]
    pub delete: bool,
    /// Withings' `appli` 46 only: `update`, `delete` or `unlink`.
    #[serde(default)]
    pub action: Option<String>,
}

impl Control {
    /// Everybody with an account.
    pub fn people(&self) -> Vec<Person> {
        self.world.people.iter().map(|who| who.person.as_ref().clone()).collect()
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.world.state().counts.clone()
    }

    /// The time of the simulator, to be advanced by a test.
    pub fn clock(&self) -> Clock {
        self.world.settings.clock.clone()
    }

    /// Up to when the clouds have received data: the present, or earlier while they catch up.
    pub fn horizon(&self) -> Timestamp {
        crate::people::instant(self.world.horizon())
    }

    /// The visible records of a stream that started within [from, to) (epoch seconds), oldest first.
    ///
    /// # Errors
    /// Where the person or the stream does not exist.
    pub fn records(
        &self,
        provider: Provider,
        user_id: &str,
        stream: &str,
        window: (i64, i64),
    ) -> Result<Vec<Record>, ControlError> {
        let who = self.who(provider, user_id)?;
        known(provider, stream)?;
        Ok(self.world.range(who, stream, window.0, window.1, self.world.horizon()))
    }

    /// Gives a record another value: same id, newer time of change. Whoever is connected is told.
    ///
    /// # Errors
    /// Where no record fits, or it has no single value.
    pub async fn correct(
        &self,
        provider: Provider,
        user_id: &str,
        stream: &str,
        select: &Select,
        change: Change,
    ) -> Result<Changed, ControlError> {
        let record = self.find(provider, user_id, stream, select)?;
        let now = self.world.settings.clock.seconds();
        let mut patch = match change {
            Change::Patch(patch) => patch,
            Change::Value(value) => value_patch(provider, stream, &record.body, value)?,
        };
        stamp(provider, stream, &mut patch, now);
        let key = (stream.to_owned(), record.id);
        {
            let mut state = self.world.state();
            let overrides = state.overrides.entry((provider, user_id.to_owned())).or_default();
            match overrides.patches.get_mut(&key) {
                Some((held, modified)) => {
                    add_patch(held, &patch);
                    *modified = now;
                }
                None => {
                    overrides.patches.insert(key, (patch, now));
                }
            }
        }
        self.tell(&record, provider, user_id, false).await
    }

    /// Removes a record. Withings only announces the window; Google Health sends DELETE with the interval.
    ///
    /// # Errors
    /// Where no record fits.
    pub async fn delete(
        &self,
        provider: Provider,
        user_id: &str,
        stream: &str,
        select: &Select,
    ) -> Result<Changed, ControlError> {
        let record = self.find(provider, user_id, stream, select)?;
        let now = self.world.settings.clock.seconds();
        {
            let mut state = self.world.state();
            let overrides = state.overrides.entry((provider, user_id.to_owned())).or_default();
            overrides.deleted.insert((stream.to_owned(), record.id), now);
        }
        self.tell(&record, provider, user_id, true).await
    }

    /// Adds a record, however old.
    ///
    /// # Errors
    /// Where the stream does not exist, or a number alone does not make a record of it.
    pub async fn add(
        &self,
        provider: Provider,
        user_id: &str,
        stream: &str,
        addition: Addition,
    ) -> Result<Changed, ControlError> {
        let who = self.who(provider, user_id)?;
        known(provider, stream)?;
        let now = self.world.settings.clock.seconds();
        let number = self.world.state().overrides.get(&(provider, user_id.to_owned())).map_or(0, |held| held.added.len());
        let id = dice::mix(&[who.key, dice::key(stream), addition.start as u64, number as u64, 71]) >> 12;
        let date = who.date_of(if stream == "sleep" { addition.end } else { addition.start });
        let record = Record {
            id,
            stream: stream.to_owned(),
            start: addition.start,
            end: addition.end,
            date,
            visible_at: now,
            modified: now,
            vanishes_at: None,
            body: new_body(who, stream, &addition, id, now)?,
            origin: Origin::Person,
        };
        self.world.state().overrides.entry((provider, user_id.to_owned())).or_default().added.push(record.clone());
        self.tell(&record, provider, user_id, false).await
    }

    /// The exact request of a notification, not sent. Several announcements make an array (Google Health only).
    ///
    /// # Errors
    /// Where nobody is known or no target is set.
    pub fn notification(&self, announcements: &[Announcement]) -> Result<Notification, ControlError> {
        self.notifications(announcements)?.into_iter().next().ok_or(ControlError::NoTarget)
    }

    /// Sends a notification to every target, with retries.
    ///
    /// # Errors
    /// Where nobody is known or no target is set.
    pub async fn notify(&self, announcement: &Announcement) -> Result<Vec<Delivery>, ControlError> {
        let notifications = self.notifications(std::slice::from_ref(announcement))?;
        if notifications.is_empty() {
            return Err(ControlError::NoTarget);
        }
        let mut deliveries = Vec::new();
        for notification in &notifications {
            deliveries.push(deliver(&self.world, notification).await);
        }
        Ok(deliveries)
    }

    /// Sends a request once and gives the status, for a test that changed or repeats it.
    pub async fn send(&self, notification: &Notification) -> Option<u16> {
        send(&self.world, notification).await
    }

    /// A valid Google Health signature of any bytes.
    pub fn sign(&self, body: &[u8]) -> String {
        self.world.state().signer.sign(body)
    }

    /// A well-formed signature by a key that is in no keyset.
    pub fn sign_as_stranger(&self, body: &[u8]) -> String {
        self.world.state().signer.sign_as_stranger(body)
    }

    /// Google Health signs with a new key from now on; the old ones stay published.
    pub fn rotate_signing_key(&self) {
        self.world.state().signer.rotate();
    }

    /// Google Health's handshake with the endpoint of the settings.
    ///
    /// # Errors
    /// Where no target is set or the endpoint answers wrongly.
    pub async fn verify_endpoint(&self) -> Result<(), ControlError> {
        let targets = self.world.settings.webhooks.as_ref().ok_or(ControlError::NoTarget)?;
        let done = verify(&self.world, &targets.google_health, &targets.google_health_authorization).await;
        done.map_err(ControlError::Handshake)
    }

    /// The next `times` answers of a provider go wrong.
    pub fn fault(&self, provider: Provider, fault: Fault, times: u32) {
        self.queue(Queued { provider, endpoint: None, fault, left: times });
    }

    /// The next `times` answers of the endpoints whose name (as in [`counts`](Self::counts)) contains `endpoint`.
    pub fn fault_at(&self, provider: Provider, endpoint: &str, fault: Fault, times: u32) {
        self.queue(Queued { provider, endpoint: Some(endpoint.to_owned()), fault, left: times });
    }

    fn queue(&self, queued: Queued) {
        if queued.left > 0 {
            self.world.state().faults.0.push_back(queued);
        }
    }

    /// The person withdraws consent: every token of theirs stops working, and notifications cease.
    pub fn revoke(&self, provider: Provider, user_id: &str) {
        let mut state = self.world.state();
        state.grants.revoke(provider, user_id);
        if provider == Provider::Withings {
            state.subscriptions.retain(|held| held.user_id != user_id);
        }
    }

    /// The person disconnects the application at the provider. Withings says so (`appli` 46, `unlink`); Google does not.
    ///
    /// # Errors
    /// Where the person does not exist.
    pub async fn unlink(&self, provider: Provider, user_id: &str) -> Result<Vec<Delivery>, ControlError> {
        self.who(provider, user_id)?;
        let mut farewell = Vec::new();
        if provider == Provider::Withings && self.world.state().grants.connected(provider, user_id) {
            let (user_id, now) = (user_id.to_owned(), self.world.settings.clock.seconds());
            let action = Some("unlink".to_owned());
            let announcement =
                Announcement { provider, user_id, topic: "46".to_owned(), start: now, end: now, delete: false, action };
            farewell = self.notifications(&[announcement])?;
        }
        if rest::ALL.contains(&provider) && self.world.state().grants.connected(provider, user_id) {
            farewell.extend(rest::webhook::unlinked(&self.world, self.who(provider, user_id)?));
        }
        self.revoke(provider, user_id);
        let mut deliveries = Vec::new();
        for notification in &farewell {
            deliveries.push(deliver(&self.world, notification).await);
        }
        Ok(deliveries)
    }

    fn who(&self, provider: Provider, user_id: &str) -> Result<&Profile, ControlError> {
        self.world.person(provider, user_id).ok_or(ControlError::Person(provider.name()))
    }

    fn find(&self, provider: Provider, user_id: &str, stream: &str, select: &Select) -> Result<Record, ControlError> {
        let mut records = self.records(provider, user_id, stream, (0, i64::MAX / 4))?;
        records.reverse();
        let found = records.into_iter().find(|record| match select {
            Select::Newest => true,
            Select::Id(id) => record.id == *id,
            Select::At(at) => record.start <= *at,
        });
        found.ok_or_else(|| ControlError::Record(stream.to_owned()))
    }

    async fn tell(&self, record: &Record, provider: Provider, user_id: &str, delete: bool) -> Result<Changed, ControlError> {
        let (topic, end) = match provider {
            Provider::Withings => (withings::appli(record).to_string(), record.end.max(record.start + 1)),
            _ => (record.stream.clone(), record.end.max(record.start + 60)),
        };
        let window = (record.start, end);
        if rest::ALL.contains(&provider) {
            let who = self.who(provider, user_id)?;
            // As it is now: some carry the data themselves.
            let present = self.find(provider, user_id, &record.stream, &Select::Id(record.id));
            let record = present.as_ref().unwrap_or(record);
            let told = rest::webhook::about(&self.world, who, record, delete).filter(|_| self.world.connected(who));
            let mut deliveries = Vec::new();
            if let Some(notification) = told {
                deliveries.push(deliver(&self.world, &notification).await);
            }
            return Ok(Changed { id: record.id, stream: record.stream.clone(), window, deliveries });
        }
        let announced = provider == Provider::Withings || types::find(&topic).is_some_and(|kind| kind.announced);
        let mut deliveries = Vec::new();
        if announced && self.world.state().grants.connected(provider, user_id) {
            let announcement = Announcement {
                provider,
                user_id: user_id.to_owned(),
                topic,
                start: window.0,
                end: window.1,
                delete,
                action: None,
            };
            for notification in self.notifications(&[announcement])? {
                deliveries.push(deliver(&self.world, &notification).await);
            }
        }
        Ok(Changed { id: record.id, stream: record.stream.clone(), window, deliveries })
    }

    /// One per target.
    pub(crate) fn notifications(&self, announcements: &[Announcement]) -> Result<Vec<Notification>, ControlError> {
        let first = announcements.first().ok_or(ControlError::Batch)?;
        if announcements.iter().any(|other| other.provider != first.provider) {
            return Err(ControlError::Batch);
        }
        if first.provider == Provider::Withings {
            if announcements.len() > 1 {
                return Err(ControlError::Batch);
            }
            let who = self.who(first.provider, &first.user_id)?;
            let appli = first.topic.parse().map_err(|_| ControlError::Appli(first.topic.clone()))?;
            let action = first.action.as_deref().unwrap_or("update");
            let targets = withings::targets(&self.world, &first.user_id, appli);
            let made = targets.iter().map(|url| withings::notification(url, who, appli, (first.start, first.end), action));
            return Ok(made.collect());
        }
        let mut made = Vec::new();
        for subscriber in self.world.google_targets() {
            let wanted = announcements.iter().filter(|announcement| subscriber.wants(&announcement.topic));
            let entries = wanted.map(|announcement| {
                let who = self.who(announcement.provider, &announcement.user_id)?;
                let window = (announcement.start, announcement.end);
                Ok(google::Entry { who, kind: &announcement.topic, delete: announcement.delete, window })
            });
            let entries: Vec<google::Entry<'_>> = entries.collect::<Result<_, ControlError>>()?;
            if !entries.is_empty() {
                let body = google::body(&entries, &subscriber.name);
                let signature = self.sign(&body);
                made.push(google::notification(&subscriber.endpoint, &subscriber.authorization, body, signature));
            }
        }
        Ok(made)
    }
}

fn known(provider: Provider, stream: &str) -> Result<(), ControlError> {
    let exists = match provider {
        Provider::Withings => data::STREAMS.contains(&stream),
        Provider::GoogleHealth => types::find(stream).is_some_and(|kind| kind.shape != types::Shape::RollUpOnly),
        Provider::Fitbit => false,
        other => rest::streams(other).contains(&stream),
    };
    let missing = || ControlError::Stream { provider: provider.name(), stream: stream.to_owned() };
    exists.then_some(()).ok_or_else(missing)
}
