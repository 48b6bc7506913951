use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures::{StreamExt as _, poll, stream};
use headwater_ingest::Ingest;
use headwater_ingest::clock::System;
use headwater_ingest::settings::{IngestSettings, Providers};
use headwater_schemas::hint::Hint;
use headwater_schemas::topics::{self, Subject as _};
use headwater_simulator::{Announcement, Notification, Provider};
use tower::ServiceExt as _;

use crate::support::World;

struct Served {
    address: SocketAddr,
    _task: tokio::task::JoinSet<()>,
}

async fn serve(router: Router) -> Served {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move { axum::serve(listener, router).await.expect("served") });
    Served { address, _task: task }
}

fn notification(world: &World) -> Notification {
    let start = jiff::Timestamp::now().as_second() - 600;
    let announcement = Announcement {
        provider: Provider::GoogleHealth,
        user_id: world.person.user_id.clone(),
        topic: "weight".into(),
        start,
        end: start + 60,
        delete: false,
        action: None,
    };
    world.control().notification(&[announcement]).expect("a notification")
}

async fn post(served: &Served, notification: &Notification) -> reqwest::Response {
    let mut request = reqwest::Client::new().post(format!("http://{}/webhooks/google_health", served.address));
    for (name, value) in &notification.headers {
        request = request.header(name, value);
    }
    request.body(notification.body.clone()).send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_call_is_answered_after_its_hint_is_appended() {
    let world = World::new().await;
    let served = serve(world.ingest.receive_router()).await;
    assert_eq!(post(&served, &notification(&world)).await.status(), 204);
    let hints = world.log.on(&topics::HINT_LIVE);
    let hint = Hint::decode(&hints[0]).expect("our own record");
    assert_eq!((hints.len(), hint.connection_id, hint.streams.first().copied()), (1, world.connection, Some("weight")));
    assert!(hint.window_start < hint.window_end);
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_bytes_and_strangers_signatures_are_401_and_leave_nothing() {
    let world = World::new().await;
    let served = serve(world.ingest.receive_router()).await;
    let mut altered = notification(&world);
    altered.body.push(b' ');
    let mut stranger = notification(&world);
    let forged = world.control().sign_as_stranger(&stranger.body);
    for (name, value) in &mut stranger.headers {
        if name.to_lowercase().contains("signature") {
            value.clone_from(&forged);
        }
    }
    let mut unsigned = notification(&world);
    unsigned.headers.retain(|(name, _)| !name.to_lowercase().contains("signature"));
    for call in [altered, stranger, unsigned] {
        let answer = post(&served, &call).await;
        assert_eq!(answer.status(), 401);
        assert!(!answer.text().await.expect("text").contains("told-to-the-provider"));
    }
    assert!(world.log.on(&topics::HINT_LIVE).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_fetched_when_it_is_first_seen() {
    let world = World::new().await;
    let served = serve(world.ingest.receive_router()).await;
    world.control().rotate_signing_key();
    assert_eq!(post(&served, &notification(&world)).await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_fails_is_503_with_a_time_to_come_back() {
    let world = World::new().await;
    let served = serve(world.ingest.receive_router()).await;
    world.log.failing.store(true, Ordering::SeqCst);
    let answer = post(&served, &notification(&world)).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    world.log.failing.store(false, Ordering::SeqCst);
    assert_eq!(post(&served, &notification(&world)).await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_door_says_so_at_once() {
    let world = World::new().await;
    let narrow = world.instance(IngestSettings { door_permits: 1, ..IngestSettings::default() });
    let served = serve(narrow.receive_router()).await;
    // The key set is fetched by the first call, so that the second does not wait for it.
    assert_eq!(post(&served, &notification(&world)).await.status(), 204);
    world.log.hanging.store(true, Ordering::SeqCst);
    // Two calls: one holds the only permit and hangs, the other is answered.
    let (one, two) = (notification(&world), notification(&world));
    let started = std::time::Instant::now();
    let answered = tokio::select! {
        answer = post(&served, &one) => answer,
        answer = post(&served, &two) => answer,
    };
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
    assert_eq!((answered.status().as_u16(), answered.headers().contains_key("retry-after")), (503, true));
    assert!(answered.text().await.expect("text").contains("full"));
    assert_eq!(world.log.on(&topics::HINT_LIVE).len(), 1, "nothing was appended by either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_413_and_an_unknown_provider_404() {
    let world = World::new().await;
    let served = serve(world.ingest.receive_router()).await;
    let url = format!("http://{}/webhooks/google_health", served.address);
    let large = vec![b'x'; 3 << 20];
    let announced = reqwest::Client::new().post(&url).body(large).send().await.expect("an answer");
    assert_eq!(announced.status(), 413);
    let unknown =
        reqwest::Client::new().post(format!("http://{}/webhooks/nobody", served.address)).send().await.expect("an answer");
    assert_eq!(unknown.status(), 404);
}

/// A body of this many bytes that is still on its way.
fn dribbling(bytes: usize) -> Body {
    Body::from_stream(stream::iter([Ok::<_, std::io::Error>(vec![b'x'; bytes])]).chain(stream::pending()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fills_its_share_keeps_no_other_out() {
    let world = World::new().await;
    let providers: Providers = serde_json::from_value(serde_json::json!({
        "google_health": { "client_id": "c", "client_secret": "s" },
        "withings": { "client_id": "c", "client_secret": "s", "webhook": { "path_secret": "told-to-the-provider" } },
    }))
    .expect("settings");
    let settings = IngestSettings { door_bytes: 2 << 20, ..IngestSettings::default() };
    let door = Ingest::new(settings, providers, world.store.clone(), world.log.clone(), Arc::new(System)).expect("a door");
    let router = door.receive_router();
    let call = |to: &str, body: Body| {
        let request = Request::post(format!("/webhooks/{to}")).body(body).expect("a request");
        let answering = router.clone().oneshot(request);
        async move { answering.await.expect("an answer").status().as_u16() }
    };
    let (mut first, mut second) =
        (pin!(call("google_health", dribbling(1 << 20))), pin!(call("google_health", dribbling(1 << 20))));
    assert!(poll!(&mut first).is_pending(), "it waits for the rest of the body");
    let _ = poll!(&mut second);
    assert_eq!(call("google_health", Body::from("{}")).await, 503);
    assert_eq!(call("withings/wrong", Body::from("userid=1")).await, 401, "it is let in, and judged");
    assert!(poll!(&mut first).is_pending());
}
