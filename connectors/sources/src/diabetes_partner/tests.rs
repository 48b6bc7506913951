//! What is peculiar to this source. Broken bodies and the rest are tested for all sources alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::reading::{Cgm, Comparator, Delivery, Parts, Value};
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

#[test]
fn what_was_programmed_stands_beside_what_was_given() {
    let out = fixture(&DiabetesPartner, "data.interrupted", None);
    let told: Vec<_> =
        out.doses.iter().map(|d| (&*d.record_id, d.delivery, d.expected, d.expected_duration_ms, d.interrupted())).collect();
    let two = Decimal::TWO;
    assert_eq!(
        told,
        [
            ("q-03", Some(Delivery::BolusNormal), Some(Decimal::new(45, 1)), None, true),
            ("q-04", Some(Delivery::BolusExtended), Some(two + two), Some(7_200_000), true),
            ("q-05", Some(Delivery::BolusDual), Some(Decimal::from(5)), Some(7_200_000), true),
            ("q-06", Some(Delivery::BolusNormal), None, None, false),
            ("q-07", Some(Delivery::Automated), None, None, false),
            ("q-08", Some(Delivery::BasalTemporary), None, Some(3_600_000), true),
            ("q-09", Some(Delivery::Automated), None, Some(300_000), false),
            ("q-10", Some(Delivery::Suspended), None, Some(1_800_000), false),
            ("q-11", Some(Delivery::BasalScheduled), None, None, false),
            ("q-12", None, None, None, false),
        ]
    );
    let dual = &out.doses[2];
    let normal = Decimal::new(25, 1);
    assert_eq!(dual.parts, Some(Parts { normal, extended: Decimal::new(125, 2) }));
    assert_eq!(dual.expected_parts, Some(Parts { normal, extended: normal }), "the part at once came to its end");
    assert!(out.doses.iter().all(|dose| dose.parts.is_some() == (&*dose.record_id == "q-05")));
    assert!(out.unknown.iter().any(|word| word == "bolus subType pulsed"));
    let paths: Vec<_> = out.problems.iter().filter_map(|p| p.path.as_deref()).collect();
    assert_eq!(paths, ["records[12].expectedNormal", "records[13].sampleInterval"]);
}

#[test]
fn a_sensor_says_how_often_it_measures_and_what_it_handed_in_later() {
    let out = fixture(&DiabetesPartner, "data.interrupted", None);
    let [mass, molar] = [&GLUCOSE_INTERSTITIAL_MASS, &GLUCOSE_INTERSTITIAL_MOLAR].map(|measure| all(&out, measure)[0]);
    assert_eq!(mass.cgm, Some(Cgm { interval_ms: Some(300_000), backfilled: Some(true) }));
    assert_eq!(molar.cgm, Some(Cgm { interval_ms: Some(60_000), backfilled: Some(false) }));
    assert_eq!((mass.components.len(), molar.components.len()), (2, 0), "a rate in a unit that is not known is none");
    assert!(out.unknown.iter().any(|word| word.starts_with("trendRateUnits")));
    assert!(fixture(&DiabetesPartner, "data.pump-and-sensor", None).readings.iter().all(|reading| reading.cgm.is_none()));
}
