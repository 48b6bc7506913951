//! What is peculiar to this provider. Signatures, broken bodies and the rest are tested for all providers alike.

use std::time::Duration;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method as How;
use headwater_schemas::reading::{Normalized, Value};

use super::Polar;
use crate::keys::Keys;
use crate::source::{Fault, Fetch, Inbound, Method, Response, Revoke, Source as _};
use crate::testing::{all, ask, digits, fixture, raw};

#[test]
fn hyphens_and_underscores_are_read_and_minutes_are_the_offset() {
    let out = fixture(&Polar, "exercises.run-and-older", None);
    let [run, yoga] = all(&out, &EXERCISE)[..] else { panic!("two of three") };
    assert_eq!((run.effective.start().offset, yoga.effective.start().offset), (Some(3600), Some(7200)));
    assert_eq!(run.effective.start().micros, 1_792_915_200_000_000);
    let average = |r: &headwater_schemas::reading::Reading<'_>| {
        r.components.iter().find(|c| c.measure == &WORKOUT_HEART_RATE_AVERAGE).map(|c| digits(&c.value))
    };
    assert_eq!((average(run).as_deref(), average(yoga).as_deref()), (Some("129"), Some("88")));
    assert_eq!(out.problems.len(), 1);
}

#[test]
fn times_after_midnight_are_of_the_next_day() {
    let out = fixture(&Polar, "sleep.night", None);
    assert_eq!(digits(&all(&out, &SLEEP)[0].value), "480");
    let stages = all(&out, &SLEEP_STAGE);
    assert_eq!(stages.len(), 4);
    assert!(stages.windows(2).all(|pair| pair[0].effective.end().unwrap().micros == pair[1].effective.start().micros));
    assert_eq!(all(&out, &HEART_RATE).len(), 2, "a pulse of nought is no reading");
}

#[test]
fn the_hour_that_exists_twice_is_told_apart_by_order() {
    let out = fixture(&Polar, "continuous-heart-rate.clock-change", Some("Europe/Berlin"));
    let moments: Vec<_> =
        all(&out, &HEART_RATE).iter().map(|r| (r.effective.start().micros, r.effective.start().offset)).collect();
    assert_eq!(moments.len(), 4);
    assert!(moments.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!((moments[1].1, moments[2].1), (Some(7200), Some(3600)));
}

#[test]
fn rmssd_is_never_sdnn_too_little_history_is_no_load_and_what_was_entered_says_so() {
    let out = fixture(&Polar, "nightly-recharge.night", None);
    assert_eq!((all(&out, &HRV_RMSSD).len(), all(&out, &HRV_SDNN).len()), (1, 0));
    assert_eq!(all(&fixture(&Polar, "cardio-load.days", None), &TRAINING_LOAD).len(), 1);
    let out = fixture(&Polar, "physical-info.entered", None);
    assert_eq!((all(&out, &WEIGHT)[0].method, all(&out, &VO2_MAX)[0].method), (How::Manual, How::Derived));
}

#[test]
fn a_person_is_registered_and_taken_off() {
    let register = Polar.register("member-1").unwrap();
    assert_eq!((register.path.as_str(), register.json.as_str()), ("/v3/users", r#"{"member-id":"member-1"}"#));
    let read = |fetch: &Fetch, status| Polar.read(fetch, &Response { status, headers: &[], body: b"" });
    assert!(read(&register, 200).is_ok() && read(&register, 409).is_ok() && read(&register, 403).is_err());
    let grant = |user| Revoke { user, client_id: "", client_secret: "", access: "t", now: 0 };
    assert_eq!(Polar.revoke(&grant("475"), None).unwrap().path, "/v3/users/475");
    assert!(Polar.revoke(&grant("../475"), None).is_none());
}

#[test]
fn a_day_without_data_is_empty_and_limits_come_in_pairs() {
    let fetch = Polar.plan(&ask(&Polar, "continuous-heart-rate", 1)).remove(0);
    assert!(Polar.read(&fetch, &Response { status: 404, headers: &[], body: b"" }).unwrap().empty);
    let headers = [("ratelimit-usage", "520, 900"), ("ratelimit-limit", "520, 5100"), ("ratelimit-reset", "60, 3600")];
    let headers = headers.map(|(n, v)| (n.to_owned(), v.to_owned()));
    let limited = Polar
        .read(&Fetch::about("sleep", Method::Get, "/v3/users/sleep"), &Response { status: 429, headers: &headers, body: b"" });
    assert_eq!(limited.unwrap_err(), Fault::Limited { after: Some(Duration::from_secs(60)) });
    let alone = [("ratelimit-reset".to_owned(), "60, 3600".to_owned())];
    let limited = Polar.read(&fetch, &Response { status: 429, headers: &alone, body: b"" });
    assert_eq!(limited.unwrap_err(), Fault::Limited { after: Some(Duration::from_secs(60)) });
}

#[test]
fn a_list_with_nothing_in_it_is_empty_under_its_own_name() {
    let empty = |stream, body: &[u8]| {
        let fetch = Fetch::about(stream, Method::Get, "/");
        Polar.read(&fetch, &Response { status: 200, headers: &[], body }).unwrap().empty
    };
    assert!(empty("sleep", br#"{"nights":[]}"#) && empty("nightly-recharge", br#"{"recharges": [ ]}"#));
    assert!(!empty("sleep", br#"{"nights":[{}]}"#) && !empty("sleep", br#"{"recharges":[]}"#));
}

fn said(stream: &'static str, body: &'static [u8]) -> Normalized<'static> {
    let mut out = Normalized::default();
    Polar.normalize(&raw("polar", stream, body, None), &mut out).expect("a good payload");
    out
}

#[test]
fn what_came_to_nothing_is_no_reading() {
    let test = |status: &str| {
        let body = format!(r#"[{{"test_time":1792915200,"test_status":"{status}","blood_oxygen_percent":85}}]"#);
        said("spo2", body.into_bytes().leak()).readings.len()
    };
    assert_eq!((test("SPO2_TEST_PASSED"), test("SPO2_TEST_INCONCLUSIVE_TOO_LOW_OVERALL_QUALITY")), (1, 0));
    let out = said(
        "exercises",
        br#"[{"id":"a","start_time":"2026-10-25T09:00:00","start_time_utc_offset":60,"duration":"PT1H","sport":"OTHER","heart_rate":{"average":0,"maximum":0}}]"#,
    );
    let panel = all(&out, &EXERCISE)[0];
    assert!(panel.components.iter().all(|c| c.measure != &WORKOUT_HEART_RATE_AVERAGE && c.measure != &WORKOUT_HEART_RATE_MAX));
}

#[test]
fn a_stage_that_was_not_recognised_is_known_to_be_so() {
    let night = |stage: u8| {
        let body = format!(
            r#"{{"nights":[{{"date":"2026-10-25","sleep_start_time":"2026-10-24T23:20:00+02:00","sleep_end_time":"2026-10-25T00:50:00+02:00","hypnogram":{{"23:20":{stage}}}}}]}}"#
        );
        said("sleep", body.into_bytes().leak())
    };
    for (stage, counted) in [(5, 0), (9, 1)] {
        let out = night(stage);
        assert_eq!((&all(&out, &SLEEP_STAGE)[0].value, out.unknown.len()), (&Value::Code(&STAGE_UNKNOWN), counted));
    }
}

#[test]
fn a_ping_named_by_its_header_needs_no_body_and_brings_nothing() {
    let keys = Keys { signing_key: Some("k3y".into()), ..Keys::default() };
    let call = |headers: &[(&str, &[u8])], body: &[u8]| {
        Polar.receive(&Inbound { method: "POST", tail: "", query: "", headers, body, keys: &keys, now: 0 })
    };
    for body in [&b""[..], br#"{"event":"EXERCISE","user_id":475}"#] {
        let receipt = call(&[("polar-webhook-event", b"PING")], body).unwrap();
        assert_eq!((receipt.status, receipt.entries.len()), (200, 0));
    }
    assert_eq!(call(&[("polar-webhook-event", b"EXERCISE")], br#"{"event":"EXERCISE","user_id":475}"#).unwrap_err().status, 401);
    let forged = [("polar-webhook-event", &b"PING"[..]), ("polar-webhook-signature", &b"00"[..])];
    assert_eq!(call(&forged, b"").unwrap_err().status, 401, "a signature that is there must be right");
}
