//! Who exists. Bodies and habits follow from the seed; nothing here is a real person.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::dice::{self, Dice};
use crate::rest;
use crate::settings::Settings;

/// One of the simulated clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    Withings,
    GoogleHealth,
    Fitbit,
    Whoop,
    Oura,
    Strava,
    Dexcom,
    Polar,
    Garmin,
}

impl Provider {
    /// The name used in paths and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Withings => "withings",
            Self::GoogleHealth => "google_health",
            Self::Fitbit => "fitbit",
            Self::Whoop => "whoop",
            Self::Oura => "oura",
            Self::Strava => "strava",
            Self::Dexcom => "dexcom",
            Self::Polar => "polar",
            Self::Garmin => "garmin",
        }
    }
}

/// Somebody with an account at one provider.
#[derive(Clone, Debug, Serialize)]
pub struct Person {
    pub provider: Provider,
    /// The provider's id: `userid` at Withings, `healthUserId` at Google Health.
    pub user_id: String,
    /// The old Fitbit id that Google Health also reports.
    pub legacy_user_id: Option<String>,
    pub display_name: String,
    /// IANA name.
    pub time_zone: String,
    /// Every scope this person can grant.
    pub scopes: Vec<String>,
}

pub(crate) const WITHINGS_SCOPES: [&str; 4] = ["user.info", "user.metrics", "user.activity", "user.sleepevents"];
pub(crate) const GOOGLE_SCOPE_PREFIX: &str = "https://www.googleapis.com/auth/googlehealth.";
pub(crate) const GOOGLE_SCOPES: [&str; 7] =
    ["activity_and_fitness", "health_metrics_and_measurements", "sleep", "nutrition", "location", "profile", "settings"];

const ZONES: [&str; 8] = [
    "America/New_York",
    "Europe/Berlin",
    "America/Santiago",
    "Australia/Sydney",
    "Pacific/Auckland",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Europe/London",
];
const NAMES: [&str; 10] = ["Ada", "Bram", "Chiyo", "Dunja", "Elio", "Farah", "Goran", "Hanne", "Idris", "Jun"];

/// A person with body, habits and gear.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub person: Arc<Person>,
    /// Key for chance: seed and person.
    pub key: u64,
    pub tz: TimeZone,
    pub history_start: Date,
    pub height_m: f64,
    pub weight_kg: f64,
    pub fat_percent: f64,
    pub resting_bpm: f64,
    pub rmssd_ms: f64,
    pub steps_mean: f64,
    /// Local minute of the day.
    pub wake_minute: i64,
    pub sleep_minutes: i64,
    /// A phone that also counts steps, in parallel to the band.
    pub phone_counts: bool,
    /// 40 hexadecimal digits each.
    pub scale_id: String,
    pub watch_id: String,
    pub cuff_id: String,
}

impl Profile {
    pub fn date_of(&self, epoch: i64) -> Date {
        self.tz.to_datetime(instant(epoch)).date()
    }

    /// First instant of a local day; a midnight that does not exist counts from the end of the gap.
    pub fn midnight(&self, date: Date) -> i64 {
        self.local(date, 0)
    }

    /// The instant of a local minute of the day.
    pub fn local(&self, date: Date, minute: i64) -> i64 {
        let time = date.at(0, 0, 0, 0).saturating_add(minute.minutes());
        self.tz.to_ambiguous_timestamp(time).compatible().map_or(0, |at| at.as_second())
    }

    pub fn offset(&self, epoch: i64) -> i64 {
        i64::from(self.tz.to_offset(instant(epoch)).seconds())
    }
}

pub(crate) fn instant(epoch: i64) -> Timestamp {
    Timestamp::from_second(epoch).unwrap_or(Timestamp::MIN)
}

pub(crate) fn populate(settings: &Settings) -> Vec<Profile> {
    let now = settings.clock.now();
    let withings = (0..settings.people.withings).map(|index| make(settings, Provider::Withings, index, now));
    let google = (0..settings.people.google_health).map(|index| make(settings, Provider::GoogleHealth, index, now));
    let others = rest::ALL
        .into_iter()
        .flat_map(|provider| (0..settings.people.others).map(move |index| make(settings, provider, index, now)));
    withings.chain(google).chain(others).collect()
}

fn make(settings: &Settings, provider: Provider, index: usize, now: Timestamp) -> Profile {
    let key = dice::mix(&[settings.seed, dice::key(provider.name()), index as u64]);
    let mut dice = Dice::new(&[key]);
    // The first person of each cloud lives where the clocks were changed last, and has data from before that day on.
    let shift = if provider == Provider::Withings { 0 } else { 2 };
    let (zone, changed) = match index {
        0 => last_changed_zone(now),
        _ => (ZONES[(index * 3 + shift + settings.seed as usize % ZONES.len()) % ZONES.len()], None),
    };
    let tz = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let today = tz.to_datetime(now).date();
    let mut history_start = today.saturating_sub(i64::from(settings.history_days).days());
    if let Some(changed) = changed {
        history_start = history_start.min(tz.to_datetime(changed).date().saturating_sub(2.days()));
    }
    let name_offset = if provider == Provider::Withings { 0 } else { 5 };
    let name = NAMES[(index + name_offset) % NAMES.len()];
    let person = Person {
        provider,
        user_id: user_id(provider, key, settings.canary.as_deref()),
        legacy_user_id: (provider == Provider::GoogleHealth).then(|| dice::hex(&[key, 6], 3).to_uppercase()),
        display_name: if let Some(word) = &settings.canary {
            format!("{name} {word}")
        } else if index < 5 {
            name.to_owned()
        } else {
            format!("{name} {}", index + 1)
        },
        time_zone: zone.to_owned(),
        scopes: scopes(provider),
    };
    let height_m = (dice.range(1.55, 1.95) * 100.0).round() / 100.0;
    Profile {
        person: Arc::new(person),
        key,
        tz,
        history_start,
        height_m,
        weight_kg: dice.range(20.0, 29.0) * height_m * height_m,
        fat_percent: dice.range(14.0, 33.0),
        resting_bpm: dice.range(48.0, 68.0),
        rmssd_ms: dice.range(22.0, 70.0),
        steps_mean: dice.range(4500.0, 11000.0),
        wake_minute: dice.int(345, 480),
        sleep_minutes: dice.int(390, 500),
        phone_counts: index.is_multiple_of(2),
        scale_id: dice::hex(&[key, 1], 20),
        watch_id: dice::hex(&[key, 2], 20),
        cuff_id: dice::hex(&[key, 3], 20),
    }
}

fn user_id(provider: Provider, key: u64, canary: Option<&str>) -> String {
    match (provider, canary) {
        // Ids that are numbers hold no word.
        (Provider::Withings | Provider::Whoop | Provider::Strava | Provider::Polar, Some(_)) => {
            format!("770077007{}", key % 10_000)
        }
        (_, Some(word)) => format!("{word}{}", key % 1_000_000),
        (Provider::Withings | Provider::Whoop | Provider::Strava | Provider::Polar, None) => {
            (10_000_000 + key % 50_000_000).to_string()
        }
        (_, None) => (1_000_000_000_000_000_000 + key % 8_000_000_000_000_000_000).to_string(),
    }
}

pub(crate) fn scopes(provider: Provider) -> Vec<String> {
    let words = |list: &[&str]| list.iter().map(|scope| (*scope).to_owned()).collect();
    match provider {
        Provider::Whoop => words(&[
            "offline",
            "read:profile",
            "read:sleep",
            "read:recovery",
            "read:cycles",
            "read:workout",
            "read:body_measurement",
        ]),
        Provider::Oura => words(&["email", "personal", "daily", "heartrate", "workout", "tag", "session", "spo2Daily"]),
        Provider::Strava => words(&["read", "activity:read", "activity:read_all", "profile:read_all"]),
        Provider::Dexcom => words(&["offline_access"]),
        Provider::Polar => words(&["accesslink.read_all"]),
        Provider::Garmin => vec![],
        Provider::Withings => WITHINGS_SCOPES.map(str::to_owned).to_vec(),
        _ => GOOGLE_SCOPES.iter().map(|scope| format!("{GOOGLE_SCOPE_PREFIX}{scope}.readonly")).collect(),
    }
}

/// The zone of the list whose clocks changed most recently, and when.
fn last_changed_zone(now: Timestamp) -> (&'static str, Option<Timestamp>) {
    let changes = ZONES.iter().filter_map(|zone| {
        let tz = TimeZone::get(zone).ok()?;
        let at = tz.preceding(now).next()?.timestamp();
        Some((*zone, at))
    });
    changes.max_by_key(|(_, at)| *at).map_or((ZONES[0], None), |(zone, at)| (zone, Some(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn somebody_at_each_cloud_lives_through_a_change_of_the_clocks() {
        for now in ["2026-11-20T12:00:00Z", "2026-07-01T00:00:00Z", "2027-03-20T00:00:00Z"] {
            let now: Timestamp = now.parse().unwrap();
            let people = populate(&Settings { clock: Clock::fixed(now), ..Settings::quiet() });
            for provider in [Provider::Withings, Provider::GoogleHealth] {
                let changed = people.iter().filter(|who| who.person.provider == provider).any(|who| {
                    let first = who.midnight(who.history_start);
                    who.offset(first) != who.offset(now.as_second())
                });
                assert!(changed, "{provider:?} at {now}");
            }
        }
    }

    #[test]
    fn user_ids_differ() {
        let people = populate(&Settings::quiet());
        let mut ids: Vec<_> = people.iter().map(|who| &who.person.user_id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), people.len());
    }
}
