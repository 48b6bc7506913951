//! The faults: what is broken, when, and how it ends. Where something happens "in the middle" the seed says when.

use std::time::Duration;

use headwater_schemas::topics;
use headwater_simulator::{Fault as Cloud, Provider};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::doors::UPLOADS;
use super::field::{Field, ROLES};
use super::proxy::Way;
use crate::real::environment;
use crate::real::rig::until;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub name: &'static str,
    pub fault: Fault,
    /// Part of the short matrix, which the test command runs once.
    pub short: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// SIGKILL of a role.
    Kill(&'static str, Moment),
    /// SIGSTOP of a role past its session, so that another instance has its partitions when it goes on.
    Zombie(&'static str),
    Kafka(Outage),
    Cassandra(Outage),
    Registry(Outage),
    /// The broker cannot write its log any more.
    DiskFull,
    Net(Link, Break),
    /// One instance, two, four, one.
    Scale,
    /// SIGTERM and start of each role, one after the other.
    Rolling,
    /// The clocks of all roles go forward by an hour at their restart, then back.
    Clock,
}

/// When a role is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Idle,
    Busy,
    /// As soon as something of this life is out, long before the next commit.
    Produced,
    /// While another instance joins, and partitions are taken away.
    Revoke,
    /// While a token is being refreshed.
    Refresh,
    /// With records in hand that its store does not take, for longer than a client that commits by itself waits.
    StoreAway,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    Kill,
    Pause,
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Kafka,
    Cassandra,
    Registry,
    Cloud,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    Cut,
    HalfOpen,
    Late,
    Corrupt,
    Answers500,
}

const fn row(name: &'static str, fault: Fault, short: bool) -> Cell {
    Cell { name, fault, short }
}

use Break::{Answers500, Corrupt, Cut, HalfOpen, Late};
use Moment::{Busy, Idle, Produced, Refresh, Revoke, StoreAway};

pub const CELLS: &[Cell] = &[
    row("nothing", Fault::None, true),
    row("kill receive, idle", Fault::Kill("receive", Idle), false),
    row("kill receive, busy", Fault::Kill("receive", Busy), true),
    row("kill receive, just produced", Fault::Kill("receive", Produced), false),
    row("kill fetch, idle", Fault::Kill("fetch", Idle), false),
    row("kill fetch, busy", Fault::Kill("fetch", Busy), true),
    row("kill fetch, just produced", Fault::Kill("fetch", Produced), false),
    row("kill fetch, during a revoke", Fault::Kill("fetch", Revoke), false),
    row("kill fetch, during a token refresh", Fault::Kill("fetch", Refresh), true),
    row("kill normalize, idle", Fault::Kill("process normalize", Idle), false),
    row("kill normalize, busy", Fault::Kill("process normalize", Busy), false),
    row("kill normalize, just produced", Fault::Kill("process normalize", Produced), true),
    row("kill normalize, during a revoke", Fault::Kill("process normalize", Revoke), false),
    row("kill scylla sink, idle", Fault::Kill("sink scylla", Idle), false),
    row("kill scylla sink, busy", Fault::Kill("sink scylla", Busy), false),
    row("kill scylla sink, just written", Fault::Kill("sink scylla", Produced), true),
    row("kill scylla sink, during a revoke", Fault::Kill("sink scylla", Revoke), false),
    row("kill scylla sink, its store away", Fault::Kill("sink scylla", StoreAway), true),
    row("kill eventhubs sink, idle", Fault::Kill("sink eventhubs", Idle), false),
    row("kill eventhubs sink, busy", Fault::Kill("sink eventhubs", Busy), false),
    row("kill eventhubs sink, just produced", Fault::Kill("sink eventhubs", Produced), false),
    row("kill eventhubs sink, during a revoke", Fault::Kill("sink eventhubs", Revoke), false),
    row("normalize stopped past its session", Fault::Zombie("process normalize"), false),
    row("scylla sink stopped past its session", Fault::Zombie("sink scylla"), false),
    row("fetch stopped past its session", Fault::Zombie("fetch"), false),
    row("broker killed", Fault::Kafka(Outage::Kill), true),
    row("broker stopped (SIGSTOP)", Fault::Kafka(Outage::Pause), false),
    row("broker restarted", Fault::Kafka(Outage::Restart), false),
    row("broker's disk full", Fault::DiskFull, true),
    row("Cassandra killed", Fault::Cassandra(Outage::Kill), false),
    row("Cassandra stopped (SIGSTOP)", Fault::Cassandra(Outage::Pause), false),
    row("registry killed, processor started without its cache", Fault::Registry(Outage::Kill), false),
    row("registry answers 500", Fault::Net(Link::Registry, Answers500), false),
    row("registry late", Fault::Net(Link::Registry, Late), false),
    row("broker cut off", Fault::Net(Link::Kafka, Cut), true),
    row("broker half open", Fault::Net(Link::Kafka, HalfOpen), false),
    row("broker late", Fault::Net(Link::Kafka, Late), false),
    row("broker, changed bytes", Fault::Net(Link::Kafka, Corrupt), true),
    row("Cassandra cut off", Fault::Net(Link::Cassandra, Cut), true),
    row("Cassandra half open", Fault::Net(Link::Cassandra, HalfOpen), false),
    row("Cassandra late", Fault::Net(Link::Cassandra, Late), false),
    row("cloud cut off", Fault::Net(Link::Cloud, Cut), false),
    row("cloud half open", Fault::Net(Link::Cloud, HalfOpen), false),
    row("cloud answers 500", Fault::Net(Link::Cloud, Answers500), false),
    row("scale 1, 2, 4, 1", Fault::Scale, true),
    row("rolling restart", Fault::Rolling, false),
    row("clocks an hour ahead, then back", Fault::Clock, false),
];

/// librdkafka's `auto.commit.interval.ms` is 5 s.
const COMMITS_ITSELF: Duration = Duration::from_secs(7);

/// How long what is broken stays broken.
fn outage(dice: &mut StdRng) -> Duration {
    Duration::from_millis(dice.random_range(1_000..4_000))
}

async fn pause(dice: &mut StdRng, most: u64) {
    tokio::time::sleep(Duration::from_millis(dice.random_range(0..most))).await;
}

impl Field {
    /// Breaks it and mends it.
    pub async fn suffer(&mut self, fault: Fault, dice: &mut StdRng) {
        match fault {
            Fault::None => {}
            Fault::Kill(role, moment) => self.die(role, moment, dice).await,
            Fault::Zombie(role) => self.zombie(role).await,
            Fault::Kafka(outage) => self.lose(outage, |field| &field.kafka, dice).await,
            Fault::Cassandra(outage) => self.lose(outage, |field| &field.cassandra, dice).await,
            Fault::Registry(outage) => {
                let cache = self.rig.folder.path().join("schema-ids.json");
                self.kill("one", "process normalize");
                let _ = std::fs::remove_file(cache);
                self.launch("one", "process normalize");
                self.lose(outage, |field| &field.registry, dice).await;
            }
            Fault::DiskFull => self.fill(dice).await,
            Fault::Net(link, how) => self.disturb(link, how, dice).await,
            Fault::Scale => self.scale(dice).await,
            Fault::Rolling => {
                for role in ROLES {
                    self.stop("one", role).await;
                    self.launch("one", role);
                    pause(dice, 500).await;
                }
            }
            Fault::Clock => self.clocks(dice).await,
        }
    }

    async fn die(&mut self, role: &'static str, moment: Moment, dice: &mut StdRng) {
        match moment {
            Idle => {}
            Busy => pause(dice, 1_200).await,
            Produced => self.produced(role).await,
            Revoke => {
                self.launch("two", role);
                pause(dice, 2_500).await;
            }
            Refresh => {
                let control = self.rig.control();
                let asked = || -> u64 {
                    let counts = control.counts();
                    let of = counts.get(&Provider::GoogleHealth).into_iter().flat_map(|c| &c.requests);
                    of.filter(|(endpoint, _)| endpoint.contains("/token")).map(|(_, n)| *n).sum()
                };
                let before = asked();
                control.fault_at(Provider::GoogleHealth, "/token", Cloud::Slow { millis: 1_500 }, 1);
                control.fault_at(Provider::GoogleHealth, "dataPoints", Cloud::Expired, 1);
                until("a refresh", async || (asked() > before).then_some(())).await;
                pause(dice, 1_700).await;
            }
            StoreAway => {
                self.process("one", role).pause();
                self.produced(role).await;
                pause(dice, 800).await;
                self.to_cassandra.set(Way::Cut);
                self.process("one", role).resume();
                tokio::time::sleep(COMMITS_ITSELF).await;
            }
        }
        self.kill("one", role);
        if moment == StoreAway {
            self.to_cassandra.set(Way::Open);
        }
        pause(dice, 300).await;
        self.launch("one", role);
        if moment == Revoke {
            self.ready("two").await;
            self.stop("two", role).await;
        }
    }

    /// Until the role has written something since now.
    async fn produced(&self, role: &str) {
        let namespace = &self.rig.namespace;
        let topic = match role {
            "receive" => topics::RAW.name(namespace, Some(UPLOADS)),
            "fetch" => topics::RAW.name(namespace, Some("google_health")),
            _ => topics::OBSERVATION.name(namespace, None),
        };
        let before = self.rig.grown(&topic);
        until("something new", async || (self.rig.grown(&topic) > before).then_some(())).await;
    }

    async fn zombie(&mut self, role: &'static str) {
        self.launch("two", role);
        self.ready("two").await;
        self.process("one", role).pause();
        // The sessions of the rig's configuration last ten seconds.
        tokio::time::sleep(Duration::from_secs(13)).await;
        self.process("one", role).resume();
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.stop("two", role).await;
    }

    async fn lose(&mut self, how: Outage, server: impl Fn(&Self) -> &crate::real::server::Server, dice: &mut StdRng) {
        pause(dice, 800).await;
        let time = outage(dice);
        let server = server(self);
        // The scripts wait for the server; the runtime must not wait with them.
        tokio::task::block_in_place(|| match how {
            Outage::Kill => server.kill(),
            Outage::Pause => server.pause(),
            Outage::Restart => server.down(),
        });
        tokio::time::sleep(if how == Outage::Pause { time + long() } else { time }).await;
        tokio::task::block_in_place(|| if how == Outage::Pause { server.resume() } else { drop(server.up()) });
    }

    /// A limit on the size of files does to the broker what a full disk does: the write fails, the log folder is given up, the broker ends.
    async fn fill(&mut self, dice: &mut StdRng) {
        pause(dice, 400).await;
        let limited = std::process::Command::new("prlimit")
            .args(["--pid", &self.kafka.pid().to_string(), "--fsize=4096"])
            .status()
            .expect("prlimit is there");
        assert!(limited.success(), "the limit could not be set");
        tokio::time::sleep(outage(dice) + Duration::from_secs(2)).await;
        tokio::task::block_in_place(|| {
            if self.kafka.runs() {
                self.kafka.kill();
            }
            self.kafka.up();
        });
    }

    async fn disturb(&mut self, link: Link, how: Break, dice: &mut StdRng) {
        pause(dice, 500).await;
        if link == Link::Registry {
            // Known ids need no registry: this life has to learn them.
            self.kill("one", "process normalize");
            let _ = std::fs::remove_file(self.rig.folder.path().join("schema-ids.json"));
        }
        let proxy = match link {
            Link::Kafka => &self.to_kafka,
            Link::Cassandra => &self.to_cassandra,
            Link::Registry => &self.to_registry,
            Link::Cloud => &self.to_cloud,
        };
        let before = proxy.spoilt();
        let (way, time) = match how {
            Cut => (Way::Cut, outage(dice)),
            HalfOpen => (Way::HalfOpen, outage(dice) + long()),
            Late => (Way::Late(Duration::from_millis(dice.random_range(50..400))), outage(dice) * 2),
            Corrupt => (Way::Corrupt(dice.random_range(2_000..20_000)), outage(dice)),
            Answers500 => (Way::Answers500, outage(dice)),
        };
        proxy.set(way);
        if link == Link::Registry {
            self.launch("one", "process normalize");
        }
        tokio::time::sleep(time).await;
        let proxy = match link {
            Link::Kafka => &self.to_kafka,
            Link::Cassandra => &self.to_cassandra,
            Link::Registry => &self.to_registry,
            Link::Cloud => &self.to_cloud,
        };
        proxy.set(Way::Open);
        assert!(how != Corrupt || proxy.spoilt() > before, "no byte was changed");
    }

    async fn scale(&mut self, dice: &mut StdRng) {
        let scaled = ["fetch", "process normalize", "sink scylla"];
        for instance in ["two", "three", "four"] {
            for role in scaled {
                self.launch(instance, role);
            }
            if instance == "two" {
                pause(dice, 1_500).await;
            }
        }
        for instance in ["two", "three", "four"] {
            self.ready(instance).await;
        }
        pause(dice, 1_500).await;
        for instance in ["two", "three", "four"] {
            for role in scaled {
                self.stop(instance, role).await;
            }
        }
    }

    async fn clocks(&mut self, dice: &mut StdRng) {
        for step in ["+1h", "-1h", "+0"] {
            for role in ROLES {
                self.kill("one", role);
                self.launch_with("one", role, &super::clock::shifted(step));
            }
            self.ready("one").await;
            pause(dice, 1_500).await;
        }
    }
}

/// Longer than any single time-out of a client where the long matrix asks for it.
fn long() -> Duration {
    Duration::from_secs(if environment::long() { 20 } else { 3 })
}
