//! What is peculiar to this provider. Broken bodies and the rest are tested for all providers alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::reading::{Normalized, Value};
use proptest::prelude::*;

use super::GoogleFit;
use crate::profile::Status as Cloud;
use crate::source::{Fault, Fetch, Method as Verb, Response, Source as _, Window};
use crate::testing::{Brought, all, digits, fixture, raw, zipped};

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

/// What one point of a stream becomes: its type, its span in nanoseconds and its values as they would be sent.
fn point(stream: &'static str, name: &str, (start, end): (&str, &str), values: &str) -> Normalized<'static> {
    let body = format!(
        r#"{{"point":[{{"dataTypeName":"com.google.{name}","startTimeNanos":"{start}","endTimeNanos":"{end}","value":[{values}]}}]}}"#
    );
    let mut out = Normalized::default();
    GoogleFit.normalize(&raw("google_fit", stream, body.into_bytes().leak(), None), &mut out).expect("a good payload");
    out
}

const NOON: &str = "1792929600000000000";
const LATER: &str = "1792929660000000000";

#[test]
fn every_place_of_a_thermometer_is_told_apart_and_one_that_is_not_known_is_no_temperature() {
    let at = |values: &str| point("body-temperature", "body.temperature", (NOON, NOON), values);
    let placed = |place: i64| at(&format!(r#"{{"fpVal":36.80}},{{"intVal":{place}}}"#));
    for place in [0, 1, 3, 4, 5, 6, 8, 10] {
        assert_eq!(all(&placed(place), &BODY_TEMPERATURE).len(), 1, "{place}");
    }
    for place in [2, 7, 9] {
        assert_eq!(all(&placed(place), &SKIN_TEMPERATURE).len(), 1, "{place}");
    }
    for place in [-1, 11, 12] {
        assert_eq!((placed(place).readings.len(), placed(place).unknown.len()), (0, 1), "{place}");
    }
    assert_eq!(digits(&all(&at(r#"{"fpVal":36.80}"#), &BODY_TEMPERATURE)[0].value), "36.80");
}

#[test]
fn numbers_of_activities_have_their_own_names_and_rest_and_being_carried_are_no_exercise() {
    let name = |number: i64| {
        let out = point("activity-segments", "activity.segment", (NOON, LATER), &format!(r#"{{"intVal":{number}}}"#));
        out.readings.into_iter().map(|r| (r.measure, r.value)).collect::<Vec<_>>()
    };
    for (number, expected) in [
        (67, "cross-country skiing"),
        (68, "downhill skiing"),
        (69, "kite skiing"),
        (114, "high-intensity interval training"),
        (115, "interval training"),
    ] {
        assert_eq!(name(number), [(&EXERCISE, Value::Text(expected.into()))], "{number}");
    }
    for number in [0, 3, 4, 5, 6, 45, 107, 117, 118, 121, 122, 123] {
        assert_eq!(name(number), [], "{number}");
    }
}

#[test]
fn a_sum_over_no_time_and_a_number_below_nought_are_counted_and_are_no_readings() {
    let counted =
        |out: Normalized<'_>, why: &str| assert_eq!((out.readings.len(), out.unknown), (0, vec![why.to_owned().into()]));
    for (stream, name) in [("steps", "step_count.delta"), ("calories", "calories.expended"), ("sleep-segments", "sleep.segment")]
    {
        counted(point(stream, name, (NOON, NOON), r#"{"intVal":4}"#), "point without a length");
    }
    for (stream, name) in
        [("steps", "step_count.delta"), ("heart-rate", "heart_rate.bpm"), ("body-temperature", "body.temperature")]
    {
        counted(point(stream, name, (NOON, LATER), r#"{"fpVal":-1}"#), "point of nought");
    }
    let pulse = point("heart-rate", "heart_rate.bpm", (NOON, NOON), r#"{"fpVal":61.5}"#);
    assert_eq!(digits(&all(&pulse, &HEART_RATE)[0].value), "61.5", "a moment needs no length");
}

#[test]
fn a_blood_pressure_without_either_half_is_a_problem_of_its_row() {
    let out = |values| point("blood-pressure", "blood_pressure", (NOON, NOON), values);
    let half = out(r#"{"fpVal":120.0},{"fpVal":0}"#);
    assert!(matches!(all(&half, &BLOOD_PRESSURE)[0].components[1].value, Value::Absent(_)));
    let none = out(r#"{"fpVal":0},{"fpVal":0}"#);
    assert_eq!((none.readings.len(), none.problems.len()), (0, 1));
}

#[test]
fn an_answer_of_its_cloud_that_is_kept_is_told_by_its_status() {
    let fetch = Fetch::new("steps", Window { start: 0, end: 1 }, Verb::Get, "/fitness/v1/users/me/dataSources");
    let read = |status| GoogleFit.read(&fetch, &Response { status, headers: &[], body: b"" });
    assert_eq!(read(410).unwrap_err(), Fault::Gone);
    assert_eq!(read(401).unwrap_err(), Fault::Reauthorise);
    assert!(read(200).expect("a page").empty);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(which in 0usize..64, bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let streams = GoogleFit.profile().streams;
        let stream = streams[which % streams.len()].id;
        let _ = GoogleFit.normalize(&raw("google_fit", stream, &bytes, None), &mut Normalized::default());
    }

    #[test]
    fn no_times_and_no_numbers_make_it_panic(which in 0usize..64, start in any::<i64>(), end in any::<i64>(), value in any::<f64>()) {
        let kind = &super::types::TYPES[which % super::types::TYPES.len()];
        let body = format!(
            r#"{{"point":[{{"startTimeNanos":"{start}","endTimeNanos":{end},"value":[{{"fpVal":{value:e}}},{{"intVal":{end}}}]}}]}}"#
        );
        let _ = GoogleFit.normalize(&raw("google_fit", kind.stream, body.as_bytes(), None), &mut Normalized::default());
        let body = format!(r#"{{"session":[{{"id":"s","startTimeMillis":"{start}","endTimeMillis":{end},"activityType":8}}]}}"#);
        let _ = GoogleFit.normalize(&raw("google_fit", "sessions", body.as_bytes(), None), &mut Normalized::default());
    }
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
