//! Every cloud the whole way, on real parts: connect, history, what it tells of later, refresh, sync, and the end of the grant.

use std::time::Duration;

use headwater_simulator::{Change, People, Provider, Record, Select, Settings};
use headwater_store::StoredObservation;
use serde_json::json;

use super::parts_or_skip;
use super::rig::{PATH_SECRET, Rig, small, until, until_within};

/// What is looked at of one cloud.
struct Way {
    provider: Provider,
    stream: &'static str,
    data_type: &'static str,
    /// A correction of a record, and the number that its observation then has somewhere.
    change: fn() -> Change,
    shows: &'static str,
    /// How far back a first connection looks.
    days: i64,
    /// A correction is recognised as one.
    amends: bool,
    tells: bool,
    tells_deletions: bool,
    refreshes: bool,
    /// Whether the provider can be told that it is over.
    revokes: bool,
}

/// One that tells of everything and can be told of everything.
const TELLS_ALL: Way = Way {
    provider: Provider::Withings,
    stream: "",
    data_type: "",
    change: || Change::Value(0.0),
    shows: "",
    days: DAYS,
    amends: true,
    tells: true,
    tells_deletions: true,
    refreshes: true,
    revokes: true,
};

static WAYS: &[Way] = &[
    Way {
        provider: Provider::Withings,
        stream: "sleep",
        data_type: "sleep",
        // Seconds there, minutes here.
        change: || Change::Value(254_520.0),
        shows: "4242",
        days: 2,
        ..TELLS_ALL
    },
    Way {
        provider: Provider::GoogleHealth,
        // Of every day there is some, whether the band was worn at night or not.
        stream: "steps",
        data_type: "steps",
        change: || Change::Value(4242.0),
        shows: "4242",
        days: 2,
        ..TELLS_ALL
    },
    Way {
        provider: Provider::Whoop,
        stream: "sleep",
        data_type: "sleep",
        change: || Change::Patch(json!({"score": {"stage_summary": {"total_light_sleep_time_milli": 254_520_000}}})),
        shows: "4242",
        ..TELLS_ALL
    },
    Way {
        provider: Provider::Oura,
        stream: "daily_activity",
        data_type: "steps-day",
        change: || Change::Patch(json!({"steps": 4242})),
        shows: "4242",
        ..TELLS_ALL
    },
    Way {
        provider: Provider::Strava,
        stream: "activities",
        data_type: "exercise",
        change: || Change::Patch(json!({"distance": 4242.0})),
        shows: "4242",
        ..TELLS_ALL
    },
    Way {
        provider: Provider::Dexcom,
        stream: "events",
        data_type: "carbohydrates",
        change: || Change::Patch(json!({"value": "42.5"})),
        shows: "42.5",
        tells: false,
        tells_deletions: false,
        revokes: false,
        ..TELLS_ALL
    },
    Way {
        provider: Provider::Polar,
        stream: "activities",
        data_type: "steps-day",
        change: || Change::Patch(json!({"steps": 4242})),
        shows: "4242",
        tells_deletions: false,
        refreshes: false,
        ..TELLS_ALL
    },
    Way {
        provider: Provider::Garmin,
        stream: "dailies",
        data_type: "steps-day",
        change: || Change::Patch(json!({"steps": 4242})),
        shows: "4242",
        // What is pushed again is newer, and compared with nothing.
        amends: false,
        tells_deletions: false,
        ..TELLS_ALL
    },
];

const DAYS: i64 = 14;

/// The sections of the clouds that the rig does not configure by itself.
fn providers(simulator: &str) -> String {
    let mut text = String::new();
    for source in headwater_sources::ALL {
        let (profile, cloud) = (source.profile(), format!("{simulator}/{}", source.folder()));
        let Some(oauth) = profile.oauth.as_ref().filter(|_| !["withings", "google_health"].contains(&profile.id)) else {
            continue;
        };
        let at = |url: &str| format!("{cloud}{}", url.parse::<reqwest::Url>().expect("an address").path());
        text += &format!(
            "[providers.{}]\nclient_id = \"headwater-dev\"\nclient_secret = \"headwater-dev-secret\"\napi_url = \"{cloud}\"\n\
             authorize_url = \"{}\"\ntoken_url = \"{}\"\nhistory_days = {DAYS}\napp_per_minute = 6000\n",
            profile.id,
            at(oauth.authorize),
            at(oauth.token),
        );
        if profile.webhook.is_some() {
            text += &format!(
                "[providers.{}.webhook]\npath_secret = \"{PATH_SECRET}\"\nsigning_key = \"headwater-dev-signing\"\nverification_code = \"v\"\n",
                profile.id
            );
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cloud_connects_brings_its_history_tells_of_changes_refreshes_and_ends() {
    let parts = parts_or_skip!();
    let settings = Settings { people: People { withings: 1, google_health: 1, others: 1 }, history_days: DAYS as u32, ..small() };
    let rig = Rig::later(parts, settings, providers).await;
    let mut roles = Vec::new();
    for arguments in [&["receive"][..], &["fetch"], &["process", "normalize"], &["sink", "scylla"], &["api"]] {
        roles.push(rig.start(arguments).await);
    }
    for way in WAYS {
        let started = std::time::Instant::now();
        the_whole_way(&rig, way).await;
        println!("{}: {:.1} s", way.provider.name(), started.elapsed().as_secs_f64());
    }
    let fetch = &roles[1];
    assert_eq!(fetch.metric("headwater_fetched_windows_total{outcome=\"failed\""), 0.0, "{}", fetch.page());
}

async fn the_whole_way(rig: &Rig, way: &Way) {
    let (name, control, person) = (way.provider.name(), rig.control(), rig.person(way.provider));
    let subject = format!("person-at-{name}");
    let connection = rig.connect(&person, &subject).await;

    // History: each record of the cloud is a row.
    let now = jiff::Timestamp::now().as_second();
    let window = (now - way.days * 86_400, now + 86_400);
    // Insulin is no observation.
    let observed = |record: &Record| record.body["eventType"] != "insulin";
    let held = || {
        let records = control.records(way.provider, &person.user_id, way.stream, window).expect("records");
        records.into_iter().filter(observed).collect::<Vec<_>>()
    };
    let rows = async || rig.rows(&subject, way.data_type, window.0 * 1_000_000, window.1 * 1_000_000).await;
    let expected = held().len();
    assert!(expected > 0, "{name} has nothing of {}", way.stream);
    until_within(&format!("{name}'s history"), Duration::from_secs(120), async || (rows().await.len() >= expected).then_some(()))
        .await;

    if way.provider == Provider::Garmin {
        // Of this type the cloud sends an address, and the data are fetched from there.
        let pinged = async || rig.rows(&subject, "oxygen-saturation", window.0 * 1_000_000, window.1 * 1_000_000).await;
        until("what the pinged address gives", async || (!pinged().await.is_empty()).then_some(())).await;
    }

    // A change, told of by the cloud where it tells, else seen by the next look.
    let record = held().pop().expect("a record");
    let select = Select::Id(record.id);
    let changed = control.correct(way.provider, &person.user_id, way.stream, &select, (way.change)()).await;
    let changed = changed.expect("corrected");
    assert_eq!(!changed.deliveries.is_empty(), way.tells, "{name}: {:?}", changed.deliveries);
    assert!(changed.deliveries.iter().all(|d| d.delivered), "{name}: {:?}", changed.deliveries);
    if !way.tells {
        sync(rig, connection).await;
    }
    let number = format!("\"value\":{}", way.shows);
    let shows = |row: &StoredObservation| row.fhir.contains(&number);
    let row = until(&format!("{name}'s correction"), async || rows().await.into_iter().find(shows)).await;
    assert_eq!(row.status, if way.amends { "amended" } else { "final" }, "{name}");

    // A deletion by id.
    if way.tells_deletions {
        let gone = control.delete(way.provider, &person.user_id, way.stream, &select).await.expect("deleted");
        assert!(gone.deliveries.iter().all(|d| d.delivered) && !gone.deliveries.is_empty(), "{name}: {:?}", gone.deliveries);
        until(&format!("{name}'s deletion"), async || {
            rows().await.into_iter().find(|r| r.id == row.id && r.status == "entered-in-error")
        })
        .await;
    }

    // A token at its end is refreshed before the next request; where there is no refreshing, it is used until it is refused.
    let refreshed = || control.counts()[&way.provider].refreshes;
    let before = refreshed();
    if way.refreshes {
        let mut tokens = rig.store.tokens(connection).await.expect("the store").expect("tokens");
        let generation = Some(tokens.generation);
        (tokens.expires_at, tokens.generation) = (Some(1), tokens.generation + 1);
        assert!(rig.store.put_tokens(connection, generation, &tokens).await.expect("the store"));
        if way.provider != Provider::Garmin {
            sync(rig, connection).await;
            assert_eq!(refreshed(), before + 1, "{name}");
        }
    }

    // The end of it, at the provider too.
    let (status, told) = rig.ask("DELETE", &format!("/v1/connections/{connection}?subject={subject}"), None).await;
    assert_eq!(status, 200, "{name}: {told}");
    assert_eq!(told["at_provider"], if way.revokes { "revoked" } else { "not_offered" }, "{name}: {told}");
    assert!(rig.store.tokens(connection).await.expect("the store").is_none(), "{name}: no token is kept");
}

async fn sync(rig: &Rig, connection: uuid::Uuid) {
    let (status, told) = rig.ask("POST", &format!("/v1/connections/{connection}/sync?wait=60"), None).await;
    assert!((200..300).contains(&status), "{told}");
    assert_eq!(told["outcome"], "done", "{told}");
}
