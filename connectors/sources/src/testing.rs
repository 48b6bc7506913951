//! What the tests of every provider need.

use std::io::{Cursor, Write as _};

use headwater_schemas::codes::Measure;
use headwater_schemas::ids;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Normalized, Reading, Value};

use crate::files::{Rows, Watch, Wrong};
use crate::source::{Ask, Source, Window};

const DAY: i64 = 86_400_000_000;
/// A Monday, midnight UTC.
const MONDAY: i64 = 1_792_972_800_000_000;

/// A raw record of one provider and stream.
pub fn raw<'a>(provider: &'a str, stream: &'a str, body: &'a [u8], time_zone: Option<&'a str>) -> Raw<'a> {
    Raw {
        window_start: Some(MONDAY),
        window_end: Some(MONDAY + 7 * DAY),
        http_status: Some(200),
        time_zone,
        ..Raw::of(provider, stream, (ids::connection(provider, "user-1"), "person-1"), MONDAY + 7 * DAY, body)
    }
}

/// What a fixture becomes; `name` is `<stream>.<case>`.
pub fn fixture(source: &dyn Source, name: &str, zone: Option<&'static str>) -> Normalized<'static> {
    let provider = source.profile().id;
    let path = format!("{}/src/{provider}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let body: &'static [u8] = std::fs::read(path).expect("a fixture").leak();
    let stream: &'static str = name.split('.').next().expect("a stream").to_owned().leak();
    let mut out = Normalized::default();
    source.normalize(&raw(provider, stream, body, zone), &mut out).expect("a good payload");
    out
}

pub fn all<'o, 'a>(out: &'o Normalized<'a>, measure: &'static Measure) -> Vec<&'o Reading<'a>> {
    out.readings.iter().filter(|r| r.measure == measure).collect()
}

pub fn digits(value: &Value<'_>) -> String {
    match value {
        Value::Quantity(number) => number.to_string(),
        other => panic!("{other:?} is no quantity"),
    }
}

/// What a file of a source's comes to: rows by stream, as they would be brought, and what stays in it.
#[derive(Default)]
pub struct Brought {
    pub rows: Vec<(&'static str, String, String)>,
    pub left: Vec<String>,
}

impl Rows for Brought {
    fn row(&mut self, stream: &'static str, field: &str, row: &[u8]) -> Result<(), Wrong> {
        self.rows.push((stream, field.to_owned(), String::from_utf8_lossy(row).into_owned()));
        Ok(())
    }

    fn left(&mut self, what: &str) {
        self.left.push(what.to_owned());
    }
}

impl Brought {
    /// Reads a file of these bytes.
    pub fn of(source: &dyn Source, bytes: Vec<u8>) -> Result<Self, String> {
        let (mut brought, read) = (Self::default(), std::cell::Cell::new(0));
        let watch = Watch { total: &|_| {}, read: &|bytes| read.set(read.get() + bytes), part: &|_| {} };
        let files = source.files().expect("a source with files");
        (files.read)(&mut Cursor::new(bytes), &watch, &mut brought).map_err(|wrong| wrong.to_string())?;
        assert!(read.get() > 0, "the progress is told");
        Ok(brought)
    }

    /// The readings of what was brought of a stream.
    pub fn normalized(&self, source: &dyn Source, stream: &'static str) -> Normalized<'static> {
        let rows: Vec<&str> = self.rows.iter().filter(|row| row.0 == stream).map(|row| row.2.as_str()).collect();
        let field = &self.rows.iter().find(|row| row.0 == stream).expect("rows of the stream").1;
        let body: &'static [u8] = format!("{{\"{field}\":[{}]}}", rows.join(",")).into_bytes().leak();
        let mut out = Normalized::default();
        source.normalize(&raw(source.profile().id, stream, body, None), &mut out).expect("a good payload");
        out
    }
}

/// A zip of these documents.
pub fn zipped(documents: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in documents {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a document");
        zip.write_all(text.as_bytes()).expect("written");
    }
    zip.finish().expect("a zip").into_inner()
}

/// A question about so many days of a stream.
pub fn ask(source: &dyn Source, stream: &str, days: i64) -> Ask<'static> {
    let stream = source.profile().stream(stream).expect("a stream");
    Ask { stream, window: Window { start: MONDAY, end: MONDAY + days * DAY }, zone: None, object: None }
}
