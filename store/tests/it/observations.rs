//! Observations: versions in every order, ranges and pages.

use std::sync::Arc;

use headwater_schemas::device::Device;
use headwater_schemas::observation::{Observation, Status};
use headwater_store::{ObservationQuery, Order, Store, StoredObservation};
use uuid::Uuid;

use super::fixtures::{DAY, HOUR, MARCH, SECOND, STORED_AT, bare, device, everything, fresh, full, stored};

pub async fn an_observation_comes_back_with_all_its_values(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let rows = [full(&subject, Uuid::new_v4(), MARCH + 1), bare(&subject, Uuid::new_v4(), MARCH)];
    store.write_observations(&rows, STORED_AT).await.unwrap();
    assert_eq!(all(&*store, &subject).await, [stored(&rows[0]), stored(&rows[1])]);
    store.write_observations(&[], STORED_AT).await.unwrap();
}

pub async fn writing_the_same_again_changes_nothing(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let moved = Observation { previous_start: Some(MARCH - DAY), ..full(&subject, Uuid::new_v4(), MARCH) };
    // `previous_start` equal to `start` says nothing moved.
    let same = Observation { previous_start: Some(MARCH), ..full(&subject, Uuid::new_v4(), MARCH) };
    let mut rows = [moved, same];
    rows.sort_by_key(|o| o.id);
    for _ in 0..3 {
        store.write_observations(&rows, STORED_AT).await.unwrap();
    }
    store.write_observations(&[rows[0].clone(), rows[0].clone(), rows[1].clone()], STORED_AT).await.unwrap();
    assert_eq!(all(&*store, &subject).await, [stored(&rows[0]), stored(&rows[1])]);
}

pub async fn the_same_state_again_is_not_news_and_another_one_is(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let row = full(&subject, Uuid::new_v4(), MARCH);
    for at in [STORED_AT, STORED_AT + SECOND, STORED_AT + DAY] {
        store.write_observations(std::slice::from_ref(&row), at).await.unwrap();
        assert_eq!(all(&*store, &subject).await, [stored(&row)]);
    }
    let next = Observation { mapper_version: row.mapper_version + 1, ..row };
    store.write_observations(std::slice::from_ref(&next), STORED_AT + SECOND).await.unwrap();
    assert_eq!(all(&*store, &subject).await, [StoredObservation::of(&next, STORED_AT + SECOND)]);
}

/// Histories of one observation, oldest version first.
pub fn histories<'a>(subject: &'a str, id: Uuid) -> Vec<[Observation<'a>; 3]> {
    let at = |o: Observation<'a>, version, previous_start, status| Observation { version, previous_start, status, ..o };
    let (here, near, far) = (MARCH + DAY, MARCH + 2 * DAY, MARCH - DAY);
    let (full, bare) = (|start| full(subject, id, start), |start| bare(subject, id, start));
    vec![
        // A value that comes, goes, and comes.
        [
            at(full(here), 1, None, Status::Preliminary),
            at(bare(here), 2, None, Status::Final),
            at(full(here), 3, None, Status::Amended),
        ],
        [
            at(bare(here), 1, None, Status::Preliminary),
            at(full(here), 2, None, Status::Final),
            at(bare(here), 3, None, Status::Unknown),
        ],
        // Withdrawn without a value.
        [
            at(full(here), 1, None, Status::Final),
            at(full(here), 2, None, Status::Amended),
            at(bare(here), 3, None, Status::EnteredInError),
        ],
        // Moved within its month, moved into another one, withdrawn there.
        [
            at(full(here), 1, None, Status::Final),
            at(full(near), 2, Some(here), Status::Amended),
            at(bare(far), 3, Some(near), Status::Amended),
        ],
        [
            at(full(here), 1, None, Status::Final),
            at(bare(far), 2, Some(here), Status::Amended),
            at(bare(far), 3, None, Status::EnteredInError),
        ],
        // There and back.
        [
            at(full(here), 1, None, Status::Final),
            at(bare(far), 2, Some(here), Status::Amended),
            at(bare(here), 3, Some(far), Status::Amended),
        ],
    ]
}

pub const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

pub async fn every_order_of_versions_ends_in_the_newest_row(store: Arc<dyn Store>) {
    for (history, _) in histories("", Uuid::nil()).iter().enumerate() {
        for order in ORDERS {
            for together in [false, true] {
                let subject = fresh("subject");
                let versions = &histories(&subject, Uuid::new_v4())[history];
                let arriving = order.map(|i| versions[i].clone());
                if together {
                    store.write_observations(&arriving, STORED_AT).await.unwrap();
                } else {
                    for version in &arriving {
                        store.write_observations(std::slice::from_ref(version), STORED_AT).await.unwrap();
                    }
                }
                let got = all(&*store, &subject).await;
                assert_eq!(got, [stored(&versions[2])], "history {history}, order {order:?}, together {together}");
                // A replay of everything, oldest first, changes nothing.
                store.write_observations(versions, STORED_AT).await.unwrap();
                assert_eq!(all(&*store, &subject).await, got);
            }
        }
    }
}

pub async fn an_observation_that_moves_there_and_back_stands_once(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let id = Uuid::new_v4();
    let mut last = full(&subject, id, MARCH);
    store.write_observations(std::slice::from_ref(&last), STORED_AT).await.unwrap();
    for (step, start) in [MARCH - DAY, MARCH, MARCH + HOUR, MARCH].into_iter().enumerate() {
        let next = Observation { version: last.version + 1, previous_start: Some(last.start), ..full(&subject, id, start) };
        store.write_observations(std::slice::from_ref(&next), STORED_AT).await.unwrap();
        assert_eq!(all(&*store, &subject).await, [stored(&next)], "step {step}");
        last = next;
    }
}

pub async fn at_one_version_the_newer_mapper_wins_as_a_whole(store: Arc<dyn Store>) {
    for newer_first in [false, true] {
        let subject = fresh("subject");
        let id = Uuid::new_v4();
        let older = Observation { mapper_version: 2, ..full(&subject, id, MARCH) };
        let newer = Observation { mapper_version: 10, ..bare(&subject, id, MARCH) };
        let mut rows = [older, newer.clone()];
        if newer_first {
            rows.reverse();
        }
        for row in &rows {
            store.write_observations(std::slice::from_ref(row), STORED_AT).await.unwrap();
        }
        assert_eq!(all(&*store, &subject).await, [stored(&newer)], "newer first: {newer_first}");
    }
}

pub async fn a_newer_mapper_of_an_older_version_does_not_win(store: Arc<dyn Store>) {
    for older_first in [false, true] {
        let subject = fresh("subject");
        let id = Uuid::new_v4();
        let newer = Observation { version: 2, mapper_version: 1, ..bare(&subject, id, MARCH) };
        let older = Observation { version: 1, mapper_version: 10, ..full(&subject, id, MARCH) };
        let mut rows = [newer.clone(), older];
        if older_first {
            rows.reverse();
        }
        for row in &rows {
            store.write_observations(std::slice::from_ref(row), STORED_AT).await.unwrap();
        }
        assert_eq!(all(&*store, &subject).await, [stored(&newer)], "older first: {older_first}");
    }
}

pub async fn a_large_write_over_subjects_and_months_is_complete(store: Arc<dyn Store>) {
    let before = store.count_observations().await.unwrap();
    let subjects: Vec<String> = (0..5).map(|_| fresh("subject")).collect();
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(9_000));
    let rows: Vec<Observation<'_>> = (0..1_000_usize)
        .map(|i| Observation { fhir: &long, ..full(&subjects[i % 5], Uuid::new_v4(), MARCH - 45 * DAY + i as i64 * 2 * HOUR) })
        .collect();
    store.write_observations(&rows, STORED_AT).await.unwrap();
    for subject in &subjects {
        let mut expected: Vec<StoredObservation> = rows.iter().filter(|o| o.subject_id == subject).map(stored).collect();
        expected.reverse();
        assert_eq!(all(&*store, subject).await, expected);
    }
    assert!(store.count_observations().await.unwrap() >= before + 1_000);
}

pub async fn pages_have_no_gaps_or_repeats_across_months_and_ties(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    // Three months with one empty between, and starts that several observations share, also at the boundary itself.
    let starts =
        [MARCH - 60 * DAY, MARCH - SECOND, MARCH - 1, MARCH - 1, MARCH - 1, MARCH, MARCH, MARCH, MARCH, MARCH + 1, MARCH + DAY];
    let rows: Vec<Observation<'_>> = starts.iter().map(|&start| full(&subject, Uuid::new_v4(), start)).collect();
    let other = Observation { data_type: "steps", ..full(&subject, Uuid::new_v4(), MARCH) };
    store.write_observations(&rows, STORED_AT).await.unwrap();
    store.write_observations(&[other], STORED_AT).await.unwrap();
    let mut expected: Vec<StoredObservation> = rows.iter().map(stored).collect();
    expected.sort_by_key(|o| (std::cmp::Reverse(o.start), o.id));
    for limit in 1..=expected.len() + 1 {
        assert_eq!(paged(&*store, everything(&subject), limit).await, expected, "pages of {limit}");
    }
    expected.reverse();
    for limit in [1, 3, 10, 39, 40, 41] {
        let query = ObservationQuery { order: Order::OldestFirst, ..everything(&subject) };
        assert_eq!(paged(&*store, query, limit).await, expected, "pages of {limit}, the oldest first");
    }
}

pub async fn a_page_passes_over_places_that_observations_left(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let mut expected = Vec::new();
    for i in 0..40_i64 {
        let first = full(&subject, Uuid::new_v4(), MARCH + i * SECOND);
        store.write_observations(std::slice::from_ref(&first), STORED_AT).await.unwrap();
        if i % 4 != 0 {
            let start = MARCH - DAY + i;
            let moved = Observation { start, previous_start: Some(first.start), version: first.version + 1, ..first };
            store.write_observations(std::slice::from_ref(&moved), STORED_AT).await.unwrap();
            expected.push(stored(&moved));
        } else {
            expected.push(stored(&first));
        }
    }
    expected.sort_by_key(|o| (std::cmp::Reverse(o.start), o.id));
    for limit in [1, 3, 10, 39, 40, 41] {
        assert_eq!(paged(&*store, everything(&subject), limit).await, expected, "pages of {limit}");
    }
    expected.reverse();
    for limit in [1, 3, 10, 39, 40, 41] {
        let query = ObservationQuery { order: Order::OldestFirst, ..everything(&subject) };
        assert_eq!(paged(&*store, query, limit).await, expected, "pages of {limit}, the oldest first");
    }
}

pub async fn a_range_includes_its_start_and_excludes_its_end(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let rows: Vec<Observation<'_>> = (-3..=3).map(|i| full(&subject, Uuid::new_v4(), MARCH + i)).collect();
    store.write_observations(&rows, STORED_AT).await.unwrap();
    for (from, to) in [(-2, 2), (0, 1), (-3, 0), (1, 1), (2, 1), (-100, 100)] {
        let query = ObservationQuery { from: MARCH + from, to: MARCH + to, ..everything(&subject) };
        let got: Vec<i64> = store.observations(&query).await.unwrap().rows.iter().map(|o| o.start - MARCH).collect();
        let expected: Vec<i64> = (-3..=3).rev().filter(|i| (from..to).contains(i)).collect();
        assert_eq!(got, expected, "[{from}, {to})");
        assert_eq!(paged(&*store, query, 1).await.len(), expected.len());
    }
}

pub async fn the_types_of_a_subject_are_told_each_once(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let row =
        |data_type, month: i32| Observation { data_type, ..full(&subject, Uuid::new_v4(), MARCH + i64::from(month) * 31 * DAY) };
    let rows = [row("steps", 0), row("steps", 1), row("heart_rate", 1), row("steps", 1), row("weight", -9)];
    store.write_observations(&rows, STORED_AT).await.unwrap();
    assert_eq!(store.data_types(&subject).await.unwrap(), ["heart_rate", "steps", "weight"]);
    assert_eq!(store.data_types(&fresh("nobody")).await.unwrap(), [""; 0]);
}

pub async fn devices_follow_their_versions(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let (a, b) = (Uuid::new_v4().min(Uuid::from_u128(1 << 64)), Uuid::new_v4());
    let newest = Device { battery: None, last_sync: None, fhir: "{}", ..device(&subject, a, 9) };
    for row in [newest.clone(), device(&subject, a, 8), device(&subject, b, 1), newest] {
        store.write_devices(&[row]).await.unwrap();
    }
    let got = store.devices(&subject).await.unwrap();
    let seen: Vec<_> = got.iter().map(|d| (d.id, d.version, d.battery.as_deref(), d.last_sync, d.fhir.as_str())).collect();
    assert_eq!(seen, [(a, 9, None, None, "{}"), (b, 1, Some("high"), Some(7), r#"{"resourceType":"Device"}"#)]);
    assert!(got.iter().all(|d| d.subject_id == subject && d.provider == "provider"));
    assert_eq!(store.devices(&fresh("nobody")).await.unwrap(), []);
}

pub async fn all(store: &dyn Store, subject: &str) -> Vec<StoredObservation> {
    let page = store.observations(&everything(subject)).await.unwrap();
    assert_eq!(page.next, None);
    page.rows
}

async fn paged(store: &dyn Store, mut query: ObservationQuery, limit: usize) -> Vec<StoredObservation> {
    query.limit = limit;
    let mut rows = Vec::new();
    loop {
        let page = store.observations(&query).await.unwrap();
        assert!(page.rows.len() == limit || page.next.is_none());
        rows.extend(page.rows);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return rows,
        }
    }
}
