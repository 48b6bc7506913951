//! Connections, and how far their streams were fetched.

use std::sync::Arc;

use headwater_store::{Connection, ConnectionState, Cursor, Listed, Store, shard};
use uuid::Uuid;

use super::fixtures::connection;

pub async fn a_store_answers_after_migrating_twice(store: Arc<dyn Store>) {
    let (first, second) = futures::join!(store.migrate(), store.migrate());
    first.unwrap();
    second.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.connection(Uuid::new_v4()).await.unwrap(), None);
}

pub async fn a_connection_comes_back_as_it_was_put(store: Arc<dyn Store>) {
    let put = connection(Uuid::new_v4());
    store.put_connection(&put).await.unwrap();
    let got = store.connection(put.id).await.unwrap().unwrap();
    assert!(got == put);
    assert_eq!(got.provider_user, "account-4711");
}

pub async fn a_replaced_connection_keeps_nothing_of_the_old_one(store: Arc<dyn Store>) {
    let put = connection(Uuid::new_v4());
    store.put_connection(&put).await.unwrap();
    let less = Connection {
        subjects: Vec::new(),
        zone: None,
        scopes: Vec::new(),
        reason: None,
        state: ConnectionState::Migrated,
        last_poll: None,
        next_poll: None,
        ..put
    };
    store.put_connection(&less).await.unwrap();
    assert!(store.connection(less.id).await.unwrap().unwrap() == less);
    assert_eq!(listed(&*store, less.id).await.next_poll, None);
}

pub async fn a_shard_is_listed_in_pages_without_gaps_or_repeats(store: Arc<dyn Store>) {
    let shard_byte = rand::random_range(0..=255_u8);
    let mut ids: Vec<Uuid> = (0..23)
        .map(|_| {
            let mut bytes = *Uuid::new_v4().as_bytes();
            bytes[0] = shard_byte;
            Uuid::from_bytes(bytes)
        })
        .collect();
    ids.sort();
    for id in &ids {
        store.put_connection(&connection(*id)).await.unwrap();
    }
    let shard = shard(ids[0]);
    for limit in [1, 4, 23, 100] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.connections(shard, after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page.into_iter().map(|l| l.id));
        }
        // Other tests may have put connections into the same shard.
        seen.retain(|id| ids.contains(id));
        assert_eq!(seen, ids, "pages of {limit}");
    }
    let elsewhere = store.connections((shard + 1) % headwater_store::SHARDS, None, 1_000).await.unwrap();
    assert!(elsewhere.iter().all(|l| !ids.contains(&l.id)));
}

pub async fn a_state_is_set_where_there_is_a_connection(store: Arc<dyn Store>) {
    let put = connection(Uuid::new_v4());
    store.put_connection(&put).await.unwrap();
    for (state, why) in [(ConnectionState::NeedsReauth, Some("invalid_grant")), (ConnectionState::Disconnected, None)] {
        assert!(store.set_state(put.id, state, why, 99).await.unwrap());
        let expected = Connection { state, reason: why.map(str::to_owned), state_at: 99, ..put.clone() };
        assert!(store.connection(put.id).await.unwrap().unwrap() == expected);
        assert_eq!(
            listed(&*store, put.id).await,
            Listed { id: put.id, provider: put.provider.clone(), state, next_poll: put.next_poll }
        );
    }
    let unknown = Uuid::new_v4();
    assert!(!store.set_state(unknown, ConnectionState::Active, None, 99).await.unwrap());
    assert_eq!(store.connection(unknown).await.unwrap(), None);
}

pub async fn a_poll_is_noted_in_the_connection_and_in_the_listing(store: Arc<dyn Store>) {
    let put = connection(Uuid::new_v4());
    store.put_connection(&put).await.unwrap();
    store.set_polled(put.id, 50, 60).await.unwrap();
    let got = store.connection(put.id).await.unwrap().unwrap();
    assert_eq!((got.last_poll, got.next_poll), (Some(50), Some(60)));
    assert_eq!(listed(&*store, put.id).await.next_poll, Some(60));

    let mut bytes = *put.id.as_bytes();
    bytes[15] ^= 1;
    let unknown = Uuid::from_bytes(bytes);
    store.set_polled(unknown, 50, 60).await.unwrap();
    assert_eq!(store.connection(unknown).await.unwrap(), None);
    let all = store.connections(shard(unknown), None, 10_000).await.unwrap();
    assert!(all.iter().all(|l| l.id != unknown) && all.iter().any(|l| l.id == put.id));
}

pub async fn cursors_digests_and_held_buckets_come_back_and_are_replaced(store: Arc<dyn Store>) {
    let id = Uuid::new_v4();
    assert_eq!(store.cursor(id, "a").await.unwrap(), None);
    for cursor in [Cursor { fetched_to: 5, history_from: Some(-3) }, Cursor { fetched_to: 4, history_from: None }] {
        store.put_cursor(id, "a", &cursor).await.unwrap();
        assert_eq!(store.cursor(id, "a").await.unwrap(), Some(cursor));
    }
    assert_eq!(store.cursor(id, "b").await.unwrap(), None);

    assert_eq!(store.digest(id, "a", 0).await.unwrap(), None);
    for digest in [[1; 16], [2; 16]] {
        store.put_digest(id, "a", 0, digest).await.unwrap();
        assert_eq!(store.digest(id, "a", 0).await.unwrap(), Some(digest));
    }
    assert_eq!(store.digest(id, "a", 1).await.unwrap(), None);

    assert_eq!(store.held(id, "a", 0).await.unwrap(), None);
    for blob in [vec![7; 70_000], Vec::new(), vec![0, 255]] {
        store.put_held(id, "a", 0, &blob).await.unwrap();
        assert_eq!(store.held(id, "a", 0).await.unwrap(), Some(blob));
    }
    assert_eq!(store.held(id, "a", -1).await.unwrap(), None);
}

async fn listed(store: &dyn Store, id: Uuid) -> Listed {
    let all = store.connections(shard(id), None, 10_000).await.unwrap();
    all.into_iter().find(|l| l.id == id).expect("the connection is listed")
}
