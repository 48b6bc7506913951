//! Who is hinted when, however many there are and whatever fails.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use headwater_schemas::hint::Hint;
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::{Connection, ConnectionState};
use uuid::Uuid;

use crate::support::World;

async fn due(world: &World, how_many: usize) -> HashSet<Uuid> {
    let model = world.store.connection(world.connection).await.expect("the store").expect("a connection");
    let mut ids = HashSet::new();
    for _ in 0..how_many {
        let connection = Connection { id: Uuid::new_v4(), next_poll: Some(1), ..model.clone() };
        world.store.put_connection(&connection).await.expect("the store");
        ids.insert(connection.id);
    }
    ids
}

fn hinted(world: &World) -> Vec<Uuid> {
    let hints = world.log.on(&topics::HINT_LIVE);
    hints.iter().map(|body| Hint::decode(body).expect("our own record").connection_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_are_due_each_is_hinted_once() {
    let world = World::new().await;
    let ids = due(&world, 1300).await;
    let scheduler = world.ingest.scheduler();
    let mut ticks = 0;
    while scheduler.tick(&|_| true).await.expect("the store") > 0 {
        ticks += 1;
    }
    assert!(ticks <= 4, "{ticks} ticks");
    let hinted = hinted(&world);
    assert_eq!(hinted.len(), 1300);
    assert_eq!(hinted.into_iter().collect::<HashSet<_>>(), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_until_it_is_told_to_end_and_hints_each_once() {
    let world = World::new().await;
    let ids = due(&world, 1300).await;
    let scheduler = world.ingest.scheduler();
    let all = async {
        while hinted(&world).len() < 1300 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let run = scheduler.run(&|_| true, all);
    tokio::time::timeout(std::time::Duration::from_secs(30), run).await.expect("all are hinted, and it has ended");
    let hinted = hinted(&world);
    assert_eq!(hinted.len(), 1300);
    assert_eq!(hinted.into_iter().collect::<HashSet<_>>(), ids);
    // What was hinted is noted: who starts anew hints nobody.
    assert_eq!(world.ingest.scheduler().tick(&|_| true).await.expect("the store"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_stays_due_while_the_log_fails() {
    let world = World::new().await;
    let ids = due(&world, 3).await;
    let scheduler = world.ingest.scheduler();
    world.log.failing.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(scheduler.tick(&|_| true).await.is_err());
    }
    world.log.failing.store(false, Ordering::SeqCst);
    assert_eq!(scheduler.tick(&|_| true).await.expect("the store"), 3);
    assert_eq!(hinted(&world).into_iter().collect::<HashSet<_>>(), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_paused_and_other_instances_connections_are_not_hinted() {
    let world = World::new().await;
    let ids: Vec<Uuid> = due(&world, 4).await.into_iter().collect();
    let scheduler = world.ingest.scheduler();
    let mine = ids[0];
    assert_eq!(scheduler.tick(&|id| id == mine).await.expect("the store"), 1);
    // Paused after the scheduler had seen it.
    let other = world.ingest.scheduler();
    assert_eq!(other.tick(&|_| false).await.expect("the store"), 0);
    let third = world.ingest.scheduler();
    world.store.set_state(ids[1], ConnectionState::Inactive, None, 1).await.expect("the store");
    assert_eq!(third.tick(&|_| true).await.expect("the store"), 2);
    assert!(!hinted(&world).contains(&ids[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_comes_from_another_instance_is_not_hinted_for_a_time_that_was_hinted_there() {
    let world = World::new().await;
    let model = world.store.connection(world.connection).await.expect("the store").expect("a connection");
    let soon = jiff::Timestamp::now().as_microsecond() + 300_000;
    let connection = Connection { id: Uuid::new_v4(), next_poll: Some(soon), ..model };
    world.store.put_connection(&connection).await.expect("the store");
    let (here, there) = (world.ingest.scheduler(), world.ingest.scheduler());
    let ours = |id: Uuid| id == connection.id;
    assert_eq!(there.tick(&|_| false).await.expect("the store"), 0, "it has seen when the connection is due");
    let due = async {
        while here.tick(&ours).await.expect("the store") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), due).await.expect("it is hinted when it is due");
    // The partition moves.
    assert_eq!(there.tick(&ours).await.expect("the store"), 0);
    assert_eq!(hinted(&world), [connection.id]);
}
