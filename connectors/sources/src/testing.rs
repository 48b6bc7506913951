//! What the tests of every provider need.

use headwater_schemas::codes::Measure;
use headwater_schemas::ids;
use headwater_schemas::raw::{Lane, Origin, Raw};
use headwater_schemas::reading::{Normalized, Reading, Value};
use uuid::Uuid;

use crate::source::{Ask, Source, Window};

const DAY: i64 = 86_400_000_000;
/// A Monday, midnight UTC.
const MONDAY: i64 = 1_792_972_800_000_000;

/// A raw record of one provider and stream.
pub fn raw<'a>(provider: &'a str, stream: &'a str, body: &'a [u8], time_zone: Option<&'a str>) -> Raw<'a> {
    Raw {
        raw_id: Uuid::nil(),
        provider,
        connection_id: ids::connection(provider, "user-1"),
        subject_id: "person-1",
        stream,
        lane: Lane::Live,
        origin: Origin::Fetch,
        fetched_at: MONDAY + 7 * DAY,
        window_start: Some(MONDAY),
        window_end: Some(MONDAY + 7 * DAY),
        request: None,
        http_status: Some(200),
        content_type: "application/json",
        headers: vec![],
        time_zone,
        amended: vec![],
        version_floor: None,
        encryption: None,
        body,
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

/// A question about so many days of a stream.
pub fn ask(source: &dyn Source, stream: &str, days: i64) -> Ask<'static> {
    let stream = source.profile().stream(stream).expect("a stream");
    Ask { stream, window: Window { start: MONDAY, end: MONDAY + days * DAY }, zone: None, object: None }
}
