//! Everything the simulated clouds share: people, time, what was granted, counted, changed and queued.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;
use tokio::sync::watch;

use crate::day::Day;
use crate::dice;
use crate::faults::FaultQueue;
use crate::google_health::subscribers::Subscriber;
use crate::google_health::webhook::Signer;
use crate::oauth::Grants;
use crate::people::{Profile, Provider, populate};
use crate::record::{Overrides, Record, Shelf, merge};
use crate::send::Notification;
use crate::settings::Settings;
use crate::withings::webhook::Subscription;
use crate::{google_health, rest, withings};

/// What happened at one cloud since the simulator started.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProviderCounts {
    /// Requests by endpoint, such as `POST /measure getmeas` or `GET /v4/users/me/dataTypes/steps/dataPoints`.
    pub requests: BTreeMap<String, u64>,
    /// Requests for data by person and stream, where a cloud's data are listed by start and end.
    pub asked: BTreeMap<String, BTreeMap<String, u64>>,
    /// Token refreshes that succeeded.
    pub refreshes: u64,
    /// Answers "too many requests", from the quota or from a fault.
    pub rate_limited: u64,
    /// Attempts to deliver a notification, retries included.
    pub webhooks_sent: u64,
    /// How those were answered, by HTTP status.
    pub webhooks_answered: BTreeMap<u16, u64>,
    /// Google Health's handshakes with an endpoint, two posts each.
    pub handshakes: u64,
    /// Attempts that got no answer at all.
    pub webhooks_unanswered: u64,
}

/// Counts by provider.
pub type Counts = BTreeMap<Provider, ProviderCounts>;

pub(crate) struct State {
    pub grants: Grants,
    pub counts: Counts,
    pub faults: FaultQueue,
    pub overrides: HashMap<(Provider, String), Overrides>,
    quotas: HashMap<(Provider, String), (i64, u32)>,
    pub subscriptions: Vec<Subscription>,
    pub subscribers: Vec<Subscriber>,
    pub nonces: HashMap<String, i64>,
    pub signer: Signer,
    /// People made known to Polar.
    pub registered: HashSet<(Provider, String)>,
    /// Person, stream and start of pasts that were asked for at Garmin.
    pub backfilled: HashSet<(String, String, i64)>,
    /// How Garmin was reached last: addresses in pings lead there.
    pub host: String,
    /// To be delivered at the next tick of the play.
    pub outgoing: Vec<Notification>,
}

pub(crate) struct World {
    pub settings: Settings,
    pub people: Vec<Profile>,
    pub http: reqwest::Client,
    verified: AtomicBool,
    started: i64,
    state: Mutex<State>,
    stopping: watch::Sender<bool>,
}

impl World {
    pub fn new(settings: Settings, http: reqwest::Client) -> Self {
        let state = State {
            grants: Grants::new(
                dice::mix(&[settings.seed, settings.clock.millis() as u64]),
                settings.canary.clone().unwrap_or_default(),
            ),
            counts: Counts::new(),
            faults: FaultQueue::default(),
            overrides: HashMap::new(),
            quotas: HashMap::new(),
            subscriptions: Vec::new(),
            subscribers: Vec::new(),
            nonces: HashMap::new(),
            signer: Signer::new(settings.seed),
            registered: HashSet::new(),
            backfilled: HashSet::new(),
            host: String::new(),
            outgoing: Vec::new(),
        };
        Self {
            people: populate(&settings),
            http,
            verified: AtomicBool::new(false),
            started: settings.clock.millis(),
            state: Mutex::new(state),
            stopping: watch::Sender::new(false),
            settings,
        }
    }

    /// Held for a few lines at a time, never over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self, provider: Provider, note: impl FnOnce(&mut ProviderCounts)) {
        note(self.state().counts.entry(provider).or_default());
    }

    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as the world, so this ends only by `stop`.
        let _ = stopping.wait_for(|stop| *stop).await;
    }

    /// Epoch seconds up to which the clouds have received data.
    pub fn horizon(&self) -> i64 {
        let now = self.settings.clock.millis();
        if self.settings.start_caught_up {
            return now.div_euclid(1000);
        }
        let replayed = i64::from(self.settings.replay_days) * 86_400_000;
        let played = ((now - self.started) as f64 * self.settings.speed.max(1.0)) as i64;
        (self.started - replayed).saturating_add(played).min(now).div_euclid(1000)
    }

    /// One more request within the present minute; false where the quota is used up.
    pub fn within_quota(&self, provider: Provider, user_id: &str, per_minute: u32) -> bool {
        let minute = self.settings.clock.seconds().div_euclid(60);
        let mut state = self.state();
        let used = state.quotas.entry((provider, user_id.to_owned())).or_insert((minute, 0));
        if used.0 != minute {
            *used = (minute, 0);
        }
        used.1 += 1;
        let within = used.1 <= per_minute;
        if !within {
            state.counts.entry(provider).or_default().rate_limited += 1;
        }
        within
    }

    pub fn person(&self, provider: Provider, user_id: &str) -> Option<&Profile> {
        self.people.iter().find(|who| who.person.provider == provider && who.person.user_id == user_id)
    }

    pub fn connected(&self, who: &Profile) -> bool {
        self.state().grants.connected(who.person.provider, &who.person.user_id)
    }

    /// The endpoint of the settings passed Google Health's handshake.
    pub fn endpoint_verified(&self) -> bool {
        self.verified.load(Ordering::SeqCst)
    }

    pub fn note_verified(&self) {
        self.verified.store(true, Ordering::SeqCst);
    }

    /// Everybody who is told of Google Health's changes; the endpoint of the settings wants everything.
    pub fn google_targets(&self) -> Vec<Subscriber> {
        let mut targets = self.state().subscribers.clone();
        targets.extend(self.settings.webhooks.iter().map(|webhooks| Subscriber {
            name: "projects/0/subscribers/settings".to_owned(),
            endpoint: webhooks.google_health.clone(),
            authorization: webhooks.google_health_authorization.clone(),
            kinds: Vec::new(),
        }));
        targets
    }

    /// The records of one stream on one local day as the cloud shows them at `at`, oldest first.
    pub fn day(&self, who: &Profile, stream: &str, date: Date, at: i64) -> Vec<Record> {
        let mut records = self.untouched(who, stream, date, at, None);
        records.retain(|record| record.vanishes_at.is_none_or(|gone| gone > at));
        let state = self.state();
        if let Some(overrides) = state.overrides.get(&(who.person.provider, who.person.user_id.clone())) {
            apply(overrides, stream, date, &mut records);
        }
        drop(state);
        records.sort_by_key(|record| (record.start, record.id));
        records
    }

    /// As the seed has it, the withdrawn ones included; `only` keeps what appears, changes or leaves at that moment.
    pub fn untouched(&self, who: &Profile, stream: &str, date: Date, at: i64, only: Option<i64>) -> Vec<Record> {
        if date < who.history_start || date > who.date_of(at) {
            return Vec::new();
        }
        let day = Day::new(who, date);
        let mut shelf = Shelf { day: &day, at, surprises: self.settings.surprises, only, records: Vec::new() };
        match who.person.provider {
            Provider::Withings => withings::data::fill(&mut shelf, stream),
            Provider::GoogleHealth => google_health::points::fill(&mut shelf, stream),
            Provider::Fitbit => {}
            other => rest::fill(&mut shelf, other, stream),
        }
        shelf.records
    }

    /// Local days that can hold something that started within [from, to], oldest first.
    pub fn days(&self, who: &Profile, from: i64, to: i64) -> impl DoubleEndedIterator<Item = Date> + use<> {
        let first = who.date_of(from.max(who.midnight(who.history_start))).saturating_sub(1.day()).max(who.history_start);
        let horizon = self.settings.clock.seconds();
        let last = who.date_of(to.min(horizon)).saturating_add(1.day());
        let length = first.until(last).map_or(0, |span| span.get_days());
        (0..=length).map(move |ahead| first.saturating_add(ahead.days()))
    }

    /// Everything of one stream whose start lies in [from, to), oldest first.
    pub fn range(&self, who: &Profile, stream: &str, from: i64, to: i64, at: i64) -> Vec<Record> {
        let days = self.days(who, from, to);
        let mut records: Vec<Record> = days.flat_map(|date| self.day(who, stream, date, at)).collect();
        records.retain(|record| (from..to).contains(&record.start));
        records.sort_by_key(|record| (record.start, record.id));
        records
    }
}

fn apply(overrides: &Overrides, stream: &str, date: Date, records: &mut Vec<Record>) {
    let added = overrides.added.iter().filter(|record| record.stream == stream && record.date == date);
    records.extend(added.cloned());
    records.retain(|record| !overrides.deleted.contains_key(&(record.stream.clone(), record.id)));
    for record in records.iter_mut() {
        if let Some((patch, modified)) = overrides.patches.get(&(record.stream.clone(), record.id)) {
            merge(&mut record.body, patch);
            record.modified = *modified;
        }
    }
}

pub(crate) type Shared = Arc<World>;
