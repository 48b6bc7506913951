use std::time::Duration;

use headwater_ingest::settings::IngestSettings;
use headwater_ingest::tokens::TokenError;
use headwater_schemas::connection::{Connection as Event, State};
use headwater_schemas::topics::{self, Subject as _};
use headwater_simulator::{Fault, Provider};
use headwater_store::ConnectionState;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_and_two_instances_make_one_refresh() {
    let world = World::new().await;
    world.expire().await;
    let (one, two) = (world.ingest.tokens(), world.instance(IngestSettings::default()).tokens());
    let calls = (0..50)
        .map(|n| if n % 2 == 0 { &one } else { &two })
        .map(|keeper| keeper.access(world.connection, "google_health", None));
    let given = futures::future::join_all(calls).await;
    let generations: std::collections::BTreeSet<i64> =
        given.into_iter().map(|access| access.expect("a token").generation).collect();
    assert_eq!(generations.len(), 1);
    assert_eq!(world.control().counts()[&Provider::GoogleHealth].refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_refreshed_once_and_a_newer_one_is_not() {
    let world = World::new().await;
    let keeper = world.ingest.tokens();
    let first = keeper.access(world.connection, "google_health", None).await.expect("a token");
    let second = keeper.access(world.connection, "google_health", Some(first.generation)).await.expect("a token");
    assert!(second.generation > first.generation);
    let again = keeper.access(world.connection, "google_health", Some(first.generation)).await.expect("a token");
    assert_eq!(again.generation, second.generation);
    assert_eq!(world.control().counts()[&Provider::GoogleHealth].refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_that_nobody_waits_for_any_more_has_landed_before_the_end() {
    let world = World::new().await;
    world.expire().await;
    let before = world.store.tokens(world.connection).await.expect("the store").expect("tokens").generation;
    world.control().fault_at(Provider::GoogleHealth, "token", Fault::Slow { millis: 1_000 }, 1);
    let keeper = world.ingest.tokens();
    let in_vain = keeper.access(world.connection, "google_health", None);
    assert!(tokio::time::timeout(Duration::from_millis(500), in_vain).await.is_err(), "it waits for the answer");
    keeper.landed().await;
    let after = world.store.tokens(world.connection).await.expect("the store").expect("tokens").generation;
    assert_eq!(after, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_consent_is_said_once_and_ends_the_asking() {
    let world = World::new().await;
    world.control().revoke(Provider::GoogleHealth, &world.person.user_id);
    world.expire().await;
    let hints = [world.hint("weight", None)];
    for _ in 0..3 {
        world.ingest.fetcher().run(&hints).await.expect("done");
    }
    let connection = world.store.connection(world.connection).await.expect("the store").expect("a connection");
    assert_eq!(connection.state, ConnectionState::NeedsReauth);
    let events = world.log.on(&topics::CONNECTION);
    assert_eq!(events.len(), 1);
    assert_eq!(Event::decode(&events[0]).expect("our own record").state, State::NeedsReauth);
    assert_eq!(world.asked("dataTypes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_fails_is_no_withdrawal() {
    let world = World::new().await;
    world.expire().await;
    world.control().fault_at(Provider::GoogleHealth, "token", Fault::ServerError, 1);
    let keeper = world.ingest.tokens();
    let failed = keeper.access(world.connection, "google_health", None).await;
    assert!(matches!(failed, Err(TokenError::Later(_))), "{failed:?}");
    keeper.access(world.connection, "google_health", None).await.expect("a token, the second time");
    let connection = world.store.connection(world.connection).await.expect("the store").expect("a connection");
    assert_eq!(connection.state, ConnectionState::Active);
}
