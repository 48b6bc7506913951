//! The newest observation of each type.

use std::sync::Arc;

use headwater_schemas::observation::{Observation, Status};
use headwater_store::Store;
use uuid::Uuid;

use super::fixtures::{DAY, MARCH, STORED_AT, bare, fresh, full, stored};

const NOW: i64 = MARCH + 10 * DAY;

fn of_type<'a>(subject: &'a str, data_type: &'a str, start: i64, status: Status) -> Observation<'a> {
    Observation { data_type, status, ..full(subject, Uuid::new_v4(), start) }
}

pub async fn the_latest_of_each_type_is_found_across_empty_months(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let rows = [
        of_type(&subject, "steps", NOW - 1, Status::Final),
        of_type(&subject, "steps", NOW - 2, Status::Final),
        of_type(&subject, "weight", NOW - 120 * DAY, Status::Amended),
        of_type(&subject, "weight", NOW - 200 * DAY, Status::Final),
        of_type(&subject, "spo2", NOW - DAY, Status::EnteredInError),
        of_type(&subject, "spo2", NOW - 75 * DAY, Status::Preliminary),
        of_type(&subject, "sleep", NOW - DAY, Status::EnteredInError),
    ];
    store.write_observations(&rows, STORED_AT).await.unwrap();
    let found = store.latest(&subject, &["weight", "sleep", "steps", "spo2", "unheard_of"], NOW, 12).await.unwrap();
    assert_eq!(found, [stored(&rows[2]), stored(&rows[0]), stored(&rows[5])]);
    assert_eq!(store.latest(&fresh("nobody"), &["steps"], NOW, 12).await.unwrap(), []);
}

pub async fn withdrawn_rows_are_passed_over_however_many(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let mut rows: Vec<Observation<'_>> =
        (0..80).map(|i| of_type(&subject, "steps", NOW - i / 20, Status::EnteredInError)).collect();
    rows.push(of_type(&subject, "steps", NOW - 5, Status::Final));
    store.write_observations(&rows, STORED_AT).await.unwrap();
    let found = store.latest(&subject, &["steps"], NOW, 0).await.unwrap();
    assert_eq!(found, [stored(&rows[80])]);

    // What was found last is then withdrawn, without a value.
    let gone = Observation {
        status: Status::EnteredInError,
        data_type: "steps",
        version: 2_000,
        ..bare(&subject, rows[80].id, NOW - 5)
    };
    store.write_observations(&[gone], STORED_AT).await.unwrap();
    assert_eq!(store.latest(&subject, &["steps"], NOW, 0).await.unwrap(), []);
}

pub async fn nothing_is_looked_for_beyond_the_given_months_or_after_now(store: Arc<dyn Store>) {
    let subject = fresh("subject");
    let rows = [
        of_type(&subject, "steps", NOW + 1, Status::Final),
        of_type(&subject, "steps", NOW, Status::Final),
        of_type(&subject, "weight", MARCH - 1, Status::Final),
        of_type(&subject, "spo2", NOW + 40 * DAY, Status::Final),
    ];
    store.write_observations(&rows, STORED_AT).await.unwrap();
    let types = ["steps", "weight", "spo2"];
    assert_eq!(store.latest(&subject, &types, NOW, 0).await.unwrap(), [stored(&rows[1])]);
    assert_eq!(store.latest(&subject, &types, NOW, 1).await.unwrap(), [stored(&rows[1]), stored(&rows[2])]);
}
