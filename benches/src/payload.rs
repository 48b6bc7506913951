//! Raw records as the fetcher makes them, about a kilobyte each, every one with its own values.

use headwater_schemas::ids;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Topic, wire};
use uuid::Uuid;

pub const PROVIDER: &str = "withings";
/// Observations of one record.
pub const EACH: u64 = 3;

/// The topic of these records.
pub fn topic(namespace: &str) -> String {
    let topic: &Topic = &topics::RAW;
    topic.name(namespace, Some(PROVIDER))
}

/// Key and framed value of record `n`: one body-composition group of a scale.
pub fn record(n: u64, schema_id: u32) -> (String, Vec<u8>) {
    let connection = ids::connection(PROVIDER, &format!("user-{}", n % 1000));
    let (grpid, date, weight) = (5_000_000_000 + n, 1_780_000_000 + n % 10_000_000, 60_000 + n % 30_000);
    let body = format!(
        r#"{{"status":0,"body":{{"updatetime":{date},"timezone":"Europe/Paris","measuregrps":[{{"grpid":{grpid},"attrib":0,"date":{date},"created":{date},"modified":{date},"category":1,"deviceid":"892359876fd8805ac45bab078c4828692f0276b1","hash_deviceid":"892359876fd8805ac45bab078c4828692f0276b1","measures":[{{"value":{weight},"type":1,"unit":-3,"algo":0,"fm":3}},{{"value":{},"type":6,"unit":-3,"algo":0,"fm":3}},{{"value":{},"type":76,"unit":-2,"algo":0,"fm":3}}],"modelid":13,"model":"Body Cardio","comment":null}}],"more":0,"offset":0}}}}"#,
        18_000 + n % 9000,
        4_000 + n % 900,
    );
    let subject = format!("person-{}", n % 1000);
    let raw = Raw {
        raw_id: Uuid::from_u128(n.into()),
        window_start: Some(1_780_000_000_000_000),
        window_end: Some(1_790_000_000_000_000),
        request: Some("POST /measure"),
        http_status: Some(200),
        time_zone: Some("Europe/Paris"),
        ..Raw::of(PROVIDER, "getmeas", (connection, &subject), 1_790_000_000_000_000, body.as_bytes())
    };
    let mut value = Vec::with_capacity(1200);
    wire::frame(schema_id, &mut value);
    raw.encode(&mut value);
    (connection.to_string(), value)
}
