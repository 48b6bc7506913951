//! Every trap of this provider, by name.

use headwater_schemas::codes::*;
use headwater_schemas::hint::Change;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::raw::{Lane, Origin, Raw};
use headwater_schemas::reading::{Absent, Normalized, Reading, Value};
use proptest::prelude::*;
use uuid::Uuid;

use super::Withings;
use crate::keys::Keys;
use crate::source::{Ask, Entry, Fault, Inbound, Receipt, Refusal, Response, Source as _, TokenFault, Window};

const SECRET: &str = "f3b1c2";

fn keys() -> Keys {
    Keys { path_secret: Some(SECRET.into()), ..Keys::default() }
}

fn call(method: &str, tail: &str, body: &[u8]) -> Result<Receipt, Refusal> {
    Withings.receive(&Inbound { method, tail, query: "", headers: &[], body, keys: &keys(), now: 0 })
}

fn raw<'a>(stream: &'a str, body: &'a [u8]) -> Raw<'a> {
    Raw {
        raw_id: Uuid::nil(),
        provider: "withings",
        connection_id: Uuid::nil(),
        subject_id: "s",
        stream,
        lane: Lane::Live,
        origin: Origin::Fetch,
        fetched_at: 0,
        window_start: Some(1_761_510_000_000_000),
        window_end: None,
        request: None,
        http_status: None,
        content_type: "",
        headers: vec![],
        time_zone: Some("Europe/Paris"),
        amended: vec![],
        version_floor: None,
        encryption: None,
        body,
    }
}

/// A fixture, normalized. Leaked, so that readings may borrow for the length of a test.
fn normalized(name: &str) -> Normalized<'static> {
    let path = format!("{}/src/withings/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let body: &'static [u8] = std::fs::read(path).expect("a fixture").leak();
    let stream: &'static str = name.split('.').next().expect("a stream").to_owned().leak();
    let mut out = Normalized::default();
    Withings.normalize(&raw(stream, body), &mut out).expect("a good payload");
    out
}

fn all<'o, 'a>(out: &'o Normalized<'a>, measure: &'static Measure) -> Vec<&'o Reading<'a>> {
    out.readings.iter().filter(|r| r.measure == measure).collect()
}

fn digits(reading: &Reading<'_>) -> String {
    match &reading.value {
        Value::Quantity(number) => number.to_string(),
        other => panic!("{other:?} is no quantity"),
    }
}

#[test]
fn the_handshake_wants_the_secret_in_the_path() {
    for method in ["HEAD", "GET"] {
        assert_eq!(call(method, SECRET, b"").unwrap().status, 200);
        for wrong in ["", "f3b1c3", "f3b1c2x", "F3B1C2"] {
            assert_eq!(call(method, wrong, b"").unwrap_err().status, 401, "{wrong}");
        }
    }
    assert_eq!(call("PUT", SECRET, b"").unwrap_err().status, 405);
    let unset = Inbound { method: "GET", tail: "", query: "", headers: &[], body: b"", keys: &Keys::default(), now: 0 };
    assert_eq!(Withings.receive(&unset).unwrap_err().status, 401, "without a configured secret nobody gets in");
}

#[test]
fn each_appli_means_its_streams() {
    for (appli, streams) in [
        ("1", vec!["getmeas"]),
        ("4", vec!["getmeas", "heartlist"]),
        ("16", vec!["getactivity", "getintradayactivity", "getworkouts"]),
        ("44", vec!["sleep", "sleepsummary"]),
        ("54", vec!["heartlist"]),
    ] {
        let body = format!("userid=7&appli={appli}&startdate=1761516000&enddate=1761516060");
        let receipt = call("POST", SECRET, body.as_bytes()).unwrap();
        let [Entry::Hint(notice)] = &receipt.entries[..] else { panic!("one hint") };
        assert_eq!((receipt.status, &notice.streams, notice.user.as_str()), (200, &streams, "7"));
        assert_eq!(notice.window, Some(Window { start: 1_761_516_000_000_000, end: 1_761_516_061_000_000 }));
    }
}

#[test]
fn bed_and_inflation_events_and_unknown_ones_are_accepted_and_counted() {
    for appli in ["50", "51", "52", "58", "999", "x"] {
        let receipt = call("POST", SECRET, format!("userid=7&appli={appli}&date=2026-10-26").as_bytes()).unwrap();
        assert_eq!((receipt.status, receipt.ignored, receipt.entries.len()), (200, 1, 0), "{appli}");
    }
}

#[test]
fn an_unlinked_account_is_a_revocation() {
    for action in ["unlink", "delete"] {
        let receipt = call("POST", SECRET, format!("userid=7&appli=46&action={action}").as_bytes()).unwrap();
        assert!(matches!(&receipt.entries[..], [Entry::Hint(n)] if n.change == Change::Revoked));
    }
    let receipt = call("POST", SECRET, b"userid=7&appli=46&action=update").unwrap();
    assert!(matches!(&receipt.entries[..], [Entry::Hint(n)] if n.change == Change::Data && n.streams.is_empty()));
}

#[test]
fn a_date_is_a_day_or_an_epoch_and_rubbish_is_400() {
    for date in ["2026-10-26", "1792972800"] {
        let receipt = call("POST", SECRET, format!("userid=7&appli=44&date={date}").as_bytes()).unwrap();
        assert!(matches!(&receipt.entries[..], [Entry::Hint(n)] if n.window.is_some()));
    }
    for body in
        ["", "appli=1", "userid=&appli=1", "userid=7&appli=1&startdate=9&enddate=1", "userid=7&appli=1&startdate=x&enddate=y"]
    {
        assert_eq!(call("POST", SECRET, body.as_bytes()).unwrap_err().status, 400, "{body}");
    }
}

fn ask(stream: &str) -> Ask<'static> {
    let window = Window { start: 1_760_659_200_000_000, end: 1_763_251_200_000_000 };
    Ask { stream: Withings.profile().stream(stream).expect("a stream"), window, zone: None }
}

fn read(stream: &str, status: u16, body: &str) -> Result<crate::source::Page, Fault> {
    let fetch = Withings.plan(&ask(stream)).remove(0);
    Withings.read(&fetch, &Response { status, headers: &[], body: body.as_bytes() })
}

#[test]
fn a_window_is_asked_for_to_its_last_second_and_day() {
    let fetch = Withings.plan(&ask("getmeas")).remove(0);
    assert!(fetch.form.contains(&("startdate", "1760659200".into())) && fetch.form.contains(&("enddate", "1763251199".into())));
    assert!(fetch.form.contains(&("category", "1".into())), "goals are not asked for");
    let fetch = Withings.plan(&ask("getactivity")).remove(0);
    assert!(
        fetch.form.contains(&("startdateymd", "2025-10-17".into())) && fetch.form.contains(&("enddateymd", "2025-11-15".into()))
    );
}

#[test]
fn more_as_number_and_as_boolean_leads_to_the_next_page() {
    for (stream, body) in [
        ("getmeas", r#"{"status":0,"body":{"measuregrps":[{}],"more":1,"offset":300}}"#),
        ("getactivity", r#"{"status":0,"body":{"activities":[{}],"more":true,"offset":300}}"#),
    ] {
        let next = read(stream, 200, body).unwrap().next.expect("another page");
        assert!(next.form.contains(&("offset", "300".into())) && next.page == 1);
    }
    for more in ["0", "false"] {
        let body = format!(r#"{{"status":0,"body":{{"measuregrps":[],"more":{more},"offset":0}}}}"#);
        let page = read("getmeas", 200, &body).unwrap();
        assert!(page.next.is_none() && page.empty);
    }
}

#[test]
fn the_time_of_the_answer_does_not_make_it_another_one() {
    let body = |time: u32, weight: u32| {
        format!(r#"{{"status":0,"body":{{"updatetime":{time},"timezone":"Europe/Paris","measuregrps":[{{"w":{weight}}}]}}}}"#)
    };
    let digest = |time, weight| read("getmeas", 200, &body(time, weight)).unwrap().digest;
    assert_eq!(digest(1, 5), digest(2, 5));
    assert_ne!(digest(1, 5), digest(1, 6));
}

#[test]
fn errors_hide_in_http_200_and_their_bodies_are_empty_in_three_ways() {
    for body in ["{}", "[]", "null"] {
        let fault = |status: i32| read("getmeas", 200, &format!(r#"{{"status":{status},"body":{body}}}"#)).unwrap_err();
        for status in [100, 101, 102, 200, 401] {
            assert_eq!(fault(status), Fault::Reauthorise, "{status}");
        }
        assert_eq!(fault(601), Fault::Limited { after: None });
        assert!(matches!(fault(522), Fault::Again { .. }));
        assert_eq!(fault(2554), Fault::Refused("scope"));
        assert_eq!(fault(503), Fault::Refused("bad_request"));
    }
    assert_eq!(read("getmeas", 410, "").unwrap_err(), Fault::Gone);
    assert!(matches!(read("getmeas", 502, "").unwrap_err(), Fault::Again { .. }));
    assert!(matches!(read("getmeas", 200, "<html>").unwrap_err(), Fault::Broken(_)));
}

#[test]
fn tokens_come_in_the_envelope_with_the_user_as_number_or_text() {
    for userid in ["363", "\"363\""] {
        let body = format!(
            r#"{{"status":0,"body":{{"userid":{userid},"access_token":"a","refresh_token":"r","expires_in":10800,"scope":"user.info,user.metrics"}}}}"#
        );
        let tokens = Withings.read_tokens(&Response { status: 200, headers: &[], body: body.as_bytes() }).unwrap();
        assert_eq!((tokens.user.as_deref(), tokens.scopes.len()), (Some("363"), 2));
    }
}

#[test]
fn a_spent_refresh_token_is_terminal_and_a_busy_endpoint_is_not() {
    let fault = |status, body: &str| Withings.read_tokens(&Response { status, headers: &[], body: body.as_bytes() }).unwrap_err();
    for status in [503, 401, 100] {
        assert!(matches!(fault(200, &format!(r#"{{"status":{status},"body":{{}}}}"#)), TokenFault::Terminal(_)));
    }
    assert!(matches!(fault(200, r#"{"status":601,"body":{}}"#), TokenFault::Again(_)));
    assert!(matches!(fault(503, ""), TokenFault::Again(_)));
}

#[test]
fn digits_are_those_of_value_and_unit() {
    let out = normalized("getmeas.scale");
    assert_eq!(digits(all(&out, &WEIGHT)[0]), "61.500");
    assert_eq!(digits(all(&out, &PULSE_WAVE_VELOCITY)[0]), "7.1");
    assert_eq!(digits(all(&out, &HEIGHT)[0]), "168.00", "metres become centimetres");
}

#[test]
fn a_group_that_may_be_somebody_elses_is_never_final() {
    let out = normalized("getmeas.scale");
    let ambiguous = all(&out, &WEIGHT).into_iter().find(|r| r.record_id == "5000000002:1").expect("the group");
    assert_eq!(ambiguous.status, Status::Preliminary);
}

#[test]
fn a_goal_is_never_a_measurement_and_a_placeholder_is_no_value() {
    let out = normalized("getmeas.scale");
    assert!(all(&out, &WEIGHT).iter().all(|r| digits(r) != "58"));
    assert!(out.unknown.iter().any(|u| u == "goal") && out.unknown.iter().any(|u| u == "fat ratio placeholder"));
    assert_eq!(all(&out, &BODY_FAT).len(), 1);
    let by_hand = all(&out, &WEIGHT).into_iter().find(|r| r.record_id == "5000000003:1").expect("the group");
    assert_eq!(by_hand.method, Method::Manual);
}

#[test]
fn a_segment_is_never_the_whole_body() {
    let out = normalized("getmeas.segments-and-unknown");
    assert_eq!(all(&out, &SEGMENTAL_LEAN_MASS).len(), 2, "two arms are two records");
    assert_eq!(all(&out, &LEAN_MASS).len(), 1);
    assert_eq!(digits(all(&out, &LEAN_MASS)[0]), "48.21");
    assert!(all(&out, &MUSCLE_MASS).is_empty() && all(&out, &FAT_MASS).is_empty());
    assert!(all(&out, &SEGMENTAL_LEAN_MASS).iter().all(|r| r.components.iter().any(|c| c.measure == &BODY_SEGMENT)));
}

#[test]
fn unknown_types_and_attributions_are_counted_and_harm_nobody() {
    let out = normalized("getmeas.segments-and-unknown");
    assert!(out.unknown.iter().any(|u| u == "meastype 197") && out.unknown.iter().any(|u| u == "attrib 17"));
    assert!(out.problems.is_empty());
}

#[test]
fn skin_is_not_body() {
    let out = normalized("getmeas.segments-and-unknown");
    assert_eq!(digits(all(&out, &SKIN_TEMPERATURE)[0]), "36.4");
    assert_eq!(digits(all(&out, &BODY_TEMPERATURE)[0]), "36.71");
}

#[test]
fn blood_pressure_is_one_panel_of_one_group() {
    let out = normalized("getmeas.blood-pressure");
    let panels = all(&out, &BLOOD_PRESSURE);
    assert_eq!(panels.len(), 3, "the group that stands twice is one");
    assert!(panels.iter().all(|p| p.value == Value::Panel && p.components.len() == 2));
    assert_eq!(panels[1].components[1].value, Value::Absent(Absent::Unknown), "a missing half is said to be missing");
    assert_eq!(panels[2].components[0].value, Value::Quantity(126.into()), "confirmed values win");
    assert_eq!(all(&out, &HEART_RATE).len(), 1, "the cuff's pulse stands by itself");
}

#[test]
fn days_are_as_long_as_the_clock_made_them() {
    let out = normalized("getactivity.clock-change");
    let hours: Vec<i64> = all(&out, &STEPS_DAY)
        .iter()
        .map(|r| (r.effective.end().expect("a period").micros - r.effective.start().micros) / 3_600_000_000)
        .collect();
    assert_eq!(hours, [23, 25]);
}

#[test]
fn seconds_become_minutes_and_the_lowest_pulse_is_not_a_resting_one() {
    let out = normalized("getactivity.clock-change");
    assert_eq!(digits(all(&out, &LIGHT_ACTIVITY)[0]), "31.0667");
    assert_eq!(digits(all(&out, &MODERATE_ACTIVITY)[0]), "15");
    assert!(all(&out, &RESTING_HEART_RATE).is_empty());
    assert_eq!(digits(all(&out, &DISTANCE_DAY)[0]), "6012.125");
}

#[test]
fn variability_keeps_its_two_kinds_apart() {
    let (sleep, day) = (normalized("sleep.segments"), normalized("getintradayactivity.minutes"));
    assert_eq!((digits(all(&sleep, &HRV_SDNN)[0]), digits(all(&sleep, &HRV_RMSSD)[0])), ("52".into(), "41".into()));
    assert_eq!((digits(all(&day, &HRV_SDNN)[0]), digits(all(&day, &HRV_RMSSD)[0])), ("48".into(), "39".into()));
}

#[test]
fn a_nights_value_is_the_time_asleep() {
    let out = normalized("sleepsummary.night");
    let night = all(&out, &SLEEP)[0];
    assert_eq!((digits(night), night.local_date.as_deref()), ("435".into(), Some("2026-10-26")));
    let part = |measure| night.components.iter().find(|c| c.measure == measure).map(|c| c.value.clone());
    assert_eq!(part(&TIME_IN_BED), Some(Value::Quantity(495.into())));
    assert_eq!(part(&SLEEP_EFFICIENCY), Some(Value::Quantity(88.into())), "percent, not a fraction");
}

#[test]
fn a_signal_is_microvolts_at_its_own_pace() {
    let body = br#"{"status":0,"body":{"signal":[12,-3,0,7],"sampling_frequency":300,"wearposition":1}}"#;
    let mut out = Normalized::default();
    Withings.normalize(&raw("heart", body), &mut out).unwrap();
    let Value::Samples(samples) = &out.readings[0].components[0].value else { panic!("samples") };
    assert_eq!((samples.period_ms.to_string().as_str(), &*samples.data), ("3.333333333", "12 -3 0 7"));
}

#[test]
fn devices_keep_the_providers_words_and_tolerate_what_is_missing() {
    let out = normalized("getdevice.all");
    assert_eq!(out.devices.len(), 2);
    assert_eq!((out.devices[0].battery.as_deref(), out.devices[1].battery.as_deref()), (Some("high"), None));
    assert_eq!(out.devices[1].last_sync, None);
}

#[test]
fn one_bad_row_spares_its_page() {
    let out = normalized("getmeas.bad-one-row");
    assert_eq!((all(&out, &WEIGHT).len(), out.problems.len()), (1, 2));
    assert_eq!(out.problems[0].path.as_deref(), Some("body.measuregrps[0].measures[0].value"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9a-z._-]{0,120}", stream in 0usize..9) {
        let stream = Withings.profile().streams[stream].id;
        for body in [body.as_slice(), text.as_bytes(), format!(r#"{{"status":0,"body":{{"measuregrps":[{text}],"series":[{text}],"activities":[{text}]}}}}"#).as_bytes()] {
            let _ = call("POST", SECRET, body);
            let _ = Withings.normalize(&raw(stream, body), &mut Normalized::default());
            if let Some(fetch) = Withings.plan(&Ask { stream: Withings.profile().stream(stream).unwrap(), window: Window { start: 0, end: 86_400_000_000 }, zone: None }).first() {
                let _ = Withings.read(fetch, &Response { status: 200, headers: &[], body });
            }
        }
    }
}
