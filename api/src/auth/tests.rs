//! Real keys, a real key server on loopback, and a clock that the tests turn.

mod claims;
mod keys;
mod roles;
mod silence;

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Clock, DevKeys, Settings, Verifier};

const ISSUER: &str = "https://id.example.org/realm";
const AUDIENCE: &str = "headwater";
/// The moment at which every test begins.
const NOW: i64 = 1_790_000_000;

/// A clock that stands still until it is turned.
#[derive(Clone)]
struct Time(Arc<AtomicI64>);

impl Time {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    fn turn(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let time = self.0.clone();
        Clock::new(move || time.load(Ordering::SeqCst))
    }
}

/// Serves a key set and counts how often it is asked for.
struct KeyServer {
    url: String,
    count: Arc<AtomicUsize>,
    served: Arc<Mutex<Served>>,
    /// One permit for each answer that may go out.
    answers: Arc<Semaphore>,
    /// One permit for each question that came in.
    asked: Arc<Semaphore>,
    _task: JoinSet<()>,
}

#[derive(Clone)]
struct Served {
    status: u16,
    header: Option<(HeaderName, HeaderValue)>,
    body: String,
}

impl KeyServer {
    async fn start(keys: &[&Value]) -> Self {
        let served = Arc::new(Mutex::new(Served { status: 200, header: None, body: set(keys) }));
        let (count, answers, asked) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(1000)), Arc::new(Semaphore::new(0)));
        let answer = {
            let (served, count, answers, asked) = (served.clone(), count.clone(), answers.clone(), asked.clone());
            async move || {
                count.fetch_add(1, Ordering::SeqCst);
                asked.add_permits(1);
                answers.acquire().await.unwrap().forget();
                let served = served.lock().unwrap().clone();
                (StatusCode::from_u16(served.status).unwrap(), HeaderMap::from_iter(served.header), served.body)
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer);
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, count, served, answers, asked, _task: task }
    }

    fn serve(&self, keys: &[&Value]) {
        let mut served = self.served.lock().unwrap();
        served.status = 200;
        served.body = set(keys);
    }

    fn fail(&self, status: u16) {
        self.served.lock().unwrap().status = status;
    }

    fn header(&self, name: &'static str, value: &str) {
        self.served.lock().unwrap().header = Some((HeaderName::from_static(name), value.parse().unwrap()));
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn verifier(&self, time: &Time) -> Verifier {
        Verifier::new(Settings { jwks_url: Some(self.url.clone()), ..settings() }, time.clock()).unwrap()
    }
}

fn set(keys: &[&Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Without a place of the keys.
fn settings() -> Settings {
    serde_json::from_value(json!({ "issuer": ISSUER, "audience": AUDIENCE })).unwrap()
}

/// A verifier with these keys for good.
fn fixed(keys: &[&Value], time: &Time) -> Verifier {
    Verifier::fixed(settings(), super::key::KeySet::parse(set(keys).as_bytes()).unwrap(), time.clock())
}

/// Claims of a good token.
fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "scope": "openid headwater.subject",
        "iat": NOW, "exp": NOW + 600,
    })
}

fn claims_with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn named(jwk: Value, kid: &str) -> Value {
    changed(jwk, "kid", kid)
}

fn changed(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

fn header(alg: &str, kid: &str) -> Value {
    json!({ "alg": alg, "typ": "JWT", "kid": kid })
}

/// A good token of `keys` under the name `kid`.
fn token(keys: &DevKeys, kid: &str) -> String {
    keys.sign(&header("ES256", kid), &long_lived())
}

/// Claims that outlive every turn of the clock.
fn long_lived() -> Value {
    claims_with("exp", NOW + 10 * 24 * 3600)
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// An RSA key pair.
struct Rsa(RsaKeyPair);

impl Rsa {
    fn generate() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn jwk(&self, kid: &str) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.0.public_key());
        json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e) })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn code(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify(token).await {
        Ok(_) => "ok",
        Err(denied) => denied.code,
    }
}
