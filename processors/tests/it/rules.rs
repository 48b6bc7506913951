//! Identity, version and status: the rules that are the same for every provider.

use headwater_processors::normalize::normalize;
use headwater_schemas::observation::{Observation, Status};
use headwater_schemas::raw::{Amended, Gone, Origin, Raw};
use headwater_schemas::topics::Subject as _;
use headwater_schemas::{Outbox, Position, codes};

use super::raw;

const WEIGHT: &[u8] =
    br#"{"dataPoints":[{"weight":{"weightGrams":61500,"sampleTime":{"physicalTime":"2026-06-29T00:00:00Z"}}}]}"#;

fn one(raw: &Raw<'_>, look: impl FnOnce(&Observation<'_>)) {
    let mut out = Outbox::default();
    normalize(raw, Position { topic: "t", partition: 1, offset: 7 }, &mut out).expect("a good payload");
    let record = &out.records()[0];
    look(&Observation::decode(out.body(record)).expect("our own record"));
}

fn weight() -> Raw<'static> {
    raw("google_health", "weight", WEIGHT)
}

#[test]
fn the_same_record_has_the_same_id_whatever_its_value() {
    let heavier = String::from_utf8(WEIGHT.to_vec()).unwrap().replace("61500", "61600");
    let mut first = None;
    one(&weight(), |o| first = Some(o.id));
    one(&raw("google_health", "weight", heavier.as_bytes()), |o| assert_eq!(Some(o.id), first));
    one(&Raw { subject_id: "person-2", ..weight() }, |o| assert_ne!(Some(o.id), first, "each person has its own record"));
}

#[test]
fn a_correction_is_amended_and_newer_and_says_where_it_stood_before() {
    let mut id = None;
    one(&weight(), |o| id = Some((o.id, o.start)));
    let (id, start) = id.unwrap();
    let amended =
        |previous_start| Raw { amended: vec![Amended { id, previous_start }], fetched_at: 1_800_000_000_000_000, ..weight() };
    one(&amended(start), |o| {
        assert_eq!((o.status, o.version, o.previous_start), (Status::Amended, 1_800_000_000_000_000, None));
        assert!(o.fhir.contains(r#""status":"amended""#));
    });
    one(&amended(start - 60), |o| assert_eq!(o.previous_start, Some(start - 60)));
}

#[test]
fn what_reappears_is_newer_than_its_withdrawal() {
    one(&Raw { version_floor: Some(1_900_000_000_000_000), ..weight() }, |o| assert_eq!(o.version, 1_900_000_000_000_000));
}

#[test]
fn what_vanished_is_entered_in_error_under_its_own_id_and_without_a_value() {
    for measure in codes::ALL {
        let gone = Gone { id: uuid::Uuid::from_u128(5), data_type: measure.slug.into(), start: 1_790_000_000_000_000, end: None };
        let body = serde_json::to_vec(&[&gone]).unwrap();
        one(&Raw { origin: Origin::Reconcile, body: &body, ..weight() }, |o| {
            assert_eq!((o.id, o.status, o.value_text), (gone.id, Status::EnteredInError, None));
            assert!(o.fhir.contains("dataAbsentReason") && !o.fhir.contains("valueQuantity") && !o.fhir.contains("profile"));
        });
    }
}

#[test]
fn the_resource_points_back_to_the_raw_record_and_names_no_account() {
    one(&weight(), |o| {
        assert_eq!((o.raw_topic, o.raw_partition, o.raw_offset), ("t", 1, 7));
        assert!(o.fhir.contains(r#""source":"urn:headwater:t:1:7""#) && !o.fhir.contains("user-1"));
    });
}

#[test]
fn a_profile_is_claimed_by_a_plain_quantity() {
    one(&weight(), |o| {
        assert!(o.fhir.contains("StructureDefinition/bodyweight"));
        assert_eq!((o.unit, o.code), (Some("kg"), "29463-7"));
    });
}
