//! One pipeline of real processes around one simulated cloud.

use std::collections::{BTreeSet, HashMap};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headwater::app::App;
use headwater::config::Config;
use headwater_ingest::Accounts;
use headwater_ingest::account::{Begin, Callback};
use headwater_simulator::{Control, People, Person, Provider, Settings, Simulator, WebhookTargets};
use headwater_store::{ObservationQuery, Order, Store, StoredObservation};
use rand::Rng as _;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::environment::{asked, variable};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the real parts are.
#[derive(Debug, Clone)]
pub struct Parts {
    pub kafka: String,
    pub registry: String,
    pub cassandra: String,
    pub eventhubs: String,
    pub connection_string: String,
    pub ca: String,
}

impl Parts {
    /// Whether real parts can be had, and are to be used.
    pub fn wanted() -> bool {
        asked("HEADWATER_TEST_REAL")
    }

    pub fn from_env() -> Self {
        let variable = |name| variable(name).unwrap_or_else(|| panic!("{name} is not set although the real parts run"));
        Self {
            kafka: variable("KAFKA_BOOTSTRAP"),
            registry: variable("SCHEMA_REGISTRY_URL"),
            cassandra: variable("CASSANDRA_NODE"),
            eventhubs: variable("EVENTHUBS_BOOTSTRAP"),
            connection_string: variable("EVENTHUBS_CONNECTION_STRING"),
            ca: variable("EVENTHUBS_CA"),
        }
    }
}

/// A role's process; ended with the test.
pub struct Process {
    child: Child,
    pub ops: String,
    pub log: PathBuf,
}

impl Process {
    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it is ours");
    }

    /// By its name without SIG.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill is there");
        assert!(sent.success(), "SIG{name} could not be sent");
    }

    /// SIGSTOP and SIGCONT.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// SIGTERM, and how it ended.
    pub fn stop(mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.child.wait().expect("it is ours")
    }

    /// Resident memory in MiB, now and at most so far.
    pub fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says it");
            line.trim().split(' ').next().and_then(|kib| kib.parse::<f64>().ok()).expect("a number") / 1024.0
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// All metrics.
    pub fn page(&self) -> String {
        get(&format!("http://{}/metrics", self.ops)).unwrap_or_default()
    }

    pub fn metric(&self, name: &str) -> f64 {
        self.page().lines().filter(|l| l.starts_with(name)).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.running() {
            self.kill();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- {}\n{}", self.log.display(), tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

pub struct Rig {
    pub parts: Parts,
    pub namespace: String,
    pub receive: String,
    /// Of the `api` role.
    pub api: String,
    pub folder: tempfile::TempDir,
    pub simulator: Option<Simulator>,
    /// What the processes log, as in `RUST_LOG`; the default where empty.
    pub log: &'static str,
    /// Environment of every process: configuration over the file's.
    pub environment: Vec<(String, String)>,
    pub store: Arc<dyn Store>,
    pub app: Arc<App>,
}

pub const PATH_SECRET: &str = "an-unguessable-segment";
pub const AUTHORIZATION: &str = "Bearer told-to-the-provider";
pub const HUB: &str = "hub";
pub const API_TOKEN: &str = "a-static-bearer-token";

/// A port that nobody listens on, below those that outgoing connections take: between the look and the listening nobody else gets it. Each is
/// given once.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().expect("nothing panics under this lock");
    loop {
        let port = rand::rng().random_range(10_000..20_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
}

/// A cloud with one person of each provider and three days of history.
pub fn small() -> Settings {
    Settings { people: People { withings: 1, google_health: 1, others: 0 }, history_days: 3, ..Settings::quiet() }
}

/// Waits until `check` gives something.
pub async fn until<T>(what: &str, check: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(what, TIMEOUT, check).await
}

/// The same with a patience of its own, for what goes at a provider's pace.
pub async fn until_within<T>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until what is looked at stays the same for this long: only time tells that nothing more comes.
pub async fn quiet<T: PartialEq>(what: &str, still: Duration, look: impl Fn() -> T) {
    until(what, async || {
        let before = look();
        tokio::time::sleep(still).await;
        (before == look()).then_some(())
    })
    .await;
}

/// A GET without a runtime.
fn get(url: &str) -> Option<String> {
    let out = Command::new("curl").args(["-fsS", "-m", "2", url]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

impl Rig {
    /// Topics, schemas, tables and a hub, and a cloud if asked for; no process yet.
    pub async fn new(parts: Parts, cloud: bool) -> Self {
        Self::with(parts, cloud, "").await
    }

    /// The same with more configuration.
    pub async fn with(parts: Parts, cloud: bool, more: &str) -> Self {
        Self::at(parts, cloud.then(small), more).await
    }

    /// The same at a cloud with these settings.
    pub async fn at(parts: Parts, cloud: Option<Settings>, more: &str) -> Self {
        Self::built(parts, cloud, |_| more.to_owned()).await
    }

    /// The same with configuration that names the cloud's address.
    pub async fn later(parts: Parts, cloud: Settings, more: impl FnOnce(&str) -> String) -> Self {
        Self::built(parts, Some(cloud), more).await
    }

    async fn built(parts: Parts, cloud: Option<Settings>, more: impl FnOnce(&str) -> String) -> Self {
        let namespace = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        let folder = tempfile::tempdir().expect("a folder");
        let receive = format!("127.0.0.1:{}", free_port());
        let api = format!("127.0.0.1:{}", free_port());
        let simulator = if let Some(settings) = cloud {
            let settings = Settings {
                webhooks: Some(WebhookTargets::under(&format!("http://{receive}/webhooks"), PATH_SECRET, AUTHORIZATION)),
                ..settings
            };
            Some(Simulator::start(settings).await.expect("a simulator"))
        } else {
            None
        };
        let url = simulator.as_ref().map_or_else(|| "http://127.0.0.1:1".to_owned(), Simulator::url);
        let more: String = more(&url);
        let text = config(&parts, &namespace, (&receive, &api), &url, folder.path()) + more.as_str();
        std::fs::write(folder.path().join("headwater.toml"), &text).expect("a writable folder");
        let app = Arc::new(App::new(Config::parse(&text).expect("a good configuration")).expect("an app"));
        let rig = Self {
            store: app.store().await.expect("a store"),
            parts,
            namespace,
            receive,
            api,
            folder,
            simulator,
            log: "",
            environment: vec![],
            app,
        };
        for arguments in [&["topics", "apply"][..], &["schemas", "register"], &["store", "migrate"]] {
            let done = rig.command(arguments);
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        rig.create_hub().await;
        rig
    }

    pub fn control(&self) -> Control {
        self.simulator.as_ref().expect("a rig with a cloud").control()
    }

    pub fn hub(&self) -> String {
        format!("{}.{HUB}", self.namespace)
    }

    /// Runs a command of the binary to its end.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.binary(arguments).output().expect("the binary runs")
    }

    /// Starts a command of the binary, to be ended by the caller.
    pub fn spawned(&self, arguments: &[&str], out: Stdio) -> Child {
        self.binary(arguments).stdout(out).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    fn binary(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        command.arg("--config").arg(self.folder.path().join("headwater.toml")).args(arguments);
        command
    }

    /// Starts a role and waits until it is ready.
    pub async fn start(&self, arguments: &[&str]) -> Process {
        self.start_with(arguments, &[]).await
    }

    /// The same with variables over the configuration.
    pub async fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut process = self.launch_with(arguments, variables);
        let url = format!("http://{}/health/ready", process.ops);
        until(&format!("{arguments:?} ready"), async || {
            assert!(
                process.running(),
                "{arguments:?} ended at its start: {}",
                std::fs::read_to_string(&process.log).unwrap_or_default()
            );
            get(&url)
        })
        .await;
        process
    }

    /// Starts a role and does not wait.
    pub fn launch(&self, arguments: &[&str]) -> Process {
        self.launch_with(arguments, &[])
    }

    /// The same with more environment, such as an instance's own name.
    pub fn launch_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> Process {
        let ops = format!("127.0.0.1:{}", free_port());
        let log = self.folder.path().join(format!("{}.log", arguments.join("-")));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let mut command = self.binary(arguments);
        if !self.log.is_empty() {
            command.env("HEADWATER_TELEMETRY__LOG", self.log);
        }
        command.envs(self.environment.iter().cloned()).envs(more.iter().copied());
        let child =
            command.env("HEADWATER_LISTEN__OPS", &ops).stdout(Stdio::null()).stderr(file).spawn().expect("the binary starts");
        Process { child, ops, log }
    }

    /// The accounts as a role of this process sees them.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts_at(&self.store)
    }

    fn accounts_at(&self, store: &Arc<dyn Store>) -> Arc<Accounts> {
        let producer = self.app.producer("test").expect("a producer");
        self.app.ingest(store.clone(), Arc::new(producer)).expect("ingest").accounts()
    }

    /// Connects a person of the cloud who says yes to everything.
    pub async fn connect(&self, person: &Person, subject: &str) -> uuid::Uuid {
        self.connect_at(&self.store, person, subject).await
    }

    /// The same in another store than the roles'.
    pub async fn connect_at(&self, store: &Arc<dyn Store>, person: &Person, subject: &str) -> uuid::Uuid {
        let (accounts, session, redirect) = (self.accounts_at(store), [7; 32], "http://127.0.0.1:1/callback");
        let provider = person.provider.name();
        let begin = Begin {
            provider,
            subject,
            session: &session,
            redirect_uri: redirect,
            zone: Some(&person.time_zone),
            invitation: None,
            note: "",
        };
        let mut url: reqwest::Url = accounts.begin(begin).await.expect("an address").url.parse().expect("a URL");
        url.query_pairs_mut().append_pair("simulate_consent", &person.user_id);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let answer = http.get(url).send().await.expect("an answer");
        let location: reqwest::Url = answer.headers()["location"].to_str().expect("text").parse().expect("a URL");
        let given: HashMap<String, String> = location.query_pairs().into_owned().collect();
        let callback = Callback {
            provider,
            state: &given["state"],
            code: given.get("code").map(String::as_str),
            error: None,
            issuer: given.get("iss").map(String::as_str),
            session: Some(&session),
        };
        accounts.finish(callback).await.map_err(|unfinished| unfinished.why).expect("connected").connection
    }

    pub fn person(&self, provider: Provider) -> Person {
        self.control().people().into_iter().find(|p| p.provider == provider).expect("one of each")
    }

    /// Rows of one type in a time range, withdrawn ones included.
    pub async fn rows(&self, subject: &str, data_type: &str, from: i64, to: i64) -> Vec<StoredObservation> {
        let query = ObservationQuery {
            subject_id: subject.into(),
            data_type: data_type.into(),
            from,
            to,
            limit: 10_000,
            order: Order::NewestFirst,
            after: None,
        };
        self.store.observations(&query).await.map(|page| page.rows).unwrap_or_default()
    }

    async fn create_hub(&self) {
        let admin: AdminClient<DefaultClientContext> = self.hub_client().create().expect("an admin client");
        let hub = self.hub();
        let topic = NewTopic::new(&hub, 2, TopicReplication::Fixed(1));
        let made = admin.create_topics([&topic], &AdminOptions::new().operation_timeout(Some(TIMEOUT))).await.expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    pub fn hub_client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.parts.eventhubs)
            .set("security.protocol", "sasl_ssl")
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.username", "$ConnectionString")
            .set("sasl.password", &self.parts.connection_string)
            .set("ssl.ca.location", &self.parts.ca);
        config
    }

    /// Asks the `api` role with the operator's token: status and body.
    pub async fn ask(&self, method: &str, path: &str, body: Option<serde_json::Value>) -> (u16, serde_json::Value) {
        let method = method.parse().expect("a method");
        let mut request = reqwest::Client::new().request(method, format!("http://{}{path}", self.api)).bearer_auth(API_TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the api answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

/// A broker of many tests is not to hold the topics of all of them. A broker that was the test's own may be gone by now.
impl Drop for Rig {
    fn drop(&mut self) {
        let Ok(admin) = self.kafka().set("log_level", "0").create::<AdminClient<DefaultClientContext>>() else { return };
        let Ok(metadata) = admin.inner().fetch_metadata(None, Duration::from_secs(2)) else { return };
        let mine: Vec<&str> =
            metadata.topics().iter().map(|t| t.name()).filter(|name| name.starts_with(&self.namespace)).collect();
        let deleting = admin.delete_topics(&mine, &AdminOptions::new().request_timeout(Some(Duration::from_secs(5))));
        let _ = futures::executor::block_on(deleting);
    }
}

fn config(parts: &Parts, namespace: &str, (receive, api): (&str, &str), simulator: &str, folder: &Path) -> String {
    let mut text = format!(
        "namespace = \"{namespace}\"\ninstance = \"one\"\n\
         [listen]\nreceive = \"{receive}\"\napi = \"{api}\"\n\
         [api]\ntoken = \"{API_TOKEN}\"\npublic_url = \"http://{api}\"\nname = \"Example Clinic\"\nreturn_urls = [\"http://127.0.0.1:1/back\"]\n\
         [kafka]\nbootstrap = \"{}\"\n\
         [registry]\nurl = \"{}\"\ncache_file = \"{}\"\n\
         [ingest]\nwebhooks = \"http://{receive}/webhooks\"\n\
         [sinks.scylla]\nerase_settle_seconds = 2\n\
         [topics]\nreplication_factor = 1\npartitions = 4\n\
         [group]\nstatic_membership = true\nsession_timeout_ms = 10000\ndrain_ms = 5000\n\
         [store]\nkeys = \"test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n\
         [store.scylla]\nnodes = [\"{}\"]\nkeyspace = \"{namespace}\"\nreplication_factor = 1\n\
         [sinks.eventhubs]\nbootstrap = \"{}\"\nconnection_string = \"{}\"\ntopic = \"{namespace}.{HUB}\"\nca_file = \"{}\"\n",
        parts.kafka,
        parts.registry,
        folder.join("schema-ids.json").display(),
        parts.cassandra,
        parts.eventhubs,
        parts.connection_string,
        parts.ca,
    );
    for provider in ["withings", "google_health"] {
        let cloud = format!("{simulator}/{provider}");
        let revoke = if provider == "withings" { String::new() } else { format!("revoke_url = \"{cloud}/revoke\"\n") };
        let (authorize, token, webhook) = match provider {
            "withings" => ("/oauth2_user/authorize2", "/v2/oauth2", format!("path_secret = \"{PATH_SECRET}\"")),
            _ => (
                "/o/oauth2/v2/auth",
                "/token",
                format!("authorization = \"{AUTHORIZATION}\"\nkeyset_url = \"{cloud}/webhooks_public_keyset.json\""),
            ),
        };
        text += &format!(
            "[providers.{provider}]\nclient_id = \"headwater-dev\"\nclient_secret = \"headwater-dev-secret\"\napi_url = \"{cloud}\"\n\
             authorize_url = \"{cloud}{authorize}\"\ntoken_url = \"{cloud}{token}\"\nhistory_days = 2\n{revoke}\
             [providers.{provider}.webhook]\n{webhook}\n"
        );
    }
    text
}
