//! Every trap of this provider, by name.

mod answers;
mod days;
mod door;
mod hostile;
mod measures;

use std::collections::BTreeMap;

use headwater_schemas::codes::*;
use headwater_schemas::hint::Change;
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Absent, Normalized, Reading, Value};
use headwater_schemas::reject::code;
use proptest::prelude::*;
use uuid::Uuid;

use super::Withings;
use crate::keys::Keys;
use crate::source::{Ask, Entry, Fault, Inbound, Receipt, Refusal, Response, Source as _, TokenFault, Window};
use crate::testing::{self, all};

const SECRET: &str = "f3b1c2";

fn keys() -> Keys {
    Keys { path_secret: Some(SECRET.into()), ..Keys::default() }
}

fn call(method: &str, tail: &str, body: &[u8]) -> Result<Receipt, Refusal> {
    Withings.receive(&Inbound { method, tail, query: "", headers: &[], body, keys: &keys(), now: 0 })
}

fn raw<'a>(stream: &'a str, body: &'a [u8]) -> Raw<'a> {
    Raw {
        window_start: Some(1_761_510_000_000_000),
        time_zone: Some("Europe/Paris"),
        ..Raw::of("withings", stream, (Uuid::nil(), "s"), 0, body)
    }
}

/// A fixture, normalized. Leaked, so that readings may borrow for the length of a test.
fn normalized(name: &str) -> Normalized<'static> {
    let path = format!("{}/src/withings/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let body: &'static [u8] = std::fs::read(path).expect("a fixture").leak();
    let stream: &'static str = name.split('.').next().expect("a stream").to_owned().leak();
    let mut out = Normalized::default();
    Withings.normalize(&raw(stream, body), &mut out).expect("a good payload");
    out
}

fn digits(reading: &Reading<'_>) -> String {
    testing::digits(&reading.value)
}

/// A body of one stream, normalized, whatever comes of it.
fn inline(stream: &str, body: &str) -> Normalized<'static> {
    let body: &'static str = format!(r#"{{"status":0,"body":{body}}}"#).leak();
    let mut out = Normalized::default();
    Withings.normalize(&raw(stream.to_owned().leak(), body.as_bytes()), &mut out).expect("a payload of the stream's shape");
    out
}

fn places<'o>(out: &'o Normalized<'_>) -> Vec<&'o str> {
    out.problems.iter().filter_map(|p| p.path.as_deref()).collect()
}
