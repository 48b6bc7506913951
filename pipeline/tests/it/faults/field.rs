//! Where the faults happen: servers of its own, behind proxies, and every role as a process.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_simulator::{Limits, People, Settings};

use super::proxy::Proxy;
use crate::real::rig::{Parts, Process, Rig, until};
use crate::real::server::Server;

/// The roles of an instance, by the words that start them.
pub const ROLES: &[&str] = &["receive", "fetch", "process normalize", "sink scylla", "sink eventhubs"];

pub struct Field {
    pub rig: Rig,
    pub kafka: Server,
    pub cassandra: Server,
    pub registry: Server,
    /// Between the roles and the broker, the store, the registry and the cloud. The test itself goes straight.
    pub to_kafka: Proxy,
    pub to_cassandra: Proxy,
    pub to_registry: Proxy,
    pub to_cloud: Proxy,
    /// By instance and role.
    running: BTreeMap<(String, String), Process>,
}

impl Field {
    /// Servers, topics, tables, and one instance of every role.
    pub async fn new() -> Self {
        let (to_kafka, to_cassandra, to_registry, to_cloud) =
            tokio::join!(Proxy::new(), Proxy::new(), Proxy::new(), Proxy::new());
        // The broker gives its clients the address at which they find it: the proxy's. What goes through it is encrypted, as it is outside a test: a
        // changed byte is seen by the receiver and not taken for data.
        let advertised = to_kafka.address.clone();
        let starting = tokio::task::spawn_blocking(move || {
            std::thread::scope(|scope| {
                let kafka =
                    scope.spawn(|| Server::start_with("kafka", vec![("HEADWATER_INFRA_KAFKA_SASL_ADVERTISED", advertised)]));
                // As it comes, a single node may lose at a SIGKILL what it acknowledged in the last moments: nobody's fault but its own.
                let durable = vec![("HEADWATER_INFRA_CASSANDRA_COMMITLOG", "batch".to_owned())];
                let cassandra = scope.spawn(|| Server::start_with("cassandra", durable));
                let registry = scope.spawn(|| Server::start("registry"));
                (kafka.join().expect("kafka"), cassandra.join().expect("cassandra"), registry.join().expect("registry"))
            })
        });
        let (kafka, cassandra, registry) = starting.await.expect("servers");
        let parts = Parts {
            kafka: kafka.address("KAFKA_BOOTSTRAP"),
            registry: registry.address("SCHEMA_REGISTRY_URL"),
            cassandra: cassandra.address("CASSANDRA_NODE"),
            eventhubs: kafka.address("EVENTHUBS_BOOTSTRAP"),
            connection_string: kafka.address("EVENTHUBS_CONNECTION_STRING"),
            ca: kafka.address("EVENTHUBS_CA"),
        };
        to_kafka.lead(&parts.eventhubs);
        to_cassandra.lead(&parts.cassandra);
        let cloud = Settings {
            people: People { withings: 0, google_health: 1, others: 0 },
            history_days: 1,
            limits: Limits {
                google_health_per_minute: 100_000,
                // Google tries for days; a test's faults take seconds.
                webhook_retries: vec![Duration::from_millis(200); 600],
                ..Settings::quiet().limits
            },
            ..Settings::quiet()
        };
        let more = format!("[providers.{}]\n", super::doors::UPLOADS);
        let mut rig = Rig::at(parts, Some(cloud), &more).await;
        let address = |url: &str| url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
        let registry_path = rig.parts.registry.replace(&address(&rig.parts.registry), &to_registry.address);
        to_registry.lead(&address(&rig.parts.registry));
        let cloud_url = rig.simulator.as_ref().expect("a cloud").url();
        to_cloud.lead(&address(&cloud_url));
        let google = format!("http://{}/google_health", to_cloud.address);
        rig.environment = [
            ("KAFKA__BOOTSTRAP", to_kafka.address.clone()),
            ("KAFKA__SECURITY", "sasl_ssl".into()),
            ("KAFKA__SASL_MECHANISM", "PLAIN".into()),
            ("KAFKA__USERNAME", "$ConnectionString".into()),
            ("KAFKA__PASSWORD", rig.parts.connection_string.clone()),
            ("KAFKA__CA_FILE", rig.parts.ca.clone()),
            ("STORE__SCYLLA__NODES", format!("[\"{}\"]", to_cassandra.address)),
            ("REGISTRY__URL", registry_path),
            ("PROVIDERS__GOOGLE_HEALTH__API_URL", google.clone()),
            ("PROVIDERS__GOOGLE_HEALTH__TOKEN_URL", format!("{google}/token")),
            ("PROVIDERS__GOOGLE_HEALTH__POLL_MINUTES", "[1, 1]".into()),
            ("PROVIDERS__GOOGLE_HEALTH__APP_PER_MINUTE", "100000".into()),
            ("PROVIDERS__GOOGLE_HEALTH__USER_PER_MINUTE", "100000".into()),
            ("SINKS__EVENTHUBS__BOOTSTRAP", to_kafka.address.clone()),
            // The watchdog's two minutes are all the patience there is here.
            ("GROUP__STALL_MS", "30000".into()),
        ]
        .map(|(name, value)| (format!("HEADWATER_{name}"), value))
        .to_vec();
        let mut field =
            Self { rig, kafka, cassandra, registry, to_kafka, to_cassandra, to_registry, to_cloud, running: BTreeMap::new() };
        for role in ROLES {
            field.launch("one", role);
        }
        field.ready("one").await;
        field
    }

    /// Starts a role of an instance and does not wait.
    pub fn launch(&mut self, instance: &str, role: &str) {
        self.launch_with(instance, role, &[]);
    }

    pub fn launch_with(&mut self, instance: &str, role: &str, more: &[(&str, &str)]) {
        let words: Vec<&str> = role.split(' ').collect();
        let environment: Vec<(&str, &str)> = more.iter().copied().chain([("HEADWATER_INSTANCE", instance)]).collect();
        let process = self.rig.launch_with(&words, &environment);
        self.running.insert((instance.to_owned(), role.to_owned()), process);
    }

    /// SIGKILL.
    pub fn kill(&mut self, instance: &str, role: &str) {
        self.process(instance, role).kill();
    }

    /// SIGTERM and its end.
    pub async fn stop(&mut self, instance: &str, role: &str) {
        let process = self.running.remove(&(instance.to_owned(), role.to_owned())).expect("it runs");
        let ended = tokio::task::spawn_blocking(move || process.stop()).await.expect("it ended");
        assert!(ended.success(), "{role} of {instance} did not drain: {ended}");
    }

    pub fn process(&mut self, instance: &str, role: &str) -> &mut Process {
        self.running.get_mut(&(instance.to_owned(), role.to_owned())).expect("it runs")
    }

    /// Waits until every role of an instance says that it is ready.
    pub async fn ready(&mut self, instance: &str) {
        for role in ROLES {
            let Some(process) = self.running.get_mut(&(instance.to_owned(), (*role).to_owned())) else { continue };
            let url = format!("http://{}/health/ready", process.ops);
            until(&format!("{role} of {instance} ready"), async || {
                assert!(process.running(), "{role} of {instance} ended by itself: {}", process.log.display());
                reqwest::get(&url).await.ok().filter(|answer| answer.status().is_success())
            })
            .await;
        }
    }

    /// A role that ended by itself is started again, as whatever runs it would do. How many did.
    pub fn revive(&mut self) -> u64 {
        let ended: Vec<(String, String)> =
            self.running.iter_mut().filter_map(|(who, process)| (!process.running()).then(|| who.clone())).collect();
        for (instance, role) in &ended {
            self.launch(instance, role);
        }
        ended.len() as u64
    }
}
