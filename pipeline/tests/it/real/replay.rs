//! Raw records gone through once more, beside live traffic: the same rows, or exactly the rows that another mapping makes different.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use headwater::command::replay::compare::{self, Row};
use headwater::command::replay::{Ask, LANE, Mode, run, shadow};
use headwater_ingest::Outlet as _;
use headwater_processors::normalize::Normalize;
use headwater_processors::{Input, Processor, Report};
use headwater_schemas::observation::{Observation, Status};
use headwater_schemas::raw::{Amended, Gone, Origin, Raw};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Reject, Topic, wire};
use headwater_store::{StoredObservation, body};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::feed;
use super::parts_or_skip;
use super::rig::{Process, Rig, until, until_within};

/// Providers whose fixtures are in the topics.
const PROVIDERS: &[&str] = &["google_health", "withings", "oura", "dexcom", "whoop"];
/// Whose they are.
const SOMEBODY: &str = "somebody";

/// Raw, normalized and stored: live traffic as it was before a replay.
struct Stood {
    rig: Rig,
    producer: headwater::log::kafka::Producer,
    _normalize: Process,
    _scylla: Process,
}

impl Stood {
    /// With so many weights, and all fixtures of several providers.
    async fn with(parts: super::rig::Parts, weights: u64) -> Self {
        let rig = Rig::new(parts, false).await;
        let producer = rig.app.producer("feed").expect("a producer");
        let (normalize, scylla) = (rig.start(&["process", "normalize"]).await, rig.start(&["sink", "scylla"]).await);
        feed::put(&producer, 0, weights).await;
        let mut out = Outbox::default();
        for provider in PROVIDERS {
            fixtures(provider, &mut out);
        }
        producer.append(&out).await.expect("kafka takes it");
        let stood = Self { rig, producer, _normalize: normalize, _scylla: scylla };
        stood.settled().await;
        stood
    }

    /// Waits until everything that is on the topics is in the store.
    async fn settled(&self) {
        let rig = &self.rig;
        let raw = PROVIDERS.iter().map(|provider| ("normalize", topics::RAW.name(&rig.namespace, Some(provider))));
        let rest = [&topics::OBSERVATION, &topics::DEVICE].map(|topic| ("scylla", topic.name(&rig.namespace, None)));
        for (worker, topic) in raw.chain(rest) {
            until_within(&format!("{worker} through {topic}"), Duration::from_secs(120), async || {
                rig.through(worker, &topic).then_some(())
            })
            .await;
        }
    }

    /// All rows, every column of them.
    async fn rows(&self) -> Vec<StoredObservation> {
        let mut rows = Vec::new();
        for subject in (0..5).map(feed::subject).chain([SOMEBODY.to_owned()]) {
            for data_type in self.rig.store.data_types(&subject).await.expect("the store") {
                rows.extend(self.rig.rows(&subject, &data_type, i64::MIN / 4, i64::MAX / 4).await);
            }
        }
        assert!(!rows.is_empty());
        rows
    }

    /// Of these rows, and of all devices.
    async fn digest(&self, of: impl Fn(&StoredObservation) -> bool) -> String {
        let mut rows: Vec<String> = self.rows().await.iter().filter(|row| of(row)).map(|row| format!("{row:?}")).collect();
        for subject in (0..5).map(feed::subject).chain([SOMEBODY.to_owned()]) {
            let devices = self.rig.store.devices(&subject).await.expect("the store");
            rows.extend(devices.iter().map(|device| format!("{device:?}")));
        }
        rows.sort_unstable();
        let mut digest = Sha256::new();
        rows.iter().for_each(|row| digest.update(row));
        format!("{} {:x?}", rows.len(), &digest.finalize()[..])
    }

    fn replay(&self, more: &[&str]) -> Output {
        self.rig.command(&[&["replay", "--provider", "all"], more].concat())
    }

    /// Observations that say they were replayed.
    fn replayed(&self) -> Vec<Vec<u8>> {
        self.rig.marked(&topics::OBSERVATION.name(&self.rig.namespace, None), LANE)
    }
}

fn fixtures(provider: &str, out: &mut Outbox) {
    let source = headwater_sources::by_id(provider).expect("a provider");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../connectors/sources/src").join(provider).join("fixtures");
    for file in std::fs::read_dir(folder).expect("fixtures") {
        let path = file.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        let stream = name.split('.').next().expect("a first part");
        if source.profile().stream(stream).is_some() {
            let body = std::fs::read(&path).expect("a readable file");
            feed::put_raw(out, &Raw { time_zone: Some("Europe/Paris"), ..feed::of(provider, stream, SOMEBODY, &body) });
        }
    }
}

/// Stdout of a command that went well.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number before these words.
fn number(said: &str, words: &str) -> u64 {
    let before = said.split(words).next().filter(|before| before.len() < said.len());
    let last = before.and_then(|before| before.trim_end().rsplit(' ').next());
    last.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number before {words:?} in {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_beside_live_traffic_leaves_the_same_rows_twice() {
    const BEFORE: u64 = 500;
    let stood = Stood::with(parts_or_skip!(), BEFORE).await;
    let rig = &stood.rig;
    let fed = feed::span(BEFORE).1;
    // What comes live meanwhile is no part of what stood.
    let old = |row: &StoredObservation| row.subject_id == SOMEBODY || row.start < fed;
    let before = stood.digest(old).await;
    let mut live = BEFORE;
    for round in 0..2 {
        let rate = ["replay", "--provider", "all", "--rate", "100", "--restart"];
        let mut child = rig.spawned(&rate, Stdio::null());
        let replayed = stood.replayed().len();
        until("the replay to be at it", async || (stood.replayed().len() > replayed).then_some(())).await;
        feed::put(&stood.producer, live, live + 50).await;
        live += 50;
        feed::complete(rig, live, Duration::from_secs(60)).await;
        assert!(child.try_wait().expect("ours").is_none(), "round {round}: what is live arrives while the replay goes on");
        assert!(child.wait().expect("ours").success());
        stood.settled().await;
        assert_eq!(stood.digest(old).await, before, "round {round}");
    }
    // What came out of the replay is what stood, and says that it was replayed.
    assert!(stood.replayed().len() as u64 > 2 * BEFORE);
    let again = said(&stood.replay(&[]));
    assert!(again.contains("finished, nothing is left") && again.contains("--restart"), "{again}");
    let counted = said(&stood.replay(&["--dry-run", "--restart"]));
    assert_eq!(number(&counted, "records read"), live + raws(rig), "{counted}");
    assert!(number(&counted, "observations") > live && number(&counted, "devices") > 0, "{counted}");
    assert_eq!(stood.digest(old).await, before, "a dry run writes nothing");
}

/// Raw records that are fixtures.
fn raws(rig: &Rig) -> u64 {
    let mut out = Outbox::default();
    PROVIDERS.iter().for_each(|provider| fixtures(provider, &mut out));
    assert!(rig.values(&topics::RAW.name(&rig.namespace, Some("withings"))).len() > 1);
    out.len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_goes_on_where_it_was() {
    const RECORDS: u64 = 2000;
    let stood = Stood::with(parts_or_skip!(), RECORDS).await;
    let arguments = ["replay", "--provider", feed::PROVIDER, "--stream", "weight", "--rate", "400", "--name", "killed"];
    let mut child = stood.rig.spawned(&arguments, Stdio::null());
    // A second's batches and more, so that some of them are committed.
    until("some of it", async || (stood.replayed().len() > 800).then_some(())).await;
    child.kill().expect("it ran");
    child.wait().expect("ours");
    let other = stood.rig.command(&["replay", "--provider", feed::PROVIDER, "--name", "killed"]);
    let text = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success() && text.contains("begun with other arguments"), "{text}");
    let rest = said(&stood.rig.command(&arguments));
    assert!(rest.contains("resumed") && number(&rest, "records read") < RECORDS, "{rest}");
    let ids: std::collections::BTreeSet<Uuid> = stood.replayed().iter().map(|value| observed(value).id).collect();
    // Four fixtures of this stream have weights as well.
    assert!(ids.len() as u64 >= RECORDS, "{} of {RECORDS}", ids.len());
    let finished = said(&stood.rig.command(&arguments));
    assert!(finished.contains("finished"), "{finished}");
}

fn observed(value: &[u8]) -> Observation<'_> {
    Observation::decode(wire::split(value).expect("a frame").1).expect("an observation")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_of_the_range_is_not_touched() {
    let stood = Stood::with(parts_or_skip!(), 400).await;
    let one = ["replay", "--provider", feed::PROVIDER];
    let by_offset = [&one[..], &["--from", "offset:20", "--until", "offset:30", "--stream", "weight"]].concat();
    let text = said(&stood.rig.command(&by_offset));
    let replayed = stood.replayed();
    assert!(!replayed.is_empty());
    for value in &replayed {
        let o = observed(value);
        assert!((20..30).contains(&o.raw_offset) && (o.provider, o.stream) == (feed::PROVIDER, "weight"), "{text}");
    }

    let now = jiff::Timestamp::now();
    until("another millisecond", async || (jiff::Timestamp::now().as_millisecond() > now.as_millisecond() + 1).then_some(()))
        .await;
    let time = jiff::Timestamp::now().to_string();
    feed::put(&stood.producer, 400, 460).await;
    let later = said(&stood.rig.command(&[&one[..], &["--from", &time]].concat()));
    let earlier = said(&stood.rig.command(&[&one[..], &["--until", &time, "--dry-run"]].concat()));
    assert_eq!(number(&later, "records read"), 60, "{later}");
    let all = stood.rig.values(&topics::RAW.name(&stood.rig.namespace, Some(feed::PROVIDER))).len() as u64;
    assert_eq!(number(&earlier, "records read"), all - 60, "{earlier}");
    for wrong in [&["--from", "yesterday"][..], &["--name", "Not A Name"], &["--rate", "0"]] {
        let refused = stood.rig.command(&[&one[..], wrong].concat());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("error: "), "{wrong:?}");
        assert!(!refused.status.success(), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_erased_person_a_replay_brings_nothing_back_and_what_is_sealed_is_opened() {
    let stood = Stood::with(parts_or_skip!(), 200).await;
    let rig = &stood.rig;
    // Two people's records as they are in truth: sealed.
    let mut out = Outbox::default();
    for subject in ["person-1", "person-2"] {
        let owner = headwater_store::vault::Owner::Subject(subject.to_owned());
        let key = rig.store.sealing_key(&owner, 1).await.expect("the store").expect("a key");
        let words = feed::weight(70_000, feed::expected(1000).1);
        let plain = feed::of(feed::PROVIDER, "weight", subject, words.as_bytes());
        let (sealed, id) = (body::seal(&key, &plain).expect("sealed"), key.id().simple().to_string());
        feed::put_raw(&mut out, &Raw { body: &sealed, encryption: Some(body::note(&id)), ..plain });
    }
    stood.producer.append(&out).await.expect("kafka takes it");
    stood.settled().await;
    let far = feed::span(1001);
    assert_eq!(rig.rows("person-2", "body-weight", far.1 - 60_000_000, far.1).await.len(), 1);
    rig.accounts().erase("person-1", "subject:person-1").await.expect("erased");
    until("the rows to be gone", async || rig.rows("person-1", "body-weight", 0, far.1).await.is_empty().then_some(())).await;

    let text = said(&stood.replay(&[]));
    // A fifth of the weights, and the sealed one.
    assert_eq!(number(&text, "withheld"), 41, "{text}");
    let replayed = stood.replayed();
    assert!(replayed.iter().all(|value| observed(value).subject_id != "person-1"));
    assert!(replayed.iter().any(|value| observed(value).start == feed::expected(1000).1 * 1_000_000));
    stood.settled().await;
    assert!(rig.rows("person-1", "body-weight", 0, far.1).await.is_empty());
}

/// The mapping of this build with another unit of weights.
struct Grams {
    /// How much newer it says to be.
    newer: i32,
}

impl Processor for Grams {
    fn name(&self) -> &'static str {
        Normalize.name()
    }

    fn inputs(&self) -> Vec<(&'static Topic, Option<&'static str>)> {
        Normalize.inputs()
    }

    fn process(&self, input: &Input<'_>, out: &mut Outbox) -> Result<Report, Reject> {
        let mut made = Outbox::default();
        let report = Normalize.process(input, &mut made)?;
        for record in made.records() {
            let body = made.body(record);
            if record.topic != &topics::OBSERVATION {
                out.put(record.topic, record.member, made.key(record), |bytes| bytes.extend_from_slice(body));
                continue;
            }
            let mut o = Observation::decode(body).expect("an observation");
            o.mapper_version += self.newer;
            let text = o.value.map(|kilograms| (kilograms * 1000.0).to_string());
            if o.data_type == "body-weight" && text.is_some() {
                (o.value, o.value_text, o.unit) = (o.value.map(|kg| kg * 1000.0), text.as_deref(), Some("g"));
            }
            out.put(record.topic, None, made.key(record), |bytes| o.encode(bytes));
        }
        Ok(report)
    }
}

static NEWER: Grams = Grams { newer: 1 };
static NOT_RAISED: Grams = Grams { newer: 0 };

/// Weights that were corrected and withdrawn afterwards.
async fn corrected(stood: &Stood) {
    // After everything else that was fetched.
    let (mut out, later) = (Outbox::default(), 1_790_400_000_000_000);
    let row = |n: u64| {
        let at = feed::expected(n).1 * 1_000_000;
        let rig = &stood.rig;
        async move { rig.rows(&feed::subject(n), "body-weight", at, at + 1).await.pop().expect("a row") }
    };
    let (first, second) = (row(0).await, row(1).await);
    let words = feed::weight(55_555, feed::expected(0).1);
    let subject = feed::subject(0);
    feed::put_raw(
        &mut out,
        &Raw {
            fetched_at: later,
            amended: vec![Amended { id: first.id, previous_start: first.start }],
            ..feed::of(feed::PROVIDER, "weight", &subject, words.as_bytes())
        },
    );
    let gone = Gone { id: second.id, data_type: "body-weight".into(), start: second.start, end: None };
    let (rows, subject) = (serde_json::to_vec(&[gone]).expect("JSON"), feed::subject(1));
    let withdrawn = feed::of(feed::PROVIDER, "weight", &subject, &rows);
    feed::put_raw(&mut out, &Raw { fetched_at: later, origin: Origin::Reconcile, ..withdrawn });
    stood.producer.append(&out).await.expect("kafka takes it");
    stood.settled().await;
    assert_eq!(
        (row(0).await.status, row(1).await.status),
        (Status::Amended.as_str().into(), Status::EnteredInError.as_str().into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_and_promoted_or_discarded_whole() {
    let stood = Stood::with(parts_or_skip!(), 200).await;
    let rig = &stood.rig;
    corrected(&stood).await;
    let all = |_: &StoredObservation| true;
    let weight = |row: &StoredObservation| row.data_type == "body-weight" && row.value.is_some();
    let (before, others) = (stood.digest(all).await, stood.digest(|row| !weight(row)).await);
    let weights = stood.rows().await.iter().filter(|row| weight(row)).count() as u64;

    // This build's mapping beside what it made before.
    let same = stood.replay(&["--diff", "--name", "same"]);
    let text = said(&same);
    assert!(text.contains("body-weight"), "{text}");
    let json = said(&stood.replay(&["--diff", "--json", "--name", "same"]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["rows"][feed::PROVIDER]["body-weight"]["changed"], 0, "{json}");
    assert!(json["rows"]["withings"]["device"]["same"].as_u64() > Some(0), "{json}");

    // One that forgot to say that it is newer differs, and cannot be promoted.
    let ask = |name: &str| Ask { name: Some(name.into()), ..Ask::of(PROVIDERS, Mode::Shadow) };
    let done = run(&rig.app, &ask("forgot"), &NOT_RAISED).await.expect("replayed");
    let report = compare::report(&rig.app, &done).await.expect("compared");
    let stuck: u64 = PROVIDERS.iter().map(|provider| report.row(provider, "body-weight").stuck).sum();
    assert_eq!(stuck, weights, "{report}");
    let refused = shadow::promote(&rig.app, "forgot").await.expect_err("refused").to_string();
    assert!(refused.contains("expected a mapping with a greater mapper version"), "{refused}");

    // One that is newer.
    for promote in [false, true] {
        let done = run(&rig.app, &ask("grams"), &NEWER).await.expect("replayed");
        assert!(done.whole && !done.resumed, "{done}");
        let report = compare::report(&rig.app, &done).await.expect("compared");
        let mut changed = 0;
        for (provider, types) in &report.rows {
            for (data_type, row) in types {
                if data_type != "body-weight" {
                    assert!(row.unchanged() && row.same > 0, "{provider} {data_type}: {report}");
                    continue;
                }
                changed += row.changed;
                let expected =
                    Row { same: row.same, changed: row.changed, value: row.changed, unit: row.changed, ..Row::default() };
                assert_eq!(*row, expected, "{provider}: {report}");
            }
        }
        assert_eq!((changed, report.same()), (weights, false), "{report}");
        // The one without a value is the one that was withdrawn.
        assert_eq!(report.row(feed::PROVIDER, "body-weight").same, 1, "{report}");
        assert_eq!(stood.digest(all).await, before, "a comparison writes no row");
        if promote {
            assert_eq!(shadow::promote(&rig.app, "grams").await.expect("promoted"), weights);
            stood.settled().await;
        } else {
            said(&rig.command(&["replay", "discard", "grams"]));
            assert!(shadow::promote(&rig.app, "grams").await.is_err(), "there is nothing to promote any more");
            assert_eq!(stood.digest(all).await, before, "nothing of it is left");
        }
    }
    let rows = stood.rows().await;
    assert!(rows.iter().filter(|row| weight(row)).all(|row| row.unit.as_deref() == Some("g")));
    assert_eq!(rows.iter().filter(|row| weight(row)).count() as u64, weights);
    assert_eq!(stood.digest(|row| !weight(row)).await, others, "no other row was touched");
    // What is promoted is promoted once, and the older mapping does not win it back.
    assert_eq!(shadow::promote(&rig.app, "grams").await.expect("nothing to do"), 0);
    let promoted = stood.digest(all).await;
    said(&stood.replay(&["--restart"]));
    stood.settled().await;
    assert_eq!(stood.digest(all).await, promoted);
    // As the older mapping's comparison says: exit code 2.
    assert_eq!(stood.replay(&["--diff", "--name", "older"]).status.code(), Some(2));
}
