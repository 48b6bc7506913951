//! Who is let in, and to what.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_api::auth::DevKeys;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::world::{AUDIENCE, ISSUER, TOKEN, World};

const LATEST: &str = "/health/observations/latest?subject=a";

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_token_is_refused_alike() {
    let world = World::new().await;
    let who: (&str, &str, &[&str]) = ("headwater.subject", "a", &[]);
    let good = world.token("headwater.subject", "a", &[]);
    assert_eq!(world.ask("GET", LATEST, &good, None).await.status, 200);
    let part = |n: usize| good.split('.').nth(n).expect("three parts").to_owned();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let hmac = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let bad = [
        ("wrong audience", world.mint(&world.keys, ISSUER, "another", who, 600)),
        ("wrong issuer", world.mint(&world.keys, "https://evil.example", AUDIENCE, who, 600)),
        ("wrong key", world.mint(&DevKeys::generate(), ISSUER, AUDIENCE, who, 600)),
        ("expired", world.mint(&world.keys, ISSUER, AUDIENCE, who, -1800)),
        ("alg none, no signature", format!("{none}.{}.", part(1))),
        ("alg none, old signature", format!("{none}.{}.{}", part(1), part(2))),
        ("alg HS256", format!("{hmac}.{}.{}", part(1), part(2))),
        ("no signature", format!("{}.{}.", part(0), part(1))),
        ("garbage", "x.y.z".to_owned()),
        ("another static token", TOKEN.replace("static", "statik")),
    ];
    let mut answers = std::collections::HashSet::new();
    for (name, token) in bad {
        let answer = world.ask("GET", LATEST, &token, None).await;
        assert_eq!(answer.status, 401, "{name}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer error=\"invalid_token\"", "{name}");
        answers.insert(answer.text);
    }
    assert_eq!(answers.len(), 1, "nothing is told apart: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_of_the_description_answers_without_a_token() {
    let world = World::new().await;
    let description: Value = serde_json::from_str(&headwater_api::openapi()).expect("JSON");
    let mut asked = 0;
    for (path, methods) in description["paths"].as_object().expect("paths").iter().filter(|(path, _)| *path != "/fhir/metadata") {
        for method in methods.as_object().expect("methods").keys() {
            let path = path.replace("{id}", &Uuid::nil().to_string()).replace("{subject}", "a");
            let answer = world.ask(&method.to_uppercase(), &path, "", None).await;
            assert_eq!((answer.status, answer.headers["www-authenticate"].as_str()), (401, "Bearer"), "{method} {path}");
            let form = if path.starts_with("/fhir/") { "application/fhir+json" } else { "application/problem+json" };
            assert_eq!(answer.headers["content-type"], form, "{method} {path}");
            asked += 1;
        }
    }
    assert_eq!(asked, 24);
    let docs = world.page("/docs/", "").await;
    assert!(docs.status == 200 && docs.text.contains("swagger"), "{}", docs.status);
    assert_eq!(world.page("/openapi.json", "").await.json(), description);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_may_do_its_own_and_no_more() {
    let world = World::new().await;
    let subject = world.token("headwater.subject", "a", &[]);
    let clinician = world.token("headwater.clinician", "doctor", &["a"]);
    let operator = world.token("headwater.operator", "op", &[]);
    let reader = world.token("headwater.reader", "service", &[]);
    let nothing = world.token("openid", "a", &[]);
    let consent = json!({ "granted": true });
    let invite = json!({ "subject": "a", "provider": "google_health" });
    for (name, token, method, path, body, expected) in [
        ("subject reads own", &subject, "GET", LATEST, None, 200),
        ("subject reads another's", &subject, "GET", "/health/observations/latest?subject=b", None, 403),
        ("subject follows another", &subject, "GET", "/health/live?subject=b", None, 403),
        ("subject lists everybody", &subject, "GET", "/v1/connections?subject=b", None, 403),
        ("subject agrees", &subject, "PUT", "/v1/subjects/a/consent", Some(&consent), 200),
        ("subject agrees for another", &subject, "PUT", "/v1/subjects/b/consent", Some(&consent), 403),
        ("subject erases another", &subject, "DELETE", "/v1/subjects/b", None, 403),
        ("subject invites", &subject, "POST", "/v1/invitations", Some(&invite), 403),
        ("clinician reads listed", &clinician, "GET", LATEST, None, 200),
        ("clinician reads unlisted", &clinician, "GET", "/health/observations/latest?subject=b", None, 403),
        ("clinician invites", &clinician, "POST", "/v1/invitations", Some(&invite), 201),
        ("clinician erases", &clinician, "DELETE", "/v1/subjects/a", None, 403),
        ("operator reads observations", &operator, "GET", LATEST, None, 403),
        ("operator agrees for somebody", &operator, "PUT", "/v1/subjects/a/consent", Some(&consent), 403),
        ("operator lists", &operator, "GET", "/v1/connections", None, 200),
        ("reader reads", &reader, "GET", LATEST, None, 200),
        ("reader lists", &reader, "GET", "/v1/connections", None, 403),
        ("no known scope", &nothing, "GET", LATEST, None, 403),
    ] {
        let answer = world.ask(method, path, token, body.cloned()).await;
        assert_eq!(answer.status, expected, "{name}: {}", answer.text);
    }
    let denied = world.acts().into_iter().filter(|(_, _, _, outcome)| outcome == "denied").count();
    assert_eq!(denied, 11, "each refusal of somebody known leaves a record: {:?}", world.acts());
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_connection_is_one_that_is_not_there() {
    let world = World::new().await;
    let theirs = world.connect("b").await;
    let mine = world.token("headwater.subject", "a", &[]);
    for (method, path) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/sync"),
        ("POST", "/deactivate"),
        ("POST", "/reactivate"),
        ("GET", "?subject=b"),
        ("DELETE", "?subject=b"),
    ] {
        let there = world.ask(method, &format!("/v1/connections/{theirs}{path}"), &mine, None).await;
        let nowhere = world.ask(method, &format!("/v1/connections/{}{path}", Uuid::nil()), &mine, None).await;
        assert_eq!((there.status, &there.text), (404, &nowhere.text), "{method} {path}");
    }
    let connection = world.store.connection(theirs).await.expect("the store").expect("a connection");
    assert_eq!(connection.state, headwater_store::ConnectionState::Active);
    // Who shares an account sees its own part of it.
    assert_eq!(world.connect("a").await, theirs);
    let seen = world.ask("GET", &format!("/v1/connections/{theirs}"), &mine, None).await;
    assert!(seen.status == 200 && seen.json()["subject"] == "a" && !seen.text.contains("\"b\""), "{}", seen.text);
    let paused = world.ask("POST", &format!("/v1/connections/{theirs}/deactivate"), &mine, None).await;
    assert_eq!(paused.status, 409, "one does not pause the other: {}", paused.text);
    let left = world.ask("DELETE", &format!("/v1/connections/{theirs}"), &mine, None).await;
    assert_eq!((left.status, left.json()["outcome"].as_str()), (200, Some("others_remain")));
    assert_eq!(world.ask("GET", &format!("/v1/connections/{theirs}"), &mine, None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_no_record_is_not_answered() {
    let world = World::new().await;
    let mine = world.token("headwater.subject", "a", &[]);
    assert_eq!(world.ask("GET", LATEST, &mine, None).await.status, 200);
    assert_eq!(world.acts(), [("subject:a".into(), "read_observations".into(), Some("a".into()), "success".into())]);
    world.log.failing.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = world.ask("GET", LATEST, &mine, None).await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "2"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_with_its_name() {
    let world = World::new().await;
    let mine = world.token("headwater.subject", "a", &[]);
    for (method, path, body, status, part) in [
        ("GET", "/health/observations?subject=a&type=weight", None, 400, "type"),
        ("GET", "/health/observations?subject=a&type=steps&from=yesterday", None, 400, "from"),
        ("GET", "/health/observations?subject=a&type=steps&nonsense=1", None, 400, "nonsense"),
        ("GET", "/health/observations/latest?subject=a%20b", None, 400, "subject"),
        ("PUT", "/v1/subjects/a/consent", Some(json!({ "granted": true, "data_types": ["x"] })), 400, "data_types"),
        ("PUT", "/v1/subjects/a/consent", Some(json!({ "granted": true, "until": "soon" })), 400, "until"),
        ("PUT", "/v1/subjects/a/consent", Some(json!({ "grunted": true })), 422, "grunted"),
        ("POST", "/v1/connections", Some(json!({ "subject": "a", "provider": "none" })), 400, "provider"),
        (
            "POST",
            "/v1/connections",
            Some(json!({ "subject": "a", "provider": "google_health", "return_to": "https://evil.example" })),
            400,
            "return_to",
        ),
        ("POST", "/v1/connections", Some(json!({ "subject": "a", "provider": "google_health", "zone": "Mars" })), 400, "zone"),
        ("PUT", "/v1/subjects/a/consent", Some(json!({ "granted": true, "recipients": ["x".repeat(70_000)] })), 413, ""),
    ] {
        let answer = world.ask(method, path, &mine, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        assert!(answer.text.contains(part), "{path}: {}", answer.text);
    }
}

/// A byte now and then is no progress.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_body_for_ever_is_told_so_and_let_go() {
    let world = World::with(|settings| settings.body_seconds = 1).await;
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.expect("a connection");
    let head = format!(
        "POST /v1/connections HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: 10000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut hearing, mut saying) = stream.split();
    let dribble = async {
        // Until it is no longer taken.
        while saying.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut heard = Vec::new();
    let hear = async {
        let mut piece = [0; 1024];
        while let Ok(n @ 1..) = hearing.read(&mut piece).await {
            heard.extend_from_slice(&piece[..n]);
        }
    };
    let both = async { futures::join!(dribble, hear) };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("it is let go");
    let heard = String::from_utf8(heard).expect("text");
    assert!(heard.starts_with("HTTP/1.1 408 ") && heard.contains("application/problem+json"), "{heard}");
}
