//! The traps of this API, each as a test. Payloads are files in `fixtures/`, named by stream and case.

mod answers;
mod handshake;

use std::path::PathBuf;

use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use proptest::prelude::*;
use uuid::Uuid;

use super::streams;
use super::types::{self, Time};
use super::{GoogleHealth, when};
use crate::source::Source;

const LONG_AFTER: i64 = 1_800_000_000_000_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/google_health/fixtures")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.json"))).unwrap()
}

fn raw<'a>(stream: &'a str, time_zone: Option<&'a str>, body: &'a [u8]) -> Raw<'a> {
    Raw { time_zone, ..Raw::of("google_health", stream, (Uuid::nil(), "subject"), LONG_AFTER, body) }
}

fn normalize<'a>(raw: &Raw<'a>) -> Result<Normalized<'a>, Reject> {
    let mut out = Normalized::default();
    GoogleHealth.normalize(raw, &mut out).map(|()| out)
}

/// A fixture as text: slug, record id and value of each reading.
fn lines(out: &Normalized<'_>) -> Vec<String> {
    out.readings.iter().map(|r| format!("{} {} {}", r.measure.slug, r.record_id, value(&r.value))).collect()
}

fn value(value: &Value<'_>) -> String {
    match value {
        Value::Quantity(number) => number.to_string(),
        Value::Code(concept) => concept.code.to_owned(),
        Value::Text(text) => text.clone().into_owned(),
        other => format!("{other:?}"),
    }
}

fn with<T>(name: &str, zone: Option<&str>, check: impl FnOnce(Normalized<'_>) -> T) -> T {
    let body = fixture(name);
    let out = normalize(&raw(name.split_once('.').unwrap().0, zone, &body)).unwrap();
    check(out)
}

fn component<'r, 'a>(reading: &'r Reading<'a>, slug: &str) -> Option<&'r Component<'a>> {
    reading.components.iter().find(|component| component.measure.slug == slug)
}

fn rfc(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).unwrap().to_string()
}

#[test]
fn every_fixture_that_is_not_bad_is_understood_without_problems_and_becomes_what_its_stream_says() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (stream, case) = name.split_once('.').unwrap();
        let body = std::fs::read(folder().join(&name)).unwrap();
        let raw = raw(stream, Some("America/Los_Angeles"), &body);
        if case.starts_with("bad-") {
            assert!(normalize(&raw).map_or(true, |out| !out.problems.is_empty()), "{name}");
            continue;
        }
        let out = normalize(&raw).unwrap();
        assert!(out.problems.is_empty(), "{name}: {:?}", out.problems);
        let stream = GoogleHealth.profile().stream(stream).unwrap_or_else(|| panic!("{name} names no stream"));
        for reading in &out.readings {
            assert!(stream.becomes.contains(&reading.measure), "{name}: {}", reading.measure.slug);
        }
        let mut ids: Vec<_> = out.readings.iter().map(|r| (r.measure.slug, &r.record_id)).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {ids:?}");
        seen += 1;
    }
    assert!(seen > 40);
}

#[test]
fn every_stream_has_a_fixture() {
    let files: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for stream in streams::STREAMS {
        assert!(files.iter().any(|file| file.split_once('.').unwrap().0 == stream.id), "{}", stream.id);
    }
}

#[test]
fn the_three_spellings_follow_from_one_name() {
    for kind in types::TYPES {
        for name in [kind.name, &kind.snake(), &kind.camel()] {
            assert_eq!(types::find(name).unwrap().name, kind.name);
        }
    }
    let kind = types::find("runVo2Max").unwrap();
    assert_eq!((kind.name, kind.snake().as_str(), &*kind.camel()), ("run-vo2-max", "run_vo2_max", "runVo2Max"));
    assert!(types::find("step").is_none() && types::find("").is_none());
}

#[test]
fn every_stream_leads_to_its_type_and_tells_deletions() {
    for stream in streams::STREAMS {
        assert!(streams::of_stream(stream.id).is_some(), "{}", stream.id);
        assert!(stream.poll.unwrap().reconcile, "{}", stream.id);
    }
    let mut ids: Vec<_> = streams::STREAMS.iter().map(|stream| stream.id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn steps_of_a_minute_are_an_interval_with_the_offset_of_the_source() {
    with("steps.minutes", None, |out| {
        let first = &out.readings[0];
        assert_eq!((first.measure.slug, value(&first.value).as_str(), first.method), ("steps", "96", Method::Device));
        let Effective::During(start, end) = first.effective else { panic!() };
        assert_eq!((rfc(start.micros), end.micros - start.micros), ("2026-10-05T14:31:00Z".into(), 60_000_000));
        assert_eq!((start.offset, start.origin), (Some(-25_200), OffsetOrigin::Source));
        assert_eq!(out.devices.len(), 1);
        assert_eq!(first.device.as_deref(), Some("Google Pixel Watch 4"));
        assert_eq!(out.devices[0].kind.as_deref(), Some("WATCH"));
        assert!(out.unknown.is_empty(), "{:?}", out.unknown);
    });
}

#[test]
fn a_count_that_is_left_out_is_zero_and_a_weight_that_is_left_out_is_a_problem() {
    with("steps.zero-left-out", None, |out| assert_eq!(value(&out.readings[0].value), "0"));
    with("weight.bad-rows", None, |out| {
        assert_eq!(lines(&out).len(), 1);
        let told: Vec<_> = out.problems.iter().map(|p| (p.code, p.path.as_deref().unwrap())).collect();
        assert_eq!(
            told,
            [
                (code::UNEXPECTED_SHAPE, "dataPoints[0].weight.weightGrams"),
                (code::IMPLAUSIBLE, "dataPoints[2].weight.weightGrams"),
                (code::BAD_TIME, "dataPoints[3].weight.sampleTime.utcOffset"),
                (code::IMPLAUSIBLE, "dataPoints[4].weight.sampleTime.physicalTime"),
                (code::UNEXPECTED_SHAPE, "dataPoints[5]"),
            ]
        );
    });
}

#[test]
fn two_sources_of_the_same_minute_stay_two_records_and_their_ids_hold_no_name() {
    with("steps.two-sources", None, |out| {
        let (a, b) = (&out.readings[0].record_id, &out.readings[1].record_id);
        assert!(a != b && a.starts_with("2026-10-05T14:30:00Z/2026-10-05T14:31:00Z|"));
        assert!(![a, b].iter().any(|id| id.contains("Pixel") || id.contains("example")));
    });
}

#[test]
fn an_id_is_the_same_however_the_instant_is_written() {
    let body = |start: &str| {
        format!(r#"{{"dataPoints":[{{"weight":{{"sampleTime":{{"physicalTime":"{start}"}},"weightGrams":"1"}}}}]}}"#)
    };
    let id = |body: &str| normalize(&raw("weight", None, body.as_bytes())).unwrap().readings[0].record_id.clone().into_owned();
    assert_eq!(id(&body("2026-10-05T14:30:00Z")), id(&body("2026-10-05T16:30:00.000+02:00")));
    assert_ne!(id(&body("2026-10-05T14:30:00Z")), id(&body("2026-10-05T14:30:00.5Z")));
}

#[test]
fn offsets_are_read_as_durations_and_as_clocks() {
    with("steps.clock-offsets", None, |out| {
        let Effective::During(start, end) = out.readings[0].effective else { panic!() };
        assert_eq!((start.offset, end.offset), (Some(7200), Some(3600)));
    });
    for (text, seconds) in [("-25200s", -25_200), ("0s", 0), ("19800.000s", 19_800), ("-07:00", -25_200), ("+05:45", 20_700)] {
        assert_eq!(when::offset(text).unwrap(), seconds, "{text}");
    }
    for text in ["", "s", "7", "7h", "25:00", "+7", "+07:60", "+07:00:00", "1.xs", "99999999999s", "-+7:00"] {
        assert_eq!(when::offset(text).unwrap_err().code, code::BAD_TIME, "{text}");
    }
}

#[test]
fn an_offset_comes_from_the_row_then_from_its_civil_time_then_from_the_profile_and_else_is_unknown() {
    let origins = |zone| {
        with("heart-rate.samples", zone, |out| {
            out.readings.iter().map(|r| (r.effective.start().offset, r.effective.start().origin)).collect::<Vec<_>>()
        })
    };
    let source = (Some(-25_200), OffsetOrigin::Source);
    assert_eq!(origins(None), [source, source, (None, OffsetOrigin::None)]);
    assert_eq!(origins(Some("Europe/Berlin")), [source, source, (Some(7200), OffsetOrigin::Profile)]);
    with("weight.no-offset", None, |out| assert_eq!(out.readings[0].effective.start().offset, None));
}

#[test]
fn units_are_converted_without_losing_or_inventing_digits() {
    let values = |name| with(name, None, |out| out.readings.iter().map(|r| value(&r.value)).collect::<Vec<_>>());
    assert_eq!(values("weight.scale"), ["80", "80.1205"]);
    assert_eq!(values("height.typed-in"), ["178.5"]);
    assert_eq!(values("distance.minutes"), ["61.85"]);
    assert_eq!(values("distance-daily.day"), ["6214.5"]);
    assert_eq!(values("altitude.stairs"), ["6.096"]);
    assert_eq!(values("hydration-log.glass"), ["0.25"]);
    // What is not converted keeps the digits it came with.
    assert_eq!(values("body-fat.scale"), ["21.40"]);
    assert_eq!(values("daily-respiratory-rate.days"), ["14.0"]);
    assert_eq!(values("sedentary-period.sitting"), ["80.5"]);
    assert_eq!(values("total-calories.days"), ["2310.5"]);
}

#[test]
fn numbers_are_read_from_strings_and_bare_and_what_is_too_long_is_refused() {
    let body = |grams: &str| {
        format!(
            r#"{{"dataPoints":[{{"weight":{{"sampleTime":{{"physicalTime":"2026-10-05T14:30:00Z"}},"weightGrams":{grams}}}}}]}}"#
        )
    };
    let kg = |grams: &str| {
        let body = body(grams);
        let out = normalize(&raw("weight", None, body.as_bytes())).unwrap();
        out.readings.first().map(|r| value(&r.value)).ok_or_else(|| out.problems[0].code)
    };
    assert_eq!(kg("\"80000\"").unwrap(), "80");
    assert_eq!(kg("8.0E4").unwrap(), "80");
    assert_eq!(kg("80000.123456789").unwrap(), "80.000123456789");
    assert_eq!(kg("0.1234567890123456789012345678").unwrap_err(), code::BAD_NUMBER);
    assert_eq!(kg("1e400").unwrap_err(), code::BAD_NUMBER);
    assert_eq!(kg("\"NaN\"").unwrap_err(), code::UNEXPECTED_SHAPE);
    assert_eq!(kg("-5").unwrap_err(), code::IMPLAUSIBLE);
    assert_eq!(kg("null").unwrap_err(), code::UNEXPECTED_SHAPE);
}

#[test]
fn rmssd_and_sdnn_are_never_mixed() {
    with("heart-rate-variability.night", None, |out| {
        let lines = lines(&out);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("hrv-rmssd ") && lines[0].ends_with(" 41.275"), "{lines:?}");
        assert!(lines[1].starts_with("hrv-sdnn ") && lines[1].ends_with(" 58.1"), "{lines:?}");
    });
    with("daily-heart-rate-variability.days", None, |out| {
        assert_eq!(lines(&out), ["hrv-rmssd 2026-10-05 40.5", "hrv-rmssd-deep-sleep 2026-10-05 44.2"]);
        let mut unknown = out.unknown;
        unknown.sort_unstable();
        let prefix = "daily-heart-rate-variability";
        assert_eq!(unknown, [format!("{prefix} entropy"), format!("{prefix} nonRemHeartRateBeatsPerMinute")]);
    });
}

#[test]
fn a_day_with_nothing_but_what_has_no_measure_is_told_and_one_with_nothing_is_a_problem() {
    let day = |fields: &str| {
        format!(r#"{{"dataPoints":[{{"dailyHeartRateVariability":{{"date":{{"year":2026,"month":10,"day":5}}{fields}}}}}]}}"#)
    };
    let body = day(r#","entropy":2.61"#);
    let out = normalize(&raw("daily-heart-rate-variability", None, body.as_bytes())).unwrap();
    assert!(out.readings.is_empty() && out.problems.is_empty());
    assert_eq!(out.unknown, ["daily-heart-rate-variability entropy"]);
    let body = day("");
    let out = normalize(&raw("daily-heart-rate-variability", None, body.as_bytes())).unwrap();
    assert_eq!(out.problems[0].path.as_deref(), Some("dataPoints[0].dailyHeartRateVariability"));
}

#[test]
fn the_temperature_of_a_night_is_skin_and_its_distance_to_the_baseline_is_in_kelvin() {
    with("daily-sleep-temperature-derivations.days", None, |out| {
        let expected =
            ["skin-temperature 2026-10-05 34.15", "temperature-deviation 2026-10-05 -0.25", "skin-temperature 2026-10-04 34.2"];
        assert_eq!(lines(&out), expected);
        assert_eq!(out.readings[1].measure.unit.unwrap().ucum, "K");
    });
    with("core-body-temperature.mouth-and-wrist", None, |out| {
        assert_eq!(out.readings.iter().map(|r| r.measure.slug).collect::<Vec<_>>(), ["body-temperature", "skin-temperature"]);
    });
}

#[test]
fn glucose_in_tissue_is_not_glucose_in_blood_and_tears_are_neither() {
    with("blood-glucose.meter-and-sensor", None, |out| {
        let slugs: Vec<_> = out.readings.iter().map(|r| r.measure.slug).collect();
        assert_eq!(slugs, ["glucose-blood-mass", "glucose-interstitial-mass"]);
        assert_eq!(out.unknown, ["blood-glucose specimen TEARS"]);
    });
}

#[test]
fn a_day_is_keyed_by_its_date_and_as_long_as_the_clock_makes_it() {
    with("daily-resting-heart-rate.days", Some("Europe/Berlin"), |out| {
        let day = &out.readings[0];
        let Effective::During(start, end) = day.effective else { panic!() };
        assert_eq!((end.micros - start.micros) / 3_600_000_000, 25);
        assert_eq!((start.offset, end.offset, start.origin), (Some(7200), Some(3600), OffsetOrigin::Profile));
        assert_eq!((&*day.record_id, day.local_date.as_deref(), day.method), ("2026-10-25", Some("2026-10-25"), Method::Derived));
    });
    with("daily-resting-heart-rate.days", None, |out| {
        let Effective::During(start, _) = out.readings[0].effective else { panic!() };
        assert_eq!((&*out.readings[0].record_id, start.offset), ("2026-10-25", None));
    });
}

#[test]
fn a_day_from_another_platform_is_another_record() {
    let body = br#"{"dataPoints":[
        {"dataSource":{"platform":"FITBIT","device":{"displayName":"A"}},"dailyRestingHeartRate":{"date":{"year":2026,"month":10,"day":5},"beatsPerMinute":"57"}},
        {"dataSource":{"platform":"HEALTH_CONNECT"},"dailyRestingHeartRate":{"date":{"year":2026,"month":10,"day":5},"beatsPerMinute":"59"}}]}"#;
    let out = normalize(&raw("daily-resting-heart-rate", None, body)).unwrap();
    assert_eq!(out.readings[0].record_id, "2026-10-05");
    assert!(out.readings[1].record_id.starts_with("2026-10-05|"));
}

#[test]
fn a_roll_up_is_understood_in_its_own_stream_and_in_that_of_its_type() {
    with("steps.roll-up", Some("America/Los_Angeles"), |out| {
        assert_eq!(lines(&out), ["steps-day 2026-10-05 8421"]);
        assert_eq!(rfc(out.readings[0].effective.start().micros), "2026-10-05T07:00:00Z");
        assert_eq!((out.readings[0].status, out.readings[0].method), (Status::Final, Method::Derived));
    });
    with("steps-daily.week", Some("Europe/Berlin"), |out| {
        // A day on which the band was worn and nothing counted is 0; one without a value is not there.
        assert_eq!(lines(&out), ["steps-day 2026-10-24 10250", "steps-day 2026-10-25 6120", "steps-day 2026-10-26 0"]);
        assert!(out.unknown.is_empty());
    });
}

#[test]
fn the_total_of_a_window_that_is_no_day_is_not_called_a_day() {
    with("steps.roll-up-of-hours", None, |out| {
        let slugs: Vec<_> = out.readings.iter().map(|r| r.measure.slug).collect();
        assert_eq!(slugs, ["steps", "steps"]);
        assert!(out.readings.iter().all(|r| r.local_date.is_none() && r.record_id.starts_with("rollup ")));
    });
}

#[test]
fn a_day_that_was_not_over_when_it_was_asked_for_is_preliminary() {
    let body = fixture("steps.roll-up");
    let noon = Raw { fetched_at: 1_791_201_600_000_000, ..raw("steps-daily", Some("America/Los_Angeles"), &body) };
    assert_eq!(rfc(noon.fetched_at), "2026-10-05T12:00:00Z");
    assert_eq!(normalize(&noon).unwrap().readings[0].status, Status::Preliminary);
}

#[test]
fn roll_ups_of_several_numbers_become_several_measures() {
    with("heart-rate-daily.day", None, |out| {
        let expected =
            ["heart-rate-day-average 2026-10-05 71.42", "heart-rate-day-max 2026-10-05 168", "heart-rate-min 2026-10-05 47"];
        assert_eq!(lines(&out), expected);
    });
    with("active-zone-minutes.roll-up", None, |out| assert_eq!(lines(&out), ["active-zone-minutes 2026-10-05 35"]));
}

#[test]
fn active_zone_minutes_keep_their_own_code_and_one_record_for_each_zone() {
    with("active-zone-minutes.run", None, |out| {
        assert_eq!(out.readings[0].measure.coding[0].system, headwater_schemas::codes::LOCAL);
        assert_ne!(out.readings[0].record_id, out.readings[1].record_id);
    });
}

#[test]
fn an_estimate_says_so_and_a_laboratory_does_not() {
    with("vo2-max.methods", None, |out| {
        assert_eq!(out.readings.iter().map(|r| r.note.is_some()).collect::<Vec<_>>(), [true, false]);
    });
}

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

#[test]
fn an_empty_answer_is_an_empty_page_and_an_error_is_never_data() {
    with("steps.empty", None, |out| assert!(out.readings.is_empty() && out.problems.is_empty()));
    let rejected = |stream: &str, name: &str| normalize(&raw(stream, None, &fixture(name))).unwrap_err().code;
    assert_eq!(rejected("steps", "steps.bad-error"), code::ERROR_ENVELOPE);
    assert_eq!(rejected("steps", "steps.bad-cut-off"), code::MALFORMED_JSON);
    assert_eq!(rejected("blood-type", "steps.empty"), code::UNKNOWN_STREAM);
    assert_eq!(normalize(&raw("steps", None, b"[]")).unwrap_err().code, code::UNEXPECTED_SHAPE);
}

#[test]
fn what_is_unknown_is_told_and_what_belongs_elsewhere_is_refused() {
    with("steps.new-type", None, |out| {
        assert!(out.readings.is_empty() && out.problems.is_empty());
        assert_eq!(out.unknown, ["data type wheelPushes"]);
    });
    with("steps.bad-other-type", None, |out| assert_eq!(out.problems[0].path.as_deref(), Some("dataPoints[0]")));
    let body = br#"{"dataPoints":[{"dataSource":{"recordingMethod":"GUESSED","x y":1},"weight":{"sampleTime":{"physicalTime":"2026-10-05T14:30:00Z"},
        "weightGrams":1,"bone":2}}],"more":{}}"#;
    let out = normalize(&raw("weight", None, body)).unwrap();
    assert_eq!(out.readings[0].method, Method::Unknown);
    assert_eq!(out.unknown, ["body more", "recordingMethod GUESSED", "dataSource (not a name)", "weight bone"]);
}

#[test]
fn a_problem_never_quotes_the_payload() {
    let body =
        br#"{"dataPoints":[{"weight":{"sampleTime":{"physicalTime":"secret"},"weightGrams":"secret"}},{"weight":"secret"}]}"#;
    let out = normalize(&raw("weight", None, body)).unwrap();
    assert_eq!(out.problems.len(), 2);
    assert!(out.problems.iter().all(|p| !p.to_string().contains("secret")), "{:?}", out.problems);
}

fn shuffled() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    (prop::sample::select(names), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..6)).prop_map(
        |(name, at, with)| {
            let mut body = std::fs::read(folder().join(&name)).unwrap();
            let at = at.index(body.len());
            body.splice(at..(at + with.len()).min(body.len()), with);
            (name.split_once('.').unwrap().0.to_owned(), body)
        },
    )
}

proptest! {
    #[test]
    fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = normalize(&raw("steps", None, &body));
        let _ = answers::read_all(&body);
    }

    #[test]
    fn damaged_payloads_never_panic((stream, body) in shuffled()) {
        let _ = normalize(&raw(&stream, Some("Europe/Berlin"), &body));
        let _ = answers::read_all(&body);
    }

    #[test]
    fn any_number_is_a_reading_or_a_problem(number in "-?[0-9]{1,32}(\\.[0-9]{1,32})?(e-?[0-9]{1,3})?", index in 0..types::TYPES.len()) {
        let kind = &types::TYPES[index];
        prop_assume!(kind.time == Time::Sample || kind.time == Time::Daily);
        let body = format!(
            r#"{{"dataPoints":[{{"{}":{{"sampleTime":{{"physicalTime":"2026-10-05T14:30:00Z"}},"date":{{"year":2026,"month":10,"day":5}},
            "beatsPerMinute":{number},"percentage":{number},"weightGrams":{number},"heightMillimeters":{number},"nightlyTemperatureCelsius":{number},
            "baselineTemperatureCelsius":-{},"vo2Max":{number}}}}}]}}"#, kind.camel(), number.trim_start_matches('-'));
        let _ = normalize(&raw(kind.name, None, body.as_bytes()));
    }
}
