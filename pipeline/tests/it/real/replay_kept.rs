//! What a replay remembers and where it stops: half of a comparison is not promoted, nothing goes on in another one's place, and a mapping that refuses
//! everything buries little.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use headwater::app::App;
use headwater::command::replay::{Ask, Bound, Done, Mode, run, shadow};
use headwater::log::kafka::{Admin, Producer, Span, SpanLease};
use headwater::log::{Lease as _, Log as _};
use headwater_processors::normalize::Normalize;
use headwater_processors::{Input, Processor, Report};
use headwater_schemas::reject::code;
use headwater_schemas::{Outbox, Reject, Topic, topics};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio_util::sync::CancellationToken;

use super::feed;
use super::parts_or_skip;
use super::rig::{Rig, until};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Raw records, and nobody who works on them.
async fn fed(parts: super::rig::Parts, records: u64) -> (Rig, Producer) {
    let rig = Rig::new(parts, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    feed::put(&producer, 0, records).await;
    (rig, producer)
}

fn ask(name: &str, mode: Mode) -> Ask {
    Ask { name: Some(name.into()), ..Ask::of(&[feed::PROVIDER], mode) }
}

async fn refused(app: &Arc<App>, ask: Ask) -> String {
    run(app, &ask, &Normalize).await.expect_err("refused").to_string()
}

fn shadows(rig: &Rig, name: &str) -> Vec<String> {
    topics::SHADOWS.iter().map(|(_, shadow)| shadow.name(&rig.namespace, Some(name))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_comparison_is_not_promoted_and_nothing_else_goes_on_in_its_place() {
    const RECORDS: u64 = 400;
    let (rig, _) = fed(parts_or_skip!(), RECORDS).await;
    let observations = shadows(&rig, "half").swap_remove(0);
    let slowly = ["replay", "--provider", feed::PROVIDER, "--diff", "--name", "half", "--rate", "100"];
    let mut child = rig.spawned(&slowly, Stdio::null());
    until("some of it", async || (shadowed(&rig, &observations) > 0).then_some(())).await;
    child.kill().expect("it ran");
    child.wait().expect("ours");
    let text = shadow::promote(&rig.app, "half").await.expect_err("it is half of one").to_string();
    let raw = topics::RAW.name(&rig.namespace, Some(feed::PROVIDER));
    for part in ["is not finished", &format!("{raw} partition "), "--diff --name half` goes on where it was"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(rig.values(&topics::OBSERVATION.name(&rig.namespace, None)).is_empty(), "nothing of it was promoted");

    for (other, differs) in [
        (Ask { providers: vec!["withings"], ..ask("half", Mode::Shadow) }, "providers: google_health, now withings"),
        (Ask { providers: vec!["withings"], ..ask("half", Mode::Append) }, "providers: google_health, now withings"),
        (Ask { from: Bound::Offset(7), ..ask("half", Mode::Shadow) }, "from: earliest, now offset:7"),
        (ask("half", Mode::Append), "target: a shadow, now the real topics"),
    ] {
        let text = refused(&rig.app, other).await;
        assert!(text.contains(differs) && text.contains("headwater replay discard half"), "{text}");
    }

    let rest = run(&rig.app, &ask("half", Mode::Shadow), &Normalize).await.expect("the rest");
    assert!(rest.whole && rest.resumed, "{rest}");
    assert!(shadow::promote(&rig.app, "half").await.expect("it is whole") >= RECORDS);
    let text = shadow::promote(&rig.app, "nobody").await.expect_err("never begun").to_string();
    assert!(text.contains("nothing is known of a comparison nobody"), "{text}");
}

/// Records on a topic that may not be there yet.
fn shadowed(rig: &Rig, topic: &str) -> i64 {
    let consumer: BaseConsumer = rig.kafka().create().expect("a consumer");
    let metadata = consumer.fetch_metadata(None, TIMEOUT).expect("metadata");
    let there = metadata.topics().iter().any(|of| of.name() == topic && !of.partitions().is_empty());
    if there { rig.grown(topic) } else { 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_was_removed_in_part_is_never_gone_on_with() {
    let (rig, _) = fed(parts_or_skip!(), 200).await;
    let (shadows, group) = (shadows(&rig, "torn"), format!("{}.replay.torn", rig.namespace));
    let compared = async || -> anyhow::Result<Done> { run(&rig.app, &ask("torn", Mode::Shadow), &Normalize).await };
    assert!(compared().await.expect("compared").whole);
    let stood = rig.values(&shadows[0]).len();
    assert!(stood >= 200);

    // Killed between offsets and topics: what is begun then begins on empty ones.
    let admin = Admin::new(&rig.app.config.kafka, 1).expect("an admin client");
    admin.remove(&[], &[&group]).await.expect("forgotten");
    let done = compared().await.expect("compared");
    assert!(done.whole && !done.resumed, "{done}");
    assert_eq!(rig.values(&shadows[0]).len(), stood, "once, and not beside what stood there before");

    // Offsets that cannot be forgotten, since somebody is in their group, keep their topics.
    let member: BaseConsumer = rig.kafka().set("group.id", &group).create().expect("a consumer");
    member.subscribe(&[&shadows[0]]).expect("subscribed");
    until("a member", async || {
        let _ = member.poll(Duration::from_millis(10));
        member.assignment().ok().filter(|assignment| assignment.count() > 0).map(drop)
    })
    .await;
    shadow::discard(&rig.app, "torn").await.expect_err("the group has a member");
    assert_eq!(rig.values(&shadows[0]).len(), stood);
    drop(member);

    // Topics that are gone although the offsets are not.
    admin.remove(&shadows.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await.expect("removed");
    let text = refused(&rig.app, ask("torn", Mode::Shadow)).await;
    assert!(text.contains("is missing although comparison torn was begun"), "{text}");
    let anew = run(&rig.app, &Ask { restart: true, ..ask("torn", Mode::Shadow) }, &Normalize).await.expect("anew");
    assert!(anew.whole && !anew.resumed, "{anew}");
    assert_eq!(rig.values(&shadows[0]).len(), stood);
}

/// A mapping that understands nothing.
struct Refusing;

impl Processor for Refusing {
    fn name(&self) -> &'static str {
        Normalize.name()
    }

    fn inputs(&self) -> Vec<(&'static Topic, Option<&'static str>)> {
        Normalize.inputs()
    }

    fn process(&self, _: &Input<'_>, _: &mut Outbox) -> Result<Report, Reject> {
        Err(Reject::new(code::UNEXPECTED_SHAPE, "expected something else"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_refuses_everything_is_stopped_and_a_mended_one_goes_on() {
    const RECORDS: u64 = 1500;
    let (rig, _) = fed(parts_or_skip!(), RECORDS).await;
    let buried = || rig.values(&topics::DEAD.name(&rig.namespace, Some(Normalize.name()))).len() as u64;
    for _ in 0..2 {
        let stopped = run(&rig.app, &ask("refusing", Mode::Append), &Refusing).await.expect_err("stopped").to_string();
        for part in ["breaker open", "most for unexpected_shape", "goes on where it was", "group.breaker.share = 0"] {
            assert!(stopped.contains(part), "{stopped}");
        }
        // Fewer than its `letters` each time.
        assert!(buried() < 200, "{} of {RECORDS} are buried", buried());
    }
    let before = buried();
    let mended = run(&rig.app, &ask("refusing", Mode::Append), &Normalize).await.expect("mended");
    assert!(mended.whole && mended.resumed, "{mended}");
    assert_eq!((mended.counts.read, buried()), (RECORDS - before, before), "each is answered for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_ends_by_its_offsets_and_not_where_the_partition_is_said_to_end() {
    let (rig, producer) = fed(parts_or_skip!(), 5).await;
    let topic = topics::RAW.name(&rig.namespace, Some(feed::PROVIDER));
    let (partition, end) = rig.ends(&topic).into_iter().find(|(_, end)| *end > 0).expect("somebody's");
    let span = |next: i64, until: i64| Span { topic: topic.as_str().into(), partition, next, until, note: String::new() };
    let open = |span: Span| {
        SpanLease::open(&rig.app.config.kafka, "a-span", span, 100, CancellationToken::new()).expect("a good configuration")
    };
    let mut transactions = rig.kafka();
    transactions.set("transactional.id", format!("{}.span", rig.namespace));
    let transactions: BaseProducer = transactions.create().expect("a producer");
    transactions.init_transactions(TIMEOUT).expect("a coordinator");

    // The plan knows of three more offsets than the partition says to have.
    let mut early = open(span(0, end + 3));
    let mut read = 0;
    while read < end {
        let batch = early.next().await.expect("what is there");
        read += i64::try_from(batch.len()).expect("a small number");
        let proof = producer.append(&batch, &Outbox::default()).await.expect("nothing to append");
        early.advance(batch, proof).await.expect("ours");
    }
    // Only time tells that it does not end.
    assert!(tokio::time::timeout(Duration::from_secs(2), early.next()).await.is_err(), "it ended before its end");
    transactions.begin_transaction().expect("begun");
    for _ in 0..2 {
        let record = BaseRecord::<(), _>::to(&topic).partition(partition).payload("two, and the marker is the third");
        transactions.send(record).map_err(|(why, _)| why).expect("queued");
    }
    transactions.commit_transaction(TIMEOUT).expect("committed");
    let rest = async {
        let mut rest = Vec::new();
        while let Some(batch) = early.next().await {
            rest.extend(batch.records().map(|record| record.position.offset));
            let proof = producer.append(&batch, &Outbox::default()).await.expect("nothing to append");
            early.advance(batch, proof).await.expect("ours");
        }
        rest
    };
    let rest = tokio::time::timeout(TIMEOUT, rest).await.expect("it ends, although its last offset is no record's");
    assert_eq!(rest, [end, end + 1]);
    assert_eq!(early.span().left(), 0);
}
