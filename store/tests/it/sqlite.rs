//! What only the store in a file can be asked.

use std::path::Path;
use std::sync::Arc;

use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use headwater_store::{Store, Unavailable};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fixtures::{MARCH, STORED_AT, connection, fresh, full};
use super::observations::{ORDERS, histories};
use super::tokens::pair;

pub async fn in_a_file() -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("state.db"), Keyring::ephemeral()).await.unwrap();
    store.migrate().await.unwrap();
    (folder, Arc::new(store))
}

/// A handle of our own on the file.
async fn raw(path: &Path) -> libsql::Connection {
    libsql::Builder::new_local(path).build().await.unwrap().connect().unwrap()
}

#[tokio::test]
async fn a_store_in_memory_keeps_what_it_is_given() {
    let store = SqliteStore::open(Path::new(":memory:"), Keyring::ephemeral()).await.unwrap();
    store.migrate().await.unwrap();
    let subject = fresh("subject");
    store.write_observations(&[full(&subject, Uuid::new_v4(), MARCH)], STORED_AT).await.unwrap();
    assert_eq!(store.count_observations().await.unwrap(), 1);
}

#[tokio::test]
async fn no_secret_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = SqliteStore::open(&path, Keyring::ephemeral()).await.unwrap();
    store.migrate().await.unwrap();
    let id = Uuid::new_v4();
    store.put_connection(&connection(id)).await.unwrap();
    assert!(store.put_tokens(id, None, &pair("secret-access", Some("secret-refresh"), 1)).await.unwrap());
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let has = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(has("Europe/Berlin"), "the search finds what is there");
    for secret in ["secret-access", "secret-refresh", "account-4711"] {
        assert!(!has(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_sealed_value_that_was_swapped_cut_or_sealed_elsewhere_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = SqliteStore::open(&path, Keyring::ephemeral()).await.unwrap();
    store.migrate().await.unwrap();
    let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for id in [mine, other] {
        store.put_connection(&connection(id)).await.unwrap();
        assert!(store.put_tokens(id, None, &pair("secret-access", Some("secret-refresh"), 1)).await.unwrap());
    }
    let raw = raw(&path).await;
    let spoil = async |sql: &str| raw.execute(sql, [mine.as_bytes().to_vec(), other.as_bytes().to_vec()]).await.unwrap();
    spoil("UPDATE connections SET provider_user = (SELECT provider_user FROM connections WHERE id = ?2) WHERE id = ?1").await;
    refused(store.connection(mine).await, "is not there");
    for (sql, why) in [
        ("UPDATE tokens SET access = (SELECT access FROM tokens WHERE id = ?2) WHERE id = ?1", "is not there"),
        ("UPDATE tokens SET access = refresh WHERE id = ?1 AND id <> ?2", "moved from another row"),
        ("UPDATE tokens SET access = substr(access, 1, 20) WHERE id = ?1 AND id <> ?2", "cut short"),
    ] {
        spoil(sql).await;
        refused(store.tokens(mine).await, why);
    }
    assert!(store.tokens(other).await.unwrap().is_some());
    spoil("UPDATE tokens SET generation = 2 WHERE id = ?2 AND id <> ?1").await;
    refused(store.tokens(other).await, "moved from another row");
    let another = SqliteStore::open(&path, Keyring::ephemeral()).await.unwrap();
    refused(another.connection(other).await, "sealed under another key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_load_and_the_old_one_can_be_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    super::people::rotate(|keys| {
        let path = path.clone();
        async move {
            let store = SqliteStore::open(&path, Keyring::parse(keys).unwrap()).await.unwrap();
            store.migrate().await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        }
    })
    .await;
}

fn refused<T>(result: Result<T, Unavailable>, why: &str) {
    let Err(error) = result else { panic!("it opened") };
    assert!(error.why.contains(why), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_file_do_not_lose_each_others_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let keys = Keyring::ephemeral();
    let open = async || Arc::new(SqliteStore::open(&path, keys.clone()).await.unwrap());
    let (a, b) = (open().await, open().await);
    let mut migrations = JoinSet::new();
    for store in [a.clone(), b.clone()] {
        migrations.spawn(async move { store.migrate().await.unwrap() });
    }
    migrations.join_all().await;
    let id = Uuid::new_v4();
    let mut races = JoinSet::new();
    for store in [a.clone(), b.clone()] {
        races.spawn(async move {
            let mut won = 0;
            let subject = fresh("subject");
            for round in 0..20 {
                let expected = (round > 0).then_some(round);
                won += usize::from(store.put_tokens(id, expected, &pair("access", None, round + 1)).await.unwrap());
                while store.tokens(id).await.unwrap().is_none_or(|t| t.generation <= round) {
                    tokio::task::yield_now().await;
                }
                store.write_observations(&[full(&subject, Uuid::new_v4(), MARCH)], STORED_AT).await.unwrap();
            }
            won
        });
    }
    assert_eq!(races.join_all().await.into_iter().sum::<usize>(), 20);
    assert_eq!(a.count_observations().await.unwrap(), 40);
}

#[tokio::test]
async fn every_order_of_versions_leaves_the_same_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = SqliteStore::open(&path, Keyring::ephemeral()).await.unwrap();
    store.migrate().await.unwrap();
    let raw = raw(&path).await;
    let columns = async |subject: &str| {
        let mut rows = raw.query("SELECT * FROM observations WHERE subject_id = ?1", [subject]).await.unwrap();
        let row = rows.next().await.unwrap().expect("one row");
        // Id and subject differ from case to case.
        let values: Vec<_> = (0..row.column_count()).filter(|i| ![0, 2].contains(i)).map(|i| row.get_value(i).unwrap()).collect();
        assert!(rows.next().await.unwrap().is_none());
        values
    };
    for (history, _) in histories("", Uuid::nil()).iter().enumerate() {
        let reference = fresh("reference");
        store.write_observations(&histories(&reference, Uuid::new_v4())[history][2..], STORED_AT).await.unwrap();
        for order in ORDERS {
            let subject = fresh("subject");
            let versions = &histories(&subject, Uuid::new_v4())[history];
            for i in order {
                store.write_observations(&versions[i..=i], STORED_AT).await.unwrap();
            }
            assert_eq!(columns(&subject).await, columns(&reference).await, "history {history}, order {order:?}");
        }
    }
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    raw(&path).await.execute_batch("PRAGMA user_version = 99").await.unwrap();
    let store = SqliteStore::open(&path, Keyring::ephemeral()).await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(error.why.contains("schema version 99"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    std::fs::write(&path, "not a database, but long enough to have a header of one hundred bytes".repeat(9)).unwrap();
    assert!(SqliteStore::open(&path, Keyring::ephemeral()).await.is_err());
    assert!(SqliteStore::open(&folder.path().join("no/such/folder.db"), Keyring::ephemeral()).await.is_err());
}
