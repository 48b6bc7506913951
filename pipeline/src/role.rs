//! The roles: what each subcommand runs, built from the same parts whether it runs alone or all run in one process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use headwater_api::Api;
use headwater_api::auth::{Clock, Verifier};
use headwater_api::health::Feed;
use headwater_api::mail::Mailer;
use headwater_ingest::Outlet;
use headwater_processors::Processor;
use headwater_schemas::{Topic, topics};
use headwater_sinks::Sink;
use headwater_sinks::eventhubs::EventHubsSink;
use headwater_sinks::fhir::FhirSink;
use headwater_sinks::hooks::HooksSink;
use headwater_sinks::scylla::ScyllaSink;
use headwater_store::Store;
use uuid::Uuid;

use crate::app::App;
use crate::breaker::Breaker;
use crate::config::Guarantee;
use crate::consent::{self, ConsentTable};
use crate::log::kafka::partition;
use crate::ops::{self, Ready};
use crate::run::Work;
use crate::supervise::Supervisor;
use crate::telemetry::Telemetry;
use crate::work::{Deliver, Fetch, Process};
use crate::worker::{self, Watch};
use crate::{listen, live};

/// Workers of the fetch role: live hints, history hints with a share of their own, and hints that wait.
pub const FETCH_WORKERS: &[&str] = &["fetch", "fetch-history", "fetch-later"];

/// Door to Kafka: somebody waits for the answer, so records hardly wait for company.
const DOOR_LINGER: Duration = Duration::from_millis(5);

#[derive(Clone, Copy)]
pub enum Role {
    Receive,
    Fetch,
    Process(&'static dyn Processor),
    Sink(&'static str),
    Api,
    Simulator,
}

/// Runs one role until a signal, with health and metrics beside it.
///
/// # Errors
/// When it cannot start, fails, or does not drain in time.
pub async fn serve(app: App, role: Role, telemetry: Telemetry) -> anyhow::Result<()> {
    let app = Arc::new(app);
    let mut tasks = Supervisor::default();
    let ready = Ready::default();
    let router = ops::router(telemetry.metrics.clone(), ready.clone());
    let listener = listen::bind(&app.config.listen.ops).await?;
    let stop = tasks.stop();
    tasks.start("ops", listen::serve(listener, router, app.config.listen.limits(), stop));
    tasks.start("upkeep", ops::upkeep(telemetry.metrics.clone(), tasks.stop()));
    let drain = Duration::from_millis(app.config.group.drain_ms) + Duration::from_secs(20);
    let signal = tasks.stop();
    let starting = start(&app, role, &mut tasks);
    // A store that is down at the start is waited for; a signal ends the wait.
    tokio::select! {
        started = starting => started?,
        _ = tokio::signal::ctrl_c() => return Ok(()),
    }
    ready.set(true);
    tracing::info!("ready");
    let draining = ready.clone();
    tasks.start("readiness", async move {
        signal.cancelled().await;
        draining.set(false);
        Ok(())
    });
    tasks.run(drain).await
}

/// Starts the tasks of a role.
///
/// # Errors
/// When something it is built from is wrong.
pub async fn start(app: &Arc<App>, role: Role, tasks: &mut Supervisor) -> anyhow::Result<()> {
    match role {
        Role::Receive => {
            let store = app.store().await?;
            let listener = listen::bind(&app.config.listen.receive).await?;
            receive(app, store, listener, tasks)
        }
        Role::Fetch => {
            let store = app.store().await?;
            fetch(app, store, tasks).await
        }
        Role::Process(processor) => {
            let store = app.store().await?;
            let consents = consent::follow(app, Some(store.clone()), tasks).await?;
            process(app, processor, store, consents, tasks);
            Ok(())
        }
        Role::Sink(name) => {
            let sink = sink(app, name).await?;
            let consents = consent::follow(app, None, tasks).await?;
            deliver(app, sink, consents, tasks);
            Ok(())
        }
        Role::Api => {
            let settings = &app.config.api;
            anyhow::ensure!(
                settings.token.is_some() || settings.auth.is_some(),
                "api: expected [api.auth] or api.token, nothing is served to everybody"
            );
            let store = app.store().await?;
            let listener = listen::bind(&app.config.listen.api).await?;
            let consents = consent::follow(app, None, tasks).await?;
            let feed = live::follow(app, consents, tasks).await?;
            api(app, store, access(settings)?, feed, (listener, Router::new()), tasks)
        }
        Role::Simulator => {
            let bind = app.config.listen.simulator.parse().context("listen.simulator: expected address:port")?;
            let simulator =
                headwater_simulator::Simulator::start(headwater_simulator::Settings { bind, ..Default::default() }).await?;
            tracing::info!("simulated providers at {}", simulator.url());
            let stop = tasks.stop();
            tasks.start("simulator", async move {
                stop.cancelled().await;
                simulator.stop().await;
                Ok(())
            });
            Ok(())
        }
    }
}

/// Webhooks on a listener that is bound already.
///
/// # Errors
/// When the producer or the door cannot be made.
pub fn receive(
    app: &Arc<App>,
    store: Arc<dyn Store>,
    listener: tokio::net::TcpListener,
    tasks: &mut Supervisor,
) -> anyhow::Result<()> {
    let producer = app.producer_with("receive", DOOR_LINGER)?;
    let ingest = app.ingest(store, Arc::new(producer.clone()))?;
    let (router, stop) = (ingest.receive_router().merge(ingest.upload_router()), tasks.stop());
    let limits = app.config.listen.limits();
    tasks.start("receive", async move {
        listen::serve(listener, router, limits, stop).await?;
        tokio::task::block_in_place(|| producer.flush(Duration::from_secs(5)));
        Ok(())
    });
    Ok(())
}

/// Who is let in by these settings.
fn access(settings: &headwater_api::Settings) -> anyhow::Result<headwater_api::Access> {
    let verifier = settings.auth.clone().map(|auth| Verifier::new(auth, Clock::system())).transpose().context("api.auth")?;
    Ok(headwater_api::Access { token: settings.token.clone(), verifier: verifier.map(Arc::new) })
}

/// The API on a listener that is bound already, with further routes beside it.
///
/// # Errors
/// When the producer or the mailer cannot be made.
pub fn api(
    app: &Arc<App>,
    store: Arc<dyn Store>,
    access: headwater_api::Access,
    feed: Arc<dyn Feed>,
    (listener, beside): (tokio::net::TcpListener, Router),
    tasks: &mut Supervisor,
) -> anyhow::Result<()> {
    // Each answer waits for the record of its act.
    let producer = app.producer_with("api", Duration::ZERO)?;
    let ingest = app.ingest(store.clone(), Arc::new(producer.clone()))?;
    let accounts = ingest.accounts();
    land(&ingest, tasks);
    let (settings, limits) = (app.config.api.clone(), app.config.listen.limits());
    let mailer = settings.mail.as_ref().map(Mailer::new).transpose().map_err(|why| anyhow::anyhow!(why))?;
    let (router, stop) =
        (headwater_api::router(Arc::new(Api { store, accounts, settings, access, mailer, feed: Some(feed) })), tasks.stop());
    tasks.start("api", async move {
        listen::serve(listener, router.merge(beside), limits, stop).await?;
        tokio::task::block_in_place(|| producer.flush(Duration::from_secs(5)));
        Ok(())
    });
    Ok(())
}

/// The three fetch workers and the scheduler of the partitions they hold.
///
/// # Errors
/// When the producer cannot be made.
pub async fn fetch(app: &Arc<App>, store: Arc<dyn Store>, tasks: &mut Supervisor) -> anyhow::Result<()> {
    let producer = app.producer_with("fetch", DOOR_LINGER)?;
    let ingest = app.ingest(store, Arc::new(producer))?;
    land(&ingest, tasks);
    let held = Arc::new(Mutex::new(HashSet::new()));
    for (name, topic) in fetch_workers() {
        let (topics, work) = fetching(app, name, topic, &ingest);
        let watch = (topic == &topics::HINT_LIVE).then(|| {
            let held = held.clone();
            let watch: Watch = Arc::new(move |_: &str, partition: i32, taken: bool| {
                let mut held = held.lock().expect("nothing panics under this lock");
                if taken {
                    held.insert(partition)
                } else {
                    held.remove(&partition)
                };
            });
            watch
        });
        start_worker(app, name, topics, work, (watch, outside(app, name)), tasks);
    }
    let partitions = app.config.topics.partitions.unwrap_or(topics::HINT_LIVE.partitions);
    let owns = move |id: Uuid| {
        let key = partition::of(id.to_string().as_bytes(), partitions);
        held.lock().expect("nothing panics under this lock").contains(&key)
    };
    let (scheduler, stop) = (ingest.scheduler(), tasks.stop());
    tasks.start("schedule", async move {
        scheduler.run(&owns, stop.cancelled()).await;
        Ok(())
    });
    Ok(())
}

/// Lets the refreshes of tokens that are under way at the end come to theirs.
fn land(ingest: &headwater_ingest::Ingest, tasks: &mut Supervisor) {
    let tokens = ingest.tokens();
    tasks.last(async move { tokens.landed().await });
}

/// A sink from its section of the configuration.
async fn sink(app: &App, name: &str) -> anyhow::Result<Arc<dyn Sink>> {
    let settings = &app.config.sinks;
    Ok(match name {
        headwater_sinks::scylla::NAME => {
            Arc::new(ScyllaSink::new(app.store().await?, Duration::from_secs(settings.scylla.erase_settle_seconds)))
        }
        headwater_sinks::eventhubs::NAME => {
            let expected = "sinks.eventhubs: expected a section with bootstrap, connection_string and topic";
            Arc::new(EventHubsSink::new(settings.eventhubs.as_ref().context(expected)?)?)
        }
        headwater_sinks::fhir::NAME => {
            let expected = "sinks.fhir: expected a section with url";
            Arc::new(FhirSink::new(settings.fhir.as_ref().context(expected)?, app.store().await?)?)
        }
        headwater_sinks::hooks::NAME => {
            let expected = "sinks.hooks: expected a section with url and secret";
            Arc::new(HooksSink::new(settings.hooks.as_ref().context(expected)?).context("sinks.hooks")?)
        }
        other => anyhow::bail!("sink {other} is listed but not built"),
    })
}

/// A processor's worker.
pub fn process(
    app: &Arc<App>,
    processor: &'static dyn Processor,
    store: Arc<dyn Store>,
    consents: Arc<ConsentTable>,
    tasks: &mut Supervisor,
) {
    let (topics, work) = processing(app, processor, store, consents);
    start_worker(app, processor.name(), topics, work, (None, app.config.processing.guarantee), tasks);
}

/// A sink's worker.
pub fn deliver(app: &Arc<App>, sink: Arc<dyn Sink>, consents: Arc<ConsentTable>, tasks: &mut Supervisor) {
    let name = sink.name();
    let (topics, work) = delivering(app, sink, consents);
    start_worker(app, name, topics, work, (None, outside(app, name)), tasks);
}

/// The topics that a worker takes, and what it does with them.
pub type Working = (Vec<String>, Arc<dyn Work>);

/// The work of any worker by its name, as its role does it, for what is done beside the loop. `tasks` follow the consents.
///
/// # Errors
/// When there is no such worker or something it is built from is wrong.
pub async fn work(app: &Arc<App>, name: &str, tasks: &mut Supervisor) -> anyhow::Result<Working> {
    if let Some(processor) = headwater_processors::by_name(name) {
        let store = app.store().await?;
        let consents = consent::follow(app, Some(store.clone()), tasks).await?;
        return Ok(processing(app, processor, store, consents));
    }
    if let Some((name, topic)) = fetch_workers().find(|(worker, _)| *worker == name) {
        let ingest = app.ingest(app.store().await?, Arc::new(app.producer_with("fetch", DOOR_LINGER)?))?;
        return Ok(fetching(app, name, topic, &ingest));
    }
    let sink = sink(app, name).await?;
    Ok(delivering(app, sink, consent::follow(app, None, tasks).await?))
}

fn processing(app: &App, processor: &'static dyn Processor, store: Arc<dyn Store>, consents: Arc<ConsentTable>) -> Working {
    let inputs = processor.inputs();
    let desk = worker::desk(app, processor.name(), &inputs);
    let names = inputs.iter().map(|(topic, member)| topic.name(&app.config.namespace, *member)).collect();
    (names, Arc::new(Process { desk, processor, stream: None, consents, store }))
}

fn delivering(app: &App, sink: Arc<dyn Sink>, consents: Arc<ConsentTable>) -> Working {
    let inputs = sink.inputs();
    let desk = worker::desk(app, sink.name(), &inputs.iter().map(|topic| (*topic, None)).collect::<Vec<_>>());
    let names = inputs.iter().map(|topic| topic.name(&app.config.namespace, None)).collect();
    (names, Arc::new(Deliver { desk, sink, consents }))
}

fn fetching(app: &App, name: &'static str, topic: &'static Topic, ingest: &headwater_ingest::Ingest) -> Working {
    let work = Fetch { desk: worker::desk(app, name, &[(topic, None)]), fetcher: ingest.fetcher() };
    (vec![topic.name(&app.config.namespace, None)], Arc::new(work))
}

fn fetch_workers() -> impl Iterator<Item = (&'static str, &'static Topic)> {
    FETCH_WORKERS.iter().copied().zip([&topics::HINT_LIVE, &topics::HINT_HISTORY, &topics::HINT_LATER])
}

/// The guarantee of a worker that writes outside Kafka. No transaction reaches there, and nobody shall think so.
fn outside(app: &App, name: &'static str) -> Guarantee {
    if app.config.processing.guarantee == Guarantee::ExactlyOnce {
        tracing::warn!(
            worker = name,
            "processing.guarantee = exactly_once is of processors: this worker is at_least_once, by keys"
        );
    }
    Guarantee::AtLeastOnce
}

fn start_worker(
    app: &Arc<App>,
    name: &'static str,
    topics: Vec<String>,
    work: Arc<dyn Work>,
    (watch, guarantee): (Option<Watch>, Guarantee),
    tasks: &mut Supervisor,
) {
    let work = Breaker::around(work, name, &app.config.group.breaker);
    let (app, stop) = (app.clone(), tasks.stop());
    tasks.start(name, async move { worker::run(&app, topics, name, work, watch, guarantee, stop).await });
}

impl App {
    /// The door and the driver over this store and outlet.
    ///
    /// # Errors
    /// When its settings are wrong.
    pub fn ingest(&self, store: Arc<dyn Store>, outlet: Arc<dyn Outlet>) -> anyhow::Result<headwater_ingest::Ingest> {
        Ok(headwater_ingest::Ingest::new(
            self.config.ingest.clone(),
            self.config.providers.clone(),
            store,
            outlet,
            Arc::new(headwater_ingest::clock::System),
        )?)
    }
}
