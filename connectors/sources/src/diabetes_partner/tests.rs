//! What is peculiar to this source. Broken bodies and the rest are tested for all sources alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::reading::{Comparator, Value};
use rust_decimal::Decimal;

use super::DiabetesPartner;
use crate::testing::{all, digits, fixture};

#[test]
fn the_unit_and_the_kind_of_sample_decide_the_code() {
    let out = fixture(&DiabetesPartner, "data.pump-and-sensor", None);
    assert_eq!(digits(&all(&out, &GLUCOSE_INTERSTITIAL_MOLAR)[0].value), "5.42");
    assert_eq!(all(&out, &GLUCOSE_INTERSTITIAL_MASS)[0].value, Value::Limit(Comparator::Less, 40.into()));
    assert_eq!(all(&out, &GLUCOSE_CAPILLARY_MASS)[0].method, Method::Manual);
}

#[test]
fn the_offset_is_told_or_follows_from_the_zone_across_the_clock_change() {
    let out = fixture(&DiabetesPartner, "data.pump-and-sensor", None);
    assert_eq!(all(&out, &GLUCOSE_INTERSTITIAL_MOLAR)[0].effective.start().offset, Some(7200));
    let later = all(&out, &GLUCOSE_INTERSTITIAL_MASS)[0].effective.start();
    assert_eq!((later.offset, later.origin), (Some(3600), OffsetOrigin::Zone));
}

#[test]
fn doses_are_what_was_given_and_a_stopped_pump_gives_nought() {
    let out = fixture(&DiabetesPartner, "data.pump-and-sensor", None);
    let [bolus, temp, stopped, gone] = &out.doses[..] else { panic!("four doses, got {}", out.doses.len()) };
    assert_eq!((bolus.dose, bolus.product.as_deref()), (Some(Decimal::new(375, 2)), Some("Brand")));
    assert_eq!(bolus.effective.end().unwrap().micros - bolus.effective.start().micros, 3_600_000_000);
    assert_eq!((temp.rate, stopped.rate), (Some(Decimal::new(65, 2)), Some(Decimal::ZERO)));
    assert_eq!((gone.status, gone.data_type), (Status::EnteredInError, INSULIN_BOLUS));
}

#[test]
fn unknown_and_broken_rows_are_each_what_they_are() {
    let out = fixture(&DiabetesPartner, "data.pump-and-sensor", None);
    assert!(out.unknown.iter().any(|word| word == "type pumpSettings"));
    let paths: Vec<_> = out.problems.iter().filter_map(|p| p.path.as_deref()).collect();
    assert_eq!(paths, ["records[9].duration", "records[10].units"]);
}
