//! Every fixture of every provider, to the end: what a payload becomes is a document to be read, in `snapshots/`.

mod generated;
#[path = "../generated/mod.rs"]
mod made;
mod rules;

use std::fmt::Write as _;
use std::path::PathBuf;

use headwater_processors::normalize::normalize;
use headwater_schemas::device::Device;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Position, Reject, ids};

/// A raw record as the fetcher would have made it.
pub fn raw<'a>(provider: &'a str, stream: &'a str, body: &'a [u8]) -> Raw<'a> {
    Raw {
        http_status: Some(200),
        time_zone: Some("Europe/Paris"),
        ..Raw::of(provider, stream, (ids::connection(provider, "user-1"), "person-1"), 1_790_000_000_000_000, body)
    }
}

/// Runs one raw record and gives its resources, pretty-printed, with what was refused.
pub fn document(raw: &Raw<'_>) -> String {
    let mut out = Outbox::default();
    let (problems, unknown): (Vec<Reject>, usize) = match normalize(raw, Position::NONE, &mut out) {
        Ok(report) => (report.problems, report.unknown),
        Err(reject) => (vec![reject], 0),
    };
    let mut text = String::new();
    for record in out.records() {
        let fhir = if record.topic == &topics::DEVICE {
            Device::decode(out.body(record)).expect("our own record").fhir
        } else if record.topic == &topics::MEDICATION {
            Medication::decode(out.body(record)).expect("our own record").fhir
        } else {
            Observation::decode(out.body(record)).expect("our own record").fhir
        };
        // Parsed only to see that it is JSON; printed as it is, because digits matter.
        serde_json::from_str::<serde::de::IgnoredAny>(fhir).expect("the resource is JSON");
        writeln!(text, "{fhir}").expect("a string takes all");
    }
    problems.iter().for_each(|problem| writeln!(text, "refused: {problem}").expect("a string takes all"));
    if unknown > 0 {
        writeln!(text, "unknown: {unknown}").expect("a string takes all");
    }
    text
}

#[test]
fn every_fixture_becomes_what_its_snapshot_says() {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../connectors/sources/src");
    let mut seen = 0;
    // Regions of one cloud share their fixtures: one of them stands for all.
    for source in headwater_sources::ALL.iter().filter(|source| source.profile().id == source.folder()) {
        let provider = source.profile().id;
        let folder = sources.join(source.folder()).join("fixtures");
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).expect("every provider has fixtures").map(|f| f.expect("a file").path()).collect();
        files.sort();
        for file in files {
            let name = file.file_stem().and_then(|n| n.to_str()).expect("a plain name").to_owned();
            let stream = name.split('.').next().expect("a name has a first part");
            if source.profile().stream(stream).is_none() {
                continue; // not a payload of a stream: a notification, a token answer
            }
            let body = std::fs::read(&file).expect("a readable file");
            let text = document(&raw(provider, stream, &body));
            assert_eq!(text, document(&raw(provider, stream, &body)), "the same bytes give the same bytes");
            insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(format!("{provider}-{name}"), text);
            });
            seen += 1;
        }
    }
    assert!(seen > 0);
}
