//! Key sets that change, fail and come back.

use super::super::SetupError;
use super::*;

const DAY: i64 = 24 * 3600;

/// Two keys with their public halves, named `old` and `new`.
fn pair() -> (DevKeys, Value, DevKeys, Value) {
    let (old, new) = (DevKeys::generate(), DevKeys::generate());
    let (old_jwk, new_jwk) = (named(old.jwk(), "old"), named(new.jwk(), "new"));
    (old, old_jwk, new, new_jwk)
}

#[tokio::test]
async fn a_new_key_is_fetched_once_and_works_beside_the_old_one() {
    let (old, old_jwk, new, new_jwk) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = server.verifier(&time);
    let (old, new) = (token(&old, "old"), token(&new, "new"));
    for _ in 0..3 {
        assert_eq!(code(&verifier, &old).await, "ok");
    }
    assert_eq!(server.count(), 1);

    server.serve(&[&old_jwk, &new_jwk]);
    time.turn(29);
    assert_eq!(code(&verifier, &new).await, "unknown_key");
    assert_eq!(server.count(), 1, "no second fetch within 30 seconds");
    time.turn(1);
    assert_eq!(code(&verifier, &new).await, "ok");
    assert_eq!(code(&verifier, &old).await, "ok");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_removed_key_is_refused_after_the_refresh() {
    let (old, old_jwk, new, new_jwk) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk, &new_jwk]).await, Time::new());
    let verifier = server.verifier(&time);
    let (old, new) = (token(&old, "old"), token(&new, "new"));
    assert_eq!(code(&verifier, &old).await, "ok");
    server.serve(&[&new_jwk]);
    time.turn(599);
    assert_eq!(code(&verifier, &old).await, "ok");
    assert_eq!(server.count(), 1);
    time.turn(1);
    assert_eq!(code(&verifier, &old).await, "unknown_key");
    assert_eq!(code(&verifier, &new).await, "ok");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn unknown_kids_ask_the_issuer_no_more_than_every_half_minute() {
    let (old, old_jwk, ..) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = server.verifier(&time);
    for second in 0..90 {
        assert_eq!(code(&verifier, &token(&old, &format!("made-up-{second}"))).await, "unknown_key");
        time.turn(1);
    }
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn the_issuer_says_how_long_its_keys_last_within_bounds() {
    let (old, old_jwk, ..) = pair();
    let token = token(&old, "old");
    let cases =
        [("max-age=5", 60), ("public, Max-Age=\"120\"", 120), ("max-age=86400", 3600), ("no-store", 60), ("max-age=x", 600)];
    for (control, lasts) in cases {
        let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
        server.header("cache-control", control);
        let verifier = server.verifier(&time);
        assert_eq!(code(&verifier, &token).await, "ok");
        time.turn(lasts - 1);
        assert_eq!(code(&verifier, &token).await, "ok");
        assert_eq!(server.count(), 1, "{control}");
        time.turn(1);
        assert_eq!(code(&verifier, &token).await, "ok");
        assert_eq!(server.count(), 2, "{control}");
    }
}

#[tokio::test]
async fn old_keys_stay_in_use_for_a_day_while_the_issuer_is_down() {
    let (old, old_jwk, ..) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = server.verifier(&time);
    let token = token(&old, "old");
    assert_eq!(code(&verifier, &token).await, "ok");
    server.fail(500);
    time.turn(600);
    for _ in 0..5 {
        assert_eq!(code(&verifier, &token).await, "ok");
    }
    assert_eq!(server.count(), 2, "a failed fetch is not tried again at once");
    time.turn(DAY - 601);
    assert_eq!(code(&verifier, &token).await, "ok");
    time.turn(1);
    assert_eq!(code(&verifier, &token).await, "keys_unavailable");
    server.serve(&[&old_jwk]);
    time.turn(5);
    assert_eq!(code(&verifier, &token).await, "ok");
}

#[tokio::test]
async fn without_any_keys_callers_are_told_to_come_back() {
    let (old, old_jwk, ..) = pair();
    let token = token(&old, "old");
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = server.verifier(&time);
    server.fail(503);
    let denied = verifier.verify(&token).await.unwrap_err();
    assert_eq!((denied.status, denied.code), (503, "keys_unavailable"));
    server.serve(&[&old_jwk]);
    time.turn(4);
    assert_eq!(code(&verifier, &token).await, "keys_unavailable");
    assert_eq!(server.count(), 1);
    time.turn(1);
    assert_eq!(code(&verifier, &token).await, "ok");
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_or_too_long_changes_nothing() {
    let (old, old_jwk, ..) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = server.verifier(&time);
    let token = token(&old, "old");
    assert_eq!(code(&verifier, &token).await, "ok");
    let padded = json!({ "keys": [], "pad": "x".repeat(256 * 1024) }).to_string();
    for body in ["<html>maintenance</html>".to_owned(), padded] {
        server.served.lock().unwrap().body = body;
        time.turn(600);
        assert_eq!(code(&verifier, &token).await, "ok");
    }
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (old, old_jwk, ..) = pair();
    let (server, target) = (KeyServer::start(&[]).await, KeyServer::start(&[&old_jwk]).await);
    server.header("location", &target.url);
    server.fail(302);
    assert_eq!(code(&server.verifier(&Time::new()), &token(&old, "old")).await, "keys_unavailable");
    assert_eq!((server.count(), target.count()), (1, 0));
}

#[tokio::test]
async fn many_callers_share_one_fetch() {
    let (old, old_jwk, ..) = pair();
    let server = KeyServer::start(&[&old_jwk]).await;
    let verifier = Arc::new(server.verifier(&Time::new()));
    let token = token(&old, "old");
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let (verifier, token) = (verifier.clone(), token.clone());
        callers.spawn(async move { code(&verifier, &token).await });
    }
    assert!(callers.join_all().await.iter().all(|code| *code == "ok"));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn during_a_slow_fetch_others_go_on_with_the_old_keys() {
    let (old, old_jwk, ..) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = Arc::new(server.verifier(&time));
    let token = token(&old, "old");
    assert_eq!(code(&verifier, &token).await, "ok");
    server.asked.acquire().await.unwrap().forget();
    server.answers.forget_permits(usize::MAX);
    time.turn(600);
    let mut first = JoinSet::new();
    first.spawn({
        let (verifier, token) = (verifier.clone(), token.clone());
        async move { code(&verifier, &token).await }
    });
    server.asked.acquire().await.unwrap().forget();
    assert_eq!(code(&verifier, &token).await, "ok");
    assert!(first.try_join_next().is_none(), "the first caller still waits for the issuer");
    server.answers.add_permits(1);
    assert_eq!(first.join_next().await.unwrap().unwrap(), "ok");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn those_who_waited_for_a_slow_failure_do_not_begin_the_next() {
    let (old, old_jwk, ..) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = Arc::new(server.verifier(&time));
    let token = token(&old, "old");
    server.fail(500);
    server.answers.forget_permits(usize::MAX);
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (verifier, token) = (verifier.clone(), token.clone());
        callers.spawn(async move { code(&verifier, &token).await });
    }
    server.asked.acquire().await.unwrap().forget();
    time.turn(10);
    server.answers.add_permits(100);
    assert!(callers.join_all().await.iter().all(|code| *code == "keys_unavailable"));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_the_fetch_for_the_others() {
    let (old, old_jwk, ..) = pair();
    let server = KeyServer::start(&[&old_jwk]).await;
    let verifier = Arc::new(server.verifier(&Time::new()));
    let token = token(&old, "old");
    server.answers.forget_permits(usize::MAX);
    let mut first = JoinSet::new();
    first.spawn({
        let (verifier, token) = (verifier.clone(), token.clone());
        async move { code(&verifier, &token).await }
    });
    server.asked.acquire().await.unwrap().forget();
    first.shutdown().await;
    server.answers.add_permits(1);
    assert_eq!(code(&verifier, &token).await, "ok");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_clock_set_back_ends_the_time_of_a_set() {
    let (old, old_jwk, ..) = pair();
    let (server, time) = (KeyServer::start(&[&old_jwk]).await, Time::new());
    let verifier = server.verifier(&time);
    assert_eq!(code(&verifier, &token(&old, "old")).await, "ok");
    time.turn(-DAY);
    assert_eq!(code(&verifier, &token(&old, "old")).await, "ok");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let (old, old_jwk, new, new_jwk) = pair();
    let (old, new) = (token(&old, "old"), token(&new, "new"));
    let (dir, time) = (tempfile::tempdir().unwrap(), Time::new());
    let path = dir.path().join("keys.json");
    let verifier = Verifier::new(Settings { jwks_file: Some(path.clone()), ..settings() }, time.clock()).unwrap();
    assert_eq!(code(&verifier, &old).await, "keys_unavailable");

    std::fs::write(&path, set(&[&old_jwk])).unwrap();
    time.turn(10);
    assert_eq!(code(&verifier, &old).await, "ok");
    std::fs::write(&path, set(&[&old_jwk, &new_jwk])).unwrap();
    time.turn(9);
    assert_eq!(code(&verifier, &new).await, "unknown_key");
    time.turn(1);
    assert_eq!((code(&verifier, &new).await, code(&verifier, &old).await), ("ok", "ok"));

    std::fs::write(&path, set(&[&new_jwk])).unwrap();
    time.turn(10);
    assert_eq!((code(&verifier, &new).await, code(&verifier, &old).await), ("ok", "unknown_key"));

    std::fs::write(&path, json!({ "keys": [], "pad": "x".repeat(256 * 1024) }).to_string()).unwrap();
    time.turn(10);
    assert_eq!(code(&verifier, &new).await, "ok", "a file that is too long changes nothing");

    std::fs::remove_file(&path).unwrap();
    time.turn(DAY - 11);
    assert_eq!(code(&verifier, &new).await, "ok");
    time.turn(1);
    assert_eq!(code(&verifier, &new).await, "keys_unavailable");
}

#[tokio::test]
async fn a_file_that_does_not_change_stays_good() {
    let (old, old_jwk, ..) = pair();
    let (dir, time) = (tempfile::tempdir().unwrap(), Time::new());
    let path = dir.path().join("keys.json");
    std::fs::write(&path, set(&[&old_jwk])).unwrap();
    let verifier = Verifier::new(Settings { jwks_file: Some(path), ..settings() }, time.clock()).unwrap();
    for _ in 0..5 {
        assert_eq!(code(&verifier, &token(&old, "old")).await, "ok");
        time.turn(DAY);
    }
}

#[test]
fn settings_say_what_they_expect() {
    let check = |change: Value| {
        let mut settings = json!({ "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "https://id.example.org/keys" });
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        match serde_json::from_value::<Settings>(settings).unwrap().validate() {
            Ok(()) => String::new(),
            Err(error @ SetupError::Setting { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(check(json!({})), "");
    for url in ["http://127.0.0.1:9/keys", "http://localhost/keys", "http://[::1]:9/keys"] {
        assert_eq!(check(json!({ "jwks_url": url })), "");
    }
    for url in
        ["http://id.example.org/keys", "http://127.0.0.1.example.org/", "http://localhost.example.org/", "file:///etc/keys"]
    {
        assert_eq!(check(json!({ "jwks_url": url })), "jwks_url: expected https, or http on a loopback address", "{url}");
    }
    assert_eq!(check(json!({ "jwks_url": "keys" })), "jwks_url: expected a URL such as https://id.example.org/keys");
    assert_eq!(
        check(json!({ "jwks_url": "https://me:word@id.example.org/" })),
        "jwks_url: expected a URL without a user name or password"
    );
    assert_eq!(check(json!({ "jwks_url": null })), "jwks_url: expected exactly one of jwks_url and jwks_file");
    assert_eq!(check(json!({ "jwks_file": "keys.json" })), "jwks_url: expected exactly one of jwks_url and jwks_file");
    assert_eq!(check(json!({ "jwks_url": null, "jwks_file": "keys.json" })), "");
    assert_eq!(check(json!({ "jwks_url": null, "jwks_file": "" })), "jwks_file: expected the path of a JWK set");
    assert_eq!(check(json!({ "leeway_seconds": 120 })), "");
    assert_eq!(check(json!({ "leeway_seconds": 121 })), "leeway_seconds: expected at most 120");
    for field in ["issuer", "audience", "subject_claim", "subjects_claim"] {
        assert_eq!(check(json!({ field: " " })), format!("{field}: expected a text that is not empty"));
    }
    assert!(serde_json::from_value::<Settings>(json!({ "issuer": ISSUER, "audience": AUDIENCE, "leeway": 1 })).is_err());
    let settings = settings();
    assert_eq!(
        (settings.leeway_seconds, settings.subject_claim.as_str(), settings.subjects_claim.as_str()),
        (30, "sub", "subjects")
    );
}
