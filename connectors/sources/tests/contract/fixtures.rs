//! Profiles and payloads.

use std::collections::HashSet;

use headwater_schemas::reading::{Normalized, Value};
use headwater_sources::ALL;

use super::{folder, is_bad, payloads, raw, stream};

#[test]
fn ids_are_plain_words_and_nobody_has_anothers() {
    let mut seen = HashSet::new();
    for source in ALL {
        let profile = source.profile();
        let plain = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        assert!(plain(profile.id) && seen.insert(profile.id), "{}", profile.id);
        let mut streams = HashSet::new();
        for stream in profile.streams {
            assert!(streams.insert(stream.id), "{} has {} twice", profile.id, stream.id);
            assert!(!stream.doc.is_empty() && (stream.devices || !stream.becomes.is_empty()), "{} {}", profile.id, stream.id);
            assert!(stream.poll.is_none_or(|poll| poll.window_days > 0), "{} {}", profile.id, stream.id);
        }
        assert!(profile.poll_minutes.0 <= profile.poll_minutes.1);
        let ways = [profile.oauth.is_some(), profile.upload.is_some(), profile.webhook.is_some()];
        assert!(ways.contains(&true), "{} has no way for data to come", profile.id);
    }
}

#[test]
fn every_source_says_what_is_known_about_it() {
    for source in ALL {
        let readme = std::fs::read_to_string(folder(*source).join("README.md")).expect("a README");
        for heading in ["Facts and traps", "Known gaps"] {
            assert!(readme.contains(heading), "{} has no part called {heading}", source.profile().id);
        }
    }
}

#[test]
fn every_stream_has_a_payload_and_every_payload_becomes_what_the_stream_promises() {
    let mut unsaid = std::collections::BTreeSet::new();
    for source in ALL {
        let (profile, payloads) = (source.profile(), payloads(*source));
        let (mut told, mut said) = (HashSet::new(), HashSet::new());
        for (name, body) in &payloads {
            let of = profile.stream(stream(name)).expect("payloads are of streams");
            let mut out = Normalized::default();
            let done = source.normalize(&raw(*source, of.id, body), &mut out);
            assert_eq!(
                done.is_err(),
                is_bad(name) && out.readings.is_empty() && out.problems.is_empty() && done.is_err(),
                "{} {name}: {done:?}",
                profile.id
            );
            for reading in &out.readings {
                if !of.becomes.contains(&reading.measure) {
                    unsaid.insert(format!("{} {} becomes {}", profile.id, of.id, reading.measure.slug));
                }
                let number =
                    matches!(reading.value, Value::Quantity(_) | Value::Limit(..) | Value::Samples(_) | Value::Range(..));
                assert!(!number || reading.measure.unit.is_some(), "{} {name} has a number without a unit", profile.id);
                said.insert((of.id, reading.measure.slug));
            }
            if !out.readings.is_empty() || !out.devices.is_empty() || !out.doses.is_empty() {
                told.insert(of.id);
            }
        }
        for of in profile.streams {
            if !told.contains(of.id) {
                unsaid.insert(format!("{} {} has no payload that says anything", profile.id, of.id));
            }
        }
    }
    assert!(unsaid.is_empty(), "not said by the stream: {unsaid:#?}");
}

#[test]
fn an_id_holds_neither_value_nor_zone_nor_anything_that_differs_from_call_to_call() {
    for source in ALL {
        for (name, body) in payloads(*source) {
            let ids = |zone| {
                let mut out = Normalized::default();
                let raw = headwater_schemas::raw::Raw { time_zone: zone, ..raw(*source, stream(&name), &body) };
                let _ = source.normalize(&raw, &mut out);
                let ids = out.readings.iter().map(|r| (r.measure.slug, r.record_id.clone().into_owned()));
                ids.collect::<Vec<_>>()
            };
            assert_eq!(ids(Some("Europe/Berlin")), ids(Some("Europe/Berlin")), "{} {name}", source.profile().id);
        }
    }
}

#[test]
fn no_two_records_of_a_payload_have_the_same_id_and_another_time() {
    for source in ALL {
        for (name, body) in payloads(*source) {
            let mut out = Normalized::default();
            let _ = source.normalize(&raw(*source, stream(&name), &body), &mut out);
            let mut seen = std::collections::HashMap::new();
            for reading in &out.readings {
                let before = seen.insert((reading.measure.slug, reading.record_id.clone()), reading.effective);
                assert!(
                    before.is_none_or(|b| b == reading.effective),
                    "{} {name}: {}",
                    source.profile().id,
                    reading.measure.slug
                );
            }
        }
    }
}
