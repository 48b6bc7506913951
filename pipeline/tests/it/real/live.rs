//! Observations as they come, over HTTP: of one person only, each once, also for somebody whose line broke.

use std::time::Duration;

use super::feed;
use super::parts_or_skip;
use super::rig::{API_TOKEN, Rig};

/// Of every five records one is this person's.
const PERSON: &str = "person-1";

/// An open stream of events.
struct Listener {
    answer: reqwest::Response,
    text: String,
}

#[derive(Debug)]
struct Event {
    id: String,
    data: serde_json::Value,
}

impl Listener {
    async fn open(rig: &Rig, after: Option<&str>) -> reqwest::Response {
        let url = format!("http://{}/health/live?subject={PERSON}&type=body-weight", rig.api);
        let mut asked = reqwest::Client::new().get(url).bearer_auth(API_TOKEN);
        if let Some(id) = after {
            asked = asked.header("last-event-id", id);
        }
        asked.send().await.expect("an answer")
    }

    async fn after(rig: &Rig, after: Option<&str>) -> Self {
        let answer = Self::open(rig, after).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().ok()), (200, Some("text/event-stream")));
        Self { answer, text: String::new() }
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim().to_owned());
                let (kind, id, data) = (field("event:"), field("id:"), field("data:"));
                self.text = rest.to_owned();
                if kind.is_some() {
                    assert_eq!(kind.as_deref(), Some("observation"), "{data:?}");
                    let data = serde_json::from_str(&data.expect("data")).expect("JSON");
                    return Event { id: id.expect("an id"), data };
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.answer.chunk()).await.expect("an event within 30 s");
            let chunk = chunk.expect("an open line").expect("no end");
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    async fn some(&mut self, count: usize) -> Vec<Event> {
        let mut events = vec![];
        while events.len() < count {
            events.push(self.next().await);
        }
        events
    }
}

/// The records of the person among `from..to`, as their start and value.
fn expected(from: u64, to: u64) -> Vec<(String, f64)> {
    let own = (from..to).filter(|n| feed::subject(*n) == PERSON).map(feed::expected);
    own.map(|(grams, at)| (jiff::Timestamp::from_second(at).expect("a time").to_string(), grams as f64 / 1000.0)).collect()
}

fn heard(events: &[Event]) -> Vec<(String, f64)> {
    let mut heard: Vec<(String, f64)> = events
        .iter()
        .map(|event| {
            let value = event.data["value"].as_str().and_then(|value| value.parse().ok()).expect("digits");
            (event.data["start"].as_str().expect("a start").to_owned(), value)
        })
        .collect();
    heard.sort_by(|a, b| a.0.cmp(&b.0));
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_listens_hears_each_of_their_observations_once_also_after_a_break() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let _normalize = rig.start(&["process", "normalize"]).await;
    let mut api = rig.start(&["api"]).await;
    let producer = rig.app.producer("feed").expect("a producer");

    let mut listener = Listener::after(&rig, None).await;
    feed::put(&producer, 0, 50).await;
    let events = listener.some(10).await;
    assert_eq!(heard(&events), expected(0, 50));

    // The line breaks after the fourth, and more comes while nobody listens.
    let fourth = events[3].id.clone();
    drop(listener);
    feed::put(&producer, 50, 100).await;
    let mut listener = Listener::after(&rig, Some(&fourth)).await;
    let rest = listener.some(16).await;
    assert_eq!(rest.iter().map(|event| &event.id).collect::<std::collections::BTreeSet<_>>().len(), 16);
    let all: Vec<Event> = events.into_iter().take(4).chain(rest).collect();
    assert_eq!(heard(&all), expected(0, 100));

    // And goes on live; also at a server that was started since.
    feed::put(&producer, 100, 150).await;
    let live = listener.some(10).await;
    assert_eq!(heard(&live), expected(100, 150));
    api.kill();
    let _api = rig.start(&["api"]).await;
    feed::put(&producer, 150, 200).await;
    let mut listener = Listener::after(&rig, Some(&live[9].id)).await;
    assert_eq!(heard(&listener.some(10).await), expected(150, 200));

    let (partition, offset) = fourth.split_once(':').expect("partition and offset");
    let another = (partition.parse::<i32>().expect("a number") + 1) % 12;
    for id in [format!("{another}:{offset}"), "x".to_owned(), format!("{partition}:-1")] {
        assert_eq!(Listener::open(&rig, Some(&id)).await.status().as_u16(), 400, "{id}");
    }
}
