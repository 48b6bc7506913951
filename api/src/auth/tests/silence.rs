//! What callers, logs and metrics learn of a refusal.

use std::io::Write;

use axum::http::header::AUTHORIZATION;
use axum::response::IntoResponse as _;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing_subscriber::fmt::MakeWriter;

use super::super::{DENIED, Denied, Grant, Reason, bearer};
use super::*;

const REASONS: [Reason; 11] = [
    Reason::NoToken,
    Reason::Malformed,
    Reason::Algorithm,
    Reason::UnknownKey,
    Reason::Signature,
    Reason::Expired,
    Reason::NotYet,
    Reason::Audience,
    Reason::Issuer,
    Reason::Scope,
    Reason::KeysUnavailable,
];

async fn answer(reason: Reason) -> (u16, Option<String>, String) {
    let response = Denied::of(reason).into_response();
    let status = response.status().as_u16();
    let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    (status, challenge, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer() {
    let bad = answer(Reason::Malformed).await;
    assert_eq!((bad.0, bad.1.as_deref()), (401, Some("Bearer error=\"invalid_token\"")));
    for reason in REASONS {
        let answer = answer(reason).await;
        match reason {
            Reason::NoToken => assert_eq!((answer.0, answer.1.as_deref()), (401, Some("Bearer"))),
            Reason::Scope => assert_eq!((answer.0, answer.1.as_deref()), (403, Some("Bearer error=\"insufficient_scope\""))),
            Reason::KeysUnavailable => assert_eq!((answer.0, answer.1), (503, None)),
            _ => assert_eq!(answer, bad),
        }
    }
}

#[test]
fn the_token_is_taken_from_one_bearer_header() {
    let given = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(str::to_owned).map_err(|denied| denied.code)
    };
    assert_eq!(given(&["Bearer a.b.c"]).as_deref(), Ok("a.b.c"));
    assert_eq!(given(&["bearer  a.b.c"]).as_deref(), Ok("a.b.c"));
    assert_eq!(given(&[]), Err("no_token"));
    assert_eq!(given(&["Basic YTpi"]), Err("no_token"));
    assert_eq!(given(&["Bearer"]), Err("no_token"));
    assert_eq!(given(&["Bearer a", "Bearer b"]), Err("malformed"));
}

/// Counts by name and labels.
#[derive(Default)]
struct Counts(Mutex<Vec<(Key, Arc<std::sync::atomic::AtomicU64>)>>);

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let count = Arc::default();
        self.0.lock().unwrap().push((key.clone(), Arc::clone(&count)));
        Counter::from_arc(count)
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Counts {
    fn of(&self, code: &str) -> u64 {
        let counts = self.0.lock().unwrap();
        let labelled =
            |key: &Key| key.name() == DENIED && key.labels().any(|label| label.key() == "code" && label.value() == code);
        counts.iter().filter(|(key, _)| labelled(key)).map(|(_, count)| count.load(Ordering::SeqCst)).sum()
    }
}

#[tokio::test]
async fn every_refusal_is_counted_once_under_its_code() {
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    let (keys, time) = (DevKeys::generate(), Time::new());
    let verifier = fixed(&[&named(keys.jwk(), "k")], &time);
    assert_eq!(code(&verifier, &token(&keys, "k")).await, "ok");
    assert_eq!(REASONS.map(|reason| counts.of(reason.code())), [0; 11]);
    assert_eq!(code(&verifier, &token(&keys, "unknown")).await, "unknown_key");
    assert_eq!(code(&verifier, &token(&DevKeys::generate(), "k")).await, "signature");
    assert_eq!(code(&verifier, &token(&DevKeys::generate(), "k")).await, "signature");
    assert_eq!((counts.of("unknown_key"), counts.of("signature")), (1, 2));
    assert_eq!(REASONS.map(|reason| counts.of(reason.code())).iter().sum::<u64>(), 3);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_part_of_a_token_or_of_a_person_is_in_a_log_or_a_debug_text() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // With one subscriber alone, a callsite first met by the thread of another test would be switched off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let (keys, time) = (DevKeys::generate(), Time::new());
    let jwk = named(keys.jwk(), "k");
    let server = KeyServer::start(&[&jwk]).await;
    let verifier = server.verifier(&time);
    let mut claims = claims_with("sub", "person-7f");
    claims["scope"] = "headwater.subject headwater.clinician".into();
    claims["subjects"] = json!(["person-8a"]);
    let good = keys.sign(&header("ES256", "k"), &claims);
    let stranger = DevKeys::generate().sign(&header("ES256", "k"), &claims);
    let unknown = keys.sign(&header("ES256", "kid-of-nobody"), &claims);

    let caller = verifier.verify(&good).await.unwrap();
    let denied = [verifier.verify(&stranger).await.unwrap_err(), verifier.verify(&unknown).await.unwrap_err()];
    let minted = keys.mint(&Grant { sub: "person-7f", ..Grant::default() });
    server.fail(500);
    time.turn(600);
    verifier.verify(&good).await.unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("call denied") && log.contains("unknown_key") && log.contains("status 500"), "the log works: {log}");
    let shown = format!("{log}{verifier:?}{caller:?}{denied:?}{}{}{keys:?}{minted:?}", denied[0], denied[1]);
    let parts = [&good, &stranger, &unknown].into_iter().flat_map(|token| token.split('.'));
    for secret in parts.chain(["person-7f", "person-8a", "kid-of-nobody"]) {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
}
