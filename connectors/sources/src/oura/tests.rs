//! What is peculiar to this provider. Signatures, broken bodies and the rest are tested for all providers alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method as How, OffsetOrigin, Status};
use headwater_schemas::reading::Value;

use super::Oura;
use crate::source::{Fault, Fetch, Method, Response, Source as _};
use crate::testing::{all, ask, digits, fixture};

#[test]
fn a_night_over_the_clock_change_keeps_its_own_offsets_and_its_length() {
    let out = fixture(&Oura, "sleep.night-nap-and-deleted", None);
    let night = all(&out, &SLEEP)[0];
    let end = night.effective.end().unwrap();
    assert_eq!((night.effective.start().offset, end.offset), (Some(7200), Some(3600)));
    assert_eq!(digits(&night.value), "467");
    assert_eq!((end.micros - night.effective.start().micros) / 1_000_000, 30_822);
}

#[test]
fn rest_is_no_sleep_and_what_was_deleted_is_withdrawn() {
    let out = fixture(&Oura, "sleep.night-nap-and-deleted", None);
    let nights = all(&out, &SLEEP);
    assert_eq!(nights.len(), 3);
    assert!(nights[1].components.iter().any(|c| c.value == Value::Code(&KIND_NAP)));
    assert_eq!(nights[2].status, Status::EnteredInError);
    assert!(out.unknown.iter().any(|word| word == "sleep type rest"));
}

#[test]
fn phases_are_stages_one_after_the_other_and_gaps_of_a_series_stay_gaps() {
    let out = fixture(&Oura, "sleep.night-nap-and-deleted", None);
    let stages = all(&out, &SLEEP_STAGE);
    assert_eq!(stages.len(), 7);
    assert!(stages.windows(2).all(|pair| pair[0].effective.end().unwrap().micros == pair[1].effective.start().micros));
    let Value::Samples(series) = &all(&out, &HRV_RMSSD)[0].value else { panic!("a series") };
    assert_eq!((series.data.as_ref(), series.period_ms.to_string().as_str()), ("E 58.0 61.0 E 66.0", "300000"));
    assert!(all(&out, &HRV_SDNN).is_empty());
}

#[test]
fn a_day_takes_the_offset_of_its_beginning_and_the_persons_zone_before_it() {
    let start = |zone| all(&fixture(&Oura, "daily_sleep.scores", zone), &SLEEP_SCORE)[0].effective.start();
    assert_eq!((start(None).offset, start(None).origin), (Some(7200), OffsetOrigin::Source));
    assert_eq!(start(Some("America/New_York")).offset, Some(-14_400));
    assert_eq!(all(&fixture(&Oura, "daily_sleep.scores", None), &SLEEP_SCORE).len(), 1, "null is no score");
}

#[test]
fn a_deviation_is_no_temperature_and_an_estimate_says_so() {
    let out = fixture(&Oura, "daily_readiness.days", None);
    assert_eq!(digits(&all(&out, &TEMPERATURE_DEVIATION)[0].value), "-0.23");
    assert!(all(&out, &BODY_TEMPERATURE).is_empty());
    assert!(all(&fixture(&Oura, "vo2_max.estimate", None), &VO2_MAX)[0].note.is_some());
}

#[test]
fn what_was_typed_in_says_so_and_fields_of_later_are_counted() {
    let out = fixture(&Oura, "workout.walk-and-manual", None);
    let methods: Vec<_> = all(&out, &EXERCISE).iter().map(|w| w.method).collect();
    assert_eq!(methods, [How::Device, How::Manual]);
    assert!(fixture(&Oura, "daily_activity.days", None).unknown.iter().any(|word| word == "daily_activity shoe_size"));
}

#[test]
fn the_path_is_spelled_as_the_provider_spells_it() {
    let path = |stream| Oura.plan(&ask(&Oura, stream, 30)).remove(0).path;
    assert_eq!((path("vo2_max").as_str(), path("sleep").as_str()), ("/v2/usercollection/vO2_max", "/v2/usercollection/sleep"));
    assert!(Oura.plan(&ask(&Oura, "heartrate", 1))[0].query.iter().any(|(name, _)| *name == "start_datetime"));
}

#[test]
fn an_app_too_old_and_a_lapsed_membership_are_not_asked_again() {
    let fetch = Fetch::about("sleep", Method::Get, "/v2/usercollection/sleep");
    let read = |fetch: &Fetch, status| Oura.read(fetch, &Response { status, headers: &[], body: b"{}" });
    assert!(matches!(read(&fetch, 426), Err(Fault::Refused("app_outdated"))));
    assert!(matches!(read(&fetch, 403), Err(Fault::Refused(_))));
    assert!(read(&Fetch::about("revoke", Method::Post, "/oauth/revoke"), 401).is_ok(), "revoked before");
}
