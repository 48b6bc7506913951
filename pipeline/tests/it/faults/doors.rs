//! The generator: unique, ordered records through the real doors. A phone uploads batches, a cloud announces by signed webhooks, and the same cloud
//! holds what it announces to nobody, so that only the schedule finds it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use headwater_simulator::{Addition, Change, Content, Control, Person, Provider, Select};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::ledger::{Key, Ledger};
use crate::real::rig::Rig;

/// Records of one batch, and batches and announcements of one round.
const RECORDS: u32 = 20;
const BATCHES: u32 = 8;
const ANNOUNCED: u32 = 4;
const SILENT: u32 = 2;
/// Accepted within this long, or the test's own premise is wrong.
const PATIENCE: Duration = Duration::from_secs(180);

pub const UPLOADS: &str = "apple_health";
const PHONE: &str = "phone-1";
const BAND: &str = "band-1";
/// The cloud sends no notifications about it.
const SILENT_TYPE: &str = "oxygen-saturation";
/// 1 June 2026, midnight UTC.
const START: i64 = 1_780_272_000;

pub struct Doors {
    credential: String,
    url: String,
    http: reqwest::Client,
    control: Control,
    band: Person,
    /// Past seconds that the cloud's records are given, the newest first.
    noon: i64,
    uploaded: AtomicU32,
    measured: AtomicU32,
}

impl Doors {
    /// Enrols the phone and connects the band.
    pub async fn open(rig: &Rig) -> Self {
        let enrolled = rig.accounts().enroll(UPLOADS, PHONE, Some("Europe/Berlin".into())).await.map_err(|e| e.to_string());
        let credential = enrolled.expect("a device").credential.expose_secret().to_owned();
        let band = rig.person(Provider::GoogleHealth);
        let connection = rig.connect(&band, BAND).await;
        // This process does not poll every minute as the roles do, and so has drawn another time for the first one.
        let now = jiff::Timestamp::now().as_microsecond();
        rig.store.set_polled(connection, now, now).await.expect("the store takes it");
        Self {
            credential,
            url: format!("http://{}/uploads/records", rig.receive),
            http: reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client"),
            control: rig.control(),
            band,
            noon: jiff::Timestamp::now().as_second() - 3_600,
            uploaded: AtomicU32::new(0),
            measured: AtomicU32::new(0),
        }
    }

    /// One round: everything is sent until it is accepted. What must stand soon, and what must stand after the next poll.
    pub async fn round(&self, seed: u64) -> (Ledger, Ledger) {
        let (mut phone, announced) = tokio::join!(self.upload(seed), self.announce(seed));
        let (silent, told): (BTreeMap<_, _>, BTreeMap<_, _>) =
            announced.keys.into_iter().partition(|(key, _)| key.data_type == SILENT_TYPE);
        phone.keys.extend(told);
        (phone, Ledger { keys: silent })
    }

    /// Batches in order, each with a correction of the one before.
    async fn upload(&self, seed: u64) -> Ledger {
        let (mut ledger, mut dice) = (Ledger::default(), StdRng::seed_from_u64(seed));
        let mut before: Option<(u32, f64)> = None;
        for _ in 0..BATCHES {
            let first = self.uploaded.fetch_add(RECORDS, Ordering::SeqCst);
            let mut given: Vec<(u32, f64)> =
                (first..first + RECORDS).map(|n| (n, f64::from(dice.random_range(40..180)))).collect();
            let next = given[0];
            given.extend(before.map(|(n, value)| (n, value + 0.5)));
            before = Some(next);
            let rows: Vec<_> = given.iter().map(|(n, value)| pulse(*n, *value)).collect();
            self.put(&format!("b{first}"), json!({ "records": rows }).to_string()).await;
            for (n, value) in given {
                ledger.put(Key { subject: PHONE.into(), data_type: "heart-rate", start: second(n) * 1_000_000 }, value);
            }
            tokio::time::sleep(Duration::from_millis(dice.random_range(10..120))).await;
        }
        ledger
    }

    /// As a phone does: again under the same name until it is taken.
    async fn put(&self, name: &str, body: String) {
        let started = tokio::time::Instant::now();
        loop {
            let request = self.http.put(format!("{}/{name}", self.url)).bearer_auth(&self.credential).body(body.clone());
            match request.send().await.map(|answer| answer.status().as_u16()) {
                Ok(200 | 202) => return,
                Ok(status @ 400..=499) if status != 408 => panic!("batch {name} was refused for good: {status}"),
                _ => {}
            }
            assert!(started.elapsed() < PATIENCE, "batch {name} was not accepted within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Measurements that the cloud tells of, half of them corrected afterwards, and some it does not tell of.
    async fn announce(&self, seed: u64) -> Ledger {
        let (mut ledger, mut dice) = (Ledger::default(), StdRng::seed_from_u64(seed ^ 0x5eed));
        let (provider, user) = (Provider::GoogleHealth, self.band.user_id.as_str());
        for _ in 0..ANNOUNCED {
            let (key, grams) = (self.moment("body-weight"), f64::from(dice.random_range(40_000..120_000)));
            let added = self.control.add(provider, user, "weight", addition(&key, grams)).await.expect("added");
            assert!(added.deliveries.iter().any(|d| d.delivered), "a notification was never accepted: {:?}", added.deliveries);
            ledger.put(key.clone(), grams / 1_000.0);
            if dice.random_bool(0.5) {
                let changed = Change::Value(grams + 500.0);
                let told =
                    self.control.correct(provider, user, "weight", &Select::Id(added.id), changed).await.expect("corrected");
                assert!(told.deliveries.iter().any(|d| d.delivered), "a notification was never accepted: {:?}", told.deliveries);
                ledger.put(key, grams / 1_000.0 + 0.5);
            }
        }
        for _ in 0..SILENT {
            let (key, percent) = (self.moment(SILENT_TYPE), f64::from(dice.random_range(880..1_000)) / 10.0);
            let added = self.control.add(provider, user, SILENT_TYPE, addition(&key, percent)).await.expect("added");
            assert!(added.deliveries.is_empty(), "this type is announced by now");
            ledger.put(key, percent);
        }
        ledger
    }

    fn moment(&self, data_type: &'static str) -> Key {
        let n = i64::from(self.measured.fetch_add(1, Ordering::SeqCst));
        Key { subject: BAND.into(), data_type, start: (self.noon - n * 20) * 1_000_000 }
    }
}

fn addition(key: &Key, value: f64) -> Addition {
    let start = key.start / 1_000_000;
    Addition { start, end: start, content: Content::Value(value) }
}

fn second(n: u32) -> i64 {
    START + i64::from(n) * 30
}

fn pulse(n: u32, value: f64) -> serde_json::Value {
    let start = jiff::Timestamp::from_second(second(n)).expect("a time").to_string();
    json!({ "id": format!("u{n}"), "type": "HKQuantityTypeIdentifierHeartRate", "start": start, "value": value, "unit": "count/min", "source": "Watch" })
}
