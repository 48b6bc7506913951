//! One payload the whole way, on real parts.

use std::time::Duration;

use headwater_schemas::connection::{Connection, State};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use headwater_simulator::{Addition, Announcement, Change, Content, Provider, Select};
use headwater_store::StoredObservation;

use super::parts_or_skip;
use super::rig::{Rig, quiet, until, until_within};

/// What differs between the two providers of this test.
struct Way {
    provider: Provider,
    /// The stream's name at the simulator and in its notifications.
    stream: &'static str,
    topic: &'static str,
    /// Units of the API in a kilogram.
    per_kilogram: f64,
}

const SCALE: Way = Way { provider: Provider::Withings, stream: "measures", topic: "1", per_kilogram: 1.0 };
const BAND: Way = Way { provider: Provider::GoogleHealth, stream: "weight", topic: "weight", per_kilogram: 1000.0 };

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_webhooks_payload_goes_all_the_way_and_stays_one_row() {
    let parts = parts_or_skip!();
    the_whole_way(Rig::new(parts, true).await, SCALE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhooks_payload_goes_all_the_way_and_stays_one_row() {
    let parts = parts_or_skip!();
    the_whole_way(Rig::new(parts, true).await, BAND).await;
}

async fn the_whole_way(rig: Rig, way: Way) {
    let subject = "person-1";
    let _receive = rig.start(&["receive"]).await;
    let _fetch = rig.start(&["fetch"]).await;
    let _normalize = rig.start(&["process", "normalize"]).await;
    let _scylla = rig.start(&["sink", "scylla"]).await;
    let _eventhubs = rig.start(&["sink", "eventhubs"]).await;
    let (control, person) = (rig.control(), rig.person(way.provider));
    rig.connect(&person, subject).await;

    // A measurement an hour ago; the cloud announces it, as it does for a connected account.
    let at = jiff::Timestamp::now().as_second() - 3600;
    let addition = Addition { start: at, end: at, content: Content::Value(81.25 * way.per_kilogram) };
    let added = control.add(way.provider, &person.user_id, way.stream, addition).await.expect("added");
    assert!(added.deliveries.iter().all(|d| d.delivered), "{:?}", added.deliveries);
    let window = (at * 1_000_000, at * 1_000_000 + 1);
    let rows = async || rig.rows(subject, "body-weight", window.0, window.1).await;
    let first = until("the row", async || rows().await.into_iter().next()).await;
    assert_eq!((decimal(&first), first.unit.as_deref(), first.status.as_str()), (Some(81.25), Some("kg"), "final"));
    until("the message at the other endpoint", async || on_hub(&rig, &first, "81.25").then_some(())).await;

    // The same notification ten more times, windows in no order, when all history is in.
    until_within("all history", Duration::from_secs(120), async || history_is_in(&rig).then_some(())).await;
    settled(&rig).await;
    let raws = rig.values(&topics::RAW.name(&rig.namespace, Some(way.provider.name()))).len();
    for n in 0..10i64 {
        let shift = (n * 7) % 10;
        let again = Announcement {
            provider: way.provider,
            user_id: person.user_id.clone(),
            topic: way.topic.into(),
            start: at - shift,
            end: at + 60 - shift,
            delete: false,
            action: None,
        };
        let notification = control.notification(&[again]).expect("a notification");
        let status = control.send(&notification).await.expect("an answer");
        assert!((200..300).contains(&status), "{status}");
    }
    settled(&rig).await;
    assert_eq!(rows().await.len(), 1);
    let after = rig.values(&topics::RAW.name(&rig.namespace, Some(way.provider.name()))).len();
    assert_eq!(after, raws, "an unchanged answer is not appended again");

    // A correction: same record, other value.
    control
        .correct(way.provider, &person.user_id, way.stream, &Select::Id(added.id), Change::Value(80.5 * way.per_kilogram))
        .await
        .expect("corrected");
    let corrected = until("the correction", async || rows().await.into_iter().find(|r| decimal(r) == Some(80.5))).await;
    assert_eq!((corrected.id, corrected.status.as_str()), (first.id, "amended"));
    assert!(corrected.version > first.version);
    assert_eq!(rows().await.len(), 1);
    until("the corrected message", async || on_hub(&rig, &first, "80.5").then_some(())).await;

    // A deletion.
    control.delete(way.provider, &person.user_id, way.stream, &Select::Id(added.id)).await.expect("deleted");
    let gone = until("the withdrawal", async || rows().await.into_iter().find(|r| r.status == "entered-in-error")).await;
    assert_eq!((gone.id, gone.value), (first.id, None));
    assert!(gone.version > corrected.version);
    assert_eq!(rows().await.len(), 1);
    until("the withdrawn message", async || on_hub(&rig, &first, "entered-in-error").then_some(())).await;
    assert!(rig.command(&["dead", "list"]).stdout.is_empty(), "nothing was refused on the way");
}

fn decimal(row: &StoredObservation) -> Option<f64> {
    row.value_text.as_deref()?.parse().ok()
}

fn on_hub(rig: &Rig, row: &StoredObservation, what: &str) -> bool {
    let id = row.id.to_string();
    rig.hub_values().iter().any(|value| {
        let text = String::from_utf8_lossy(value);
        text.starts_with("{\"resourceType\":\"Observation\"") && text.contains(&id) && text.contains(what)
    })
}

fn history_is_in(rig: &Rig) -> bool {
    let events = rig.values(&topics::CONNECTION.name(&rig.namespace, None));
    events.iter().any(|value| {
        let (_, body) = wire::split(value).expect("a frame");
        Connection::decode(body).expect("our own record").state == State::Incremental
    })
}

/// Until nothing is appended to raw and hint topics for a while.
async fn settled(rig: &Rig) {
    let count =
        || topics::ALL.iter().filter(|t| !t.family).map(|t| rig.values(&t.name(&rig.namespace, None)).len()).sum::<usize>();
    quiet("the pipeline to come to rest", Duration::from_secs(1), count).await;
}
