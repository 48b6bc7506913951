//! What is peculiar to this provider. Signatures, broken bodies and the rest are tested for all providers alike.

use std::time::Duration;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method as How, OffsetOrigin};

use super::Strava;
use crate::source::{Fault, Fetch, Method, Response, Source as _};
use crate::testing::{all, ask, digits, fixture};

#[test]
fn the_false_z_of_the_local_start_is_never_believed() {
    let out = fixture(&Strava, "activities.list", None);
    let rides = all(&out, &EXERCISE);
    assert_eq!((rides[0].effective.start().micros, rides[0].effective.start().offset), (1_792_910_100_000_000, Some(-25_200)));
    assert_eq!((rides[1].effective.start().offset, rides[1].effective.start().origin), (Some(3600), OffsetOrigin::Zone));
}

#[test]
fn work_on_the_pedals_is_no_energy_burned_and_calories_are() {
    let energy = |name| {
        let out = fixture(&Strava, name, None);
        let ride = all(&out, &EXERCISE)[0].clone();
        ride.components.iter().find(|c| c.measure == &ENERGY).map(|c| digits(&c.value))
    };
    assert_eq!((energy("activities.list"), energy("activities.detail")), (None, Some("702.5".into())));
}

#[test]
fn what_was_entered_by_hand_says_so_a_bad_row_spares_the_others_and_new_fields_are_counted() {
    let out = fixture(&Strava, "activities.list", None);
    assert_eq!(all(&out, &EXERCISE).iter().map(|r| r.method).collect::<Vec<_>>(), [How::Device, How::Manual]);
    assert_eq!(out.problems.len(), 1);
    assert_eq!(out.unknown, ["activity hover_time"]);
}

#[test]
fn only_an_empty_page_ends_the_list() {
    let first = Strava.plan(&ask(&Strava, "activities", 30)).remove(0);
    let read = |fetch: &Fetch, body: &[u8]| Strava.read(fetch, &Response { status: 200, headers: &[], body }).unwrap();
    let second = read(&first, b"[{}]").next.expect("a second page");
    assert!(second.query.contains(&("page", "2".to_owned())));
    let third = read(&second, b"[{}]").next.expect("a third page");
    assert!(third.query.contains(&("page", "3".to_owned())) && read(&third, b"[]").next.is_none());
}

#[test]
fn a_used_up_quarter_of_an_hour_is_waited_for_and_a_used_up_day_longer() {
    let fetch = Fetch::about("activities", Method::Get, "/api/v3/athlete/activities");
    let limited = |usage: &str| {
        let headers =
            [("x-readratelimit-limit".to_owned(), "100,1000".to_owned()), ("x-readratelimit-usage".to_owned(), usage.to_owned())];
        Strava.read(&fetch, &Response { status: 429, headers: &headers, body: b"" }).unwrap_err()
    };
    assert_eq!(limited("101,300"), Fault::Limited { after: Some(Duration::from_secs(900)) });
    assert_eq!(limited("101,1000"), Fault::Limited { after: Some(Duration::from_secs(21_600)) });
}

#[test]
fn an_activity_is_located_by_digits_alone() {
    let stream = Strava.profile().stream("activities").unwrap();
    assert_eq!(Strava.locate(stream, "42").unwrap().path, "/api/v3/activities/42");
    assert!(Strava.locate(stream, "../42").is_none() && Strava.locate(stream, "").is_none());
}
