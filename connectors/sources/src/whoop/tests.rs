//! What is peculiar to this provider. Signatures, broken bodies and the rest are tested for all providers alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::Status;
use headwater_schemas::reading::{Absent, Value};

use super::Whoop;
use crate::source::{Fault, Fetch, Method, Response, Source as _};
use crate::testing::{all, ask, digits, fixture};

#[test]
fn a_night_is_what_was_slept_and_its_time_is_the_persons() {
    let out = fixture(&Whoop, "sleep.night-and-nap", None);
    let nights = all(&out, &SLEEP);
    assert_eq!(digits(&nights[0].value), "500");
    assert_eq!(nights[0].effective.start().offset, Some(7200));
    assert_eq!((nights[1].status, &nights[1].value), (Status::Preliminary, &Value::Absent(Absent::Unknown)));
    assert_eq!(digits(&all(&out, &RESPIRATORY_RATE)[0].value), "16.11328125");
}

#[test]
fn what_cannot_be_scored_says_so_and_a_word_of_later_is_counted() {
    let out = fixture(&Whoop, "sleep.unscorable-and-broken", None);
    let nights = all(&out, &SLEEP);
    assert_eq!((nights[0].status, &nights[0].value), (Status::Final, &Value::Absent(Absent::Error)));
    assert_eq!(out.problems.len(), 1, "an end before the start is refused, its neighbours are not");
    assert!(
        out.unknown.iter().any(|word| word == "score_state DREAMING") && out.unknown.iter().any(|word| word == "sleep dream")
    );
}

#[test]
fn rmssd_is_never_sdnn_and_the_skins_temperature_never_the_bodys() {
    let out = fixture(&Whoop, "recovery.days", None);
    assert_eq!((all(&out, &HRV_RMSSD).len(), all(&out, &HRV_SDNN).len()), (1, 0));
    assert_eq!((all(&out, &SKIN_TEMPERATURE).len(), all(&out, &BODY_TEMPERATURE).len()), (1, 0));
}

#[test]
fn kilojoules_become_kilocalories_and_a_running_cycle_is_preliminary() {
    let out = fixture(&Whoop, "cycle.scored-and-running", None);
    assert_eq!(digits(&all(&out, &ENERGY)[0].value), "1980.9505");
    let strain = all(&out, &STRAIN);
    assert_eq!((strain[0].status, strain[1].status), (Status::Final, Status::Preliminary));
    assert!(all(&out, &HEART_RATE_DAY_MAX).is_empty(), "a cycle is no day");
}

#[test]
fn pages_are_followed_and_a_page_that_leads_to_itself_is_not() {
    let first = Whoop.plan(&ask(&Whoop, "sleep", 30)).remove(0);
    assert_eq!((first.method, first.path.as_str()), (Method::Get, "/developer/v2/activity/sleep"));
    let read = |fetch: &Fetch, body: &[u8]| Whoop.read(fetch, &Response { status: 200, headers: &[], body });
    let page = read(&first, br#"{"records":[{}],"next_token":"a"}"#).unwrap();
    let second = page.next.expect("a second page");
    assert!(second.query.contains(&("nextToken", "a".to_owned())));
    assert!(matches!(read(&second, br#"{"records":[{}],"next_token":"a"}"#), Err(Fault::Broken(_))));
    assert!(read(&second, br#"{"records":[],"next_token":""}"#).unwrap().next.is_none());
}

#[test]
fn a_record_is_located_by_its_id_and_an_odd_id_is_never_put_into_a_path() {
    let stream = Whoop.profile().stream("recovery").unwrap();
    assert_eq!(Whoop.locate(stream, "6f0c-1").unwrap().path, "/developer/v2/activity/sleep/6f0c-1");
    for odd in ["", "../user", "a?b", "a/b", "ä"] {
        assert!(Whoop.locate(stream, odd).is_none(), "{odd}");
    }
    let got = Response { status: 200, headers: &[], body: br#"{"id":"x","start":"2026-10-24T21:12:03.000Z"}"# };
    assert_eq!(Whoop.located(&got), Some(1_792_876_323_000_000));
}
