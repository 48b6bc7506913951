//! Requests, and what their answers are.

use std::time::Duration;

use headwater_schemas::reject::code;
use serde_json::{Value, json};

use super::super::GoogleHealth;
use crate::source::{Ask, Fault, Fetch, Page, Response, Source, Window};

const DAY: i64 = 86_400_000_000;
/// 2026-10-05T00:00:00Z.
const MONDAY: i64 = 1_791_158_400_000_000;

fn plan(stream: &str, days: i64, zone: Option<&str>) -> Fetch {
    let stream = GoogleHealth.profile().stream(stream).unwrap();
    let mut plan =
        GoogleHealth.plan(&Ask { stream, window: Window { start: MONDAY, end: MONDAY + days * DAY }, zone, object: None });
    assert_eq!(plan.len(), 1);
    plan.remove(0)
}

fn query<'f>(fetch: &'f Fetch, name: &str) -> Option<&'f str> {
    fetch.query.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
}

fn read(fetch: &Fetch, status: u16, headers: &[(String, String)], body: &str) -> Result<Page, Fault> {
    GoogleHealth.read(fetch, &Response { status, headers, body: body.as_bytes() })
}

fn failed(status: u16, body: &Value) -> Fault {
    read(&plan("steps", 1, None), status, &[], &body.to_string()).unwrap_err()
}

fn envelope(code: u16, status: &str, reason: Option<&str>) -> Value {
    let details: Vec<_> =
        reason.iter().map(|reason| json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason})).collect();
    json!({"error": {"code": code, "message": "…", "status": status, "details": details}})
}

/// Every way an answer can be read; for the tests that throw bytes at it.
pub fn read_all(body: &[u8]) -> bool {
    [200, 403, 503].iter().all(|status| {
        let got = Response { status: *status, headers: &[], body };
        let _ = GoogleHealth.read_identity(&got);
        GoogleHealth.read(&plan("steps-daily", 1, None), &got).is_ok()
    })
}

#[test]
fn each_kind_of_type_is_filtered_by_the_one_field_it_can_be() {
    let filter = |stream| {
        let fetch = plan(stream, 1, None);
        assert_eq!(fetch.path, format!("/v4/users/me/dataTypes/{stream}/dataPoints"));
        query(&fetch, "filter").unwrap().to_owned()
    };
    assert_eq!(
        filter("active-zone-minutes"),
        "active_zone_minutes.interval.start_time >= \"2026-10-05T00:00:00Z\" AND active_zone_minutes.interval.start_time < \"2026-10-06T00:00:00Z\""
    );
    assert_eq!(
        filter("weight"),
        "weight.sample_time.physical_time >= \"2026-10-05T00:00:00Z\" AND weight.sample_time.physical_time < \"2026-10-06T00:00:00Z\""
    );
    assert_eq!(
        filter("daily-resting-heart-rate"),
        "daily_resting_heart_rate.date >= \"2026-10-04\" AND daily_resting_heart_rate.date < \"2026-10-07\""
    );
    // What starts in the window may end a day later.
    assert_eq!(
        filter("sleep"),
        "sleep.interval.end_time >= \"2026-10-05T00:00:00Z\" AND sleep.interval.end_time < \"2026-10-07T00:00:00Z\""
    );
    // What starts in the window has one of these civil times, wherever it was.
    assert_eq!(
        filter("exercise"),
        "exercise.interval.civil_start_time >= \"2026-10-04T12:00:00\" AND exercise.interval.civil_start_time < \"2026-10-06T14:00:00\""
    );
}

#[test]
fn the_question_does_not_depend_on_where_the_person_lives_now() {
    for stream in GoogleHealth.profile().streams {
        assert_eq!(plan(stream.id, 1, None), plan(stream.id, 1, Some("Pacific/Auckland")), "{}", stream.id);
    }
}

#[test]
fn pages_are_as_large_as_the_type_allows() {
    let size = |stream| query(&plan(stream, 1, None), "pageSize").unwrap().to_owned();
    assert_eq!((size("sleep"), size("exercise"), size("heart-rate")), ("25".into(), "25".into(), "10000".into()));
}

#[test]
fn a_daily_roll_up_asks_for_civil_days_within_the_documented_limit() {
    let fetch = plan("steps-daily", 5, None);
    assert_eq!(fetch.path, "/v4/users/me/dataTypes/steps/dataPoints:dailyRollUp");
    let body: Value = serde_json::from_str(&fetch.json).unwrap();
    let date = |day| json!({"date": {"year": 2026, "month": 10, "day": day}});
    assert_eq!(body, json!({"range": {"start": date(4), "end": date(11)}, "windowSizeDays": 1}));
    for stream in GoogleHealth.profile().streams {
        let longest = stream.poll.unwrap().window_days;
        if plan(stream.id, 1, None).path.ends_with(":dailyRollUp") {
            assert!(longest + 2 <= 14, "{}", stream.id);
        }
    }
}

#[test]
fn pages_follow_their_token_in_a_query_and_in_a_body() {
    let get = plan("steps", 1, None);
    let page = read(&get, 200, &[], r#"{"dataPoints":[{}],"nextPageToken":"t/1="}"#).unwrap();
    let next = page.next.unwrap();
    assert_eq!((next.page, query(&next, "pageToken"), query(&next, "filter")), (1, Some("t/1="), query(&get, "filter")));
    assert!(matches!(read(&next, 200, &[], r#"{"nextPageToken":"t/1="}"#), Err(Fault::Broken(_))));
    assert_eq!(read(&next, 200, &[], r#"{"dataPoints":[{}],"nextPageToken":""}"#).unwrap().next, None);

    let post = plan("total-calories", 1, None);
    let next = read(&post, 200, &[], r#"{"rollupDataPoints":[{}],"nextPageToken":"u"}"#).unwrap().next.unwrap();
    let (asked, again): (Value, Value) = (serde_json::from_str(&post.json).unwrap(), serde_json::from_str(&next.json).unwrap());
    assert_eq!((&again["pageToken"], &again["range"], next.page), (&json!("u"), &asked["range"], 1));
    assert!(matches!(read(&next, 200, &[], r#"{"nextPageToken":"u"}"#), Err(Fault::Broken(_))));
}

#[test]
fn a_body_without_points_is_an_empty_page() {
    for body in ["{}", r#"{"dataPoints":[]}"#, r#"{"dataPoints":null,"nextPageToken":null}"#] {
        let page = read(&plan("steps", 1, None), 200, &[], body).unwrap();
        assert!(page.empty && page.next.is_none(), "{body}");
    }
}

#[test]
fn the_digest_is_of_the_points_alone() {
    let digest = |body| read(&plan("steps", 1, None), 200, &[], body).unwrap().digest;
    let one = digest(r#"{"dataPoints":[{"a":1}],"nextPageToken":"x"}"#);
    assert_eq!(one, digest(r#"{"nextPageToken":"y","dataPoints":[{"a":1}]}"#));
    assert_ne!(one, digest(r#"{"dataPoints":[{"a":2}]}"#));
}

#[test]
fn errors_are_told_apart_by_what_can_be_done_about_them() {
    assert_eq!(failed(429, &envelope(429, "RESOURCE_EXHAUSTED", None)), Fault::Limited { after: None });
    assert_eq!(failed(403, &envelope(403, "RESOURCE_EXHAUSTED", None)), Fault::Limited { after: None });
    assert_eq!(failed(401, &envelope(401, "UNAUTHENTICATED", Some("ACCESS_TOKEN_EXPIRED"))), Fault::Reauthorise);
    assert_eq!(
        failed(403, &envelope(403, "PERMISSION_DENIED", Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT"))),
        Fault::Refused("scope")
    );
    assert_eq!(
        failed(400, &envelope(400, "FAILED_PRECONDITION", Some("ACCOUNT_NOT_LINKED"))),
        Fault::Refused("account_not_linked")
    );
    assert_eq!(failed(400, &envelope(400, "INVALID_ARGUMENT", None)), Fault::Refused("bad_request"));
    assert_eq!(failed(403, &envelope(403, "PERMISSION_DENIED", None)), Fault::Refused("forbidden"));
    assert_eq!(failed(404, &envelope(404, "NOT_FOUND", None)), Fault::Refused("not_found"));
    assert_eq!(failed(410, &json!("gone")), Fault::Gone);
    assert_eq!(failed(503, &envelope(503, "UNAVAILABLE", None)), Fault::Again { why: "server_error", after: None });
    // An error that calls itself a success is an error all the same.
    assert_eq!(failed(200, &envelope(401, "UNAUTHENTICATED", None)), Fault::Reauthorise);
    assert!(matches!(failed(302, &json!({})), Fault::Broken(_)));
}

#[test]
fn how_long_to_wait_is_read_from_the_header_then_from_the_body() {
    let steps = plan("steps", 1, None);
    let header = [("retry-after".to_owned(), "17".to_owned())];
    let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"30.5s"}]}}"#;
    let after = |fault| if let Fault::Limited { after } = fault { after } else { panic!("{fault:?}") };
    assert_eq!(after(read(&steps, 429, &header, body).unwrap_err()), Some(Duration::from_secs(17)));
    assert_eq!(after(read(&steps, 429, &[], body).unwrap_err()), Some(Duration::from_secs(31)));
    assert_eq!(after(read(&steps, 429, &[], "<html>").unwrap_err()), None);
}

#[test]
fn what_is_not_json_is_broken_and_says_where() {
    for (body, expected) in
        [("<html>", code::MALFORMED_JSON), ("[]", code::UNEXPECTED_SHAPE), (r#"{"dataPoints":7}"#, code::UNEXPECTED_SHAPE)]
    {
        let Err(Fault::Broken(reject)) = read(&plan("steps", 1, None), 200, &[], body) else { panic!("{body}") };
        assert_eq!(reject.code, expected, "{body}");
    }
}

#[test]
fn the_account_is_asked_for_and_its_id_read() {
    let fetch = GoogleHealth.identify().unwrap();
    assert_eq!(fetch.path, "/v4/users/me/identity");
    let read = |status, body: &str| GoogleHealth.read_identity(&Response { status, headers: &[], body: body.as_bytes() });
    assert_eq!(read(200, r#"{"name":"users/9/identity","healthUserId":"9","legacyUserId":"ABC"}"#).as_deref(), Some("9"));
    assert_eq!(read(200, r#"{"legacyUserId":"ABC"}"#), None);
    assert_eq!(read(200, r#"{"healthUserId":""}"#), None);
    assert_eq!(read(401, r#"{"healthUserId":"9"}"#), None);
}

#[test]
fn the_profile_asks_for_a_refresh_token_and_only_to_read() {
    let oauth = GoogleHealth.profile().oauth.as_ref().unwrap();
    for extra in [("access_type", "offline"), ("prompt", "consent"), ("include_granted_scopes", "true")] {
        assert!(oauth.authorize_extra.contains(&extra), "{extra:?}");
    }
    assert!(oauth.scopes.iter().all(|scope| scope.ends_with(".readonly")));
    assert!(!oauth.rotates);
}
