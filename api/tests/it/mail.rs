//! Invitations through a mail relay that says yes, no, or nothing.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::world::{TOKEN, World};

/// Speaks as much SMTP as a relay must, and keeps what it was told.
struct Relay {
    url: String,
    heard: Arc<Mutex<String>>,
    _serving: JoinSet<()>,
}

impl Relay {
    /// `verdict` is its answer to a recipient.
    async fn start(verdict: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(String::new()));
        let told = heard.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = talk(stream, verdict, &told).await;
            }
        });
        Self { url, heard, _serving: serving }
    }
}

async fn talk(stream: TcpStream, verdict: &str, heard: &Mutex<String>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 relay\r\n").await?;
    let mut data = false;
    while let Some(line) = lines.next_line().await? {
        heard.lock().expect("nothing panics under this lock").push_str(&format!("{line}\n"));
        let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        let answer = match (data, word.as_str()) {
            (true, _) if line == "." => {
                data = false;
                "250 taken"
            }
            (true, _) => continue,
            (false, "RCPT") => verdict,
            (false, "DATA") => {
                data = true;
                "354 go on"
            }
            (false, "QUIT") => "221 bye",
            (false, _) => "250 fine",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

async fn invite(url: &str) -> (u16, String) {
    let url = url.to_owned();
    let world = World::with(move |settings| {
        let mail = json!({ "smtp_url": url, "from": "Example Clinic <care@example.org>" });
        settings.mail = Some(serde_json::from_value(mail).expect("settings"));
    })
    .await;
    let ask = json!({ "subject": "a", "provider": "google_health", "email": "patient@example.org" });
    let answer = world.ask("POST", "/v1/invitations", TOKEN, Some(ask)).await;
    (answer.status, answer.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_gets_the_invitation_and_nothing_of_the_person_but_the_address() {
    let relay = Relay::start("250 fine").await;
    let (status, text) = invite(&relay.url).await;
    assert_eq!(status, 201, "{text}");
    assert!(text.contains("\"mailed\":true") && !text.contains("/connect/start/"), "{text}");
    let heard = relay.heard.lock().expect("nothing panics under this lock").clone();
    for part in ["patient@example.org", "care@example.org", "Google Health", "/connect/start/"] {
        assert!(heard.contains(part), "{part}: {heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_refuses_or_is_away_is_told_without_its_words() {
    let relay = Relay::start("550 no such patient here").await;
    let (status, text) = invite(&relay.url).await;
    assert!(status == 502 && !text.contains("patient"), "{status} {text}");
    let away = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let (status, text) = invite(&format!("smtp://{away}")).await;
    assert!(status == 503 && !text.contains("patient"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_a_mailed_invitation_is_refused_and_a_link_is_given() {
    let world = World::new().await;
    let ask = |email: Option<&str>| json!({ "subject": "a", "provider": "google_health", "email": email });
    assert_eq!(world.ask("POST", "/v1/invitations", TOKEN, Some(ask(Some("p@example.org")))).await.status, 409);
    assert_eq!(world.ask("POST", "/v1/invitations", TOKEN, Some(ask(Some("no address")))).await.status, 400);
    let given = world.ask("POST", "/v1/invitations", TOKEN, Some(ask(None))).await;
    assert!(given.status == 201 && given.json()["url"].is_string(), "{}", given.text);
}
