//! Every trap of this provider, by name.

use std::collections::BTreeMap;

use headwater_schemas::codes::*;
use headwater_schemas::hint::Change;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Absent, Normalized, Reading, Value};
use headwater_schemas::reject::code;
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
        window_start: Some(1_761_510_000_000_000),
        time_zone: Some("Europe/Paris"),
        ..Raw::of("withings", stream, (Uuid::nil(), "s"), 0, body)
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
    Ask { stream: Withings.profile().stream(stream).expect("a stream"), window, zone: None, object: None }
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
        for status in [215, 259, 602, 2556, 3000, 5006, 10_000, 77_777] {
            assert_eq!(fault(status), Fault::Again { why: "provider_error", after: None }, "{status}");
        }
        for status in [201, 276, 524, 3017] {
            assert_eq!(fault(status), Fault::Refused("bad_request"), "{status}");
        }
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
    for status in [215, 700, 5000] {
        let answer = format!(r#"{{"status":{status},"body":{{}}}}"#);
        assert!(matches!(fault(200, &answer), TokenFault::Again(_)), "an error of theirs ends nobody's consent");
    }
    assert!(matches!(fault(403, "<html>"), TokenFault::Again(_)), "nor does a wall in front of them");
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
fn a_long_signal_is_electrocardiograms_that_follow_one_another() {
    let signal = vec!["7"; 40_000].join(",");
    let body = format!(r#"{{"status":0,"body":{{"signal":[{signal}],"sampling_frequency":500}}}}"#);
    let mut out = Normalized::default();
    Withings.normalize(&raw("heart", body.as_bytes()), &mut out).unwrap();
    let [first, second, third] = &out.readings[..] else { panic!("three, got {}", out.readings.len()) };
    assert_eq!(first.effective.end(), Some(second.effective.start()));
    assert_eq!(second.effective.end(), Some(third.effective.start()));
    assert_eq!(third.effective.end().unwrap().micros - first.effective.start().micros, 80_000_000);
    let whole = first.record_id.clone().into_owned();
    assert_eq!(whole, (first.effective.start().micros / 1_000_000).to_string());
    assert_eq!(second.record_id, format!("{whole}:{}", second.effective.start().micros / 1000));
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

/// A body of one stream, normalized, whatever comes of it.
fn inline(stream: &str, body: &str) -> Normalized<'static> {
    let body: &'static str = format!(r#"{{"status":0,"body":{body}}}"#).leak();
    let mut out = Normalized::default();
    Withings.normalize(&raw(stream.to_owned().leak(), body.as_bytes()), &mut out).expect("a payload of the stream's shape");
    out
}

fn places<'o>(out: &'o Normalized<'_>) -> Vec<&'o str> {
    out.problems.iter().filter_map(|p| p.path.as_deref()).collect()
}

#[test]
fn zones_may_come_with_an_escaped_slash() {
    let body = r#"{"status":0,"body":{"timezone":"Europe\/Paris","measuregrps":[],"more":0,"offset":0}}"#;
    assert!(read("getmeas", 200, body).unwrap().empty);
    let days = inline("getactivity", r#"{"activities":[{"date":"2026-07-01","timezone":"Asia\/Tokyo","steps":5}]}"#);
    assert_eq!(days.problems, []);
    assert_eq!(days.readings[0].effective.start().offset, Some(9 * 3600));
    let groups = r#"{"timezone":"Asia\/Tokyo","measuregrps":[{"grpid":1,"attrib":0,"date":1761516000,"measures":[{"value":6,"type":1,"unit":1}]}]}"#;
    assert_eq!(inline("getmeas", groups).readings[0].effective.start().offset, Some(9 * 3600));
}

#[test]
fn an_answer_without_its_list_is_not_an_empty_one() {
    for stream in ["getmeas", "getactivity", "getworkouts", "sleep", "sleepsummary", "heartlist", "getdevice"] {
        for body in ["{}", "[]", "null", r#"{"other":[]}"#] {
            let answer = read(stream, 200, &format!(r#"{{"status":0,"body":{body}}}"#));
            assert!(matches!(answer, Err(Fault::Broken(_))), "{stream} {body}");
        }
    }
    let Err(Fault::Broken(reject)) = read("heartlist", 200, r#"{"status":0,"body":{"more":false}}"#) else { panic!("no list") };
    assert_eq!(reject.path.as_deref(), Some("body.series"));
    for (stream, list) in [("getactivity", "activities"), ("getintradayactivity", "series"), ("getdevice", "devices")] {
        assert!(read(stream, 200, &format!(r#"{{"status":0,"body":{{"{list}":[]}}}}"#)).unwrap().empty, "{stream}");
    }
}

#[test]
fn more_without_another_offset_is_broken_and_not_the_end() {
    for offset in [r#""offset":0"#, r#""offset":null"#, r#""updatetime":1"#] {
        let body = format!(r#"{{"status":0,"body":{{"measuregrps":[{{}}],"more":1,{offset}}}}}"#);
        let Err(Fault::Broken(reject)) = read("getmeas", 200, &body) else { panic!("{offset}") };
        assert_eq!(reject.path.as_deref(), Some("body.offset"));
    }
    let body = br#"{"status":0,"body":{"measuregrps":[{}],"more":1,"offset":300}}"#;
    let got = Response { status: 200, headers: &[], body };
    let second = Withings.read(&Withings.plan(&ask("getmeas")).remove(0), &got).unwrap().next.expect("another page");
    assert!(matches!(Withings.read(&second, &got), Err(Fault::Broken(_))), "the same offset would be asked for ever");
}

#[test]
fn every_planned_request_names_its_action_and_the_fields_it_wants() {
    for (stream, path, action, fields) in [
        ("getmeas", "/measure", "getmeas", ""),
        ("getactivity", "/v2/measure", "getactivity", "totalcalories"),
        ("getintradayactivity", "/v2/measure", "getintradayactivity", "sdnn1"),
        ("getworkouts", "/v2/measure", "getworkouts", "hr_zone_0"),
        ("sleep", "/v2/sleep", "get", "sdnn_1"),
        ("sleepsummary", "/v2/sleep", "getsummary", "total_sleep_time"),
        ("heartlist", "/v2/heart", "list", ""),
        ("getdevice", "/v2/user", "getdevice", ""),
    ] {
        let fetch = Withings.plan(&ask(stream)).remove(0);
        let field = |name| fetch.form.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value);
        assert_eq!((fetch.path.as_str(), field("action")), (path, action));
        assert!(fields.is_empty() || field("data_fields").split(',').any(|f| f == fields), "{stream}");
    }
    assert_eq!(Withings.plan(&ask("heart")), [], "a signal is asked for by nobody");
}

#[test]
fn each_kind_of_notification_is_subscribed_by_itself() {
    let fetches = Withings.subscribe("https://example.org/webhooks/withings/x");
    let applis: Vec<&str> =
        fetches.iter().filter_map(|f| f.form.iter().find(|(n, _)| *n == "appli")).map(|(_, v)| v.as_str()).collect();
    assert_eq!(applis, ["1", "2", "4", "16", "44", "46", "54"]);
    assert!(fetches.iter().all(|f| f.path == "/notify" && f.form.contains(&("action", "subscribe".into()))));
    for body in ["{}", "[]"] {
        let body = format!(r#"{{"status":0,"body":{body}}}"#);
        assert!(Withings.read(&fetches[0], &Response { status: 200, headers: &[], body: body.as_bytes() }).is_ok());
    }
}

#[test]
fn an_events_date_may_have_a_time_of_day() {
    let receipt = call("POST", SECRET, b"userid=7&appli=54&date=2026-10-26+19%3A30%3A00&deviceid=d").unwrap();
    let [Entry::Hint(notice)] = &receipt.entries[..] else { panic!("one hint") };
    let window = notice.window.expect("a window");
    let recording = 1_793_039_400_000_000;
    assert!(window.start < recording && recording < window.end && notice.streams == ["heartlist"]);
}

#[test]
fn of_a_group_that_stands_twice_the_later_change_counts_in_either_order() {
    let group = |attrib, modified, value| {
        format!(
            r#"{{"grpid":9,"attrib":{attrib},"date":1761516000,"modified":{modified},"measures":[{{"value":{value},"type":1,"unit":-1}}]}}"#
        )
    };
    let (old, new) = (group(1, 1_761_516_001, 700), group(8, 1_761_516_900, 701));
    for pair in [[&old, &new], [&new, &old]] {
        let out = inline("getmeas", &format!(r#"{{"measuregrps":[{},{}]}}"#, pair[0], pair[1]));
        assert_eq!((out.readings.len(), digits(&out.readings[0])), (1, "70.1".into()));
        assert_eq!(out.readings[0].status, Status::Final);
    }
    let broken = new.replace("\"unit\":-1", "\"unit\":-1},{\"value\":1,\"type\":8,\"unit\":-99");
    let out = inline("getmeas", &format!(r#"{{"measuregrps":[{old},{broken}]}}"#));
    assert_eq!((digits(&out.readings[0]), out.problems.len()), ("70.0".into(), 1), "a bad twin leaves the good one alone");
}

#[test]
fn a_rhythm_nobody_knows_decides_nothing_and_is_counted() {
    let out =
        inline("heartlist", r#"{"series":[{"timestamp":1761510000,"ecg":{"signalid":1,"afib":7},"timezone":"Europe/Paris"}]}"#);
    assert_eq!((&out.readings[0].value, out.unknown.len()), (&Value::Code(&RHYTHM_INCONCLUSIVE), 1));
}

#[test]
fn a_row_without_a_zone_takes_the_persons_and_says_so() {
    let out = inline("getactivity", r#"{"activities":[{"date":"2026-07-01","timezone":null,"steps":5}]}"#);
    let start = out.readings[0].effective.start();
    assert_eq!((start.offset, start.origin), (Some(7200), OffsetOrigin::Profile));
    let body = br#"{"status":0,"body":{"activities":[{"date":"2026-07-01","steps":5}]}}"#;
    let mut out = Normalized::default();
    Withings.normalize(&Raw { time_zone: None, ..raw("getactivity", body) }, &mut out).unwrap();
    assert_eq!((out.readings[0].effective.start().offset, out.readings[0].local_date.as_deref()), (None, Some("2026-07-01")));
}

#[test]
fn minutes_of_no_possible_length_and_sums_without_one_are_refused() {
    for duration in ["-60", "99999999999999", "86401"] {
        let out = inline("getintradayactivity", &format!(r#"{{"series":{{"1761516000":{{"steps":3,"duration":{duration}}}}}}}"#));
        assert_eq!((out.readings.len(), places(&out)), (0, vec!["body.series.1761516000.duration"]));
    }
    let out = inline("getintradayactivity", r#"{"series":{"1761516000":{"steps":3,"heart_rate":60}}}"#);
    assert_eq!((all(&out, &HEART_RATE).len(), places(&out)), (1, vec!["body.series.1761516000.steps"]));
}

#[test]
fn a_minute_over_the_clock_change_has_two_offsets() {
    // From 00:59:30 UTC on 2026-10-25; the clocks of Paris go back at 01:00 UTC.
    let out = inline("getintradayactivity", r#"{"series":{"1792889970":{"steps":3,"duration":60}}}"#);
    let during = out.readings[0].effective;
    assert_eq!((during.start().offset, during.end().and_then(|e| e.offset)), (Some(7200), Some(3600)));
}

#[test]
fn ends_before_starts_and_days_that_are_none_are_refused_row_by_row() {
    let row = r#""timezone":"Europe/Paris","startdate":1761500000,"enddate""#;
    for (stream, more) in [("getworkouts", r#","category":2"#), ("sleepsummary", "")] {
        let body = format!(
            r#"{{"series":[{{{row}:1761499999{more}}},{{{row}:1761503600,"date":"yesterday"{more}}},{{{row}:1761503600,"date":"2026-10-26"{more}}}]}}"#
        );
        let out = inline(stream, &body);
        assert_eq!((out.readings.len(), places(&out)), (1, vec!["body.series[0].enddate", "body.series[1].date"]), "{stream}");
    }
    let out = inline("sleep", r#"{"series":[{"startdate":1761500000,"enddate":1761499999,"state":1}]}"#);
    assert_eq!((out.readings.len(), places(&out)), (0, vec!["body.series[0].enddate"]));
}

#[test]
fn a_workout_keeps_its_zones_and_its_doubts() {
    let out = inline(
        "getworkouts",
        r#"{"series":[{"id":1,"category":2,"timezone":"Europe/Paris","attrib":1,"startdate":1761500000,"enddate":1761503600,"data":{"hr_zone_0":90,"hr_zone_3":600}},
            {"id":2,"category":2,"timezone":"Europe/Paris","attrib":17,"startdate":1761500000,"enddate":1761503600,"data":{}}]}"#,
    );
    let part = |measure| out.readings[0].components.iter().find(|c| c.measure == measure).map(|c| c.value.clone());
    assert_eq!(part(&HEART_RATE_ZONE_LIGHT), Some(Value::Quantity("1.5".parse().unwrap())));
    assert_eq!(part(&HEART_RATE_ZONE_PEAK), Some(Value::Quantity(10.into())));
    assert_eq!(out.readings[0].status, Status::Preliminary);
    assert_eq!((out.readings[1].method, &out.unknown[..]), (Method::Unknown, &["attrib 17".into()][..]));
}

#[test]
fn snoring_is_counted_only_where_there_is_some() {
    let night = |values: &str| {
        inline(
            "sleep",
            &format!(r#"{{"series":[{{"startdate":1761500000,"enddate":1761503600,"state":2,"snoring":{values}}}]}}"#),
        )
    };
    assert_eq!(night(r#"{"1761500000":0,"1761500300":0}"#).unknown.len(), 0);
    assert_eq!(night("[]").unknown.len(), 0);
    assert_eq!(night(r#"{"1761500000":0,"1761500300":20}"#).unknown, ["sleep snoring"]);
}

#[test]
fn a_stored_error_envelope_is_told_from_a_body_that_is_cut_off() {
    for (name, expected) in [("getmeas.bad-envelope", code::ERROR_ENVELOPE), ("getmeas.bad-cut-off", code::MALFORMED_JSON)] {
        let body = std::fs::read(format!("{}/src/withings/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"))).expect("a fixture");
        assert_eq!(Withings.normalize(&raw("getmeas", &body), &mut Normalized::default()).unwrap_err().code, expected);
    }
    let unknown = Withings.normalize(&raw("getnothing", br#"{"status":0,"body":{}}"#), &mut Normalized::default()).unwrap_err();
    assert_eq!(unknown.code, code::UNKNOWN_STREAM);
}

#[test]
fn a_pulse_of_nought_is_no_reading_and_is_counted() {
    let group =
        r#"{"grpid":1,"attrib":0,"date":1761516000,"measures":[{"value":0,"type":11,"unit":0},{"value":98,"type":54,"unit":0}]}"#;
    let out = inline("getmeas", &format!(r#"{{"measuregrps":[{group}]}}"#));
    assert_eq!((out.readings.len(), out.readings[0].measure), (1, &SPO2));
    assert_eq!(out.unknown, ["pulse of nought"]);
}

#[test]
fn a_workout_has_the_providers_word_or_its_number() {
    for (category, word) in
        [(20, "Basketball"), (22, "Football"), (23, "Rugby"), (24, "Volleyball"), (9999, "workout category 9999")]
    {
        let row = format!(r#"{{"id":1,"category":{category},"startdate":1761500000,"enddate":1761503600,"data":{{}}}}"#);
        let out = inline("getworkouts", &format!(r#"{{"series":[{row}]}}"#));
        assert_eq!(out.readings[0].value, Value::Text(word.into()), "{category}");
    }
}

#[test]
fn what_others_made_is_not_said_to_be_made_by_withings() {
    let row = |kind: &str| format!(r#"{{"type":"{kind}","model":"m","deviceid":"{kind}"}}"#);
    let body = format!(r#"{{"devices":[{},{},{}]}}"#, row("Scale"), row("HealthKit Apple"), row("Lingo"));
    let makers: Vec<_> = inline("getdevice", &body).devices.into_iter().map(|d| d.manufacturer).collect();
    assert_eq!(makers, [Some("Withings".into()), None, None]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9a-z._-]{0,120}", stream in 0usize..9) {
        let stream = Withings.profile().streams[stream].id;
        for body in [body.as_slice(), text.as_bytes(), format!(r#"{{"status":0,"body":{{"measuregrps":[{text}],"series":[{text}],"activities":[{text}]}}}}"#).as_bytes()] {
            let _ = call("POST", SECRET, body);
            let _ = Withings.normalize(&raw(stream, body), &mut Normalized::default());
            if let Some(fetch) = Withings.plan(&Ask { stream: Withings.profile().stream(stream).unwrap(), window: Window { start: 0, end: 86_400_000_000 }, zone: None, object: None }).first() {
                let _ = Withings.read(fetch, &Response { status: 200, headers: &[], body });
            }
        }
    }

    /// Rows of the right names and hostile values: what random text never reaches.
    #[test]
    fn no_row_makes_it_panic(columns in proptest::collection::vec((0..NAMES.len(), 0..VALUES.len()), 0..12), stream in 0usize..9) {
        let stream = Withings.profile().streams[stream].id;
        let mut row: BTreeMap<&str, &str> = SOUND.iter().copied().collect();
        if stream != "getmeas" {
            row.insert("date", "\"2026-03-29\"");
        }
        row.extend(columns.into_iter().map(|(name, value)| (NAMES[name], VALUES[value])));
        let data: Vec<String> = row.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let data = data.join(",");
        let row = format!(r#"{{{data},"data":{{{data}}},"measures":[{{{data}}}],"ecg":{{{data}}},"hr":{{"1761516000":1}}}}"#);
        let lists = format!(r#""measuregrps":[{row},{row}],"activities":[{row}],"devices":[{row}],"signal":[1],"sampling_frequency":300"#);
        for series in [format!("[{row}]"), format!(r#"{{"1761516000":{row}}}"#)] {
            let body = format!(r#"{{"status":0,"body":{{{lists},"series":{series}}}}}"#);
            let mut out = Normalized::default();
            if Withings.normalize(&raw(stream, body.as_bytes()), &mut out).is_ok() {
                for reading in &out.readings {
                    prop_assert!(reading.effective.end().is_none_or(|end| end.micros >= reading.effective.start().micros));
                }
            }
        }
    }
}

const SOUND: &[(&str, &str)] = &[
    ("grpid", "1"),
    ("attrib", "0"),
    ("date", "1761516000"),
    ("timestamp", "1761516000"),
    ("startdate", "1761516000"),
    ("enddate", "1761519600"),
    ("category", "1"),
    ("state", "1"),
    ("type", "1"),
    ("unit", "-1"),
    ("value", "700"),
];
const NAMES: &[&str] = &[
    "grpid",
    "attrib",
    "date",
    "timestamp",
    "startdate",
    "enddate",
    "category",
    "state",
    "type",
    "unit",
    "value",
    "modified",
    "duration",
    "steps",
    "soft",
    "hr_min",
    "hr_zone_0",
    "heart_rate",
    "timezone",
    "position",
    "completed",
    "id",
    "signalid",
    "afib",
    "total_sleep_time",
    "sleep_efficiency",
    "deepsleepduration",
    "lightsleepduration",
    "last_session_date",
    "deviceid",
    "model",
    "fw",
];
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "9",
    "10",
    "-1",
    "130",
    "173",
    "1e28",
    "0.1",
    "9223372036854775807",
    "-9223372036854775808",
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
    "99999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"7\"",
    "\"2026-03-29\"",
    "\"Europe\\/Paris\"",
    "\"No/Where\"",
    "1761516060",
];
