//! Every measure and every form of a value, beyond what the fixtures happen to hold: the FHIR validator reads these snapshots too.

use headwater_schemas::ids;
use headwater_schemas::reading::{Absent, Comparator, Samples};

use super::*;

pub(in crate::normalize) const NOON: i64 = 1_790_164_800_000_000;
pub(in crate::normalize) const HOUR: i64 = 3_600_000_000;
pub(in crate::normalize) const RAW: Position<'_> = Position { topic: "raw.a", partition: 3, offset: 42 };

fn stamp(micros: i64, offset: Option<i32>) -> Stamp {
    Stamp { micros, offset, origin: if offset.is_some() { OffsetOrigin::Source } else { OffsetOrigin::None } }
}

pub(in crate::normalize) fn summer(micros: i64) -> Stamp {
    stamp(micros, Some(7200))
}

pub(in crate::normalize) fn raw() -> Raw<'static> {
    Raw::of("own_source", "own_source", (ids::connection("own_source", "user-1"), "person-1"), NOON, b"")
}

fn line(reading: &Reading<'_>, status: Status) -> String {
    let raw = raw();
    let id = ids::observation(raw.connection_id, raw.subject_id, reading.measure.slug, &reading.record_id);
    let mut out = String::new();
    render(&raw, RAW, reading, &Identity { id, status, version: NOON, previous_start: None }, Some(Uuid::from_u128(7)), &mut out);
    out + "\n"
}

pub(in crate::normalize) fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "../../../tests/it/snapshots", omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}

/// All but the two that are only ever halves of a blood pressure.
fn measures() -> impl Iterator<Item = &'static Measure> {
    let halves = [codes::SYSTOLIC.slug, codes::DIASTOLIC.slug];
    codes::ALL.iter().copied().filter(move |m| !halves.contains(&m.slug))
}

fn pressure() -> Vec<Component<'static>> {
    [(&codes::SYSTOLIC, 122), (&codes::DIASTOLIC, 79)]
        .map(|(measure, value)| Component { measure, value: Value::Quantity(Decimal::from(value)) })
        .into()
}

#[test]
fn every_measure() {
    let text: String = measures()
        .map(|measure| {
            let value = match measure.unit {
                _ if measure == &codes::BLOOD_PRESSURE => Value::Panel,
                Some(_) => Value::Quantity(Decimal::new(615, 1)),
                None => Value::Text("a word of the provider".into()),
            };
            let mut reading = Reading::new(measure, "1", Effective::At(summer(NOON)), value);
            if measure == &codes::BLOOD_PRESSURE {
                reading.components = pressure();
            }
            line(&reading, Status::Final)
        })
        .collect();
    snapshot("every-measure", &text);
}

#[test]
fn every_measure_withdrawn() {
    let text: String = measures()
        .map(|measure| {
            let during = Effective::During(stamp(NOON, None), stamp(NOON + HOUR, None));
            line(&Reading::new(measure, "1", during, Value::Absent(Absent::Unknown)), Status::EnteredInError)
        })
        .collect();
    snapshot("every-measure-withdrawn", &text);
}

#[test]
fn every_coded_value() {
    let text: String = codes::CONCEPTS
        .iter()
        .map(|concept| {
            line(
                &Reading::new(&codes::SLEEP_STAGE, concept.code, Effective::At(summer(NOON)), Value::Code(concept)),
                Status::Final,
            )
        })
        .collect();
    snapshot("every-coded-value", &text);
}

#[test]
fn every_form_of_a_value() {
    let one = Decimal::ONE;
    let forms = [
        (&codes::GLUCOSE_INTERSTITIAL_MASS, Value::Limit(Comparator::Less, Decimal::from(40))),
        (&codes::GLUCOSE_INTERSTITIAL_MASS, Value::Limit(Comparator::Greater, Decimal::from(400))),
        (&codes::SPO2, Value::Limit(Comparator::Less, Decimal::from(70))),
        (&codes::VO2_MAX, Value::Range(one, Decimal::TWO)),
        (&codes::ECG_LEAD_I, Value::Samples(Samples { period_ms: Decimal::new(3333, 3), data: "12 -7.5 E L U".into() })),
        (&codes::WEIGHT, Value::Quantity(Decimal::new(80_000, 3))),
        (&codes::TEMPERATURE_DEVIATION, Value::Quantity(Decimal::new(-31, 2))),
        (&codes::HEART_RATE, Value::Absent(Absent::Unknown)),
        (&codes::HEART_RATE, Value::Absent(Absent::Error)),
        (&codes::HEART_RATE, Value::Absent(Absent::NotPerformed)),
        (&codes::EXERCISE, Value::Text("Ski \"touring\" \\ Föhn\u{1}\n\u{1F3BF}".into())),
    ];
    let mut text = String::new();
    for (measure, value) in forms {
        text += &line(&Reading::new(measure, "1", Effective::At(summer(NOON)), value), Status::Amended);
    }
    let ecg = [Component { measure: &codes::ECG_LEAD_I, value: Value::Samples(Samples { period_ms: one, data: "1 2".into() }) }];
    for cgm in [(Some(300_000), Some(true)), (Some(61_500), None), (None, Some(false)), (None, None)] {
        let cgm = Some(Cgm { interval_ms: cgm.0, backfilled: cgm.1 });
        let value = Value::Quantity(Decimal::from(104));
        let at = Effective::At(summer(NOON));
        let reading = Reading { cgm, ..Reading::new(&codes::GLUCOSE_INTERSTITIAL_MASS, "1", at, value) };
        text += &line(&reading, Status::Final);
    }
    text += &line(
        &Reading {
            components: ecg.into(),
            note: Some("estimated by the provider"),
            ..Reading::new(&codes::ECG, "1", Effective::At(summer(NOON)), Value::Panel)
        },
        Status::Preliminary,
    );
    snapshot("every-form-of-a-value", &text);
}

#[test]
fn every_form_of_a_time() {
    const MIDNIGHT: i64 = NOON - NOON % (24 * HOUR);
    let times = [
        Effective::At(stamp(NOON, None)),
        Effective::At(stamp(NOON + 250_000, Some(-34_200))),
        Effective::At(stamp(NOON + 1, Some(20_700))),
        Effective::At(stamp(NOON, Some(50_400))),
        Effective::At(stamp(NOON, Some(3_611))),
        Effective::At(stamp(0, Some(0))),
        Effective::During(summer(NOON), stamp(NOON + HOUR, Some(3600))),
        Effective::During(summer(NOON), summer(NOON)),
        Effective::During(stamp(MIDNIGHT, None), stamp(MIDNIGHT + 24 * HOUR, None)),
    ];
    let mut text = String::new();
    for measure in [&codes::RESTING_HEART_RATE, &codes::STEPS_DAY] {
        for effective in times {
            let mut reading = Reading::new(measure, "1", effective, Value::Quantity(Decimal::from(61)));
            reading.local_date = Some("2026-09-23".into());
            text += &line(&reading, Status::Final);
        }
    }
    snapshot("every-form-of-a-time", &text);
}

/// What a person's own source may say and R4's profiles have no room for: the name stands without the term, or the gap is stated.
#[test]
fn what_no_profile_has_room_for() {
    let number = |n| Value::Quantity(Decimal::from(n));
    let part = |measure, n| Component { measure, value: number(n) };
    let said: [(_, _, Vec<_>); 13] = [
        (&codes::HEART_RATE, Value::Text("racing".into()), vec![]),
        (&codes::HEART_RATE, Value::Text(" ".into()), vec![]),
        (&codes::HEART_RATE, Value::Panel, vec![part(&codes::RESPIRATORY_RATE, 14)]),
        (&codes::RESTING_HEART_RATE, Value::Range(Decimal::from(50), Decimal::from(60)), vec![]),
        (&codes::HEART_RATE_MIN, Value::Range(Decimal::from(50), Decimal::from(60)), vec![]),
        (&codes::RESTING_HEART_RATE, number(55), vec![part(&codes::HEART_RATE, 55)]),
        (&codes::WEIGHT, number(80), vec![part(&codes::FAT_MASS, 16)]),
        (&codes::WEIGHT, number(80), vec![part(&codes::METABOLIC_AGE, 40)]),
        (&codes::BMI, Value::Panel, vec![part(&codes::WEIGHT, 80)]),
        (&codes::SYSTOLIC, number(122), vec![]),
        (&codes::BLOOD_PRESSURE, Value::Panel, vec![part(&codes::DIASTOLIC, 79)]),
        (&codes::BLOOD_PRESSURE, Value::Panel, pressure()),
        (&codes::BLOOD_PRESSURE, Value::Text("high".into()), vec![]),
    ];
    let text: String = said
        .into_iter()
        .map(|(measure, value, components)| {
            let reading = Reading { components, ..Reading::new(measure, "1", Effective::At(stamp(NOON, Some(54_000))), value) };
            line(&reading, Status::Final)
        })
        .collect();
    snapshot("what-no-profile-has-room-for", &text);
}
