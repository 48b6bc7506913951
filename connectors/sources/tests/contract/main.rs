//! What every source must keep, whoever wrote it. A source is in here by being in `ALL`; what is its own it says in `contract.json` and `fixtures/`.

mod calls;
mod cloud;
mod fixtures;
mod mutants;

use std::path::PathBuf;

use headwater_schemas::ids;
use headwater_schemas::raw::Raw;
use headwater_sources::Source;

/// Counts what is allocated, so that a body cannot make a source use memory without bound.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

pub const DAY: i64 = 86_400_000_000;
pub const MONDAY: i64 = 1_792_972_800_000_000;

pub fn folder(source: &dyn Source) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src").join(source.folder())
}

/// Names (`<stream>.<case>`) and bytes of a source's fixtures that are payloads of a stream.
pub fn payloads(source: &dyn Source) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder(source).join("fixtures")).expect("every source has fixtures");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let named = files.into_iter().map(|path| {
        let name = path.file_stem().and_then(|n| n.to_str()).expect("a plain name").to_owned();
        (name, std::fs::read(path).expect("a readable file"))
    });
    named.filter(|(name, _)| source.profile().stream(stream(name)).is_some()).collect()
}

pub fn stream(name: &str) -> &str {
    name.split('.').next().expect("a name has a first part")
}

/// Fixtures of what must be refused as a whole are called `bad-…`.
pub fn is_bad(name: &str) -> bool {
    name.split('.').nth(1).is_some_and(|case| case.starts_with("bad"))
}

pub fn raw<'a>(source: &dyn Source, stream: &'a str, body: &'a [u8]) -> Raw<'a> {
    let provider = source.profile().id;
    Raw {
        window_start: Some(MONDAY),
        window_end: Some(MONDAY + 7 * DAY),
        http_status: Some(200),
        time_zone: Some("Europe/Berlin"),
        ..Raw::of(provider, stream, (ids::connection(provider, "user-1"), "person-1"), MONDAY + 7 * DAY, body)
    }
}
