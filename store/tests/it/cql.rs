//! The contract on a real node, and what only such a store can be asked. One keyspace for the run, dropped at its end.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use headwater_store::Store;
use headwater_store::scylla::{Consistency, ScyllaStore, Settings};
use headwater_store::seal::Keyring;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::CqlValue;
use uuid::Uuid;

use super::fixtures::{MARCH, STORED_AT, connection, fresh, full};
use super::observations::{ORDERS, histories};
use super::proxy::Proxy;
use super::tokens::pair;

/// The node to test on. Says so when there is none, and fails when there has to be one.
#[allow(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn node() -> Option<String> {
    let node = std::env::var("CASSANDRA_NODE").ok().filter(|n| !n.is_empty());
    if node.is_none() {
        assert!(std::env::var("HEADWATER_TEST_REAL").as_deref() != Ok("1"), "HEADWATER_TEST_REAL=1 needs CASSANDRA_NODE");
        // Not `eprintln!`, which the harness hides for a test that passes.
        std::io::stderr().write_all(b"SKIPPED (needs CASSANDRA_NODE): the store contract on ScyllaDB or Cassandra\n").unwrap();
    }
    node
}

fn settings(node: &str, keyspace: &str) -> Settings {
    Settings { keyspace: keyspace.to_owned(), replication_factor: 1, ..Settings::new([node]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_a_real_node() {
    let Some(node) = node() else { return };
    let keyspace = format!("headwater_test_{}", Uuid::new_v4().simple());
    let raw = SessionBuilder::new().known_node(&node).build().await.unwrap();
    let store = ScyllaStore::connect(settings(&node, &keyspace), Keyring::ephemeral()).await.unwrap();
    let early = store.count_observations().await.unwrap_err();
    assert!(early.why.contains("prepared"), "{early}");
    store.migrate().await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);

    let mut cases = super::contract(store.clone());
    let place = Arc::new(Place { raw, node, keyspace, store });
    cases.push(("no_secret_stands_in_the_tables", no_secret_stands_in_the_tables(place.clone()).boxed()));
    cases.push((
        "every_order_of_versions_leaves_the_same_cell",
        every_order_of_versions_leaves_the_same_cell(place.clone()).boxed(),
    ));
    cases.push(("a_ttl_is_on_every_observation", a_ttl_is_on_every_observation(place.clone()).boxed()));
    cases.push((
        "an_old_version_stays_away_from_where_it_moved",
        an_old_version_stays_away_from_where_it_moved(place.clone()).boxed(),
    ));
    cases.push(("a_lost_answer_does_not_lose_the_winner", a_lost_answer_does_not_lose_the_winner(place.clone()).boxed()));
    cases.push(("keys_rotate_under_load", keys_rotate_under_load(place.clone()).boxed()));
    let mut failed = Vec::new();
    for (name, case) in cases {
        if AssertUnwindSafe(case).catch_unwind().await.is_err() {
            failed.push(name);
        }
    }
    place.raw.query_unpaged(format!("DROP KEYSPACE {}", place.keyspace), ()).await.unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_without_a_connection() {
    let refused = ScyllaStore::connect(settings("127.0.0.1:1", "Bad Name"), Keyring::ephemeral()).await.unwrap_err();
    assert!(refused.why.contains("keyspace"), "{refused}");
}

struct Place {
    raw: Session,
    node: String,
    keyspace: String,
    store: Arc<dyn Store>,
}

impl Place {
    /// The first column of what a query on this keyspace answers.
    async fn column(&self, cql: &str, values: impl scylla::serialize::row::SerializeRow) -> Vec<Option<CqlValue>> {
        let answer =
            self.raw.query_unpaged(cql.replace("{ks}", &self.keyspace), values).await.unwrap().into_rows_result().unwrap();
        answer.rows::<(Option<CqlValue>,)>().unwrap().map(|row| row.unwrap().0).collect()
    }
}

/// In a keyspace of its own: every key in it must be one that the rotating instance can unwrap.
async fn keys_rotate_under_load(place: Arc<Place>) {
    let keyspace = format!("rotation_{}", Uuid::new_v4().simple());
    super::people::rotate(|keys| {
        let settings = settings(&place.node, &keyspace);
        async move {
            let store = ScyllaStore::connect(settings, Keyring::parse(keys).unwrap()).await.unwrap();
            store.migrate().await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        }
    })
    .await;
    place.raw.query_unpaged(format!("DROP KEYSPACE {keyspace}"), ()).await.unwrap();
}

async fn no_secret_stands_in_the_tables(place: Arc<Place>) {
    let id = Uuid::new_v4();
    place.store.put_connection(&connection(id)).await.unwrap();
    assert!(place.store.put_tokens(id, None, &pair("secret-access", Some("secret-refresh"), 1)).await.unwrap());
    for (column, table, secret) in [
        ("access", "tokens", "secret-access"),
        ("refresh", "tokens", "secret-refresh"),
        ("provider_user", "connections", "account-4711"),
    ] {
        let cells = place.column(&format!("SELECT {column} FROM {{ks}}.{table} WHERE id = ?"), (id,)).await;
        let [Some(CqlValue::Blob(bytes))] = cells.as_slice() else { panic!("{table}.{column} holds no blob") };
        assert!(bytes.len() > secret.len() && !bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{table}.{column}");
    }
}

async fn every_order_of_versions_leaves_the_same_cell(place: Arc<Place>) {
    let body = async |subject: &str, start| {
        let cql =
            "SELECT body FROM {ks}.observations WHERE subject_id = ? AND month = ? AND data_type = 'heart_rate' AND start_at = ?";
        // Every history ends in March, or in the month before it.
        let month = if start < MARCH { 202_602 } else { 202_603 };
        place.column(cql, (subject, month, start)).await
    };
    for (history, _) in histories("", Uuid::nil()).iter().enumerate() {
        let reference = fresh("reference");
        let newest = &histories(&reference, Uuid::new_v4())[history][2];
        place.store.write_observations(std::slice::from_ref(newest), STORED_AT).await.unwrap();
        let expected = body(&reference, newest.start).await;
        assert!(matches!(expected.as_slice(), [Some(CqlValue::UserDefinedType { .. })]));
        for order in ORDERS {
            let subject = fresh("subject");
            let versions = &histories(&subject, Uuid::new_v4())[history];
            for i in order {
                place.store.write_observations(&versions[i..=i], STORED_AT).await.unwrap();
            }
            assert_eq!(body(&subject, newest.start).await, expected, "history {history}, order {order:?}");
        }
    }
}

async fn a_ttl_is_on_every_observation(place: Arc<Place>) {
    let subject = fresh("subject");
    let cql = "SELECT TTL(body) FROM {ks}.observations WHERE subject_id = ? AND month = 202603";
    place.store.write_observations(&[full(&subject, Uuid::new_v4(), MARCH)], STORED_AT).await.unwrap();
    assert_eq!(place.column(cql, (&subject,)).await, [None]);

    let with_ttl = Settings { ttl_days: Some(30), consistency: Consistency::LocalOne, ..settings(&place.node, &place.keyspace) };
    let store = ScyllaStore::connect(with_ttl, Keyring::ephemeral()).await.unwrap();
    let subject = fresh("subject");
    store.write_observations(&[full(&subject, Uuid::new_v4(), MARCH)], STORED_AT).await.unwrap();
    let cells = place.column(cql, (&subject,)).await;
    let [Some(CqlValue::Int(seconds))] = cells.as_slice() else { panic!("no TTL: {cells:?}") };
    let full_term = 30 * 86_400;
    assert!((full_term - 600..=full_term).contains(seconds), "{seconds}");
}

/// As if every tombstone had been purged: what keeps an old version away has to be a row.
async fn an_old_version_stays_away_from_where_it_moved(place: Arc<Place>) {
    let subject = fresh("subject");
    let id = Uuid::new_v4();
    let [first, moved, last] = histories(&subject, id).swap_remove(4);
    place.store.write_observations(&[moved, last.clone()], STORED_AT).await.unwrap();
    let cql = "SELECT body.moved_to FROM {ks}.observations WHERE subject_id = ? AND month = 202603";
    assert_eq!(place.column(cql, (&subject,)).await, [Some(CqlValue::BigInt(last.start))]);
    place.store.write_observations(&[first], STORED_AT).await.unwrap();
    assert_eq!(super::observations::all(&*place.store, &subject).await, [super::fixtures::stored(&last)]);
}

/// The server applies the change, its answer is lost with the connection: whoever asked has to learn that it won.
async fn a_lost_answer_does_not_lose_the_winner(place: Arc<Place>) {
    let proxy = Proxy::start(&place.node).await;
    let store = ScyllaStore::connect(settings(&proxy.address, &place.keyspace), Keyring::ephemeral()).await.unwrap();
    let id = Uuid::new_v4();
    let name = fresh("lease");
    let owner = Uuid::new_v4();
    assert!(store.put_tokens(id, None, &pair("first", None, 1)).await.unwrap());
    assert!(store.lease(&name, Uuid::new_v4(), 0, 10).await.unwrap().is_some());

    proxy.cut_answer_to(id.as_bytes());
    assert!(store.put_tokens(id, Some(1), &pair("second", None, 2)).await.unwrap());
    assert_eq!(store.tokens(id).await.unwrap().unwrap().generation, 2);

    proxy.cut_answer_to(owner.as_bytes());
    assert_eq!(store.lease(&name, owner, 100, 200).await.unwrap().unwrap().fence, 2);
    assert_eq!(store.lease(&name, Uuid::new_v4(), 150, 300).await.unwrap(), None);

    proxy.cut_answer_to(id.as_bytes());
    store.delete_tokens(id).await.unwrap();
    assert!(store.tokens(id).await.unwrap().is_none());
    assert_eq!(proxy.cuts(), 3, "each answer was lost once");
}
