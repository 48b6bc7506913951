//! What is peculiar to this provider. Broken bodies and the rest are tested for all providers alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method as How, Status};
use headwater_schemas::reading::{Absent, Comparator, Value};
use rust_decimal::Decimal;

use super::{EU, JP, US};
use crate::source::{Ask, Response, Source as _, Window};
use crate::testing::{all, ask, digits, fixture};

#[test]
fn numbers_next_to_the_range_are_limits_and_a_gap_is_no_nought() {
    let out = fixture(&US, "egvs.limits-and-gaps", None);
    let values: Vec<_> = all(&out, &GLUCOSE_INTERSTITIAL_MASS).iter().map(|r| r.value.clone()).collect();
    assert_eq!(
        values,
        [
            Value::Quantity(132.into()),
            Value::Limit(Comparator::Less, Decimal::from(40)),
            Value::Limit(Comparator::Greater, Decimal::from(400)),
            Value::Absent(Absent::Unknown),
        ]
    );
}

#[test]
fn the_unit_decides_the_code_and_without_one_there_is_none() {
    let out = fixture(&US, "egvs.limits-and-gaps", None);
    assert_eq!(digits(&all(&out, &GLUCOSE_INTERSTITIAL_MOLAR)[0].value), "5.4");
    assert_eq!(out.problems.len(), 1);
    assert_eq!(out.problems[0].path.as_deref(), Some("records[5].unit"));
    assert_eq!(out.unknown, ["egv status resting"]);
}

#[test]
fn the_persons_offset_is_the_displays() {
    let out = fixture(&US, "egvs.limits-and-gaps", None);
    assert_eq!(all(&out, &GLUCOSE_INTERSTITIAL_MASS)[0].effective.start().offset, Some(-28_800));
    assert_eq!(all(&out, &GLUCOSE_INTERSTITIAL_MOLAR)[0].effective.start().offset, Some(-28_800), "a receiver has clocks only");
}

#[test]
fn what_was_entered_says_so_and_what_was_deleted_is_withdrawn_without_its_value() {
    let out = fixture(&US, "events.entered", None);
    let carbs = all(&out, &CARBOHYDRATES);
    assert_eq!((digits(&carbs[0].value).as_str(), carbs[0].method), ("45.5", How::Manual));
    assert_eq!((carbs[1].status, &carbs[1].value), (Status::EnteredInError, &Value::Absent(Absent::Unknown)));
    assert_eq!(
        (out.doses.len(), out.doses[0].dose, out.doses[0].product.as_deref()),
        (2, Some(Decimal::new(35, 1)), Some("fastActing"))
    );
    assert_eq!((out.doses[1].status, out.doses[1].dose), (Status::EnteredInError, None));
    assert_eq!(out.unknown, ["event notes"], "words stay in raw");
}

#[test]
fn windows_are_in_utc_without_saying_so_and_never_longer_than_thirty_days() {
    let fetch = US.plan(&ask(&US, "egvs", 1)).remove(0);
    assert!(fetch.query.iter().all(|(_, value)| !value.ends_with('Z')), "{:?}", fetch.query);
    let day = 86_400_000_000;
    let long = Ask { window: Window { start: 0, end: 31 * day }, ..ask(&US, "egvs", 1) };
    assert!(US.plan(&long)[0].query.contains(&("endDate", "1970-01-31T00:00:00".to_owned())));
}

#[test]
fn each_region_is_a_provider_with_its_own_addresses() {
    let hosts: Vec<_> = [&US, &EU, &JP].map(|region| (region.profile().id, region.profile().api)).to_vec();
    assert_eq!(
        hosts,
        [("dexcom", "https://api.dexcom.com"), ("dexcom_eu", "https://api.dexcom.eu"), ("dexcom_jp", "https://api.dexcom.jp")]
    );
    for region in [&US, &EU, &JP] {
        let (profile, oauth) = (region.profile(), region.profile().oauth.as_ref().unwrap());
        assert!(oauth.authorize.starts_with(profile.api) && oauth.token.starts_with(profile.api));
    }
}

#[test]
fn the_range_of_the_data_tells_who_somebody_is() {
    let got = |status, body: &'static str| Response { status, headers: &[], body: body.as_bytes() };
    let range = r#"{"recordType":"dataRange","userId":"4e35","egvs":{"start":{}}}"#;
    assert_eq!(US.read_identity(&got(200, range)).as_deref(), Some("4e35"));
    assert!(US.read_identity(&got(500, range)).is_none() && US.read_identity(&got(200, "{}")).is_none());
}
