//! Who may finish what was begun, who leaves, and who is erased.

use std::collections::HashMap;

use headwater_ingest::account::{AccountError, Agreed, Callback, FinishError, Left, Revoked};
use headwater_ingest::settings::IngestSettings;
use headwater_schemas::audit::Audit;
use headwater_schemas::connection::{Connection as Event, State};
use headwater_schemas::consent::{Consent, Decision};
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_simulator::Provider;
use headwater_store::ConnectionState;
use headwater_store::vault::Owner;
use uuid::Uuid;

use crate::support::{World, begin, callback, connect, consent};

const GOOGLE: &str = "google_health";

/// An attempt up to the provider's redirect.
async fn given(world: &World, subject: &str, answer: &[(&str, &str)]) -> HashMap<String, String> {
    let started = world.ingest.accounts().begin(begin(GOOGLE, subject)).await.expect("an address");
    consent(&started.url, answer).await
}

async fn refused(world: &World, with: Callback<'_>) -> FinishError {
    let Err(unfinished) = world.ingest.accounts().finish(with).await else { panic!("it was accepted") };
    assert!(unfinished.why.to_string().len() < 80);
    unfinished.why
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_works_once_and_an_invented_one_not_at_all() {
    let world = World::new().await;
    let yes = [("simulate_consent", world.person.user_id.as_str())];
    let given = given(&world, "person-1", &yes).await;
    world.ingest.accounts().finish(callback(GOOGLE, &given)).await.map_err(|e| e.why).expect("the first time");
    assert!(matches!(refused(&world, callback(GOOGLE, &given)).await, FinishError::UnknownState), "replayed");
    for state in ["", "x", &"A".repeat(43), &given["state"][1..]] {
        let forged = Callback { state, ..callback(GOOGLE, &given) };
        assert!(matches!(refused(&world, forged).await, FinishError::UnknownState), "forged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browser_another_provider_and_another_issuer_are_refused_and_burn_the_attempt() {
    let world = World::new().await;
    let yes = [("simulate_consent", world.person.user_id.as_str())];
    let before = world.asked("/token");
    type Spoil = fn(Callback<'_>) -> Callback<'_>;
    type Expected = fn(&FinishError) -> bool;
    let cases: [(&str, Spoil, Expected); 4] = [
        ("another browser", |c| Callback { session: Some(&[8; 32]), ..c }, |e| matches!(e, FinishError::OtherSession)),
        ("no cookie", |c| Callback { session: None, ..c }, |e| matches!(e, FinishError::OtherSession)),
        ("another provider's address", |c| Callback { provider: "withings", ..c }, |e| matches!(e, FinishError::OtherProvider)),
        (
            "another issuer",
            |c| Callback { issuer: Some("https://evil.example"), ..c },
            |e| matches!(e, FinishError::OtherProvider),
        ),
    ];
    for (name, spoil, expected) in cases {
        let given = given(&world, "person-1", &yes).await;
        let why = refused(&world, spoil(callback(GOOGLE, &given))).await;
        assert!(expected(&why), "{name}: {why}");
        let again = refused(&world, callback(GOOGLE, &given)).await;
        assert!(matches!(again, FinishError::UnknownState), "{name}: the attempt is used up");
    }
    assert_eq!(world.asked("/token"), before, "no code was exchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_another_attempt_is_refused_by_its_verifier() {
    let world = World::new().await;
    let yes = [("simulate_consent", world.person.user_id.as_str())];
    let (mine, other) = (given(&world, "person-1", &yes).await, given(&world, "person-2", &yes).await);
    let injected = Callback { code: other.get("code").map(String::as_str), ..callback(GOOGLE, &mine) };
    assert!(matches!(refused(&world, injected).await, FinishError::Account(AccountError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_declines_is_told_so_and_an_answer_without_code_is_none() {
    let world = World::new().await;
    let declined = given(&world, "person-9", &[("simulate_deny", "1")]).await;
    assert!(matches!(refused(&world, callback(GOOGLE, &declined)).await, FinishError::Declined));
    let yes = given(&world, "person-9", &[("simulate_consent", &world.person.user_id)]).await;
    let empty = Callback { code: None, ..callback(GOOGLE, &yes) };
    assert!(matches!(refused(&world, empty).await, FinishError::ProviderError));
    assert!(world.store.connections_of("person-9").await.expect("the store").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_used_up_by_success_and_not_before() {
    let world = World::new().await;
    let (accounts, invitation) = (world.ingest.accounts(), [9; 32]);
    world.store.put_pending(&invitation, b"{}", 0, i64::MAX / 4).await.expect("the store");
    let begin = || headwater_ingest::account::Begin { invitation: Some(&invitation), ..begin(GOOGLE, "person-1") };
    let declined = consent(&accounts.begin(begin()).await.expect("an address").url, &[("simulate_deny", "1")]).await;
    assert!(matches!(refused(&world, callback(GOOGLE, &declined)).await, FinishError::Declined));
    let yes = [("simulate_consent", world.person.user_id.as_str())];
    let (first, second) = (
        consent(&accounts.begin(begin()).await.expect("an address").url, &yes).await,
        consent(&accounts.begin(begin()).await.expect("an address").url, &yes).await,
    );
    accounts.finish(callback(GOOGLE, &first)).await.map_err(|e| e.why).expect("the first time");
    assert!(matches!(refused(&world, callback(GOOGLE, &second)).await, FinishError::InvitationUsed));
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_scopes_than_asked_for_are_told_and_what_lacks_them_is_not_asked() {
    let world = World::new().await;
    let only = "https://www.googleapis.com/auth/googlehealth.activity_and_fitness.readonly";
    let given = given(&world, "person-1", &[("simulate_consent", &world.person.user_id), ("simulate_scope", only)]).await;
    let finished = world.ingest.accounts().finish(callback(GOOGLE, &given)).await.map_err(|e| e.why).expect("connected");
    assert!(finished.missing.iter().any(|scope| scope.contains("sleep")), "{:?}", finished.missing);
    let connection = world.store.connection(finished.connection).await.expect("the store").expect("a connection");
    assert_eq!(
        (connection.reason.as_deref(), connection.scopes.as_slice()),
        (Some("fewer_scopes"), [only.to_owned()].as_slice())
    );
    world.ingest.fetcher().run(&[world.hint("sleep", None)]).await.expect("done");
    assert_eq!(world.asked("sleep"), 0, "the provider would refuse it");
    world.ingest.fetcher().run(&[world.hint("steps", None)]).await.expect("done");
    assert!(world.asked("steps") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_subjects_of_one_account_share_its_requests_and_the_last_one_ends_it() {
    let world = World::new().await;
    let finished = connect(&world.ingest, GOOGLE, &world.person.user_id, "person-2").await;
    assert_eq!(finished.connection, world.connection);
    let asked = world.asked("dataPoints");
    let now = jiff::Timestamp::now().as_microsecond();
    world.ingest.fetcher().run(&[world.hint("heart-rate", Some((now - 86_400_000_000, now)))]).await.expect("done");
    let windows = world.log.outcomes().len() / 2;
    assert_eq!(world.asked("dataPoints") - asked, windows as u64, "one request for both");
    let raws = world.log.on(&topics::RAW);
    let of = |subject: &str| raws.iter().filter(|b| Raw::decode(b).expect("our own record").subject_id == subject).count();
    assert!(of("person-1") > 0 && of("person-1") == of("person-2"));

    let accounts = world.ingest.accounts();
    assert_eq!(accounts.disconnect(world.connection, "person-2").await.expect("left"), Left::OthersRemain);
    assert!(matches!(accounts.disconnect(world.connection, "person-2").await, Err(AccountError::Unknown)));
    assert!(world.store.tokens(world.connection).await.expect("the store").is_some());
    let ended = accounts.disconnect(world.connection, "person-1").await.expect("left");
    assert_eq!(ended, Left::Ended(Revoked::AtProvider));
    assert!(world.store.tokens(world.connection).await.expect("the store").is_none());
    let connection = world.store.connection(world.connection).await.expect("the store").expect("a row");
    assert_eq!(connection.state, ConnectionState::Disconnected);
    let last = world.log.on(&topics::CONNECTION).pop().expect("an event");
    assert_eq!(Event::decode(&last).expect("our own record").state, State::Disconnected);
    let before = world.asked("dataPoints");
    world.ingest.fetcher().run(&[world.hint("heart-rate", None)]).await.expect("done");
    assert_eq!(world.asked("dataPoints"), before, "nothing is asked any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_connection_is_not_asked_until_it_is_reactivated() {
    let world = World::new().await;
    let accounts = world.ingest.accounts();
    accounts.deactivate(world.connection).await.expect("paused");
    assert!(matches!(accounts.sync(world.connection).await, Err(AccountError::NeedsReauth)));
    world.ingest.fetcher().run(&[world.hint("weight", None)]).await.expect("done");
    assert_eq!(world.asked("weight"), 0);
    accounts.reactivate(world.connection).await.expect("going on");
    world.ingest.fetcher().run(&[world.hint("weight", None)]).await.expect("done");
    assert!(world.asked("weight") > 0);
    let states: Vec<State> =
        world.log.on(&topics::CONNECTION).iter().map(|b| Event::decode(b).expect("our own record").state).collect();
    assert_eq!(states, [State::Inactive, State::Connected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sync_came_to_can_be_asked_for() {
    let world = World::new().await;
    let accounts = world.ingest.accounts();
    let sync = accounts.sync(world.connection).await.expect("asked");
    assert_eq!(accounts.synced(sync).await.expect("the store"), None);
    let hints = world.log.on(&topics::HINT_LIVE);
    let hint = headwater_schemas::hint::Hint::decode(hints.last().expect("a hint")).expect("our own record");
    world.ingest.fetcher().run(&[hint]).await.expect("done");
    let synced = accounts.synced(sync).await.expect("the store").expect("a result");
    assert_eq!((synced.outcome.as_str(), synced.reason), ("done", None));
    assert!(synced.tally.fetched > 0 && synced.tally.observations > 0, "{:?}", synced.tally);
    let health = world.store.health(world.connection).await.expect("the store");
    assert!(health.synced_at.is_some() && health.last_error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_for_somebody_who_withdrew_until_they_agree_again() {
    let world = World::new().await;
    let accounts = world.ingest.accounts();
    let agreed = |granted| Agreed {
        granted,
        data_types: vec![],
        recipients: vec![],
        until: None,
        actor: "subject:person-1".into(),
        at: accounts.now(),
    };
    assert_eq!(accounts.agree("person-1", &agreed(false)).await.expect("recorded"), 1);
    world.ingest.fetcher().run(&[world.hint("weight", None)]).await.expect("done");
    assert_eq!((world.asked("weight"), world.log.on(&topics::RAW).len()), (0, 0));
    assert_eq!(accounts.agree("person-1", &agreed(true)).await.expect("recorded"), 2);
    assert!(!world.log.on(&topics::HINT_HISTORY).is_empty(), "what was passed over is fetched");
    world.ingest.fetcher().run(&[world.hint("weight", None)]).await.expect("done");
    assert!(world.asked("weight") > 0);
    let decisions: Vec<(i64, Decision)> = world
        .log
        .on(&topics::CONSENT)
        .iter()
        .map(|b| Consent::decode(b).map(|c| (c.version, c.decision)).expect("our own record"))
        .collect();
    assert_eq!(decisions, [(1, Decision::Withdrawn), (2, Decision::Granted)]);
    let bad = Agreed { data_types: vec!["no-such-type".into()], ..agreed(true) };
    assert!(accounts.agree("person-1", &bad).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_leaves_no_key_no_token_and_cannot_come_back() {
    let world = World::new().await;
    let now = jiff::Timestamp::now().as_microsecond();
    let hints = [world.hint("heart-rate", Some((now - 86_400_000_000, now)))];
    world.ingest.fetcher().run(&hints).await.expect("done");
    let raws = world.log.on(&topics::RAW);
    let raw = Raw::decode(&raws[0]).expect("our own record");
    let (owner, sealed) = (Owner::Subject("person-1".into()), raw.encryption.as_ref().expect("sealed"));
    let id = headwater_store::body::key_id(sealed).expect("an id");
    assert!(world.store.opening_key(&owner, id).await.expect("the store").is_some());

    let accounts = world.ingest.accounts();
    let steps = accounts.erase("person-1", "operator:o").await.expect("erased");
    let count = |step: &str| steps.iter().find(|s| s.step == step).unwrap_or_else(|| panic!("no step {step}")).count;
    assert_eq!((count("connections"), count("revoked_at_provider"), count("keys")), (1, 1, 1));
    assert!(world.store.opening_key(&owner, id).await.expect("the store").is_none());
    assert!(world.store.connection(world.connection).await.expect("the store").is_none());
    assert!(world.store.tokens(world.connection).await.expect("the store").is_none());
    assert!(world.store.connections_of("person-1").await.expect("the store").is_empty());
    let consents = world.log.on(&topics::CONSENT);
    assert_eq!(Consent::decode(&consents[0]).expect("our own record").decision, Decision::Erased);

    assert!(matches!(accounts.begin(begin(GOOGLE, "person-1")).await, Err(AccountError::Erased)));
    let before = world.log.on(&topics::RAW).len();
    world.ingest.fetcher().run(&hints).await.expect("done");
    assert_eq!(world.log.on(&topics::RAW).len(), before);
    // Asked again it does no harm; the account itself can be connected for somebody else.
    accounts.erase("person-1", "operator:o").await.expect("erased again");
    let finished = connect(&world.ingest, GOOGLE, &world.person.user_id, "person-2").await;
    assert_eq!(finished.connection, world.connection);
    assert!(world.store.tokens(world.connection).await.expect("the store").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_leaves_no_record_fails() {
    let world = World::new().await;
    let record = Audit {
        audit_id: Uuid::nil(),
        at: 1,
        actor: "operator:o",
        action: "list_connections",
        outcome: headwater_schemas::audit::AuditOutcome::Success,
        subject_id: None,
        connection_id: None,
        detail: None,
    };
    world.log.failing.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(world.ingest.accounts().audit(std::slice::from_ref(&record)).await.is_err());
    world.log.failing.store(false, std::sync::atomic::Ordering::SeqCst);
    world.ingest.accounts().audit(&[record]).await.expect("recorded");
    assert_eq!(world.log.on(&topics::AUDIT).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_used_up_by_a_flight_that_died_is_told_from_a_withdrawn_consent() {
    let world = World::new().await;
    world.expire().await;
    let tokens = world.store.tokens(world.connection).await.expect("the store").expect("tokens");
    let intent = headwater_store::Intent { generation: tokens.generation, at: 1 };
    world.store.put_intent(world.connection, Some(intent)).await.expect("the store");
    // As if the provider had taken the token: it no longer knows it.
    world.control().revoke(Provider::GoogleHealth, &world.person.user_id);
    let keeper = world.instance(IngestSettings::default()).tokens();
    assert!(keeper.access(world.connection, GOOGLE, None).await.is_err());
    let connection = world.store.connection(world.connection).await.expect("the store").expect("a connection");
    assert_eq!(connection.reason.as_deref(), Some("lost_in_refresh"));
    assert_eq!(world.store.intent(world.connection).await.expect("the store"), None);
}
