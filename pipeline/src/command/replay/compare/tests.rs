use headwater_schemas::codes;
use headwater_schemas::observation::{Observation, Status};
use headwater_schemas::topics::Subject as _;

use super::*;

fn state(of: Observation<'_>) -> State {
    let mut body = Vec::new();
    of.encode(&mut body);
    seen(&topics::OBSERVATION, &body).expect("an observation").state
}

/// Made from the raw record at `offset`.
fn weight(offset: i64, fhir: &str) -> Observation<'_> {
    let (version, mapper_version, raw_offset) = (5, 2, offset);
    let value = (Some(70.5), Some("70.5"), Some("kg"));
    let of = Observation::of(&codes::WEIGHT, "s", Uuid::nil(), 0);
    Observation {
        raw_topic: "t",
        version,
        mapper_version,
        raw_offset,
        fhir,
        value: value.0,
        value_text: value.1,
        unit: value.2,
        ..of
    }
}

fn entry(candidate: Option<Observation<'_>>, standing: Option<Observation<'_>>) -> Entry {
    Entry { kind: 0, candidate: candidate.map(state), standing: standing.map(state) }
}

fn row(entry: &Entry) -> Row {
    let mut report = Report::new("n");
    report.add("p", "t", entry);
    report.row("p", "t")
}

#[test]
fn the_same_words_from_another_raw_record_by_another_mapper_are_the_same() {
    let (here, there) = (r#"{"source":"urn:headwater:t:0:7","v":1}"#, r#"{"source":"urn:headwater:t:0:8","v":1}"#);
    let newer = Observation { mapper_version: 3, ..weight(8, there) };
    assert_eq!(entry(Some(newer), Some(weight(7, here))).verdict(), Verdict::Same);
    let other = r#"{"source":"urn:headwater:t:0:8","v":2}"#;
    let changed = row(&entry(Some(weight(8, other)), Some(weight(7, here))));
    assert_eq!(changed, Row { changed: 1, other: 1, stuck: 1, ..Row::default() });
}

#[test]
fn each_change_is_counted_in_what_it_is_a_change_of() {
    let newer = || Observation { mapper_version: 3, ..weight(7, "{}") };
    let one = Row { changed: 1, ..Row::default() };
    for (candidate, expected) in [
        (Observation { value_text: Some("70.50"), fhir: "{ }", ..newer() }, Row { value: 1, ..one }),
        (Observation { unit: Some("g"), ..newer() }, Row { unit: 1, ..one }),
        (Observation { utc_offset: Some(3600), ..newer() }, Row { time: 1, ..one }),
        (Observation { code: "x", unit: Some("g"), ..newer() }, Row { code: 1, unit: 1, ..one }),
        (Observation { status: Status::EnteredInError, ..newer() }, Row { other: 1, ..one }),
        (Observation { status: Status::Amended, value: None, ..newer() }, Row { other: 1, value: 1, ..one }),
    ] {
        assert_eq!(row(&entry(Some(candidate), Some(weight(7, "{}")))), expected);
    }
}

#[test]
fn only_states_of_one_version_are_compared_and_only_a_newer_mapper_replaces() {
    let older = Observation { version: 4, value_text: Some("1"), ..weight(7, "{}") };
    let superseded = entry(Some(older.clone()), Some(weight(7, "{}")));
    assert_eq!((superseded.verdict(), superseded.promotes()), (Verdict::Superseded, false));
    let ahead = entry(Some(weight(7, "{}")), Some(older));
    assert!(ahead.promotes() && !ahead.stuck(), "a newer state of the source replaces whatever the mapper");
    for (mapper_version, stuck) in [(1, true), (2, true), (3, false)] {
        let candidate = Observation { mapper_version, value_text: Some("1"), ..weight(7, "{}") };
        assert_eq!(entry(Some(candidate), Some(weight(7, "{}"))).stuck(), stuck, "mapper {mapper_version}");
    }
    assert_eq!(entry(None, Some(weight(7, "{}"))).verdict(), Verdict::Gone);
    let added = entry(Some(weight(7, "{}")), None);
    assert!(added.verdict() == Verdict::Added && added.promotes() && !added.stuck());
}

#[test]
fn the_newest_state_is_taken_in_whatever_order_they_come() {
    let states = [
        weight(9, "1"),
        Observation { mapper_version: 3, ..weight(7, "2") },
        Observation { version: 6, mapper_version: 1, ..weight(1, "3") },
    ]
    .map(state);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut known = None;
        order.iter().for_each(|index| newest(&mut known, states[*index]));
        assert_eq!(known, Some(states[2]));
    }
    assert_eq!(size_of::<(Uuid, Entry)>(), 136, "the page on replays says so");
}
