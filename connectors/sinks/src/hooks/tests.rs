//! The sink against a receiver that answers by script.

use headwater_schemas::Position;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::http::AddressError;
use crate::testing::Receiver;
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AT: i64 = 1_767_225_600_000_000;

fn sink(receiver: &Receiver) -> HooksSink {
    HooksSink::new(&settings(&receiver.url)).unwrap()
}

fn settings(url: &str) -> Settings {
    Settings { url: url.into(), secret: SecretString::from(SECRET), events: None }
}

fn event(state: State) -> Connection<'static> {
    Connection {
        connection_id: Uuid::from_u128(1),
        provider: "acme_band",
        subject_id: "subject-1",
        state,
        stream: None,
        since: None,
        at: AT,
        reason: None,
    }
}

/// Writes the bodies as one batch.
async fn write_bodies(sink: &HooksSink, bodies: &[Vec<u8>]) -> Result<Vec<Verdict>, Unavailable> {
    let batch: Vec<Incoming<'_>> = bodies
        .iter()
        .map(|body| Incoming { topic: &topics::CONNECTION, position: Position::NONE, key: &[], framed: body, body })
        .collect();
    sink.write(&batch).await
}

async fn write(sink: &HooksSink, events: &[Connection<'_>]) -> Result<Vec<Verdict>, Unavailable> {
    let bodies: Vec<Vec<u8>> = events
        .iter()
        .map(|event| {
            let mut body = Vec::new();
            event.encode(&mut body);
            body
        })
        .collect();
    write_bodies(sink, &bodies).await
}

/// Different events of one connection, in order.
fn row(connection: u128, count: i64) -> impl Iterator<Item = Connection<'static>> {
    (0..count).map(move |n| Connection { connection_id: Uuid::from_u128(connection), at: AT + n, ..event(State::NeedsReauth) })
}

fn rejected(verdict: &Verdict) -> &Reject {
    match verdict {
        Verdict::Rejected(reject) => reject,
        Verdict::Written => panic!("expected a rejection"),
    }
}

#[tokio::test]
async fn an_event_is_posted_signed_and_in_the_documented_shape() {
    let receiver = Receiver::start(&[]).await;
    let verdicts = write(&sink(&receiver), &[event(State::NeedsReauth)]).await.unwrap();
    assert_eq!(verdicts, [Verdict::Written]);

    let heard = receiver.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].line, "POST /in?token=hidden-query HTTP/1.1");
    assert_eq!(heard[0].headers["content-type"], "application/json");
    let expected = json!({
        "type": "connection.needs_reauth",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": {"connection_id": "00000000-0000-0000-0000-000000000001", "provider": "acme_band", "subject_id": "subject-1"},
    });
    assert_eq!(heard[0].json(), expected);

    let timestamp: i64 = heard[0].headers["webhook-timestamp"].parse().unwrap();
    assert!((Timestamp::now().as_second() - timestamp).abs() < 60, "{timestamp}");
    let keys = Keys::parse(&SecretString::from(SECRET)).unwrap();
    assert_eq!(heard[0].headers["webhook-signature"], keys.sign(heard[0].id(), timestamp, &heard[0].body));
}

#[test]
fn stream_and_depth_are_told_where_the_event_has_them() {
    let message =
        Message::of(&Connection { stream: Some("sleep"), since: Some(AT - 1), ..event(State::HistoryComplete) }).unwrap();
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(body["type"], "connection.history_complete");
    assert_eq!(body["data"]["stream"], "sleep");
    assert_eq!(body["data"]["since"], "2025-12-31T23:59:59.999999Z");
}

#[test]
fn the_same_record_has_the_same_id_and_any_other_has_another() {
    let base = event(State::Disconnected);
    let id = |event: &Connection<'_>| Message::of(event).unwrap().id;
    assert_eq!(id(&base).to_string(), "0967ad5c-cbba-588e-af4f-41869efad8ab", "receivers may hold it for long: it never changes");
    let others = [
        Connection { connection_id: Uuid::from_u128(2), ..base.clone() },
        Connection { subject_id: "subject-2", ..base.clone() },
        Connection { state: State::Erased, ..base.clone() },
        Connection { stream: Some("sleep"), ..base.clone() },
        Connection { stream: Some(""), ..base.clone() },
        Connection { at: AT + 1, ..base.clone() },
    ];
    let mut ids: Vec<Uuid> = others.iter().chain([&base]).map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), others.len() + 1);
}

#[tokio::test]
async fn states_that_are_not_selected_make_no_request() {
    let receiver = Receiver::start(&[]).await;
    let quiet = [State::Connected, State::HistoryComplete, State::Incremental].map(event);
    assert_eq!(write(&sink(&receiver), &quiet).await.unwrap(), vec![Verdict::Written; 3]);
    assert!(receiver.heard().is_empty());

    let chosen = Settings { events: Some(vec![Event(State::Connected)]), ..settings(&receiver.url) };
    let sink = HooksSink::new(&chosen).unwrap();
    write(&sink, &[event(State::Connected), event(State::Erased)]).await.unwrap();
    let types: Vec<Value> = receiver.heard().iter().map(|heard| heard.json()["type"].clone()).collect();
    assert_eq!(types, ["connection.connected"]);
}

#[tokio::test]
async fn after_a_500_the_same_message_is_sent_again_under_the_same_id() {
    let receiver = Receiver::start(&["500 Internal Server Error", "200 OK"]).await;
    let sink = sink(&receiver);
    let events = [event(State::Erased)];
    let unavailable = write(&sink, &events).await.unwrap_err();
    assert_eq!((unavailable.why.as_str(), unavailable.retry_after), ("the receiver answered 500", None));
    assert_eq!(write(&sink, &events).await.unwrap(), [Verdict::Written]);

    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!((heard[0].id(), &heard[0].body), (heard[1].id(), &heard[1].body));
}

#[tokio::test]
async fn a_batch_that_comes_again_goes_on_where_it_stopped() {
    let receiver = Receiver::start(&["200 OK", "410 Gone", "503 Service Unavailable"]).await;
    let sink = sink(&receiver);
    let events: Vec<_> = row(1, 4).collect();
    write(&sink, &events).await.unwrap_err();
    assert_eq!(receiver.heard().len(), 3, "what follows a failed event of the same connection waits");

    let verdicts = write(&sink, &events).await.unwrap();
    assert_eq!(rejected(&verdicts[1]).code, code::REFUSED);
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Written).count(), 3);
    let ids: Vec<String> = receiver.heard().iter().map(|heard| heard.id().to_owned()).collect();
    let own: Vec<String> = events.iter().map(|event| Message::of(event).unwrap().id.to_string()).collect();
    assert_eq!(ids, [&own[0], &own[1], &own[2], &own[2], &own[3]].map(Clone::clone));

    // The batch is through and forgotten: a replay is told again.
    write(&sink, &events).await.unwrap();
    assert_eq!(receiver.heard().len(), 9);
}

#[tokio::test]
async fn events_of_one_connection_are_told_in_their_order() {
    let receiver = Receiver::start(&[]).await;
    let events: Vec<_> = (0..5).flat_map(|n| (1..=20).filter_map(move |connection| row(connection, 5).nth(n))).collect();
    write(&sink(&receiver), &events).await.unwrap();

    let mut told: HashMap<String, Vec<String>> = HashMap::new();
    for heard in receiver.heard() {
        let body = heard.json();
        let connection = body["data"]["connection_id"].as_str().unwrap().to_owned();
        told.entry(connection).or_default().push(body["timestamp"].as_str().unwrap().to_owned());
    }
    assert_eq!(told.len(), 20);
    let expected = ["", ".000001", ".000002", ".000003", ".000004"].map(|fraction| format!("2026-01-01T00:00:00{fraction}Z"));
    assert!(told.values().all(|times| *times == expected), "{told:?}");
}

#[tokio::test]
async fn gone_and_other_refusals_are_rejected_with_their_status() {
    for status in ["410 Gone", "400 Bad Request", "401 Unauthorized", "404 Not Found", "422 Unprocessable Content"] {
        let receiver = Receiver::start(&[status]).await;
        let verdicts = write(&sink(&receiver), &[event(State::Migrated)]).await.unwrap();
        let reject = rejected(&verdicts[0]);
        assert_eq!((reject.code, &reject.detail), (code::REFUSED, &format!("the receiver answered {}", &status[..3])));
    }
}

#[tokio::test]
async fn what_may_pass_is_no_records_fault() {
    for status in ["408 Request Timeout", "425 Too Early", "429 Too Many Requests", "500 Error", "502 Bad Gateway", "503 Busy"] {
        let receiver = Receiver::start(&[status]).await;
        let unavailable = write(&sink(&receiver), &[event(State::Migrated)]).await.unwrap_err();
        assert_eq!(unavailable.why, format!("the receiver answered {}", &status[..3]));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(&[]).await;
    let receiver = Receiver::start(&[&format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url)]).await;
    let unavailable = write(&sink(&receiver), &[event(State::Erased)]).await.unwrap_err();
    assert_eq!(unavailable.why, "the receiver answered 307, redirects are not followed");
    assert!(elsewhere.heard().is_empty());
}

#[tokio::test]
async fn the_pause_a_receiver_asks_for_is_kept_up_to_five_minutes() {
    for (asked, kept) in [
        ("7", Some(7)),
        ("0", Some(1)),
        ("86400", Some(300)),
        ("99999999999999999999999", Some(300)),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ] {
        let receiver = Receiver::start(&[&format!("429 Too Many Requests\r\nretry-after: {asked}")]).await;
        let unavailable = write(&sink(&receiver), &[event(State::Erased)]).await.unwrap_err();
        assert_eq!(unavailable.retry_after, kept.map(Duration::from_secs), "{asked}");
    }
}

#[tokio::test]
async fn other_batches_keep_the_pause_too() {
    let receiver = Receiver::start(&["503 Busy\r\nretry-after: 200"]).await;
    let sink = sink(&receiver);
    write(&sink, &[event(State::Erased)]).await.unwrap_err();
    let other: Vec<_> = row(2, 1).collect();
    let unavailable = write(&sink, &other).await.unwrap_err();
    let rest = unavailable.retry_after.unwrap();
    assert!(rest > Duration::from_secs(100) && rest <= Duration::from_secs(200), "{rest:?}");
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn a_batch_whose_time_is_up_makes_no_further_request() {
    let receiver = Receiver::start(&[]).await;
    let sink = sink(&receiver);
    let round = Round { until: Instant::now() - Duration::from_millis(1), stopped: Mutex::default() };
    let lane = [(0, Message::of(&event(State::Erased)).unwrap())];
    assert!(sink.tell(&lane, &round).await.is_empty());
    assert_eq!(round.stopped().as_ref().unwrap().why, slow().why);

    // Nor does one that waits behind others for its turn.
    let _others = sink.slots.acquire_many(AT_ONCE as u32).await.unwrap();
    let round = Round { until: Instant::now() + Duration::from_millis(20), stopped: Mutex::default() };
    assert!(sink.tell(&lane, &round).await.is_empty());
    assert_eq!(round.stopped().as_ref().unwrap().why, slow().why);
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn no_connection_is_no_records_fault_and_names_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in?token=hidden-query", listener.local_addr().unwrap());
    drop(listener);
    let unavailable = write(&HooksSink::new(&settings(&url)).unwrap(), &[event(State::Erased)]).await.unwrap_err();
    assert_eq!(unavailable.why, "no connection to the receiver");
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let start = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n{}", "x".repeat(64 * 1024));
    let receiver = Receiver::verbatim([start].into()).await;
    let sink = sink(&receiver);
    let events = [event(State::Erased)];
    let written = tokio::time::timeout(TIMEOUT / 2, write(&sink, &events)).await.expect("the rest is not waited for");
    assert_eq!(written.unwrap(), [Verdict::Written]);
}

#[tokio::test]
async fn a_body_that_does_not_decode_is_rejected_and_the_others_are_told() {
    let receiver = Receiver::start(&[]).await;
    let mut good = Vec::new();
    event(State::Erased).encode(&mut good);
    let mut timeless = Vec::new();
    Connection { at: i64::MAX, ..event(State::Erased) }.encode(&mut timeless);
    let verdicts = write_bodies(&sink(&receiver), &[vec![0xff; 3], good, timeless]).await.unwrap();
    assert_eq!(rejected(&verdicts[0]).code, code::BAD_AVRO);
    assert_eq!(verdicts[1], Verdict::Written);
    assert_eq!(rejected(&verdicts[2]).code, code::BAD_TIME);
    assert_eq!(receiver.heard().len(), 1);
}

#[test]
fn plain_http_is_refused_except_on_loopback() {
    for url in
        ["https://example.org/in", "http://127.0.0.1:1/in", "http://127.9.9.9/", "http://[::1]:8080/in", "http://localhost/in"]
    {
        assert!(HooksSink::new(&settings(url)).is_ok(), "{url}");
    }
    for url in [
        "http://example.org/in",
        "http://10.0.0.1/",
        "http://localhost.example.org/",
        "http://127.0.0.1.example.org/",
        "ftp://[::1]/",
    ] {
        assert!(matches!(HooksSink::new(&settings(url)), Err(SettingsError::Address(AddressError::Plain))), "{url}");
    }
    assert!(matches!(HooksSink::new(&settings("example.org/in")), Err(SettingsError::Address(AddressError::Address(_)))));
    assert!(matches!(
        HooksSink::new(&settings("https://me:pw@example.org/in")),
        Err(SettingsError::Address(AddressError::Credentials))
    ));
}

#[test]
fn debug_shows_neither_the_secret_nor_the_address_beyond_its_host() {
    let text = format!("{:?}", settings("https://example.org/hidden-path?token=hidden-query"));
    assert!(text.contains("example.org"), "{text}");
    for hidden in [SECRET, &SECRET["whsec_".len()..], "hidden"] {
        assert!(!text.contains(hidden), "{text}");
    }
    let keys = format!("{:?}", Keys::parse(&SecretString::from(SECRET)).unwrap());
    assert!(!keys.contains("49, 242") && !keys.contains("MfKQ"), "{keys}");
}

#[test]
fn settings_name_events_as_the_topic_does_and_know_no_other_field() {
    let read = |extra: &str| {
        serde_json::from_str::<Settings>(&format!(r#"{{"url": "https://example.org", "secret": "{SECRET}"{extra}}}"#))
    };
    assert_eq!(read("").unwrap().states().unwrap(), DEFAULT_EVENTS);
    let chosen = read(r#", "events": ["connected", "history_complete", "incremental"]"#).unwrap();
    assert_eq!(chosen.states().unwrap(), [State::Connected, State::HistoryComplete, State::Incremental]);
    assert!(matches!(HooksSink::new(&read(r#", "events": []"#).unwrap()), Err(SettingsError::NoEvents)));
    let unknown = read(r#", "events": ["broken"]"#).unwrap_err().to_string();
    assert!(unknown.contains("unknown event `broken`") && unknown.contains("needs_reauth"), "{unknown}");
    assert!(read(r#", "colour": "red""#).is_err());
}
