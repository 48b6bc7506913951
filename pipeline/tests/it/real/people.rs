//! Tokens, consent and erasure on real parts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_ingest::Outlet;
use headwater_schemas::topics;
use headwater_simulator::{Addition, Content, People, Provider, Settings};
use headwater_store::Store;
use headwater_store::seal::Keyring;
use headwater_store::sqlite::SqliteStore;
use hmac::{Hmac, Mac as _};
use rand::Rng as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sha2::Sha256;
use tokio::task::JoinSet;

use super::parts_or_skip;
use super::rig::{Process, Rig, quiet, small, until};

const SUBJECT: &str = "person-1";

/// Whatever the number of instances and callers and the moment they come: one call arrives, all get the pair it brought. The cloud refuses a
/// refresh token that was used before, so a second call could not be hidden.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_instances_that_refresh_one_single_use_token_one_asks() {
    let parts = parts_or_skip!();
    let mut settings = small();
    settings.oauth.withings_refresh_grace = Duration::ZERO;
    let rig = Rig::at(parts, Some(settings), "").await;
    let person = rig.person(Provider::Withings);
    let connection = rig.connect(&person, SUBJECT).await;
    let refreshes = || rig.control().counts()[&Provider::Withings].refreshes;
    let calls = || {
        let counts = rig.control().counts();
        counts[&Provider::Withings].requests.iter().filter(|(name, _)| name.contains("requesttoken")).map(|(_, n)| n).sum::<u64>()
    };
    let rounds = 12;
    let (before, called) = (refreshes(), calls());
    for round in 0..rounds {
        let (instances, callers) = (rand::rng().random_range(2..=12), rand::rng().random_range(1..=5));
        let mut tokens = rig.store.tokens(connection).await.expect("the store").expect("tokens");
        let expected = Some(tokens.generation);
        (tokens.expires_at, tokens.generation) = (Some(1), tokens.generation + 1);
        assert!(rig.store.put_tokens(connection, expected, &tokens).await.expect("the store"));
        let mut race = JoinSet::new();
        for _ in 0..instances {
            let outlet: Arc<dyn Outlet> = Arc::new(rig.app.producer("race").expect("a producer"));
            let keeper = rig.app.ingest(rig.store.clone(), outlet).expect("ingest").tokens();
            for _ in 0..callers {
                let (keeper, late) = (keeper.clone(), Duration::from_millis(rand::rng().random_range(0..40)));
                race.spawn(async move {
                    tokio::time::sleep(late).await;
                    keeper.access(connection, "withings", None).await.expect("a token").generation
                });
            }
        }
        let generations: HashSet<i64> = race.join_all().await.into_iter().collect();
        assert_eq!(generations.len(), 1, "round {round}: {instances} instances with {callers} callers each");
        assert_eq!((refreshes() - before, calls() - called), (round + 1, round + 1), "round {round}: one call arrives");
    }
    let connection = rig.store.connection(connection).await.expect("the store").expect("a connection");
    assert_eq!(connection.state, headwater_store::ConnectionState::Active, "nobody lost a token");
}

/// The provider's answer to a refresh is lost, as by a crash before it was stored: with grace nobody loses the connection, without it the one in
/// flight does, is counted as such, and no other. On both stores.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_refresh_costs_nothing_where_there_is_grace_and_one_connection_where_there_is_none() {
    let parts = parts_or_skip!();
    for (grace, lost) in [(Duration::from_secs(8 * 3600), 0), (Duration::ZERO, 1)] {
        let mut settings = Settings { people: People { withings: 4, google_health: 0, others: 0 }, ..small() };
        settings.oauth.withings_refresh_grace = grace;
        let rig = Rig::at(parts.clone(), Some(settings), "").await;
        let sqlite: Arc<dyn Store> =
            Arc::new(SqliteStore::open(":memory:".as_ref(), Keyring::ephemeral()).await.expect("a store"));
        sqlite.migrate().await.expect("tables");
        for (name, store) in [("cassandra", rig.store.clone()), ("sqlite", sqlite)] {
            let mut connections = Vec::new();
            let people = rig.control().people().into_iter().filter(|p| p.provider == Provider::Withings);
            for (n, person) in people.enumerate() {
                connections.push(rig.connect_at(&store, &person, &format!("s{n}")).await);
            }
            for connection in &connections {
                let mut tokens = store.tokens(*connection).await.expect("the store").expect("tokens");
                let expected = Some(tokens.generation);
                (tokens.expires_at, tokens.generation) = (Some(1), tokens.generation + 1);
                assert!(store.put_tokens(*connection, expected, &tokens).await.expect("the store"));
            }
            let keeper = || {
                let outlet: Arc<dyn Outlet> = Arc::new(rig.app.producer("refresh").expect("a producer"));
                rig.app.ingest(store.clone(), outlet).expect("ingest").tokens()
            };
            // Done there, and cut off on the way back: the next instance finds the intent.
            rig.control().fault_at(Provider::Withings, "requesttoken", headwater_simulator::Fault::CutJson, 1);
            assert!(keeper().access(connections[0], "withings", None).await.is_err());
            let mut gone = 0;
            for connection in &connections {
                let after = keeper();
                gone += usize::from(after.access(*connection, "withings", None).await.is_err());
            }
            let mut reasons = Vec::new();
            for connection in &connections {
                reasons.extend(store.connection(*connection).await.expect("the store").expect("a connection").reason);
            }
            assert_eq!((gone, reasons.len()), (lost, lost), "{name}, grace {grace:?}: {reasons:?}");
            assert!(reasons.iter().all(|reason| reason == "lost_in_refresh"), "{name}: {reasons:?}");
            println!("{name}, grace {grace:?}: {gone} of {} connections lost their token", connections.len());
        }
    }
}

/// Receive, fetch, normalize, both sinks, and the API.
async fn roles(rig: &Rig) -> Vec<Process> {
    let mut roles = Vec::new();
    for arguments in
        [&["receive"][..], &["fetch"], &["process", "normalize"], &["sink", "scylla"], &["sink", "eventhubs"], &["api"]]
    {
        roles.push(rig.start(arguments).await);
    }
    roles
}

/// A weight an hour ago, announced by the cloud.
async fn weigh(rig: &Rig, kilograms: f64) -> (i64, i64) {
    let person = rig.person(Provider::Withings);
    let at = jiff::Timestamp::now().as_second() - 3600 + i64::from(rand::rng().random_range(0..1800));
    let addition = Addition { start: at, end: at, content: Content::Value(kilograms) };
    rig.control().add(Provider::Withings, &person.user_id, "measures", addition).await.expect("added");
    (at * 1_000_000, at * 1_000_000 + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_type_stops_within_seconds_and_comes_back_when_it_is_granted_again() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let roles = roles(&rig).await;
    rig.connect(&rig.person(Provider::Withings), SUBJECT).await;
    let first = weigh(&rig, 80.0).await;
    until("the first row", async || rig.rows(SUBJECT, "body-weight", first.0, first.1).await.pop()).await;

    // The operator's token may not decide for a person: the decision is recorded as the platform's own identity provider would let it.
    let (status, _) = rig.ask("PUT", &format!("/v1/subjects/{SUBJECT}/consent"), Some(json!({ "granted": true }))).await;
    assert_eq!(status, 403);
    let accounts = rig.accounts();
    let agreed = |types: &[&str]| headwater_ingest::account::Agreed {
        granted: true,
        data_types: types.iter().map(|t| (*t).to_owned()).collect(),
        recipients: vec![],
        until: None,
        actor: format!("subject:{SUBJECT}"),
        at: accounts.now(),
    };
    let decided = Instant::now();
    accounts.agree(SUBJECT, &agreed(&["steps", "steps-day"])).await.expect("recorded");
    let obeyed = || roles.iter().map(|role| role.metric("headwater_consent_obeyed_seconds_count")).sum::<f64>();
    until("everybody obeys", async || (obeyed() >= 3.0).then_some(())).await;
    println!("obeyed by all within {:?}", decided.elapsed());
    assert!(decided.elapsed() < Duration::from_secs(10));

    let second = weigh(&rig, 81.0).await;
    until("it is withheld", async || (roles[2].metric("headwater_withheld_records_total") > 0.0).then_some(())).await;
    assert!(rig.rows(SUBJECT, "body-weight", second.0, second.1).await.is_empty());

    accounts.agree(SUBJECT, &agreed(&[])).await.expect("recorded");
    until("what was passed over", async || rig.rows(SUBJECT, "body-weight", second.0, second.1).await.pop()).await;
}

/// A platform that is told of account links, and checks the signature as its libraries would.
#[tokio::test(flavor = "multi_thread")]
async fn a_platform_hears_that_a_link_ended_signed_and_once_it_answers() {
    let parts = parts_or_skip!();
    type Call = (Vec<(String, String)>, String);
    let heard: Arc<std::sync::Mutex<Vec<Call>>> = Arc::default();
    let keep = heard.clone();
    let router = axum::Router::new().fallback(async move |headers: axum::http::HeaderMap, body: String| {
        let headers = headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect();
        let mut heard = keep.lock().expect("nothing panics under this lock");
        heard.push((headers, body));
        // The first attempt fails: the same event comes again.
        if heard.len() == 1 { axum::http::StatusCode::SERVICE_UNAVAILABLE } else { axum::http::StatusCode::NO_CONTENT }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    let hooks = format!("[sinks.hooks]\nurl = \"{url}\"\nsecret = \"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n");
    let rig = Rig::with(parts, true, &hooks).await;
    let _hooks = rig.start(&["sink", "hooks"]).await;
    let connection = rig.connect(&rig.person(Provider::GoogleHealth), SUBJECT).await;
    rig.accounts().disconnect(connection, SUBJECT).await.expect("left");
    let heard = until("both attempts", async || {
        let heard = heard.lock().expect("nothing panics under this lock").clone();
        (heard.len() >= 2).then_some(heard)
    })
    .await;
    let header = |n: usize, name: &str| heard[n].0.iter().find(|(h, _)| h == name).map(|(_, v)| v.clone()).expect("a header");
    assert_eq!(header(0, "webhook-id"), header(1, "webhook-id"), "a repeat is the same event");
    for (n, (_, body)) in heard.iter().enumerate().take(2) {
        let event: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(event["type"], "connection.disconnected", "{event}");
        assert_eq!(event["data"]["connection_id"], connection.to_string(), "{event}");
        let signed = format!("{}.{}.{body}", header(n, "webhook-id"), header(n, "webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef0123456789abcdef").expect("a key");
        mac.update(signed.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(header(n, "webhook-signature"), expected);
    }
}

/// Announcements that ended at the provider are set up again, and are gone with the connection.
#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_set_up_looked_after_and_ended() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let _receive = rig.start(&["receive"]).await;
    let person = rig.person(Provider::Withings);
    let connection = rig.connect(&person, SUBJECT).await;
    let cloud = rig.simulator.as_ref().expect("a cloud").url();
    let notify = async |form: &[(&str, &str)]| -> serde_json::Value {
        let tokens = rig.store.tokens(connection).await.expect("the store").expect("tokens");
        let request = reqwest::Client::new().post(format!("{cloud}/withings/notify")).form(form);
        let answer = request.bearer_auth(tokens.access.expose_secret()).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    };
    let listed = async || notify(&[("action", "list")]).await["body"]["profiles"].as_array().expect("a list").clone();
    let all = listed().await;
    assert_eq!(all.len(), 7, "{all:?}");
    assert!(rig.store.health(connection).await.expect("the store").subscribed_at.is_some());
    let callback = all[0]["callbackurl"].as_str().expect("an address").to_owned();
    for appli in ["1", "44"] {
        notify(&[("action", "revoke"), ("callbackurl", &callback), ("appli", appli)]).await;
    }
    assert_eq!(listed().await.len(), 5);
    // As if the last look was long ago.
    rig.store.set_subscribed(connection, Some(1)).await.expect("the store");
    let _fetch = rig.start(&["fetch"]).await;
    rig.accounts().sync(connection).await.expect("asked");
    until("all of them again", async || (listed().await.len() == 7).then_some(())).await;
    rig.accounts().disconnect(connection, SUBJECT).await.expect("left");
    // The access is gone too, so the cloud is asked as somebody who connects anew.
    let again = rig.connect(&person, SUBJECT).await;
    assert_eq!(again, connection);
    assert_eq!(listed().await.len(), 7, "and none twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_gone_and_a_replay_from_raw_brings_nothing_back() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, true).await;
    let mut running = roles(&rig).await;
    rig.connect(&rig.person(Provider::Withings), SUBJECT).await;
    rig.connect(&rig.person(Provider::GoogleHealth), "person-2").await;
    let at = weigh(&rig, 80.0).await;
    until("the row", async || rig.rows(SUBJECT, "body-weight", at.0, at.1).await.pop()).await;
    let steps = async || rig.rows("person-2", "steps-day", 0, i64::MAX / 2).await.len();
    until("somebody else's rows", async || (steps().await > 0).then_some(())).await;

    let (status, proof) = rig.ask("DELETE", &format!("/v1/subjects/{SUBJECT}"), None).await;
    assert_eq!(status, 202, "{proof}");
    let complete = until("the proof", async || {
        let (_, proof) = rig.ask("GET", &format!("/v1/subjects/{SUBJECT}/erasure"), None).await;
        (proof["status"] == "complete").then_some(proof)
    });
    let proof = complete.await;
    let count = |step: &str| {
        let steps = proof["steps"].as_array().expect("steps");
        steps.iter().find(|s| s["step"] == step).unwrap_or_else(|| panic!("no step {step}: {proof}"))["count"].as_i64()
    };
    assert_eq!((count("connections"), count("keys"), count("left")), (Some(1), Some(1), Some(0)), "{proof}");
    assert!(count("observations") > Some(0), "{proof}");
    assert_eq!(rows(&rig).await, 0);
    let (_, listed) = rig.ask("GET", &format!("/v1/connections?subject={SUBJECT}"), None).await;
    assert_eq!(listed["connections"], json!([]));

    // From the beginning of raw, by every processor and sink, with nothing in memory.
    // Longer than a hint that was put off waits.
    quiet("nothing more to come", Duration::from_secs(8), || messages(&rig)).await;
    let before = messages(&rig);
    let raws = rig.values(&topics::RAW.name(&rig.namespace, Some("withings"))).len();
    assert!(raws > 0 && before > 0);
    running.truncate(2);
    rewind(&rig, "normalize", &topics::RAW.name(&rig.namespace, Some("withings"))).await;
    rewind(&rig, "scylla", &topics::OBSERVATION.name(&rig.namespace, None)).await;
    let normalize = rig.start(&["process", "normalize"]).await;
    let scylla = rig.start(&["sink", "scylla"]).await;
    until("all of raw", async || (normalize.metric("headwater_withheld_records_total") >= raws as f64).then_some(())).await;
    assert_eq!(messages(&rig), before, "0 messages");
    until("all observations again", async || (scylla.metric("headwater_records_in_total") >= before as f64).then_some(())).await;
    assert_eq!(rows(&rig).await, 0, "0 rows");
    assert!(rig.command(&["dead", "list"]).stdout.is_empty(), "nothing was refused on the way");
}

/// Rows of the erased person, of any type.
async fn rows(rig: &Rig) -> usize {
    let mut found = 0;
    for measure in headwater_schemas::codes::ALL {
        found += rig.rows(SUBJECT, measure.slug, 0, i64::MAX / 2).await.len();
    }
    found
}

fn messages(rig: &Rig) -> usize {
    rig.values(&topics::OBSERVATION.name(&rig.namespace, None)).len()
}

/// Sets a stopped worker's group back to the beginning of a topic. Its static members are members until their session ends.
async fn rewind(rig: &Rig, worker: &str, topic: &str) {
    let group = format!("{}.{worker}", rig.namespace);
    until("the group is empty", async || {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &rig.parts.kafka).set("group.id", &group).create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Offset(0)).expect("an offset");
        }
        consumer.commit(&list, CommitMode::Sync).ok()
    })
    .await;
}

/// What the cloud gives out carries a word; nothing we say carries it.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_payload_or_provider_id_is_ever_said() {
    const WORD: &str = "kanarie7f3a";
    /// How the ids of people begin that are numbers. Longer than the fraction of a second in a log, or chance finds it there.
    const NUMBER: &str = "770077007";
    let parts = parts_or_skip!();
    let spans = Spans::start().await;
    let settings = Settings { canary: Some(WORD.into()), ..small() };
    let telemetry = format!("[telemetry]\notlp_endpoint = \"{}\"\n", spans.url);
    let mut rig = Rig::at(parts, Some(settings), &telemetry).await;
    rig.log = "trace";
    let running = roles(&rig).await;
    let (scale, band) = (rig.person(Provider::Withings), rig.person(Provider::GoogleHealth));
    assert!(scale.user_id.starts_with(NUMBER) && band.user_id.starts_with(WORD));
    let connection = rig.connect(&scale, SUBJECT).await;
    rig.connect(&band, "person-2").await;
    let at = weigh(&rig, 80.0).await;
    until("the row", async || rig.rows(SUBJECT, "body-weight", at.0, at.1).await.pop()).await;

    // Errors of every kind: refused, failing and garbled answers, an expired token, a revoked grant, refused calls to the door.
    let control = rig.control();
    for fault in [
        headwater_simulator::Fault::ServerError,
        headwater_simulator::Fault::CutJson,
        headwater_simulator::Fault::Expired,
        headwater_simulator::Fault::RateLimited { retry_after: Some(1) },
    ] {
        control.fault_at(Provider::Withings, "getmeas", fault, 2);
        let (status, _) = rig.ask("POST", &format!("/v1/connections/{connection}/sync?wait=20"), None).await;
        assert!((200..300).contains(&status));
    }
    control.revoke(Provider::GoogleHealth, &band.user_id);
    let mut said: Vec<(String, Vec<u8>)> = Vec::new();
    let http = reqwest::Client::new();
    for (url, body) in [
        (format!("http://{}/webhooks/withings/{WORD}", rig.receive), format!("userid={}&appli=1&comment={WORD}", scale.user_id)),
        (
            format!("http://{}/webhooks/google_health", rig.receive),
            format!("{{\"data\":{{\"healthUserId\":\"{}\"}}}}", band.user_id),
        ),
        (format!("http://{}/webhooks/{WORD}", rig.receive), String::new()),
    ] {
        let answer = http.post(&url).header("authorization", WORD).body(body).send().await.expect("an answer");
        assert!(answer.status().is_client_error(), "{url}: {}", answer.status());
        said.push((format!("answer of {url}"), answer.bytes().await.expect("a body").to_vec()));
    }
    for path in ["/v1/connections", "/health/observations?subject=x", "/connect/callback/withings?state=a&code="] {
        let url = format!("http://{}{path}{}", rig.api, if path.ends_with('=') { WORD } else { "" });
        let answer = http.get(&url).bearer_auth(WORD).send().await.expect("an answer");
        assert!(answer.status().is_client_error(), "{url}: {}", answer.status());
        said.push((format!("answer of {path}"), answer.bytes().await.expect("a body").to_vec()));
    }
    for role in &running {
        said.push((format!("metrics of {}", role.log.display()), role.page().into_bytes()));
    }
    let logs: Vec<_> = running.iter().map(|role| role.log.clone()).collect();
    for role in running {
        role.stop();
    }
    for log in logs {
        let text = std::fs::read(&log).expect("a log");
        let detailed = text.windows(5).any(|w| w == b"TRACE");
        assert!(detailed, "{} is as detailed as it can be", log.display());
        said.push((format!("log {}", log.display()), text));
    }
    let spans = spans.seen();
    assert!(!spans.is_empty(), "spans were exported");
    said.push(("spans".into(), spans));
    for topic in topics::ALL.iter().filter(|t| !t.family) {
        said.extend(rig.everything(&topic.name(&rig.namespace, None)));
    }
    for provider in ["withings", "google_health"] {
        said.extend(rig.everything(&topics::RAW.name(&rig.namespace, Some(provider))));
    }
    let hits: Vec<String> = said
        .iter()
        .filter(|(_, bytes)| [WORD, NUMBER].iter().any(|word| bytes.windows(word.len()).any(|w| w == word.as_bytes())))
        .map(|(place, bytes)| format!("{place}: {}", excerpt(bytes, &[WORD, NUMBER])))
        .collect();
    println!("searched {} places, {} bytes", said.len(), said.iter().map(|(_, b)| b.len()).sum::<usize>());
    assert!(hits.is_empty(), "{} hits:\n{}", hits.len(), hits[..hits.len().min(12)].join("\n"));
}

fn excerpt(bytes: &[u8], words: &[&str]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find(|line| words.iter().any(|word| line.contains(word))).unwrap_or_default();
    line.chars().take(300).collect()
}

/// Keeps what is exported over OTLP.
struct Spans {
    url: String,
    seen: Arc<std::sync::Mutex<Vec<u8>>>,
    _serving: JoinSet<()>,
}

impl Spans {
    async fn start() -> Self {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let keep = seen.clone();
        let router = axum::Router::new().fallback(async move |body: axum::body::Bytes| {
            keep.lock().expect("nothing panics under this lock").extend_from_slice(&body);
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, seen, _serving: serving }
    }

    fn seen(&self) -> Vec<u8> {
        self.seen.lock().expect("nothing panics under this lock").clone()
    }
}
