//! Every trap of this provider, by name.

use base64::Engine as _;
use headwater_schemas::codes::*;
use headwater_schemas::hint::Change;
use headwater_schemas::observation::{Method, OffsetOrigin};
use headwater_schemas::raw::{Origin, Raw};
use headwater_schemas::reading::{Absent, Normalized, Reading, Value};
use hmac::Hmac;
use proptest::prelude::*;
use uuid::Uuid;

use super::Fitbit;
use crate::keys::Keys;
use crate::profile::Status;
use crate::source::{Entry, Fault, Fetch, Inbound, Method as Verb, Receipt, Refusal, Response, Source as _, Window};

const SECRET: &str = "client-secret";
const BODY: &[u8] = br#"[{"collectionType":"sleep","date":"2026-10-25","ownerId":"A1","ownerType":"user","subscriptionId":"1"},{"collectionType":"userRevokedAccess","date":"2026-10-25","ownerId":"B2","ownerType":"user","subscriptionId":"2"},{"collectionType":"foods","date":"2026-10-25","ownerId":"A1","ownerType":"user","subscriptionId":"1"}]"#;

fn call(method: &str, query: &str, signature: Option<&str>, body: &[u8]) -> Result<Receipt, Refusal> {
    let keys = Keys { client_secret: Some(SECRET.into()), verification_code: Some("code-1".into()), ..Keys::default() };
    let headers: Vec<(&str, &[u8])> = signature.map(|s| ("x-fitbit-signature", s.as_bytes())).into_iter().collect();
    Fitbit.receive(&Inbound { method, tail: "", query, headers: &headers, body, keys: &keys, now: 0 })
}

fn signed<M: hmac::Mac + hmac::digest::KeyInit>(key: &str, body: &[u8]) -> String {
    let mut mac = <M as hmac::Mac>::new_from_slice(key.as_bytes()).expect("any key");
    mac.update(body);
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

fn raw<'a>(stream: &'a str, body: &'a [u8], time_zone: Option<&'a str>) -> Raw<'a> {
    Raw { origin: Origin::Upload, time_zone, ..Raw::of("fitbit", stream, (Uuid::nil(), "s"), 0, body) }
}

fn normalized(name: &str, zone: Option<&'static str>) -> Normalized<'static> {
    let path = format!("{}/src/fitbit/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let body: &'static [u8] = std::fs::read(path).expect("a fixture").leak();
    let stream: &'static str = name.split('.').next().expect("a stream").to_owned().leak();
    let mut out = Normalized::default();
    Fitbit.normalize(&raw(stream, body, zone), &mut out).expect("a good payload");
    out
}

fn all<'o, 'a>(out: &'o Normalized<'a>, measure: &'static Measure) -> Vec<&'o Reading<'a>> {
    out.readings.iter().filter(|r| r.measure == measure).collect()
}

fn digits(value: &Value<'_>) -> String {
    match value {
        Value::Quantity(number) => number.to_string(),
        other => panic!("{other:?} is no quantity"),
    }
}

#[test]
fn the_handshake_is_204_for_the_right_code_and_404_for_a_wrong_one() {
    assert_eq!(call("GET", "verify=code-1", None, b"").unwrap().status, 204);
    for query in ["verify=code-2", "verify=", "", "x=code-1"] {
        assert_eq!(call("GET", query, None, b"").unwrap_err().status, 404, "{query}");
    }
}

#[test]
fn the_signature_is_sha1_over_the_bytes_with_an_ampersand_after_the_secret() {
    let right = signed::<Hmac<sha1::Sha1>>(&format!("{SECRET}&"), BODY);
    assert_eq!(call("POST", "", Some(&right), BODY).unwrap().status, 204);
    let respaced = String::from_utf8(BODY.to_vec()).unwrap().replace(',', ", ");
    for (what, signature, body) in [
        ("without the ampersand", Some(signed::<Hmac<sha1::Sha1>>(SECRET, BODY)), BODY),
        ("another secret", Some(signed::<Hmac<sha1::Sha1>>("other&", BODY)), BODY),
        ("SHA-256", Some(signed::<Hmac<sha2::Sha256>>(&format!("{SECRET}&"), BODY)), BODY),
        ("other spacing", Some(right.clone()), respaced.as_bytes()),
        ("missing", None, BODY),
        ("no base64", Some("%%".into()), BODY),
    ] {
        assert_eq!(call("POST", "", signature.as_deref(), body).unwrap_err().status, 401, "{what}");
    }
}

#[test]
fn a_call_carries_many_entries() {
    let receipt = call("POST", "", Some(&signed::<Hmac<sha1::Sha1>>(&format!("{SECRET}&"), BODY)), BODY).unwrap();
    let [Entry::Hint(sleep), Entry::Hint(revoked)] = &receipt.entries[..] else { panic!("two hints") };
    assert!(sleep.streams.contains(&"sleep") && sleep.window.is_some());
    assert_eq!((revoked.change, revoked.user.as_str(), receipt.ignored), (Change::Revoked, "B2", 1));
    let garbage = b"{}";
    let signature = signed::<Hmac<sha1::Sha1>>(&format!("{SECRET}&"), garbage);
    assert_eq!(call("POST", "", Some(&signature), garbage).unwrap_err().status, 400);
}

#[test]
fn the_cloud_is_over_and_never_asked_again() {
    assert!(matches!(Fitbit.profile().status, Status::Legacy { successor: "google_health", .. }));
    assert!(Fitbit.profile().streams.iter().all(|s| s.poll.is_none()));
    let fetch = Fetch::new("sleep", Window { start: 0, end: 1 }, Verb::Get, "/1.2/user/-/sleep.json");
    let read = |status| Fitbit.read(&fetch, &Response { status, headers: &[], body: b"" });
    assert_eq!(read(410).unwrap_err(), Fault::Gone);
    let headers = [("fitbit-rate-limit-reset".to_owned(), "1200".to_owned())];
    let limited = Fitbit.read(&fetch, &Response { status: 429, headers: &headers, body: b"" }).unwrap_err();
    assert_eq!(limited, Fault::Limited { after: Some(std::time::Duration::from_secs(1200)) });
}

#[test]
fn local_times_take_the_profiles_zone_and_say_so() {
    let out = normalized("sleep.classic-nap", Some("America/New_York"));
    let start = all(&out, &SLEEP)[0].effective.start();
    assert_eq!((start.offset, start.origin), (Some(-14_400), OffsetOrigin::Profile));
    let out = normalized("sleep.classic-nap", None);
    let start = all(&out, &SLEEP)[0].effective.start();
    assert_eq!((start.offset, start.origin), (None, OffsetOrigin::None));
}

#[test]
fn a_night_over_the_clock_change_keeps_its_length_and_its_stages_in_order() {
    let out = normalized("sleep.stages", Some("Europe/Paris"));
    let night = all(&out, &SLEEP)[0];
    assert_eq!(night.effective.end().unwrap().micros - night.effective.start().micros, 27_000_000_000);
    let stages = all(&out, &SLEEP_STAGE);
    assert_eq!(stages.len(), 4, "short wakes lie over the stages and are no time of their own");
    assert!(stages.windows(2).all(|pair| pair[0].effective.end().unwrap().micros == pair[1].effective.start().micros));
    assert_eq!(stages[3].effective.end().unwrap().micros, night.effective.end().unwrap().micros);
}

#[test]
fn a_nap_is_said_to_be_one_and_what_was_entered_by_hand_too() {
    let out = normalized("sleep.classic-nap", None);
    let nap = all(&out, &SLEEP)[0];
    assert!(nap.components.iter().any(|c| c.value == Value::Code(&KIND_NAP)));
    assert_eq!((nap.method, digits(&nap.value).as_str()), (Method::Manual, "60"));
}

#[test]
fn text_values_keep_their_digits_and_no_steps_are_no_measurement() {
    let out = normalized("steps.days", Some("Europe/Paris"));
    let days = all(&out, &STEPS_DAY);
    assert_eq!(digits(&days[0].value), "6543");
    assert_eq!(days[1].value, Value::Absent(Absent::NotPerformed));
    assert_eq!((days[1].effective.end().unwrap().micros - days[1].effective.start().micros) / 3_600_000_000, 25);
    assert_eq!(digits(&all(&normalized("distance.days", None), &DISTANCE_DAY)[0].value), "4870.01");
}

#[test]
fn miles_are_converted_exactly_and_a_single_log_is_taken() {
    let out = normalized("activities.list", None);
    let distance = |index: usize| {
        let run = all(&out, &EXERCISE)[index];
        run.components.iter().find(|c| c.measure == &DISTANCE).map(|c| digits(&c.value))
    };
    assert_eq!((distance(0).as_deref(), distance(1).as_deref()), (Some("10250"), Some("2414.016")));
    assert_eq!(all(&out, &EXERCISE)[1].effective.start().offset, Some(-18_000));
    assert_eq!(all(&normalized("activities.single", None), &EXERCISE).len(), 1);
}

#[test]
fn an_hour_that_comes_twice_is_told_apart_by_its_order() {
    let out = normalized("heart.clock-change", Some("Europe/Paris"));
    let moments: Vec<i64> = all(&out, &HEART_RATE).iter().map(|r| r.effective.start().micros).collect();
    assert_eq!(moments.len(), 4, "a pulse of nought is no reading");
    assert!(moments.windows(2).all(|pair| pair[0] < pair[1]));
    let mut ids: Vec<_> = all(&out, &HEART_RATE).iter().map(|r| r.record_id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn rmssd_is_never_sdnn_a_deviation_never_a_temperature_and_a_range_stays_one() {
    let out = normalized("hrv.night", None);
    assert_eq!((all(&out, &HRV_RMSSD).len(), all(&out, &HRV_SDNN).len()), (1, 0));
    let out = normalized("temp-skin.night", None);
    assert_eq!(digits(&all(&out, &TEMPERATURE_DEVIATION)[0].value), "-0.6");
    assert!(all(&out, &BODY_TEMPERATURE).is_empty() && all(&out, &SKIN_TEMPERATURE).is_empty());
    let out = normalized("cardioscore.range", None);
    assert_eq!(all(&out, &VO2_MAX)[0].value, Value::Range(44.into(), 48.into()));
    assert_eq!(digits(&all(&out, &VO2_MAX)[1].value), "45");
}

#[test]
fn a_log_id_is_not_a_time_and_a_typed_weight_is_not_a_scales() {
    let out = normalized("weight.logs", Some("America/Los_Angeles"));
    let weights = all(&out, &WEIGHT);
    assert_eq!(digits(&weights[0].value), "61.50");
    assert_eq!((weights[0].method, weights[1].method), (Method::Device, Method::Manual));
    assert_ne!(weights[0].effective.start().micros / 1000, 1_761_289_200_000);
}

#[test]
fn of_an_export_nights_are_read_and_the_rest_is_told() {
    let nights = std::fs::read(format!("{}/src/fitbit/fixtures/sleep.classic-nap.json", env!("CARGO_MANIFEST_DIR")));
    let nights: serde_json::Value = serde_json::from_slice(&nights.expect("a fixture")).expect("JSON");
    let list = nights["sleep"].to_string();
    let zip = crate::testing::zipped(&[
        ("Person/Global Export Data/sleep-2026-10-01.json", &list),
        ("Person/Global Export Data/steps-2026-10-01.json", "[]"),
    ]);
    let brought = crate::testing::Brought::of(&Fitbit, zip).expect("an export");
    assert_eq!(all(&brought.normalized(&Fitbit, "sleep"), &SLEEP).len(), 1);
    assert_eq!(brought.left, ["document steps"]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9a-zA-Z._-]{0,120}", stream in 0usize..15) {
        let stream = Fitbit.profile().streams[stream].id;
        for body in [body.as_slice(), text.as_bytes(), format!(r#"{{"sleep":[{text}],"weight":[{text}]}}"#).as_bytes()] {
            let signature = signed::<Hmac<sha1::Sha1>>(&format!("{SECRET}&"), body);
            let _ = call("POST", "", Some(&signature), body);
            let _ = Fitbit.normalize(&raw(stream, body, Some("Europe/Paris")), &mut Normalized::default());
        }
    }
}
