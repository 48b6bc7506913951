//! Instances come and go under load: nothing is lost, nobody is asked twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use headwater::log::kafka::{Consumer, ConsumerSettings, KafkaLease};
use headwater_schemas::topics;
use headwater_simulator::{People, Provider, Settings};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::groups::GroupInfo;
use tokio_util::sync::CancellationToken;

use super::feed;
use super::parts_or_skip;
use super::rig::{Process, Rig, small, until, until_within};

const INSTANCES: [&str; 4] = ["one", "two", "three", "four"];

fn named(instance: &str) -> [(&'static str, &str); 1] {
    [("HEADWATER_INSTANCE", instance)]
}

#[tokio::test(flavor = "multi_thread")]
async fn going_from_one_to_four_instances_and_back_under_load_loses_nothing() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let producer = rig.app.producer("feed").expect("a producer");
    let mut put = 0;
    let mut feed_on = async || {
        // In portions with their acknowledgements between them: a feed that goes on while the group moves.
        for _ in 0..15 {
            feed::put(&producer, put, put + 40).await;
            put += 40;
        }
        put
    };
    let mut held: Vec<[Process; 2]> = Vec::new();
    let both = async |instance: &str| {
        let normalize = rig.start_with(&["process", "normalize"], &named(instance)).await;
        [normalize, rig.start_with(&["sink", "scylla"], &named(instance)).await]
    };
    for (instances, step) in [(1, 0), (2, 0), (4, 0), (1, 1)] {
        while held.len() > instances {
            for process in held.remove(0) {
                assert!(process.stop().success(), "a drained stop is a success");
            }
        }
        while held.len() < instances {
            held.push(both(INSTANCES[held.len()]).await);
        }
        let put = feed_on().await;
        println!("{instances} instances (step {step}): {put} records");
    }
    let all = feed_on().await;
    feed::complete(&rig, all, Duration::from_secs(90)).await;
    for process in held.iter().flatten() {
        let (now, most) = process.memory();
        assert!(now < 256.0, "{now:.0} MiB, {most:.0} at most");
    }
    assert!(rig.command(&["dead", "list"]).stdout.is_empty());
}

/// A person's stream that one look at the connection asks for once.
const STREAM: &str = "cycle";
const PEOPLE: usize = 40;
/// The next time is a minute after the last, at most.
const MINUTE: Duration = Duration::from_secs(60);

fn provider(simulator: &str) -> String {
    format!(
        "[providers.whoop]\nclient_id = \"headwater-dev\"\nclient_secret = \"headwater-dev-secret\"\napi_url = \"{simulator}/whoop\"\n\
         authorize_url = \"{simulator}/whoop/oauth/oauth2/auth\"\ntoken_url = \"{simulator}/whoop/oauth/oauth2/token\"\nhistory_days = 2\n\
         poll_minutes = [1, 1]\napp_per_minute = 60000\nuser_per_minute = 60000\n"
    )
}

/// When each person was asked, as the cloud counts it.
struct Watch<'r> {
    rig: &'r Rig,
    counted: BTreeMap<String, u64>,
    asked: BTreeMap<String, Vec<Instant>>,
}

impl<'r> Watch<'r> {
    fn new(rig: &'r Rig) -> Self {
        Self { rig, counted: counts(rig), asked: BTreeMap::new() }
    }

    fn look(&mut self) {
        let (now, counted) = (Instant::now(), counts(self.rig));
        for (person, count) in &counted {
            let more = count - self.counted.get(person).copied().unwrap_or(0);
            self.asked.entry(person.clone()).or_default().extend((0..more).map(|_| now));
        }
        self.counted = counted;
    }

    /// Looks on until it is over.
    async fn until(&mut self, over: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !over(self) {
            assert!(
                started.elapsed() < 3 * MINUTE,
                "not within three minutes; seconds since the last request: {:?}",
                self.since()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.look();
        }
    }

    /// Requests too close to the one before to be of the next time, since some moment: a time may be asked for late, while its partition moves.
    fn again(&self, since: Instant) -> usize {
        let early = |pair: &&[Instant]| pair[1] > since && pair[1] - pair[0] < MINUTE / 2;
        self.asked.values().map(|asked| asked.windows(2).filter(early).count()).sum()
    }

    fn since(&self) -> Vec<u64> {
        self.asked.values().map(|asked| asked.last().map_or(u64::MAX, |last| last.elapsed().as_secs())).collect()
    }

    fn all_asked_since(&self, moment: Instant) -> bool {
        self.asked.values().filter(|asked| asked.last().is_some_and(|last| *last > moment)).count() == PEOPLE
    }
}

fn counts(rig: &Rig) -> BTreeMap<String, u64> {
    let counts = rig.control().counts();
    let asked = counts.get(&Provider::Whoop).map(|counts| counts.asked.clone()).unwrap_or_default();
    asked.into_iter().map(|(person, streams)| (person, streams.get(STREAM).copied().unwrap_or(0))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn going_from_one_to_four_fetchers_and_back_asks_nobody_twice_and_leaves_nobody_out() {
    let parts = parts_or_skip!();
    let people = People { withings: 0, google_health: 0, others: PEOPLE };
    let rig = Rig::later(parts, Settings { people, ..small() }, provider).await;
    let everyone: Vec<_> = rig.control().people().into_iter().filter(|p| p.provider == Provider::Whoop).collect();
    assert_eq!(everyone.len(), PEOPLE);
    let mut connections = Vec::new();
    for person in &everyone {
        connections.push(rig.connect(person, &format!("subject-{}", person.user_id)).await);
    }
    // Their histories first, so that only what is due by time is left.
    let first = rig.start_with(&["fetch"], &named(INSTANCES[0])).await;
    until_within("everybody's first look", 2 * MINUTE, async || (counts(&rig).len() == PEOPLE).then_some(())).await;
    super::rig::quiet("the histories", Duration::from_secs(3), || counts(&rig)).await;
    assert!(first.stop().success());

    // Due one after the other, over a minute.
    let start = jiff::Timestamp::now().as_microsecond() + 5_000_000;
    let spacing = 60_000_000 / i64::try_from(PEOPLE).expect("a small number");
    for (n, connection) in (0..).zip(&connections) {
        rig.store.set_polled(*connection, start, start + n * spacing).await.expect("the store");
    }
    let mut watch = Watch::new(&rig);
    let mut fetchers = vec![rig.start_with(&["fetch"], &named(INSTANCES[0])).await];
    for instances in [2, 4, 1] {
        let since = Instant::now();
        watch.until(|_| since.elapsed() > Duration::from_secs(15)).await;
        while fetchers.len() < instances {
            fetchers.push(rig.start_with(&["fetch"], &named(INSTANCES[fetchers.len()])).await);
        }
        while fetchers.len() > instances {
            // The static member's partitions move when its session is over.
            assert!(fetchers.pop().expect("some are left").stop().success());
        }
    }
    let moved = Instant::now();
    watch.until(|watch| watch.all_asked_since(moved)).await;
    let again = watch.again(moved - 4 * MINUTE);
    println!("all asked {:.0} s after the last move; asked again before the time: {again}", moved.elapsed().as_secs_f64());
    assert!(again <= INSTANCES.len(), "{again} people were asked twice, {:?}", watch.asked);

    // Nothing moves: nobody is asked before the time.
    let steady = Instant::now();
    watch.until(|watch| watch.all_asked_since(steady)).await;
    assert_eq!(watch.again(steady), 0, "{:?}", watch.asked);
    until("the fetcher to be at rest", async || fetchers[0].running().then_some(())).await;
}

/// What a consumer has been given so far.
async fn given(consumer: &mut Consumer, leases: &mut Vec<KafkaLease>) {
    while let Ok(Some(lease)) = tokio::time::timeout(Duration::from_millis(100), consumer.lease()).await {
        leases.push(lease);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restart_in_mid_rebalance_leaves_to_nobody_is_given_to_somebody() {
    let parts = parts_or_skip!();
    let rig = Rig::new(parts, false).await;
    let topic = topics::OBSERVATION.name(&rig.namespace, None);
    let partitions = rig.ends(&topic).len();
    let group = format!("{topic}.orphans");
    let settings = |name: &str| ConsumerSettings {
        static_member: Some(name.to_owned()),
        ..ConsumerSettings::new(&group, vec![topic.clone()], name)
    };
    // It holds all, and never polls again: told to let go of some, it is about to, for ever.
    let about_to: BaseConsumer = rig
        .kafka()
        .set("group.id", &group)
        .set("group.instance.id", "one")
        .set("client.id", "one")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("heartbeat.interval.ms", "200")
        .create()
        .expect("a consumer");
    about_to.subscribe(&[&topic]).expect("a topic");
    until("all partitions", async || {
        let _ = about_to.poll(Duration::from_millis(100));
        (about_to.assignment().expect("an assignment").count() == partitions).then_some(())
    })
    .await;

    let stop = CancellationToken::new();
    let kafka = &rig.app.config.kafka;
    let mut two = Consumer::start(kafka, settings("two"), stop.clone()).expect("a consumer");
    until("the group at rest with both", async || {
        let groups = about_to.fetch_group_list(Some(&group), Duration::from_secs(5)).expect("the group");
        let both = |g: &GroupInfo| g.state() == "Stable" && g.members().len() == 2;
        groups.groups().iter().any(both).then_some(())
    })
    .await;
    // The same static member, started anew.
    let mut one = Consumer::start(kafka, settings("one"), stop.clone()).expect("a consumer");
    let mut leases = Vec::new();
    until("some partitions", async || {
        given(&mut one, &mut leases).await;
        (!leases.is_empty()).then_some(())
    })
    .await;
    assert!(leases.len() < partitions, "nothing was about to move: the test shows nothing");
    until("every partition in somebody's hands", async || {
        given(&mut one, &mut leases).await;
        given(&mut two, &mut leases).await;
        let held: BTreeSet<i32> = leases.iter().map(KafkaLease::partition).collect();
        (held.len() == partitions).then_some(())
    })
    .await;
    stop.cancel();
    drop(leases);
    one.ended().await.expect("a good end");
    two.ended().await.expect("a good end");
}
