//! What is peculiar to this source. Broken bodies and the rest are tested for all sources alike.

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Normalized, Value};

use super::AppleHealth;
use crate::source::Source as _;
use crate::testing::{Brought, all, digits, fixture, raw, zipped};

#[test]
fn units_are_converted_and_a_unit_that_leads_nowhere_is_refused() {
    let out = fixture(&AppleHealth, "records.phone", None);
    assert_eq!(digits(&all(&out, &WEIGHT)[0].value), "61.507125372");
    assert_eq!(digits(&all(&out, &BODY_TEMPERATURE)[0].value), "37");
    assert_eq!(digits(&all(&out, &GLUCOSE_BLOOD_MOLAR)[0].value), "5.6");
    let out = fixture(&AppleHealth, "records.export", None);
    assert_eq!((all(&out, &WEIGHT).len(), out.problems.len()), (0, 1));
    assert_eq!(out.problems[0].path.as_deref(), Some("records[2].unit"));
}

#[test]
fn a_fraction_and_a_percentage_come_to_the_same() {
    for name in ["records.phone", "records.export"] {
        assert_eq!(digits(&all(&fixture(&AppleHealth, name, None), &SPO2)[0].value), "97", "{name}");
    }
}

#[test]
fn a_blood_pressure_is_taken_once_and_insulin_is_no_observation() {
    let out = fixture(&AppleHealth, "records.phone", None);
    assert_eq!((all(&out, &BLOOD_PRESSURE).len(), all(&out, &SYSTOLIC).len()), (1, 0));
    assert_eq!((out.doses.len(), out.doses[0].data_type), (1, INSULIN_BOLUS));
}

#[test]
fn insulin_is_what_its_reason_says_and_a_reason_that_is_not_known_is_counted() {
    let sample = |metadata: &str| {
        let body = format!(
            r#"{{"records":[{{"type":"HKQuantityTypeIdentifierInsulinDelivery","start":"2026-10-25T07:50:00Z","value":4,"unit":"IU"{metadata}}}]}}"#
        );
        let mut out = Normalized::default();
        AppleHealth.normalize(&raw("apple_health", "records", body.leak().as_bytes(), None), &mut out).unwrap();
        (out.doses[0].data_type, out.unknown.join(","))
    };
    let of = |reason: &str| sample(&format!(r#","metadata":{{"HKInsulinDeliveryReason":"{reason}"}}"#));
    assert_eq!((of("1"), of("2")), ((INSULIN_BASAL, String::new()), (INSULIN_BOLUS, String::new())));
    assert_eq!(of("3"), (INSULIN_BOLUS, "HKInsulinDeliveryReason 3".into()));
    assert_eq!(sample(""), (INSULIN_BOLUS, "HKInsulinDeliveryReason absent".into()));
}

#[test]
fn in_bed_is_no_stage_and_core_sleep_keeps_its_length_over_the_clock_change() {
    let out = fixture(&AppleHealth, "records.phone", None);
    let stages = all(&out, &SLEEP_STAGE);
    assert_eq!((stages.len(), &stages[0].value), (1, &Value::Code(&STAGE_DEEP)));
    let length = stages[0].effective.end().unwrap().micros - stages[0].effective.start().micros;
    assert_eq!(length / 60_000_000, 100);
    assert_eq!(digits(&all(&out, &TIME_IN_BED)[0].value), "540");
}

#[test]
fn what_was_typed_says_so_what_was_deleted_is_withdrawn_and_what_is_new_is_counted() {
    let out = fixture(&AppleHealth, "records.phone", None);
    let weights = all(&out, &WEIGHT);
    assert_eq!((weights[0].method, weights[1].status), (Method::Manual, Status::EnteredInError));
    assert!(out.unknown.iter().any(|word| word.contains("HKQuantityTypeIdentifierTimeInDaylight")));
    assert_eq!(all(&out, &HEART_RATE).len(), 1, "a pulse of nought is no reading");
}

#[test]
fn a_row_without_an_id_is_known_by_source_and_time_and_names_nobody() {
    let out = fixture(&AppleHealth, "records.export", None);
    let id = &all(&out, &STEPS_INTERVAL)[0].record_id;
    assert!(id.ends_with(":1551686400:1551686832") && !id.contains("phone"), "{id}");
}

#[test]
fn a_workout_is_a_panel_in_our_units() {
    let out = fixture(&AppleHealth, "workouts.run", None);
    let run = all(&out, &EXERCISE)[0];
    let amount = |measure| run.components.iter().find(|c| c.measure == measure).map(|c| digits(&c.value)).unwrap();
    assert_eq!(run.value, Value::Text("Running".into()));
    assert_eq!((amount(&DISTANCE).as_str(), amount(&ENERGY).as_str()), ("8368.5888", "430.329828"));
    assert_eq!(out.problems.len(), 1, "an end before the start");
}

const RECORD: &str = "<Record type=\"HKQuantityTypeIdentifierHeartRate\" sourceName=\"A &amp; B\" unit=\"count/min\" startDate=\"2019-03-04 09:00:00 +0100\" \
                      endDate=\"2019-03-04 09:00:00 +0100\" value=\"61\"/>";

#[test]
fn the_export_is_the_largest_document_that_is_not_the_clinical_one_whatever_its_name() {
    let xml = format!("<?xml version=\"1.0\"?><HealthData>{RECORD}{RECORD}</HealthData>");
    let clinical = format!("<ClinicalDocument>{}</ClinicalDocument>", "x".repeat(5000));
    let zip = zipped(&[("apple_health_export/export_cda.xml", &clinical), ("apple_health_export/exportaci\u{f3}n.xml", &xml)]);
    let brought = Brought::of(&AppleHealth, zip).expect("an export");
    let out = brought.normalized(&AppleHealth, "records");
    assert_eq!((brought.rows.len(), all(&out, &HEART_RATE).len()), (2, 2));
    assert_eq!(all(&out, &HEART_RATE)[0].effective.start().offset, Some(3600));
}

#[test]
fn declarations_are_never_expanded_and_a_document_that_breaks_off_says_where() {
    let bomb = "<!DOCTYPE HealthData [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><HealthData><Record type=\"&b;\"/></HealthData>";
    assert!(Brought::of(&AppleHealth, bomb.as_bytes().to_vec()).is_err(), "an entity of its own is none of ours");
    let cut = format!("<HealthData>{RECORD}<Record type=\"HK");
    assert!(Brought::of(&AppleHealth, cut.into_bytes()).err().is_some_and(|e| e.contains("breaks at byte")));
    assert!(Brought::of(&AppleHealth, b"<Other/>".to_vec()).err().is_some_and(|e| e.contains("HealthData")));
}
