//! What is peculiar to this source. Broken bodies and the rest are tested for all sources alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::Value;

use super::HealthConnect;
use crate::testing::{all, digits, fixture};

#[test]
fn time_asleep_is_the_sum_of_the_stages_and_an_unknown_stage_is_none_of_it() {
    let out = fixture(&HealthConnect, "records.phone", None);
    let night = all(&out, &SLEEP)[0];
    assert_eq!(digits(&night.value), "310");
    let bed = night.components.iter().find(|c| c.measure == &TIME_IN_BED).map(|c| digits(&c.value));
    assert_eq!(bed.as_deref(), Some("480"));
    assert_eq!(all(&out, &SLEEP_STAGE).len(), 5);
    assert!(out.unknown.iter().any(|word| word.starts_with("sleep stage")));
}

#[test]
fn where_glucose_was_taken_decides_its_code() {
    let out = fixture(&HealthConnect, "records.phone", None);
    assert_eq!(digits(&all(&out, &GLUCOSE_INTERSTITIAL_MOLAR)[0].value), "5.6");
    assert_eq!(digits(&all(&out, &GLUCOSE_BLOOD_MOLAR)[0].value), "5.9");
}

#[test]
fn samples_are_known_by_their_moment_and_a_pulse_of_nought_is_none() {
    let out = fixture(&HealthConnect, "records.phone", None);
    let pulses = all(&out, &HEART_RATE);
    assert_eq!(pulses.len(), 2);
    assert_ne!(pulses[0].record_id, pulses[1].record_id);
    assert_eq!(pulses[0].effective.start().offset, Some(3600));
}

#[test]
fn rmssd_is_never_sdnn_and_a_difference_never_a_temperature() {
    let out = fixture(&HealthConnect, "records.phone", None);
    assert_eq!((all(&out, &HRV_RMSSD).len(), all(&out, &HRV_SDNN).len()), (1, 0));
    assert_eq!(digits(&all(&out, &TEMPERATURE_DEVIATION)[0].value), "-0.3");
    assert!(all(&out, &SKIN_TEMPERATURE).is_empty());
}

#[test]
fn typed_deleted_unknown_and_broken_rows_are_each_what_they_are() {
    let out = fixture(&HealthConnect, "records.phone", None);
    let weights = all(&out, &WEIGHT);
    assert_eq!((weights[0].method, digits(&weights[0].value).as_str()), (Method::Manual, "61.50"));
    assert_eq!((weights[1].status, matches!(weights[1].value, Value::Absent(_))), (Status::EnteredInError, true));
    assert!(out.unknown.iter().any(|word| word == "type MenstruationFlowRecord"));
    assert_eq!(out.problems[0].path.as_deref(), Some("records[13].count"));
    assert_eq!(digits(&all(&out, &HEIGHT)[0].value), "175.5");
}
