//! Raw records as the fetcher makes them, about a kilobyte each, every one with its own values.

use headwater_schemas::codes::{self, Measure};
use headwater_schemas::ids;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Topic, wire};
use headwater_store::seal::DataKey;
use uuid::Uuid;

pub const PROVIDER: &str = "withings";
/// Observations of one record.
pub const EACH: u64 = 3;

/// What they are of.
pub static MEASURES: [&Measure; EACH as usize] = [&codes::WEIGHT, &codes::BODY_FAT, &codes::MUSCLE_MASS];
/// The number of the first group.
const GROUP: u64 = 5_000_000_000;

/// The topic of these records.
pub fn topic(namespace: &str) -> String {
    let topic: &Topic = &topics::RAW;
    topic.name(namespace, Some(PROVIDER))
}

/// People whom the records are about.
pub const PEOPLE: u64 = 1000;

pub fn person(n: u64) -> String {
    format!("person-{}", n % PEOPLE)
}

/// Key and framed value of record `n`: one body-composition group of a scale.
pub fn record(n: u64, schema_id: u32) -> (String, Vec<u8>) {
    let (connection, body, person) = (connection(n), body(n), person(n));
    (connection.to_string(), framed(&raw(n, (connection, &person), &body), schema_id))
}

/// The same with its body sealed, as the fetcher seals it.
pub fn sealed(n: u64, schema_id: u32, key: &DataKey) -> anyhow::Result<(String, Vec<u8>)> {
    let (connection, body, person) = (connection(n), body(n), person(n));
    let open = raw(n, (connection, &person), &body);
    let (body, id) = (headwater_store::body::seal(key, &open)?, key.id().simple().to_string());
    let raw = Raw { body: &body, encryption: Some(headwater_store::body::note(&id)), ..open };
    Ok((connection.to_string(), framed(&raw, schema_id)))
}

/// When the observations of record `n` start, in microseconds since the epoch.
pub fn start(n: u64) -> i64 {
    (date(n) * 1_000_000).cast_signed()
}

/// Which record an observation is of.
pub fn number(record_id: &str) -> Option<u64> {
    record_id.split_once(':')?.0.parse::<u64>().ok()?.checked_sub(GROUP)
}

fn date(n: u64) -> u64 {
    1_780_000_000 + n % 10_000_000
}

fn connection(n: u64) -> Uuid {
    ids::connection(PROVIDER, &format!("user-{}", n % PEOPLE))
}

fn body(n: u64) -> String {
    let (grpid, date, weight) = (GROUP + n, date(n), 60_000 + n % 30_000);
    format!(
        r#"{{"status":0,"body":{{"updatetime":{date},"timezone":"Europe/Paris","measuregrps":[{{"grpid":{grpid},"attrib":0,"date":{date},"created":{date},"modified":{date},"category":1,"deviceid":"892359876fd8805ac45bab078c4828692f0276b1","hash_deviceid":"892359876fd8805ac45bab078c4828692f0276b1","measures":[{{"value":{weight},"type":1,"unit":-3,"algo":0,"fm":3}},{{"value":{},"type":6,"unit":-3,"algo":0,"fm":3}},{{"value":{},"type":76,"unit":-2,"algo":0,"fm":3}}],"modelid":13,"model":"Body Cardio","comment":null}}],"more":0,"offset":0}}}}"#,
        18_000 + n % 9000,
        4_000 + n % 900,
    )
}

fn raw<'a>(n: u64, whose: (Uuid, &'a str), body: &'a str) -> Raw<'a> {
    Raw {
        raw_id: Uuid::from_u128(n.into()),
        window_start: Some(1_780_000_000_000_000),
        window_end: Some(1_790_000_000_000_000),
        request: Some("POST /measure"),
        http_status: Some(200),
        time_zone: Some("Europe/Paris"),
        ..Raw::of(PROVIDER, "getmeas", whose, 1_790_000_000_000_000, body.as_bytes())
    }
}

fn framed(raw: &Raw<'_>, schema_id: u32) -> Vec<u8> {
    let mut value = Vec::with_capacity(1200);
    wire::frame(schema_id, &mut value);
    raw.encode(&mut value);
    value
}
