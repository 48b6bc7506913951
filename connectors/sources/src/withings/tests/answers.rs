//! What is asked, and what answers mean before their rows do.

use super::*;

fn ask(stream: &str) -> Ask<'static> {
    let window = Window { start: 1_760_659_200_000_000, end: 1_763_251_200_000_000 };
    Ask { stream: Withings.profile().stream(stream).expect("a stream"), window, zone: None, object: None }
}

pub(super) fn read(stream: &str, status: u16, body: &str) -> Result<crate::source::Page, Fault> {
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
fn a_stored_error_envelope_is_told_from_a_body_that_is_cut_off() {
    for (name, expected) in [("getmeas.bad-envelope", code::ERROR_ENVELOPE), ("getmeas.bad-cut-off", code::MALFORMED_JSON)] {
        let body = std::fs::read(format!("{}/src/withings/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"))).expect("a fixture");
        assert_eq!(Withings.normalize(&raw("getmeas", &body), &mut Normalized::default()).unwrap_err().code, expected);
    }
    let unknown = Withings.normalize(&raw("getnothing", br#"{"status":0,"body":{}}"#), &mut Normalized::default()).unwrap_err();
    assert_eq!(unknown.code, code::UNKNOWN_STREAM);
}
