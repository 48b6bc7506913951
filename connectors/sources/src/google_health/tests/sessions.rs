//! Nights and exercises.

use super::*;

#[test]
fn a_night_over_the_clock_change_has_both_offsets_and_the_date_it_ends_on() {
    with("sleep.clock-change", None, |out| {
        let night = &out.readings[0];
        let Effective::During(start, end) = night.effective else { panic!() };
        assert_eq!((start.offset, end.offset), (Some(7200), Some(3600)));
        assert_eq!((&*night.record_id, night.local_date.as_deref()), ("7000000000000000001", Some("2026-10-25")));
        assert_eq!(
            (value(&night.value).as_str(), night.status, night.modified.map(rfc)),
            ("468", Status::Final, Some("2026-10-25T06:00:00Z".into()))
        );
        // The merged answer tells deep sleep twice; it is not added up.
        let parts: Vec<_> = night.components.iter().map(|part| format!("{} {}", part.measure.slug, value(&part.value))).collect();
        assert_eq!(
            parts,
            [
                "time-in-bed 480",
                "sleep-latency 12",
                "awake 12",
                "sleep-light 168",
                "sleep-deep 60",
                "sleep-rem 240",
                "sleep-kind main-sleep"
            ]
        );
        let stages: Vec<_> = out.readings[1..].iter().map(|stage| value(&stage.value)).collect();
        assert_eq!(stages, ["awake", "light", "deep", "rem"]);
        assert_eq!(out.readings[3].record_id, "7000000000000000001#2026-10-25T00:30:00Z");
        assert_eq!(out.readings[3].device.as_deref(), Some("Charge 6"));
        assert!(out.unknown.is_empty(), "{:?}", out.unknown);
    });
}

#[test]
fn a_classic_nap_has_its_own_stages_and_kind() {
    with("sleep.classic-nap", None, |out| {
        assert_eq!(value(&component(&out.readings[0], "sleep-kind").unwrap().value), "nap");
        assert_eq!(value(&component(&out.readings[0], "sleep-restless").unwrap().value), "5");
        let stages: Vec<_> = out.readings[1..].iter().map(|stage| value(&stage.value)).collect();
        assert_eq!(stages, ["restless", "asleep", "awake"]);
    });
}

#[test]
fn a_night_that_google_has_not_finished_is_preliminary_and_one_of_another_app_is_not() {
    with("sleep.unfinished", None, |out| assert_eq!(out.readings[0].status, Status::Preliminary));
    with("sleep.other-app", None, |out| {
        assert_eq!((out.readings[0].status, &out.readings[0].value), (Status::Final, &Value::Absent(Absent::Unknown)));
    });
    let status = |metadata: &str| {
        let body = format!(
            r#"{{"dataPoints":[{{"sleep":{{"interval":{{"startTime":"2026-10-05T06:00:00Z","endTime":"2026-10-05T13:00:00Z"}},"metadata":{metadata}}}}}]}}"#
        );
        normalize(&raw("sleep", None, body.as_bytes())).unwrap().readings[0].status
    };
    assert_eq!(status(r#"{"stagesStatus":"SUCCEEDED"}"#), Status::Final);
    assert_eq!(status(r#"{"stagesStatus":"REJECTED_COVERAGE"}"#), Status::Final);
    assert_eq!(status(r#"{"stagesStatus":"IN_PROGRESS"}"#), Status::Preliminary);
    assert_eq!(status(r#"{"processed":false,"stagesStatus":"SUCCEEDED"}"#), Status::Preliminary);
}

#[test]
fn a_stage_that_makes_no_sense_spares_its_night() {
    with("sleep.bad-stage", None, |out| {
        assert_eq!(out.readings.len(), 2);
        assert_eq!(out.problems[0].path.as_deref(), Some("sleep.stages[0].endTime"));
    });
}

#[test]
fn a_stage_without_an_offset_has_that_of_its_session_and_not_that_of_the_profile() {
    let body = br#"{"dataPoints":[{"name":"users/1/dataTypes/sleep/dataPoints/5","sleep":{"interval":{
        "startTime":"2026-10-24T21:00:00Z","startUtcOffset":"7200s","endTime":"2026-10-25T05:00:00Z","endUtcOffset":"3600s"},
        "stages":[{"startTime":"2026-10-24T22:00:00Z","endTime":"2026-10-25T04:00:00Z","type":"LIGHT"}]}}]}"#;
    let out = normalize(&raw("sleep", Some("Asia/Tokyo"), body)).unwrap();
    let Effective::During(start, end) = out.readings[1].effective else { panic!() };
    assert_eq!((start.offset, end.offset, end.origin), (Some(7200), Some(3600), OffsetOrigin::Source));
    assert_eq!(rfc(end.micros), "2026-10-25T04:00:00Z");
}

#[test]
fn an_exercise_without_a_sensor_has_no_heart_rate_of_zero() {
    let body = br#"{"dataPoints":[{"exercise":{"interval":{"startTime":"2026-10-24T21:00:00Z","endTime":"2026-10-24T22:00:00Z"},
        "exerciseType":"YOGA","metricsSummary":{"averageHeartRateBeatsPerMinute":"0","steps":"0"}}}]}"#;
    let out = normalize(&raw("exercise", None, body)).unwrap();
    assert_eq!(component(&out.readings[0], "workout-hr-avg").unwrap().value, Value::Absent(Absent::Unknown));
    assert_eq!(value(&component(&out.readings[0], "steps").unwrap().value), "0");
}

#[test]
fn an_exercise_is_its_kind_with_the_metrics_as_components() {
    with("exercise.run", None, |out| {
        let run = &out.readings[0];
        assert_eq!((&*run.record_id, value(&run.value).as_str()), ("8081234567", "RUNNING"));
        let parts: Vec<_> = run.components.iter().map(|part| format!("{} {}", part.measure.slug, value(&part.value))).collect();
        assert_eq!(
            parts,
            [
                "exercise-duration 30.2583",
                "energy 342.5",
                "distance 5120.5",
                "steps 4980",
                "workout-hr-avg 151",
                "elevation-gain 48.2",
                "active-zone-minutes 54",
                "vo2-max 43.6",
                "heart-rate-zone-light 2",
                "heart-rate-zone-moderate 5",
                "heart-rate-zone-intense 20",
                "heart-rate-zone-peak 3.25",
            ]
        );
        assert!(out.unknown.is_empty(), "{:?}", out.unknown);
    });
}
