//! The traps of this API, each as a test. Payloads are files in `fixtures/`, named by stream and case.

mod answers;
mod days;
mod handshake;
mod hostile;
mod points;
mod sessions;

use std::path::PathBuf;

use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::{Reject, code};
use proptest::prelude::*;
use uuid::Uuid;

use super::streams;
use super::types::{self, Time};
use super::{GoogleHealth, when};
use crate::source::Source;

const LONG_AFTER: i64 = 1_800_000_000_000_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/google_health/fixtures")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.json"))).unwrap()
}

fn raw<'a>(stream: &'a str, time_zone: Option<&'a str>, body: &'a [u8]) -> Raw<'a> {
    Raw { time_zone, ..Raw::of("google_health", stream, (Uuid::nil(), "subject"), LONG_AFTER, body) }
}

fn normalize<'a>(raw: &Raw<'a>) -> Result<Normalized<'a>, Reject> {
    let mut out = Normalized::default();
    GoogleHealth.normalize(raw, &mut out).map(|()| out)
}

/// A fixture as text: slug, record id and value of each reading.
fn lines(out: &Normalized<'_>) -> Vec<String> {
    out.readings.iter().map(|r| format!("{} {} {}", r.measure.slug, r.record_id, value(&r.value))).collect()
}

fn value(value: &Value<'_>) -> String {
    match value {
        Value::Quantity(number) => number.to_string(),
        Value::Code(concept) => concept.code.to_owned(),
        Value::Text(text) => text.clone().into_owned(),
        other => format!("{other:?}"),
    }
}

fn with<T>(name: &str, zone: Option<&str>, check: impl FnOnce(Normalized<'_>) -> T) -> T {
    let body = fixture(name);
    let out = normalize(&raw(name.split_once('.').unwrap().0, zone, &body)).unwrap();
    check(out)
}

fn component<'r, 'a>(reading: &'r Reading<'a>, slug: &str) -> Option<&'r Component<'a>> {
    reading.components.iter().find(|component| component.measure.slug == slug)
}

fn rfc(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).unwrap().to_string()
}

#[test]
fn every_fixture_that_is_not_bad_is_understood_without_problems_and_becomes_what_its_stream_says() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (stream, case) = name.split_once('.').unwrap();
        let body = std::fs::read(folder().join(&name)).unwrap();
        let raw = raw(stream, Some("America/Los_Angeles"), &body);
        if case.starts_with("bad-") {
            assert!(normalize(&raw).map_or(true, |out| !out.problems.is_empty()), "{name}");
            continue;
        }
        let out = normalize(&raw).unwrap();
        assert!(out.problems.is_empty(), "{name}: {:?}", out.problems);
        let stream = GoogleHealth.profile().stream(stream).unwrap_or_else(|| panic!("{name} names no stream"));
        for reading in &out.readings {
            assert!(stream.becomes.contains(&reading.measure), "{name}: {}", reading.measure.slug);
        }
        let mut ids: Vec<_> = out.readings.iter().map(|r| (r.measure.slug, &r.record_id)).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {ids:?}");
        seen += 1;
    }
    assert!(seen > 40);
}

#[test]
fn every_stream_has_a_fixture() {
    let files: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for stream in streams::STREAMS {
        assert!(files.iter().any(|file| file.split_once('.').unwrap().0 == stream.id), "{}", stream.id);
    }
}

#[test]
fn the_three_spellings_follow_from_one_name() {
    for kind in types::TYPES {
        for name in [kind.name, &kind.snake(), &kind.camel()] {
            assert_eq!(types::find(name).unwrap().name, kind.name);
        }
    }
    let kind = types::find("runVo2Max").unwrap();
    assert_eq!((kind.name, kind.snake().as_str(), &*kind.camel()), ("run-vo2-max", "run_vo2_max", "runVo2Max"));
    assert!(types::find("step").is_none() && types::find("").is_none());
}

#[test]
fn every_stream_leads_to_its_type_and_tells_deletions() {
    for stream in streams::STREAMS {
        assert!(streams::of_stream(stream.id).is_some(), "{}", stream.id);
        assert!(stream.poll.unwrap().reconcile, "{}", stream.id);
    }
    let mut ids: Vec<_> = streams::STREAMS.iter().map(|stream| stream.id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
}
