//! Bodies as nobody documents them: every value of every fixture replaced by every kind of thing, and bytes flipped, cut and repeated. Nothing
//! may panic, use memory without bound, or tell on the payload.
//!
//! `HEADWATER_MUTANTS` sets how many random mutants each fixture has (100); the systematic ones are always all there.

use headwater_schemas::reading::Normalized;
use headwater_sources::keys::Keys;
use headwater_sources::source::{Ask, Fetch, Inbound, Response, Window};
use headwater_sources::{ALL, Source};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{ALLOCATOR, DAY, MONDAY, payloads, raw, stream};

const CANARY: &str = "C4nary Müller";
/// Bytes that may be allocated for each byte of a body, and beside them.
const PER_BYTE: usize = 400;
const BESIDE: usize = 4 << 20;

/// Faults by their text, so that one run finds them all.
type Faults = std::collections::BTreeSet<String>;

fn check(source: &dyn Source, of: &str, body: &[u8], faults: &mut Faults) {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| through(source, of, body)));
    if let Err(panic) = done {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        faults.insert(format!("{} {of}: {}", source.profile().id, text.unwrap_or_default()));
    }
}

fn through(source: &dyn Source, of: &str, body: &[u8]) {
    let before = ALLOCATOR.allocated();
    let mut out = Normalized::default();
    let done = source.normalize(&raw(source, of, body), &mut out);
    let used = ALLOCATOR.allocated().saturating_sub(before);
    assert!(used <= body.len() * PER_BYTE + BESIDE, "{} {of}: {used} bytes for {}", source.profile().id, body.len());
    let words = out.problems.iter().map(ToString::to_string).chain(done.err().map(|r| r.to_string()));
    for text in words.chain(out.unknown.iter().map(|w| w.clone().into_owned())) {
        assert!(
            !text.contains("C4nary") && !text.contains("Müller"),
            "{} {of} tells on the payload: {text}",
            source.profile().id
        );
        assert!(text.len() < 400, "{} {of}: {text}", source.profile().id);
    }
    let known = source.profile().stream(of).expect("a stream");
    let fetches =
        source.plan(&Ask { stream: known, window: Window { start: MONDAY, end: MONDAY + DAY }, zone: None, object: None });
    let about = Fetch::about("identity", headwater_sources::source::Method::Get, "/");
    for fetch in fetches.iter().chain([&about]) {
        let got = Response { status: 200, headers: &[], body };
        let read = source.read(fetch, &got);
        if let Err(fault) = &read {
            assert!(!fault.to_string().contains("C4nary"), "{} {of}: {fault}", source.profile().id);
        }
        let _ = (source.read_identity(&got), source.located(&got), source.read_tokens(&got));
    }
}

/// Where in a document its values stand.
fn places(value: &Value, path: &mut Vec<String>, all: &mut Vec<String>) {
    all.push(path.concat());
    let mut step = |name: String, inner: &Value| {
        path.push(format!("/{}", name.replace('~', "~0").replace('/', "~1")));
        places(inner, path, all);
        path.pop();
    };
    match value {
        Value::Array(items) => items.iter().take(4).enumerate().for_each(|(index, inner)| step(index.to_string(), inner)),
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| step(name.clone(), inner)),
        _ => {}
    }
}

#[test]
fn every_value_replaced_by_every_kind_of_thing_is_survived_and_told_on_nobody() {
    let kinds = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(1e300),
        json!(0.1),
        json!(""),
        json!(CANARY),
        json!("9".repeat(60)),
        json!("9".repeat(28)),
        json!(i64::MIN),
        json!("-0"),
        json!("2026-02-30T25:61:61+99:99"),
        json!("1969-12-31T23:59:59Z"),
        json!("9999-12-31T23:59:59Z"),
        json!([]),
        json!({}),
        json!([[]]),
        json!({ CANARY: CANARY }),
    ];
    let (mut tried, mut faults) = (0, Faults::new());
    for source in ALL {
        for (name, body) in payloads(*source) {
            let Ok(document) = serde_json::from_slice::<Value>(&body) else { continue };
            let mut all = Vec::new();
            places(&document, &mut Vec::new(), &mut all);
            for place in all {
                for kind in &kinds {
                    let mut mutant = document.clone();
                    *mutant.pointer_mut(&place).expect("a place of the document") = kind.clone();
                    check(*source, stream(&name), &serde_json::to_vec(&mutant).expect("JSON"), &mut faults);
                    tried += 1;
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(tried > 10_000, "{tried}");
}

#[test]
fn random_damage_is_survived() {
    let asked = std::env::vars().find(|(name, _)| name == "HEADWATER_MUTANTS").and_then(|(_, count)| count.parse().ok());
    let count: u32 = asked.unwrap_or(100);
    let (mut dice, mut faults) = (StdRng::seed_from_u64(1), Faults::new());
    for source in ALL {
        for (name, body) in payloads(*source) {
            for _ in 0..count {
                let mut mutant = body.clone();
                for _ in 0..dice.random_range(1..6) {
                    if mutant.is_empty() {
                        break;
                    }
                    let at = dice.random_range(0..mutant.len());
                    match dice.random_range(0..5) {
                        0 => mutant[at] ^= 1 << dice.random_range(0..8),
                        1 => mutant.truncate(at),
                        2 => mutant[at] = dice.random(),
                        3 => {
                            let to = (at + dice.random_range(0..40)).min(mutant.len());
                            let piece = mutant[at..to].to_vec();
                            mutant.splice(at..at, piece);
                        }
                        _ => {
                            let to = (at + dice.random_range(0..40)).min(mutant.len());
                            mutant.drain(at..to);
                        }
                    }
                }
                check(*source, stream(&name), &mutant, &mut faults);
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_call_with_any_body_is_answered() {
    let mut dice = StdRng::seed_from_u64(1);
    let keys =
        Keys { path_secret: Some("s".into()), client_secret: Some("c".into()), signing_key: Some("k".into()), ..Keys::default() };
    let bodies: Vec<Vec<u8>> = ALL.iter().flat_map(|s| payloads(*s)).map(|(_, body)| body).collect();
    for source in ALL {
        for body in &bodies {
            for method in ["POST", "GET", "HEAD"] {
                let at = dice.random_range(0..=body.len());
                for tail in ["s", ""] {
                    let (body, query) = (&body[..at], "verify=x&challenge=y");
                    let _ = source.receive(&Inbound { method, tail, query, headers: &[("x", b"y")], body, keys: &keys, now: 0 });
                }
            }
        }
    }
}
