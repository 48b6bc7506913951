//! What is peculiar to this source. Broken bodies and the rest are tested for all sources alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};

use super::OwnSource;
use crate::testing::{all, digits, fixture};

#[test]
fn events_come_in_the_words_of_the_dictionary() {
    let out = fixture(&OwnSource, "events.mixed", None);
    let exercise = all(&out, &EXERCISE)[0];
    assert_eq!(exercise.method, Method::Manual);
    assert_eq!(exercise.components.iter().map(|c| digits(&c.value)).collect::<Vec<_>>(), ["40", "300"]);
    assert_eq!(digits(&all(&out, &SLEEP)[0].value), "435");
    assert_eq!(all(&out, &SLEEP)[0].effective.start().offset, Some(7200));
    assert_eq!(all(&out, &WEIGHT).last().unwrap().status, Status::EnteredInError);
}

#[test]
fn what_the_dictionary_lacks_is_counted_and_a_wrong_unit_is_refused() {
    let out = fixture(&OwnSource, "events.mixed", None);
    assert_eq!(out.unknown, ["type aura"]);
    assert_eq!(out.problems.iter().filter_map(|p| p.path.as_deref()).collect::<Vec<_>>(), ["records[4].unit", "records[5]"]);
}

#[test]
fn a_datastream_is_a_reading_for_each_point() {
    let out = fixture(&OwnSource, "datastreams.heart", None);
    let pulses = all(&out, &HEART_RATE);
    assert_eq!(pulses.len(), 2);
    assert_ne!(pulses[0].record_id, pulses[1].record_id);
    assert_eq!(digits(&all(&out, &BODY_TEMPERATURE)[0].value), "37");
    assert_eq!(out.problems.len(), 2);
}
