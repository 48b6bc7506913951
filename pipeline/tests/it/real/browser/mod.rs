//! What a person does in a browser, from the link to the readings, and what happens when somebody else tries.

mod driver;

use headwater_simulator::{Person, Provider};
use serde_json::{Value, json};

use super::parts_or_skip;
use super::rig::{Parts, Process, Rig, until};
use driver::Browser;

const SUBJECT: &str = "person-1";

async fn roles(rig: &Rig) -> Vec<Process> {
    let mut roles = Vec::new();
    for arguments in [&["receive"][..], &["fetch"], &["process", "normalize"], &["sink", "scylla"], &["api"]] {
        roles.push(rig.start(arguments).await);
    }
    roles
}

/// A link to the person's own page.
async fn account_link(rig: &Rig) -> String {
    let (status, link) = rig.ask("POST", "/v1/account-links", Some(json!({ "subject": SUBJECT }))).await;
    assert_eq!(status, 201, "{link}");
    link["url"].as_str().expect("a link").to_owned()
}

/// At the provider's page: the person chooses themselves and allows.
async fn allow(browser: &Browser, person: &Person) {
    browser.click(&format!("input[name=simulate_consent][value='{}']", person.user_id)).await;
    browser.click("#allow").await;
}

async fn connections(rig: &Rig) -> Vec<Value> {
    let (status, listed) = rig.ask("GET", &format!("/v1/connections?subject={SUBJECT}"), None).await;
    assert_eq!(status, 200, "{listed}");
    listed["connections"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_in_a_browser_and_sees_data_arrive_after_declining_once() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let _roles = roles(&rig).await;
    let browser = Browser::open().await;
    browser.go(&account_link(&rig).await).await;
    browser.see("#connect-withings").await;
    browser.shoot("page-empty").await;

    browser.click("#connect-withings").await;
    browser.see("#deny").await;
    browser.shoot("consent").await;
    browser.click("#deny").await;
    browser.see("#told[data-told=declined]").await;
    assert!(connections(&rig).await.is_empty());

    for provider in [Provider::Withings, Provider::GoogleHealth] {
        browser.click(&format!("#connect-{}", provider.name())).await;
        allow(&browser, &rig.person(provider)).await;
        browser.see("#told[data-told=connected]").await;
        browser.see(&format!(".card[data-provider={}][data-state=active]", provider.name())).await;
    }
    browser.see("#readings tr").await;
    browser.shoot("page-readings").await;
    let listed = connections(&rig).await;
    assert_eq!(listed.len(), 2);
    for connection in &listed {
        assert_eq!(connection["state"], "active", "{connection}");
        let id = connection["id"].as_str().expect("an id");
        let (status, sync) = rig.ask("POST", &format!("/v1/connections/{id}/sync?wait=40"), None).await;
        assert_eq!((status, sync["outcome"].as_str()), (200, Some("done")), "{sync}");
        let count = |name: &str| sync["counts"][name].as_u64().expect("a count");
        assert!(count("windows_fetched") + count("windows_unchanged") + count("windows_empty") > 0, "{sync}");
    }
    until("all history is in", async || connections(&rig).await.iter().all(|c| c["stage"] == "incremental").then_some(())).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_ended_at_the_provider_needs_the_person_who_mends_it_in_the_browser() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let _roles = roles(&rig).await;
    let browser = Browser::open().await;
    let cloud = rig.simulator.as_ref().expect("a cloud").url();
    browser.go(&account_link(&rig).await).await;
    for provider in [Provider::Withings, Provider::GoogleHealth] {
        let (name, person) = (provider.name(), rig.person(provider));
        browser.click(&format!("#connect-{name}")).await;
        allow(&browser, &person).await;
        browser.see(&format!(".card[data-provider={name}][data-state=active]")).await;
        let id = connections(&rig).await.iter().find(|c| c["provider"] == name).expect("it")["id"].clone();

        let home = format!("{cloud}/{name}/account?user_id={}", person.user_id);
        browser.go(&home).await;
        browser.see("#access[data-access=granted]").await;
        browser.click("#revoke").await;
        browser.see("#access[data-access=none]").await;
        // One provider says so by itself; of the other it is learnt when it is next asked.
        if provider == Provider::GoogleHealth {
            let path = format!("/v1/connections/{}/sync", id.as_str().expect("an id"));
            rig.ask("POST", &path, None).await;
        }
        let state = async || connections(&rig).await.iter().find(|c| c["id"] == id).expect("it")["state"].clone();
        until("it needs the person", async || (state().await == "needs_reauth").then_some(())).await;
        browser.go(&format!("http://{}/connect", rig.api)).await;
        browser.see(&format!(".card[data-provider={name}][data-state=needs_reauth]")).await;
        browser.shoot(&format!("page-needs-reauth-{name}")).await;

        browser.click(&format!("#connect-{name}")).await;
        allow(&browser, &person).await;
        browser.see(&format!(".card[data-provider={name}][data-state=active]")).await;
        assert_eq!(state().await, "active", "the same connection goes on");
    }
    // And the person leaves from here.
    browser.click(".card[data-provider=withings] button[name=disconnect]").await;
    browser.see("#told[data-told=disconnected]").await;
    browser.go(&format!("{cloud}/withings/account?user_id={}", rig.person(Provider::Withings).user_id)).await;
    browser.see("#access[data-access=none]").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_once_and_another_browser_cannot_finish_what_this_one_began() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let _api = rig.start(&["api"]).await;
    let ask = json!({ "subject": SUBJECT, "provider": "google_health", "state": "ours", "return_to": "http://127.0.0.1:1/back" });
    let (status, begun) = rig.ask("POST", "/v1/connections", Some(ask)).await;
    assert_eq!(status, 201, "{begun}");
    let link = begun["connect_url"].as_str().expect("a link");
    let (mine, other) = (Browser::open().await, Browser::open().await);
    mine.go(link).await;
    mine.see("#allow").await;
    let consent = mine.address().await;
    other.go(link).await;
    other.see("#told[data-told=link_gone]").await;
    other.go(&consent).await;
    allow(&other, &rig.person(Provider::GoogleHealth)).await;
    other.see("#told[data-told=refused]").await;
    other.shoot("page-refused").await;
    // The attempt is burned: its own browser has to begin again.
    allow(&mine, &rig.person(Provider::GoogleHealth)).await;
    mine.see("#told[data-told=unknown_attempt]").await;
    assert!(connections(&rig).await.is_empty());
    mine.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_by_mail_is_completed_by_the_patient_and_then_used_up() {
    let parts = parts_or_skip!();
    let folder = tempfile::tempdir().expect("a folder");
    let rig = invited(parts, folder.path()).await;
    let _api = rig.start(&["api"]).await;
    let ask = json!({ "subject": SUBJECT, "provider": "google_health", "email": "Patient <patient@example.org>" });
    let (status, invited) = rig.ask("POST", "/v1/invitations", Some(ask)).await;
    assert_eq!((status, invited["mailed"].as_bool(), invited["url"].as_str()), (201, Some(true), None), "{invited}");
    let mail = std::fs::read_dir(folder.path()).expect("the folder").next().expect("a mail").expect("it can be read").path();
    // Soft line breaks of quoted-printable undone.
    let mail = std::fs::read_to_string(mail).expect("text").replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    assert!(mail.contains("Example Clinic") && mail.contains("Google Health") && !mail.contains(SUBJECT), "{mail}");
    let link = mail.split_whitespace().find(|word| word.contains("/connect/start/")).expect("a link").to_owned();

    // A mail scanner looks first.
    let scanner = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    assert_eq!(scanner.get(&link).send().await.expect("an answer").status().as_u16(), 303);
    let browser = Browser::open().await;
    browser.go(&link).await;
    browser.shoot("page-invitation").await;
    browser.click("#connect-google_health").await;
    allow(&browser, &rig.person(Provider::GoogleHealth)).await;
    browser.see("#told[data-told=connected]").await;
    assert_eq!(connections(&rig).await.len(), 1);
    browser.go(&link).await;
    browser.see("#told[data-told=link_gone]").await;
    browser.close().await;
}

async fn invited(parts: Parts, folder: &std::path::Path) -> Rig {
    let mail = format!("[api.mail]\nfrom = \"Example Clinic <care@example.org>\"\nfolder = {folder:?}\n");
    Rig::with(parts, true, &mail).await
}
