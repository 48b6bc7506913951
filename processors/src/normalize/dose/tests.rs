//! Every form of a dose, beyond what the fixtures happen to hold: the FHIR validator reads the snapshot too.

use headwater_schemas::codes::{INSULIN_BASAL, INSULIN_BOLUS};
use headwater_schemas::reading::{Delivery, Effective};

use super::super::fhir::tests::{HOUR, NOON, RAW, raw, snapshot, summer};
use super::*;

fn resource(dose: &Dose<'_>) -> String {
    let mut out = String::new();
    render(&raw(), RAW, dose, (Uuid::from_u128(9), NOON), Some(Uuid::from_u128(7)), &mut out);
    out + "\n"
}

fn number(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn hour() -> Effective {
    Effective::During(summer(NOON), summer(NOON + HOUR))
}

/// Half of both parts was given in half of the time.
fn halved() -> Dose<'static> {
    Dose {
        dose: Some(number("3.00")),
        parts: Some(Parts { normal: number("1.25"), extended: number("1.75") }),
        delivery: Some(Delivery::BolusDual),
        expected: Some(number("6.0")),
        expected_parts: Some(Parts { normal: number("2.5"), extended: number("3.5") }),
        expected_duration_ms: Some(7_200_000),
        note: Some("part at once, part spread over the time"),
        ..Dose::new(INSULIN_BOLUS, "1", hour())
    }
}

#[test]
fn every_form_of_a_dose() {
    let mut text: String = Delivery::ALL
        .iter()
        .map(|delivery| {
            let (data_type, dose, rate) = match delivery {
                Delivery::BolusNormal | Delivery::BolusExtended | Delivery::BolusDual => {
                    (INSULIN_BOLUS, Some(number("3.5")), None)
                }
                Delivery::Suspended => (INSULIN_BASAL, None, Some(Decimal::ZERO)),
                _ => (INSULIN_BASAL, None, Some(number("0.65"))),
            };
            let expected_duration_ms = Some(3_600_500);
            resource(&Dose { delivery: Some(*delivery), dose, rate, expected_duration_ms, ..Dose::new(data_type, "1", hour()) })
        })
        .collect();
    text += &resource(&halved());
    for status in [Status::Preliminary, Status::Amended, Status::EnteredInError, Status::Unknown] {
        text += &resource(&Dose { status, ..halved() });
    }
    text += &resource(&Dose::new(INSULIN_BOLUS, "1", Effective::At(summer(NOON))));
    snapshot("every-form-of-a-dose", &text);
}

#[test]
fn a_dose_is_stopped_when_less_or_shorter_than_programmed_unless_it_is_withdrawn_or_was_a_suspension() {
    let status = |dose: &Dose<'_>| {
        let json: serde_json::Value = serde_json::from_str(&resource(dose)).expect("JSON");
        json["status"].as_str().expect("a status").to_owned()
    };
    let done = Dose { dose: Some(number("6")), expected_duration_ms: Some(3_600_000), ..halved() };
    assert_eq!(status(&done), "completed", "all of it in the time that was meant");
    assert_eq!(status(&Dose { dose: Some(number("5.99")), ..done.clone() }), "stopped");
    assert_eq!(status(&Dose { expected_duration_ms: Some(3_600_001), ..done.clone() }), "stopped");
    assert_eq!(status(&Dose { expected_duration_ms: Some(3_599_999), ..done.clone() }), "completed", "longer than meant");
    assert_eq!(status(&Dose { status: Status::EnteredInError, ..halved() }), "entered-in-error");
    let resumed = Dose { dose: None, expected: None, rate: Some(Decimal::ZERO), delivery: Some(Delivery::Suspended), ..halved() };
    assert_eq!(status(&resumed), "completed", "the end of a suspension stops no insulin");
}

#[test]
fn the_columns_say_what_the_resource_says() {
    let (mut out, mut scratch) = (Outbox::default(), Scratch::default());
    put(&raw(), RAW, &halved(), &mut scratch, &mut out);
    let record = Medication::decode(out.body(&out.records()[0])).expect("our own record");
    assert_eq!((record.delivery, record.expected_duration_ms), (Some("bolus-dual"), Some(7_200_000)));
    assert_eq!((record.dose_text, record.expected_text), (Some("3.00"), Some("6.0")));
    assert_eq!((record.normal_text, record.extended_text), (Some("1.25"), Some("1.75")));
    assert_eq!((record.expected_normal, record.expected_extended), (Some(2.5), Some(3.5)));
    assert!(record.fhir.contains(r#""value":1.75"#) && record.fhir.contains(r#""value":7200,"#));
}
