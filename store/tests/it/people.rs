//! Subjects, their keys, half-finished things, and what is left of the erased.

use std::sync::Arc;

use headwater_store::seal::{DataKey, Kind, Place};
use headwater_store::vault::Owner;
use headwater_store::{Connection, Cursor, Erased, ErasureStep, Health, Identity, Intent, Store, Subject};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fixtures::{DAY, MARCH, STORED_AT, connection, device, everything, fresh, full};
use super::tokens::pair;

fn place(row: &[u8]) -> Place<'_> {
    Place { table: "raw", row, kind: Kind::Body, generation: 0 }
}

async fn key(store: &dyn Store, subject: &str) -> Arc<DataKey> {
    store.sealing_key(&Owner::Subject(subject.to_owned()), 1).await.unwrap().expect("nobody erased the subject")
}

pub async fn the_connections_of_a_subject_are_listed_until_they_are_taken_off(store: Arc<dyn Store>) {
    let (mine, shared) = (fresh("subject"), fresh("subject"));
    let first = Connection { subjects: vec![mine.clone(), shared.clone()], ..connection(Uuid::new_v4()) };
    let second = Connection { subjects: vec![mine.clone()], ..connection(Uuid::new_v4()) };
    for c in [&first, &second] {
        store.put_connection(c).await.unwrap();
    }
    let mut both = vec![first.id, second.id];
    both.sort();
    assert_eq!(store.connections_of(&mine).await.unwrap(), both);
    store.unlist(&mine, first.id).await.unwrap();
    assert_eq!(store.connections_of(&mine).await.unwrap(), [second.id]);
    assert_eq!(store.connections_of(&shared).await.unwrap(), [first.id]);
    assert_eq!(store.connections_of(&fresh("nobody")).await.unwrap(), [] as [Uuid; 0]);
}

pub async fn health_tells_the_last_success_and_what_failed_since(store: Arc<dyn Store>) {
    let id = Uuid::new_v4();
    assert_eq!(store.health(id).await.unwrap(), Health::default());
    store.set_synced(id, Some("rate_limited"), 5).await.unwrap();
    store.set_subscribed(id, Some(6)).await.unwrap();
    let failed =
        Health { synced_at: None, last_error: Some("rate_limited".into()), last_error_at: Some(5), subscribed_at: Some(6) };
    assert_eq!(store.health(id).await.unwrap(), failed);
    store.set_synced(id, None, 7).await.unwrap();
    store.set_subscribed(id, None).await.unwrap();
    assert_eq!(store.health(id).await.unwrap(), Health { synced_at: Some(7), ..Health::default() });
    store.set_synced(id, Some("timeout"), 8).await.unwrap();
    let health = store.health(id).await.unwrap();
    assert_eq!((health.synced_at, health.last_error.as_deref()), (Some(7), Some("timeout")));
}

pub async fn a_begun_refresh_is_remembered_until_it_is_given_up(store: Arc<dyn Store>) {
    let id = Uuid::new_v4();
    assert_eq!(store.intent(id).await.unwrap(), None);
    for intent in [Some(Intent { generation: 1, at: 2 }), Some(Intent { generation: 2, at: 3 }), None] {
        store.put_intent(id, intent).await.unwrap();
        assert_eq!(store.intent(id).await.unwrap(), intent);
    }
}

pub async fn a_deleted_connection_leaves_nothing_and_can_come_again(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let c = Connection { subjects: vec![subject.clone()], ..connection(Uuid::new_v4()) };
    for round in 0..2 {
        store.put_connection(&c).await.unwrap();
        assert!(store.put_tokens(c.id, None, &pair("access", Some("refresh"), 1)).await.unwrap(), "round {round}");
        store.put_cursor(c.id, "s", &Cursor { fetched_to: 1, history_from: None }).await.unwrap();
        store.put_digest(c.id, "s", 0, [1; 16]).await.unwrap();
        store.put_held(c.id, "s", 0, b"held").await.unwrap();
        store.set_synced(c.id, None, 3).await.unwrap();
        store.put_intent(c.id, Some(Intent { generation: 1, at: 1 })).await.unwrap();
        assert_eq!(store.cursors(c.id).await.unwrap(), [("s".to_owned(), Cursor { fetched_to: 1, history_from: None })]);
        store.delete_connection(&c, &["s"]).await.unwrap();
        assert!(store.connection(c.id).await.unwrap().is_none());
        assert!(store.tokens(c.id).await.unwrap().is_none());
        assert!(store.cursors(c.id).await.unwrap().is_empty());
        assert_eq!(store.digest(c.id, "s", 0).await.unwrap(), None);
        assert_eq!(store.held(c.id, "s", 0).await.unwrap(), None);
        assert_eq!(store.health(c.id).await.unwrap(), Health::default());
        assert_eq!(store.intent(c.id).await.unwrap(), None);
        assert!(store.connections_of(&subject).await.unwrap().is_empty());
    }
}

pub async fn a_subject_is_found_by_who_it_is_elsewhere_and_put_once(store: Arc<dyn Store>) {
    let identity = Identity { system: "https://clinic.example/mrn".into(), value: fresh("4711") };
    let subject = Subject { id: fresh("subject"), identity: Some(identity.clone()), created_at: 7 };
    assert_eq!(store.subject_by_identity(&identity).await.unwrap(), None);
    assert!(store.put_subject(&subject).await.unwrap());
    assert!(!store.put_subject(&subject).await.unwrap());
    let other = Subject { id: fresh("other"), ..subject.clone() };
    assert!(!store.put_subject(&other).await.unwrap(), "one identity, one subject");
    assert_eq!(store.subject_by_identity(&identity).await.unwrap().as_deref(), Some(subject.id.as_str()));
    assert!(store.subject(&subject.id).await.unwrap().is_some_and(|s| s == subject));
    // Parts that join to the same text are another identity.
    let shifted = Identity { system: format!("{}{}", identity.system, &identity.value[..1]), value: identity.value[1..].into() };
    assert_eq!(store.subject_by_identity(&shifted).await.unwrap(), None);
    let bare = Subject { id: fresh("subject"), identity: None, created_at: 8 };
    assert!(store.put_subject(&bare).await.unwrap());
    assert!(store.subject(&bare.id).await.unwrap().is_some_and(|s| s == bare));
}

pub async fn of_two_who_record_a_consent_one_is_first(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    assert_eq!(store.consent(&subject).await.unwrap(), None);
    assert!(!store.put_consent(&subject, 3, "early").await.unwrap());
    for (expected, text) in [(0, "one"), (1, "two")] {
        let (a, b) = (format!("{text} of a"), format!("{text} of b"));
        let (first, second) =
            futures::join!(store.put_consent(&subject, expected, &a), store.put_consent(&subject, expected, &b));
        assert!(first.unwrap() != second.unwrap());
        let (version, stands) = store.consent(&subject).await.unwrap().unwrap();
        assert!(version == expected + 1 && stands.starts_with(text));
    }
}

pub async fn a_pending_thing_is_taken_once_and_not_after_its_end(store: Arc<dyn Store>) {
    let (key, other): ([u8; 32], [u8; 32]) = (rand::random(), rand::random());
    assert!(store.take_pending(&key, 1).await.unwrap().is_none());
    store.put_pending(&key, b"a state", 1, 100_000_000).await.unwrap();
    store.put_pending(&other, b"another", 1, 50).await.unwrap();
    assert_eq!(store.pending(&key, 2).await.unwrap().unwrap().as_slice(), b"a state");
    assert!(store.pending(&other, 50).await.unwrap().is_none() && store.take_pending(&other, 50).await.unwrap().is_none());
    let mut takers = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        takers.spawn(async move { store.take_pending(&key, 3).await.unwrap().is_some() });
    }
    assert_eq!(takers.join_all().await.into_iter().filter(|got| *got).count(), 1);
    assert!(store.pending(&key, 4).await.unwrap().is_none());
}

pub async fn a_subjects_key_opens_what_it_sealed_for_every_instance(store: Arc<dyn Store>) {
    let (subject, other) = (fresh("subject"), fresh("subject"));
    let blob = key(&*store, &subject).await.seal(&place(b"row"), b"body").unwrap();
    let mine = Owner::Subject(subject.clone());
    store.forget_keys(&mine);
    assert_eq!(key(&*store, &subject).await.open(&place(b"row"), &blob).unwrap().as_slice(), b"body");
    let id = headwater_store::seal::data_key_of(&blob).unwrap();
    assert!(store.opening_key(&mine, id).await.unwrap().is_some());
    assert!(store.opening_key(&Owner::Subject(other.clone()), id).await.unwrap().is_none(), "another's key by its id");
    assert!(key(&*store, &other).await.open(&place(b"row"), &blob).is_err());
    assert!(store.opening_key(&mine, Uuid::new_v4()).await.unwrap().is_none());
}

pub async fn of_an_erased_subject_nothing_is_left_and_nothing_comes_back(store: Arc<dyn Store>) {
    let (subject, other) = (fresh("subject"), fresh("subject"));
    let identity = Identity { system: "https://clinic.example/mrn".into(), value: fresh("4711") };
    let row = Subject { id: subject.clone(), identity: Some(identity.clone()), created_at: 7 };
    assert!(store.put_subject(&row).await.unwrap());
    let mine = Owner::Subject(subject.clone());
    let sealing = key(&*store, &subject).await;
    for s in [&subject, &other] {
        let rows: Vec<_> = (0..40).map(|n| full(s, Uuid::new_v4(), MARCH + n * 3 * DAY)).collect();
        store.write_observations(&rows, STORED_AT).await.unwrap();
        store.write_devices(&[device(s, Uuid::new_v4(), 1)]).await.unwrap();
    }
    let step = |step: &str, count| ErasureStep { step: step.into(), at: 9, count, note: Some("note".into()) };
    store.put_erasure(&subject, &step("requested", 0)).await.unwrap();
    let now = MARCH + 400 * DAY;
    assert_eq!(store.erase_subject(&subject, now).await.unwrap(), Erased { observations: 40, devices: 1, keys: 1 });
    assert!(store.observations(&everything(&subject)).await.unwrap().rows.is_empty());
    assert!(store.devices(&subject).await.unwrap().is_empty());
    assert!(store.subject(&subject).await.unwrap().is_none());
    assert_eq!(store.subject_by_identity(&identity).await.unwrap(), None);
    assert!(store.opening_key(&mine, sealing.id()).await.unwrap().is_none());
    assert!(store.sealing_key(&mine, now).await.unwrap().is_none(), "no new key for an erased subject");
    assert_eq!(store.erase_subject(&subject, now).await.unwrap(), Erased::default());
    store.put_erasure(&subject, &step("verified", 3)).await.unwrap();
    store.put_erasure(&subject, &step("verified", 4)).await.unwrap();
    assert_eq!(store.erasure(&subject).await.unwrap(), [step("requested", 0), step("verified", 4)]);
    // Nobody else lost anything.
    assert_eq!(store.observations(&everything(&other)).await.unwrap().rows.len(), 40);
    assert_eq!(store.devices(&other).await.unwrap().len(), 1);
    assert!(store.erasure(&other).await.unwrap().is_empty());
}

/// Two instances on one database: the one with both keys rotates while the other works, then the old key is withdrawn.
pub async fn rotate<F: Future<Output = Arc<dyn Store>>>(open: impl Fn(&'static str) -> F) {
    const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const BOTH: &str = "new:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=,old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "new:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
    let (old, both) = (open(OLD).await, open(BOTH).await);
    let (pending, subject): ([u8; 32], _) = (rand::random(), fresh("subject"));
    let ids: Vec<Uuid> = (0..60).map(|_| Uuid::new_v4()).collect();
    for id in &ids {
        old.put_connection(&connection(*id)).await.unwrap();
        assert!(old.put_tokens(*id, None, &pair("access", Some("refresh"), 1)).await.unwrap());
    }
    old.put_pending(&pending, b"state", 1, i64::MAX / 4).await.unwrap();
    let sealed = key(&*old, &subject).await.seal(&place(b"row"), b"body").unwrap();
    // Under load: pairs are refreshed by an instance that has both keys while the keys are wrapped anew.
    let mut load = JoinSet::new();
    let (store, racing) = (both.clone(), ids.clone());
    load.spawn(async move {
        for id in racing {
            assert!(store.put_tokens(id, Some(1), &pair("access-2", Some("refresh-2"), 2)).await.unwrap());
            assert_eq!(store.tokens(id).await.unwrap().unwrap().generation, 2);
        }
    });
    let done = both.rewrap_keys().await.unwrap();
    load.join_all().await;
    assert!(done.rewrapped > 60 && done.seen >= done.rewrapped, "{done:?}");
    assert_eq!(both.rewrap_keys().await.unwrap().rewrapped, 0, "nothing is left to do");
    let new = open(NEW).await;
    for id in &ids {
        assert_eq!(new.connection(*id).await.unwrap().unwrap().provider_user, "account-4711");
        assert_eq!(new.tokens(*id).await.unwrap().unwrap().generation, 2);
    }
    assert_eq!(new.pending(&pending, 2).await.unwrap().unwrap().as_slice(), b"state");
    assert_eq!(key(&*new, &subject).await.open(&place(b"row"), &sealed).unwrap().as_slice(), b"body");
    let withdrawn = open(OLD).await;
    assert!(withdrawn.tokens(ids[0]).await.is_err(), "the old key opens nothing any more");
}
