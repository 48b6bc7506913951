//! What is peculiar to this provider. Broken bodies and the rest are tested for all providers alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::reading::Value;

use super::GoogleFit;
use crate::profile::Status as Cloud;
use crate::source::Source as _;
use crate::testing::{Brought, all, digits, fixture, zipped};

#[test]
fn nanoseconds_are_whole_numbers_and_nobodys_offset_is_invented() {
    let out = fixture(&GoogleFit, "heart-rate.takeout", Some("Europe/Berlin"));
    let start = all(&out, &HEART_RATE)[0].effective.start();
    assert_eq!((start.micros, start.offset, start.origin), (1_700_000_000_123_456, None, OffsetOrigin::None));
    assert_eq!(out.devices[0].model.as_deref(), Some("Watch"));
}

#[test]
fn points_without_value_of_other_types_and_without_time_are_each_what_they_are() {
    let out = fixture(&GoogleFit, "steps.dataset", None);
    assert_eq!(all(&out, &STEPS_INTERVAL).len(), 2, "nought steps are a count");
    assert_eq!(out.unknown, ["point without a value", "dataTypeName cadence"]);
    assert_eq!(out.problems.len(), 1);
    assert_eq!(all(&fixture(&GoogleFit, "heart-rate.dataset", None), &HEART_RATE).len(), 1);
    assert_eq!(digits(&all(&fixture(&GoogleFit, "steps.aggregate", None), &STEPS_INTERVAL)[0].value), "512");
}

#[test]
fn the_two_lists_of_numbers_for_sleep_are_told_apart() {
    let stages = |name, of: &'static Measure| {
        let out = fixture(&GoogleFit, name, None);
        all(&out, of).iter().map(|r| r.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(stages("activity-segments.day", &SLEEP_STAGE), [Value::Code(&STAGE_ASLEEP), Value::Code(&STAGE_DEEP)]);
    assert_eq!(stages("activity-segments.day", &EXERCISE), [Value::Text("walking".into())]);
    let night = [&STAGE_LIGHT, &STAGE_DEEP, &STAGE_REM, &STAGE_AWAKE].map(Value::Code);
    assert_eq!(stages("sleep-segments.night", &SLEEP_STAGE), night);
}

#[test]
fn places_decide_temperatures_typed_values_say_so_and_metres_become_centimetres() {
    let out = fixture(&GoogleFit, "body-temperature.places", None);
    assert_eq!((all(&out, &BODY_TEMPERATURE).len(), all(&out, &SKIN_TEMPERATURE).len()), (1, 1));
    let out = fixture(&GoogleFit, "height.typed", None);
    assert_eq!((digits(&all(&out, &HEIGHT)[0].value).as_str(), all(&out, &HEIGHT)[0].method), ("175.5", Method::Manual));
}

#[test]
fn a_session_of_sleep_is_time_in_bed_and_a_deleted_one_is_withdrawn() {
    let out = fixture(&GoogleFit, "sessions.list", None);
    assert!(matches!(all(&out, &SLEEP)[0].value, Value::Absent(_)));
    assert_eq!(all(&out, &EXERCISE).iter().map(|r| r.status).collect::<Vec<_>>(), [Status::Final, Status::EnteredInError]);
}

#[test]
fn its_cloud_is_never_asked() {
    assert!(matches!(GoogleFit.profile().status, Cloud::Legacy { successor: "google_health", .. }));
    assert!(GoogleFit.profile().streams.iter().all(|s| s.poll.is_none()));
}

#[test]
fn a_takeout_is_read_document_by_document_and_what_is_not_known_in_it_stays_there() {
    let point = |kind: &str, value: &str| {
        format!(
            r#"{{"fitValue":[{{"value":{{"fpVal":{value}}}}}],"originDataSourceId":"","endTimeNanos":1700000000000000000,"dataTypeName":"{kind}","startTimeNanos":1700000000000000000}}"#
        )
    };
    let document = |points: &[String]| format!(r#"{{"Data Source":"derived:x","Data Points":[{}]}}"#, points.join(","));
    let pulses = document(&[point("com.google.heart_rate.bpm", "58.50"), point("com.google.heart_rate.bpm", "61")]);
    let odd = document(&[point("com.google.cadence", "1")]);
    let zip = zipped(&[
        ("Takeout/Fit/All Data/raw_heart.json", &pulses),
        ("Takeout/Fit/All Data/cadence.json", &odd),
        ("Takeout/Photos/x.json", "not looked at"),
    ]);
    let brought = Brought::of(&GoogleFit, zip).expect("a takeout");
    let out = brought.normalized(&GoogleFit, "heart-rate");
    assert_eq!(digits(&all(&out, &HEART_RATE)[0].value), "58.50");
    assert_eq!((brought.rows.len(), brought.left), (2, vec!["data type cadence".to_owned()]));
}

#[test]
fn a_file_that_is_no_takeout_or_breaks_off_is_refused_with_its_name_and_without_its_content() {
    assert!(Brought::of(&GoogleFit, b"no zip".to_vec()).err().is_some_and(|e| e.contains("expected a zip")));
    let other = zipped(&[("Takeout/Photos/x.json", "{}")]);
    assert!(Brought::of(&GoogleFit, other).err().is_some_and(|e| e.contains("nothing in this zip")));
    let broken = zipped(&[("Takeout/Fit/All Data/heart.json", r#"{"Data Points":[{"secret":"#)]);
    let error = Brought::of(&GoogleFit, broken).err().expect("refused");
    assert!(error.contains("heart.json") && !error.contains("secret"), "{error}");
}
