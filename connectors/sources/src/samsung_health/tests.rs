//! What is peculiar to this source. Broken bodies and the rest are tested for all sources alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};

use super::SamsungHealth;
use crate::testing::{all, digits, fixture};

#[test]
fn values_become_observations_with_the_persons_offset() {
    let out = fixture(&SamsungHealth, "records.phone", None);
    assert_eq!(all(&out, &HEART_RATE)[0].effective.start().offset, Some(32_400));
    assert_eq!(digits(&all(&out, &HYDRATION)[0].value), "0.25");
    assert_eq!(digits(&all(&out, &SLEEP)[0].value), "390");
    assert_eq!(all(&out, &BLOOD_PRESSURE)[0].method, Method::Manual);
}

#[test]
fn deleted_unknown_and_broken_rows_are_each_what_they_are() {
    let out = fixture(&SamsungHealth, "records.phone", None);
    assert_eq!(all(&out, &HEART_RATE).last().unwrap().status, Status::EnteredInError);
    assert!(out.unknown.iter().any(|word| word == "type ENERGY_SCORE"));
    assert_eq!(out.problems.len(), 1);
}
