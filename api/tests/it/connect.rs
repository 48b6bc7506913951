//! The way of a browser, and of those who try another's.

use std::time::Duration;

use serde_json::json;

use super::world::{Answer, BACK, TOKEN, World};

/// A direct link for subject `a`.
async fn link(world: &World) -> String {
    let ask = json!({ "provider": "google_health", "subject": "a", "return_to": BACK, "state": "ours&more" });
    let begun = world.ask("POST", "/v1/connections", TOKEN, Some(ask)).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    begun.json()["connect_url"].as_str().expect("a link").to_owned()
}

async fn invitation(world: &World) -> String {
    let invited = world.ask("POST", "/v1/invitations", TOKEN, Some(json!({ "provider": "google_health", "subject": "a" }))).await;
    assert_eq!(invited.status, 201, "{}", invited.text);
    invited.json()["url"].as_str().expect("a link").to_owned()
}

fn told(answer: &Answer) -> &str {
    answer.text.split("data-told=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_there_and_back_is_bound_to_one_browser() {
    let world = World::new().await;
    let (cookie, started) = world.open(&link(&world).await).await;
    assert_eq!(started.status, 303);
    let flags = &started.headers["set-cookie"];
    assert!(flags.contains("HttpOnly") && flags.contains("SameSite=Lax") && flags.contains("Path=/"), "{flags}");
    let consent: reqwest::Url = started.headers["location"].parse().expect("a URL");
    let sent: std::collections::HashMap<_, _> = consent.query_pairs().into_owned().collect();
    assert_eq!(sent["redirect_uri"], format!("{}/connect/callback/google_health", world.url));
    assert_eq!((sent["code_challenge_method"].as_str(), sent["state"].len()), ("S256", 43));
    let redirect = world.allow(consent.as_str()).await;

    let mut spoilt = Vec::new();
    for (name, cookie, url) in [
        ("no cookie", "", redirect.clone()),
        ("another cookie", "headwater=AAAA", redirect.clone()),
        ("forged state", cookie.as_str(), redirect.replace("state=", "state=x")),
    ] {
        let answer = world.page(&url, cookie).await;
        assert_eq!(answer.status, 403, "{name}: {}", answer.text);
        assert!(!answer.text.contains(">a<"), "{name}");
        spoilt.push(told(&answer).to_owned());
    }
    assert_eq!(spoilt, ["refused", "unknown_attempt", "unknown_attempt"]);
    assert_eq!(world.page(&redirect, &cookie).await.status, 403, "the attempt was burned by whoever tried it");

    let (cookie, started) = world.open(&link(&world).await).await;
    let redirect = world.allow(&started.headers["location"]).await;
    let swapped = world.page(&redirect.replace("/google_health?", "/withings?"), &cookie).await;
    assert_eq!((swapped.status, told(&swapped)), (403, "refused"));

    let link = link(&world).await;
    let (cookie, started) = world.open(&link).await;
    let redirect = world.allow(&started.headers["location"]).await;
    let done = world.page(&redirect, &cookie).await;
    let id = world.store.connections_of("a").await.expect("the store")[0];
    assert_eq!(done.headers["location"], format!("{BACK}?status=connected&connection={id}&state=ours%26more"));
    assert_eq!(world.page(&redirect, &cookie).await.status, 403, "replayed");
    let (_, again) = world.open(&link).await;
    assert_eq!((again.status, told(&again)), (404, "link_gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_invitations_and_attempts_expire() {
    let world = World::new().await;
    let (old, invited) = (link(&world).await, invitation(&world).await);
    let (cookie, started) = world.open(&link(&world).await).await;
    let redirect = world.allow(&started.headers["location"]).await;
    world.clock.advance(Duration::from_secs(601));
    let late = world.page(&redirect, &cookie).await;
    assert_eq!((late.status, told(&late)), (403, "unknown_attempt"));
    assert_eq!(world.open(&old).await.1.status, 404);
    assert_eq!(world.open(&invited).await.1.status, 303, "an invitation lives for days");
    world.clock.advance(Duration::from_secs(7 * 86_400));
    let (_, gone) = world.open(&invited).await;
    assert_eq!((gone.status, told(&gone)), (404, "link_gone"));
    let invented = world.open(&format!("{}/connect/start/{}", world.url, "A".repeat(43))).await.1;
    assert_eq!((invented.status, &invented.text), (404, &gone.text), "an expired link and an invented one look the same");
    assert!(world.store.connections_of("a").await.expect("the store").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_shows_nothing_of_the_person_and_ends_nothing() {
    let world = World::new().await;
    let id = world.connect("a").await;
    let link = world.ask("POST", "/v1/account-links", TOKEN, Some(json!({ "subject": "a" }))).await.json();
    let (own, _) = world.open(link["url"].as_str().expect("a link")).await;
    let page = world.page("/connect", &own).await;
    assert!(page.status == 200 && page.text.contains("name=\"disconnect\""), "{}", page.text);
    let (invited, _) = world.open(&invitation(&world).await).await;
    let page = world.page("/connect", &invited).await;
    assert!(page.status == 200 && !page.text.contains("name=\"disconnect\"") && !page.text.contains("readings"));
    let csrf = page.text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let ended = world.form("/connect/end", &invited, &[("csrf", csrf), ("connection", &id.to_string())]).await;
    assert!(ended.status == 403 || ended.status == 404, "{}", ended.status);
    assert!(world.store.tokens(id).await.expect("the store").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_other_sites_are_refused_and_pages_are_guarded() {
    let world = World::with(|settings| settings.name = "<script>alert(1)</script>".into()).await;
    let link = world.ask("POST", "/v1/account-links", TOKEN, Some(json!({ "subject": "a" }))).await.json();
    let (cookie, _) = world.open(link["url"].as_str().expect("a link")).await;
    let page = world.page("/connect", &cookie).await;
    assert!(!page.text.contains("<script") && page.text.contains("&lt;script"));
    let policy = &page.headers["content-security-policy"];
    for part in ["default-src 'none'", "form-action 'self' http://127.0.0.1", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    for (name, value) in
        [("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff")]
    {
        assert_eq!(page.headers[name], value);
    }
    for csrf in ["", "guess"] {
        let refused = world.form("/connect/to/google_health", &cookie, &[("csrf", csrf)]).await;
        assert_eq!((refused.status, told(&refused)), (403, "refused"));
    }
    assert_eq!(world.page("/connect", "").await.status, 401);
    let secure = World::with(|settings| settings.public_url = "https://health.example.org".into()).await;
    let link = secure.ask("POST", "/v1/account-links", TOKEN, Some(json!({ "subject": "a" }))).await.json();
    let link = link["url"].as_str().expect("a link").replace("https://health.example.org", &secure.url);
    let (_, opened) = secure.open(&link).await;
    let cookie = &opened.headers["set-cookie"];
    assert!(cookie.starts_with("__Host-headwater=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_every_connection_once() {
    let world = World::new().await;
    let model = world.connect("a").await;
    let model = world.store.connection(model).await.expect("the store").expect("a connection");
    for _ in 0..130 {
        let connection = headwater_store::Connection { id: uuid::Uuid::new_v4(), ..model.clone() };
        world.store.put_connection(&connection).await.expect("the store");
    }
    let (mut seen, mut after, mut pages) = (std::collections::HashSet::new(), String::new(), 0);
    loop {
        let page = world.ask("GET", &format!("/v1/connections?limit=40{after}"), TOKEN, None).await.json();
        for connection in page["connections"].as_array().expect("a list") {
            assert!(seen.insert(connection["id"].as_str().expect("an id").to_owned()), "twice");
        }
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (131, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_subject_has_a_proof_and_cannot_be_connected_again() {
    let world = World::new().await;
    world.connect("a").await;
    assert_eq!(world.ask("GET", "/v1/subjects/a/erasure", TOKEN, None).await.status, 404);
    let proof = world.ask("DELETE", "/v1/subjects/a", TOKEN, None).await;
    assert_eq!((proof.status, proof.json()["status"].as_str()), (202, Some("running")), "{}", proof.text);
    let kept = world.ask("GET", "/v1/subjects/a/erasure", TOKEN, None).await.json();
    assert!(kept["steps"].as_array().is_some_and(|steps| steps.len() >= 6) && kept["retained"].as_array().is_some());
    let (_, started) = world.open(&link(&world).await).await;
    assert_eq!((started.status, told(&started)), (409, "erased"));
}
