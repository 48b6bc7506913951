use std::sync::atomic::Ordering;

use headwater_ingest::settings::IngestSettings;
use headwater_schemas::coverage::{Coverage, Outcome};
use headwater_schemas::hint::Hint;
use headwater_schemas::raw::{Gone, Origin, Raw};
use headwater_schemas::topics::{self, Subject as _};
use headwater_simulator::{Addition, Change, Content, Fault, Provider, Select, Settings};
use headwater_store::ConnectionState;

use crate::support::World;

const HOUR: i64 = 3600;

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A weight an hour ago, and the window around it.
async fn weigh(world: &World) -> (u64, (i64, i64)) {
    let at = now() - HOUR;
    let addition = Addition { start: at, end: at, content: Content::Value(70_000.0) };
    let added = world.control().add(Provider::GoogleHealth, &world.person.user_id, "weight", addition).await.expect("added");
    (added.id, (at * 1_000_000, (at + 1) * 1_000_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_equal_hints_are_one_question_and_an_unchanged_answer_is_not_appended_again() {
    let world = World::new().await;
    let (_, window) = weigh(&world).await;
    let hints: Vec<Hint<'_>> = (0..10).map(|_| world.hint("weight", Some(window))).collect();
    world.ingest.fetcher().run(&hints).await.expect("done");
    assert_eq!(world.asked("weight"), 1);
    let raws = world.log.on(&topics::RAW);
    assert_eq!((raws.len(), world.log.outcomes()), (1, vec!["fetched"]));
    world.ingest.fetcher().run(&hints).await.expect("done");
    assert_eq!((world.log.on(&topics::RAW).len(), world.log.outcomes()), (1, vec!["fetched", "unchanged"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_is_marked_a_deletion_is_reconciled_and_nothing_is_gone_by_a_failure() {
    let world = World::new().await;
    let (id, window) = weigh(&world).await;
    let fetcher = world.ingest.fetcher();
    let run = async || fetcher.run(&[world.hint("weight", Some(window))]).await.expect("done");
    run().await;
    let control = world.control();
    control
        .correct(Provider::GoogleHealth, &world.person.user_id, "weight", &Select::Id(id), Change::Value(71_000.0))
        .await
        .expect("corrected");
    run().await;
    let raws = world.log.on(&topics::RAW);
    let corrected = Raw::decode(&raws[1]).expect("our own record");
    assert_eq!((corrected.amended.len(), corrected.version_floor.is_some()), (1, true));

    // A failure says nothing about what is there.
    control.fault_at(Provider::GoogleHealth, "weight", Fault::CutJson, 1);
    run().await;
    let raws = world.log.on(&topics::RAW);
    assert_eq!(Raw::decode(&raws[2]).expect("our own record").origin, Origin::Fetch, "kept as it came, and nothing is gone");
    assert_eq!(world.log.outcomes().last(), Some(&"failed"));
    assert_eq!(world.log.on(&topics::HINT_LATER).len(), 1, "and asked again later");

    control.delete(Provider::GoogleHealth, &world.person.user_id, "weight", &Select::Id(id)).await.expect("deleted");
    run().await;
    let raws = world.log.on(&topics::RAW);
    let gone = raws
        .iter()
        .map(|b| Raw::decode(b).expect("our own record"))
        .find(|r| r.origin == Origin::Reconcile)
        .expect("a reconcile record");
    let sealed = gone.encryption.as_ref().expect("raw bodies are sealed");
    let owner = headwater_store::vault::Owner::Subject(gone.subject_id.to_owned());
    let key = world.store.opening_key(&owner, headwater_store::body::key_id(sealed).expect("an id")).await.expect("the store");
    let body = headwater_store::body::open(&key.expect("the subject's key"), &gone).expect("it opens");
    let rows: Vec<Gone> = serde_json::from_slice(&body).expect("rows");
    assert_eq!((rows.len(), rows[0].id, rows[0].data_type.as_str()), (1, corrected.amended[0].id, "body-weight"));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_log_fails_nothing_is_remembered_and_the_next_run_appends() {
    let world = World::new().await;
    let (_, window) = weigh(&world).await;
    world.log.failing.store(true, Ordering::SeqCst);
    let hints = [world.hint("weight", Some(window))];
    assert!(world.ingest.fetcher().run(&hints).await.is_err());
    assert_eq!(world.store.cursor(world.connection, "weight").await.expect("the store"), None, "a cursor never leads the data");
    world.log.failing.store(false, Ordering::SeqCst);
    world.ingest.fetcher().run(&hints).await.expect("done");
    assert_eq!(world.log.on(&topics::RAW).len(), 1);
    let cursor = world.store.cursor(world.connection, "weight").await.expect("the store").expect("a cursor");
    assert_eq!(cursor.fetched_to, window.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_put_the_hint_off_as_long_as_the_provider_says() {
    let world = World::new().await;
    let (_, window) = weigh(&world).await;
    world.control().fault_at(Provider::GoogleHealth, "weight", Fault::RateLimited { retry_after: Some(90) }, 1);
    let before = now();
    world.ingest.fetcher().run(&[world.hint("weight", Some(window))]).await.expect("done");
    let later = world.log.on(&topics::HINT_LATER);
    let hint = Hint::decode(&later[0]).expect("our own record");
    let wait = hint.not_before.expect("a time") / 1_000_000 - before;
    assert!((85..=100).contains(&wait), "{wait} s");
    assert_eq!((hint.streams, hint.window_start, hint.attempt), (vec!["weight"], Some(window.0), 1));
    // Meanwhile nobody asks.
    world.ingest.fetcher().run(&[world.hint("weight", Some(window))]).await.expect("done");
    assert_eq!(world.asked("weight"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_switched_off_is_migrated_and_never_asked_again() {
    let world = World::with(Settings::quiet(), "/fitbit").await;
    for _ in 0..3 {
        world.ingest.fetcher().run(&[world.hint("weight", None)]).await.expect("done");
    }
    let connection = world.store.connection(world.connection).await.expect("the store").expect("a connection");
    assert_eq!(connection.state, ConnectionState::Migrated);
    assert_eq!(world.control().counts()[&Provider::Fitbit].requests.values().sum::<u64>(), 1);
    assert_eq!(world.log.on(&topics::CONNECTION).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_is_not_waited_for() {
    let world = World::new().await;
    let (_, window) = weigh(&world).await;
    world.control().fault_at(Provider::GoogleHealth, "weight", Fault::Hang, 2);
    world.ingest.fetcher().run(&[world.hint("weight", Some(window))]).await.expect("done");
    assert_eq!((world.log.on(&topics::HINT_LATER).len(), world.log.on(&topics::RAW).len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_due_gets_one_hint_and_a_later_time() {
    let world = World::new().await;
    let scheduler = world.ingest.scheduler();
    assert_eq!(scheduler.tick(&|_| true).await.expect("the store"), 0, "just connected, so not due");
    world.store.set_polled(world.connection, 1, 1).await.expect("the store");
    let another = world.ingest.scheduler();
    assert_eq!(another.tick(&|_| false).await.expect("the store"), 0, "not ours");
    let fresh = world.ingest.scheduler();
    assert_eq!(fresh.tick(&|id| id == world.connection).await.expect("the store"), 1);
    assert_eq!(fresh.tick(&|_| true).await.expect("the store"), 0);
    let next =
        world.store.connection(world.connection).await.expect("the store").expect("a connection").next_poll.expect("a time");
    let minutes = (next / 1_000_000 - now()) / 60;
    assert!((44..=75).contains(&minutes), "{minutes} min");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_takes_longer_than_a_turn_goes_on_in_the_next_ones_and_asks_nothing_twice() {
    let world = World::with(Settings { history_days: 12, ..Settings::quiet() }, "").await;
    let (to, from) = (now() * 1_000_000, (now() - 12 * 24 * HOUR) * 1_000_000);
    let history = || Hint {
        lane: headwater_schemas::raw::Lane::History,
        streams: vec!["weight", "steps", "heart-rate"],
        ..world.hint("weight", Some((from, to)))
    };
    let whole = world.instance(IngestSettings { turn_ms: 3_600_000, ..IngestSettings::default() });
    whole.fetcher().run(&[history()]).await.expect("done");
    let cursors = async || world.store.cursors(world.connection).await.expect("the store");
    let (asked, reached) = (world.asked(""), cursors().await);
    let outcomes = world.log.outcomes().len();
    assert!(outcomes > 3 && world.log.on(&topics::HINT_LATER).is_empty(), "{outcomes}");

    // Each turn is over as soon as it begins, and still gets on by one window.
    let other = World::with(Settings { history_days: 12, ..Settings::quiet() }, "").await;
    let hasty = other.instance(IngestSettings { turn_ms: 1, ..IngestSettings::default() });
    let first = Hint { connection_id: other.connection, ..history() };
    hasty.fetcher().run(&[first]).await.expect("done");
    let mut turns = 1;
    loop {
        let later = other.log.on(&topics::HINT_LATER);
        let hints: Vec<Hint<'_>> = later.iter().skip(turns - 1).map(|body| Hint::decode(body).expect("a hint")).collect();
        if hints.is_empty() {
            break;
        }
        assert!(hints.iter().all(|hint| hint.attempt == 0), "waiting for a turn is no failure");
        turns += hints.len();
        hasty.fetcher().run(&hints).await.expect("done");
        assert!(turns < 500, "it comes to an end");
    }
    assert!(turns > 3, "{turns}");
    assert_eq!(other.log.outcomes().len(), outcomes, "the same windows");
    assert!(other.asked("") <= asked + 2, "{} requests instead of {asked}", other.asked(""));
    let streams = |cursors: Vec<(String, headwater_store::Cursor)>| cursors.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(streams(other.store.cursors(other.connection).await.expect("the store")), streams(reached));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_when_the_pace_ends_a_job_is_not_asked_for_again() {
    let world = World::with(Settings { history_days: 12, ..Settings::quiet() }, "").await;
    let (from, to) = ((now() - 10 * 24 * HOUR) * 1_000_000, now() * 1_000_000);
    // After so many requests the next one is some seconds away.
    world.at_pace(4).fetcher().run(&[world.hint("steps", Some((from, to)))]).await.expect("done");
    let windows = || {
        let covered = world.log.on(&topics::COVERAGE);
        let covered = covered.iter().map(|body| Coverage::decode(body).expect("our own record"));
        covered.filter(|window| window.outcome != Outcome::Failed).map(|window| window.window_start).collect::<Vec<_>>()
    };
    let first = windows();
    let later = world.log.on(&topics::HINT_LATER);
    assert!(!first.is_empty() && later.len() == 1, "{} windows, {} hints", first.len(), later.len());
    let rest = Hint::decode(&later[0]).expect("a hint");
    assert_eq!(
        (rest.window_start, rest.window_end),
        (Some(from), first.iter().min().copied()),
        "what is older than the windows done"
    );
    world.instance(IngestSettings::default()).fetcher().run(&[rest]).await.expect("done");
    let mut all = windows();
    all.sort_unstable();
    let asked = all.len();
    all.dedup();
    assert!(asked == all.len() && asked > first.len(), "no window twice: {asked} and {}", all.len());
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == all[1] - all[0]), "and none left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_for_the_connection_longer_than_a_turn_still_has_one() {
    let world = World::new().await;
    let micros = || jiff::Timestamp::now().as_microsecond();
    let name = format!("fetch/{}", world.connection);
    let held = world.store.lease(&name, uuid::Uuid::new_v4(), micros(), micros() + 4_000_000).await.expect("the store");
    assert!(held.is_some(), "another instance has it for four seconds");
    let hint = Hint { streams: vec!["weight", "steps", "heart-rate"], ..world.hint("weight", None) };
    let patient = world.instance(IngestSettings { turn_ms: 3_000, ..IngestSettings::default() });
    patient.fetcher().run(&[hint]).await.expect("done");
    assert_eq!(world.log.on(&topics::HINT_LATER).len(), 0, "all of it was done");
    let cursors = world.store.cursors(world.connection).await.expect("the store");
    assert_eq!(cursors.len(), 3, "{cursors:?}");
}

/// Found by the simulation: a cloud that often announced one stream kept all the others from ever being polled.
#[tokio::test(flavor = "multi_thread")]
async fn a_notification_of_one_stream_puts_the_poll_of_the_others_off_by_nothing() {
    let world = World::new().await;
    let next = async || world.store.connection(world.connection).await.expect("the store").expect("a connection").next_poll;
    let before = next().await;
    world.ingest.fetcher().run(&[world.hint("weight", None)]).await.expect("done");
    assert_eq!(next().await, before);
    let all = Hint { streams: vec![], ..world.hint("weight", None) };
    world.ingest.fetcher().run(&[all]).await.expect("done");
    assert_ne!(next().await, before, "what asks all streams does");
}
