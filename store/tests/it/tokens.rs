//! Token pairs and leases: one winner, whatever happens at the same time.

use std::sync::Arc;

use headwater_store::{Lease, Store, Tokens};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fixtures::fresh;

pub fn pair(access: &str, refresh: Option<&str>, generation: i64) -> Tokens {
    Tokens { access: access.into(), refresh: refresh.map(Into::into), expires_at: Some(9), generation }
}

/// What is in a pair, to compare it.
fn opened(tokens: Option<Tokens>) -> Option<(String, Option<String>, Option<i64>, i64)> {
    let text = |s: &secrecy::SecretString| s.expose_secret().to_owned();
    tokens.map(|t| (text(&t.access), t.refresh.as_ref().map(text), t.expires_at, t.generation))
}

pub async fn tokens_come_back_opened(store: Arc<dyn Store>) {
    let id = Uuid::new_v4();
    assert_eq!(opened(store.tokens(id).await.unwrap()), None);
    let first = pair("access-1", Some("refresh-1"), 1);
    assert!(store.put_tokens(id, None, &first).await.unwrap());
    assert_eq!(opened(store.tokens(id).await.unwrap()), opened(Some(first)));
    // A provider may give no refresh token and no expiry: nothing of the old pair is left then.
    let second = Tokens { expires_at: None, ..pair("access-2", None, 2) };
    assert!(store.put_tokens(id, Some(1), &second).await.unwrap());
    assert_eq!(opened(store.tokens(id).await.unwrap()), opened(Some(second)));
    store.delete_tokens(id).await.unwrap();
    store.delete_tokens(id).await.unwrap();
    assert_eq!(opened(store.tokens(id).await.unwrap()), None);
    assert!(store.put_tokens(id, None, &pair("access-3", None, 1)).await.unwrap());
}

pub async fn a_stale_generation_is_refused(store: Arc<dyn Store>) {
    let id = Uuid::new_v4();
    assert!(!store.put_tokens(id, Some(1), &pair("early", None, 2)).await.unwrap());
    assert_eq!(opened(store.tokens(id).await.unwrap()), None);
    assert!(store.put_tokens(id, None, &pair("first", None, 1)).await.unwrap());
    assert!(!store.put_tokens(id, None, &pair("again", None, 1)).await.unwrap());
    assert!(store.put_tokens(id, Some(1), &pair("second", None, 2)).await.unwrap());
    assert!(!store.put_tokens(id, Some(1), &pair("stale", None, 2)).await.unwrap());
    assert_eq!(opened(store.tokens(id).await.unwrap()), opened(Some(pair("second", None, 2))));
}

pub async fn of_two_that_put_the_first_pair_one_wins(store: Arc<dyn Store>) {
    one_wins(store, Uuid::new_v4(), None, 2).await;
}

pub async fn of_fifty_that_refresh_at_once_one_wins(store: Arc<dyn Store>) {
    let id = Uuid::new_v4();
    assert!(store.put_tokens(id, None, &pair("first", None, 1)).await.unwrap());
    one_wins(store, id, Some(1), 50).await;
}

async fn one_wins(store: Arc<dyn Store>, id: Uuid, expected: Option<i64>, racers: usize) {
    let generation = expected.unwrap_or(0) + 1;
    let mut races = JoinSet::new();
    for i in 0..racers {
        let store = store.clone();
        let tokens = pair(&format!("access of {i}"), Some(&format!("refresh of {i}")), generation);
        races.spawn(async move { store.put_tokens(id, expected, &tokens).await.unwrap().then_some(tokens) });
    }
    let mut winners: Vec<Tokens> = races.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(opened(store.tokens(id).await.unwrap()), opened(winners.pop()));
}

pub async fn a_lease_is_held_until_it_expires(store: Arc<dyn Store>) {
    let name = fresh("lease");
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let first = store.lease(&name, a, 100, 200).await.unwrap().unwrap();
    assert_eq!(store.lease(&name, b, 199, 300).await.unwrap(), None);
    // A renewal is the same tenure: it keeps the fence.
    assert_eq!(store.lease(&name, a, 150, 250).await.unwrap(), Some(first.clone()));
    assert_eq!(store.lease(&name, b, 249, 300).await.unwrap(), None);
    let second = store.lease(&name, b, 250, 300).await.unwrap().unwrap();
    assert!(second.fence > first.fence && second.owner == b && second.name == name);
    assert_eq!(store.lease(&name, a, 260, 400).await.unwrap(), None);
}

pub async fn a_fence_only_grows(store: Arc<dyn Store>) {
    let name = fresh("lease");
    let mut last = 0;
    for round in 0..6_i64 {
        // The same owner takes it twice in a row: a tenure that had ended does not go on.
        let owner = Uuid::from_u128(u128::from(round.unsigned_abs() / 2) + 1);
        let lease = store.lease(&name, owner, round * 100, round * 100 + 50).await.unwrap().unwrap();
        assert!(lease.fence > last, "round {round}");
        last = lease.fence;
        if round % 3 == 0 {
            store.release(&lease).await.unwrap();
        }
    }
}

pub async fn a_released_lease_is_free_and_a_stale_release_does_nothing(store: Arc<dyn Store>) {
    let name = fresh("lease");
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let first = store.lease(&name, a, 0, 100).await.unwrap().unwrap();
    store.release(&first).await.unwrap();
    let second = store.lease(&name, b, 1, 100).await.unwrap().unwrap();
    assert!(second.fence > first.fence);
    store.release(&first).await.unwrap();
    store.release(&Lease { fence: first.fence, ..second.clone() }).await.unwrap();
    assert_eq!(store.lease(&name, a, 2, 100).await.unwrap(), None);
    store.release(&Lease { name: fresh("nobody's"), owner: a, fence: 1 }).await.unwrap();
}

pub async fn of_many_that_want_a_lease_one_gets_it(store: Arc<dyn Store>) {
    let name = fresh("lease");
    for (round, now) in [(1, 0), (2, 1_000)] {
        let mut wanting = JoinSet::new();
        for _ in 0..12 {
            let (store, name) = (store.clone(), name.clone());
            wanting.spawn(async move { store.lease(&name, Uuid::new_v4(), now, now + 500).await.unwrap() });
        }
        let got: Vec<Lease> = wanting.join_all().await.into_iter().flatten().collect();
        assert_eq!(got.len(), 1, "round {round}");
        assert_eq!(got[0].fence, round);
    }
}
