//! What is peculiar to this provider. Broken bodies and the rest are tested for all providers alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method as How, Status};
use headwater_schemas::reading::{Absent, Value};

use super::Garmin;
use crate::keys::Keys;
use crate::source::{Ask, Entry, Fault, Fetch, Inbound, Response, Source as _};
use crate::testing::{all, ask, digits, fixture};

#[test]
fn a_day_is_known_by_its_name_and_preliminary_until_it_is_over() {
    let out = fixture(&Garmin, "dailies.days", None);
    let days = all(&out, &STEPS_DAY);
    assert_eq!((days[0].record_id.as_ref(), days[0].status), ("2026-10-25", Status::Final));
    assert_eq!((digits(&days[1].value).as_str(), days[1].status), ("0", Status::Preliminary));
    assert_eq!(out.problems.len(), 1);
    assert!(out.unknown.iter().any(|word| word == "dailies moonPhase"));
}

#[test]
fn nought_beats_and_stress_below_nought_are_no_readings() {
    let out = fixture(&Garmin, "dailies.days", None);
    assert_eq!((all(&out, &HEART_RATE).len(), all(&out, &RESTING_HEART_RATE).len(), all(&out, &STRESS_AVERAGE).len()), (2, 1, 1));
    assert_eq!(all(&fixture(&Garmin, "stressDetails.minutes", None), &STRESS_LEVEL).len(), 2);
    assert_eq!(all(&fixture(&Garmin, "allDayRespiration.minutes", None), &RESPIRATORY_RATE).len(), 2);
}

#[test]
fn a_night_is_what_was_slept_and_tentative_ones_are_preliminary() {
    let out = fixture(&Garmin, "sleeps.night", None);
    let night = all(&out, &SLEEP)[0];
    assert_eq!((digits(&night.value).as_str(), night.status), ("430", Status::Preliminary));
    assert_eq!(all(&out, &SLEEP_STAGE).len(), 4);
    assert_eq!(all(&out, &RESPIRATORY_RATE).len(), 1);
}

#[test]
fn rmssd_is_never_sdnn_a_difference_never_a_temperature_and_grams_are_exact() {
    let out = fixture(&Garmin, "hrv.night", None);
    assert_eq!((all(&out, &HRV_RMSSD).len(), all(&out, &HRV_SDNN).len()), (3, 0));
    assert_eq!(digits(&all(&fixture(&Garmin, "skinTemp.night", None), &TEMPERATURE_DEVIATION)[0].value), "-0.4");
    assert_eq!(digits(&all(&fixture(&Garmin, "bodyComps.scale", None), &WEIGHT)[0].value), "61.505");
}

#[test]
fn a_blood_pressure_lacks_a_half_openly_and_says_who_wrote_it() {
    let out = fixture(&Garmin, "bloodPressures.cuff", None);
    let [typed, measured] = all(&out, &BLOOD_PRESSURE)[..] else { panic!("two of them") };
    assert_eq!((typed.method, measured.method), (How::Manual, How::Device));
    assert_eq!(measured.components[1].value, Value::Absent(Absent::Unknown));
}

#[test]
fn each_persons_rows_are_stored_by_themselves_byte_for_byte() {
    let keys = Keys { path_secret: Some("s".into()), ..Keys::default() };
    let body = br#"{"hrv":[{"userId":"a", "lastNightAvg" : 44.0},{"userId":"b"},{"userId":"a","x":1}]}"#;
    let call = Inbound { method: "POST", tail: "s", query: "", headers: &[], body, keys: &keys, now: 0 };
    let receipt = Garmin.receive(&call).unwrap();
    let Entry::Payload { user, stream, body } = &receipt.entries[0] else { panic!("a payload") };
    assert_eq!((user.as_str(), *stream), ("a", "hrv"));
    assert_eq!(body, br#"{"hrv":[{"userId":"a", "lastNightAvg" : 44.0},{"userId":"a","x":1}]}"#);
}

#[test]
fn only_the_past_is_asked_for_and_comes_by_the_door() {
    assert!(Garmin.profile().streams.iter().all(|s| s.poll.is_some_and(|p| p.trailing_hours == 0)));
    let fetch = Garmin.plan(&ask(&Garmin, "dailies", 30)).remove(0);
    assert_eq!(fetch.path, "/wellness-api/rest/backfill/dailies");
    let read = |fetch: &Fetch, status, body: &[u8]| Garmin.read(fetch, &Response { status, headers: &[], body });
    assert_eq!(read(&fetch, 202, b"").unwrap_err(), Fault::Coming);
    assert_eq!(read(&fetch, 409, b"").unwrap_err(), Fault::Coming);
    assert!(matches!(read(&fetch, 403, b"").unwrap_err(), Fault::Refused(_)));
    let pinged = Garmin.plan(&Ask { object: Some("https://apis.garmin.com/x?token=t"), ..ask(&Garmin, "dailies", 1) }).remove(0);
    assert_eq!(pinged.path, "https://apis.garmin.com/x?token=t");
    assert!(!format!("{pinged:?}").contains("token"), "an address may hold a secret");
    assert!(!read(&pinged, 200, b"[{}]").unwrap().empty);
}
