//! `headwater dev`: everything in one process, with no other service. The roles are the production ones and speak to the embedded broker
//! through the same Kafka client; what is embedded stands in for a cluster, a registry, a database and the providers' clouds.

mod broker;
mod people;
mod screen;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use headwater_simulator::{Control, People, Settings, Simulator, WebhookTargets};
use headwater_sinks::scylla::ScyllaSink;
use tokio::net::TcpListener;

use crate::app::App;
use crate::config::Config;
use crate::log::kafka::{Admin, catalogue};
use crate::ops::{self, Ready};
use crate::registry::embedded;
use crate::supervise::Supervisor;
use crate::{consent, listen, live, role, telemetry};

/// Run everything in this process: embedded broker, registry, store, simulated providers, all roles.
#[derive(Debug, Args)]
pub struct Dev {
    /// Seed of the simulated people: the same seed gives the same data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Days of history of each person
    #[arg(long, default_value_t = 14)]
    history_days: u32,
    /// End by itself after this long
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Keep the store in this folder instead of a temporary one
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// What to log, as in RUST_LOG
    #[arg(long, default_value = "warn,nisshi=off,rama=off,libsql=error,librdkafka=off")]
    log: String,
}

/// Where everything is.
struct Addresses {
    kafka: String,
    registry: TcpListener,
    receive: TcpListener,
    api: TcpListener,
    ops: TcpListener,
}

impl Addresses {
    async fn take() -> anyhow::Result<Self> {
        let bind = async |wanted| listen::bind(&format!("127.0.0.1:{}", broker::port(wanted)?)).await;
        Ok(Self {
            kafka: format!("127.0.0.1:{}", broker::port(9092)?),
            registry: bind(8081).await?,
            receive: bind(8080).await?,
            api: bind(8090).await?,
            ops: bind(9464).await?,
        })
    }
}

fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

impl Dev {
    /// # Errors
    /// When a part cannot start.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let telemetry = telemetry::install(&telemetry::Settings { log: self.log.clone(), ..Default::default() })?;
        let (at, temporary) = (Addresses::take().await?, tempfile::tempdir()?);
        let data = self.data.clone().unwrap_or_else(|| temporary.path().to_owned());
        std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let keys = people::secrets(&data)?;
        let simulator = Simulator::start(self.simulator(&at, &keys)?).await?;
        let (receive, api, registry) = (url(&at.receive)?, url(&at.api)?, url(&at.registry)?);
        let places =
            people::Places { kafka: &at.kafka, registry: &registry, simulator: &simulator.url(), receive: &receive, api: &api };
        let text = people::config(&places, &data, &keys)?;
        std::fs::create_dir_all(data.join("mail"))?;
        // For the other commands, so that they find this process: tail, topics, dead.
        let file = data.join("headwater.toml");
        std::fs::write(&file, &text)?;
        let app = Arc::new(App::new(Config::parse(&text)?)?);
        let (mut tasks, limits) = (Supervisor::default(), app.config.listen.limits());

        let (kafka, stop) = (at.kafka.clone(), tasks.stop());
        // The broker outlives the roles: they drain into it.
        let broker_stop = tokio_util::sync::CancellationToken::new();
        let broker = tokio::task::JoinSet::from_iter([{
            let stop = broker_stop.clone();
            async move { broker::serve(&kafka, stop).await }
        }]);
        tasks.start("registry", listen::serve(at.registry, embedded::router(), limits, stop.clone()));
        broker::await_listening(&at.kafka).await?;
        let admin = Admin::new(&app.config.kafka, 1)?;
        let wanted = catalogue(&app.config.namespace, &crate::command::workers());
        admin.apply(&admin.plan(&wanted, app.config.topics.partitions).await?, false).await?;

        let store = app.store().await?;
        store.migrate().await?;
        let ready = Ready::default();
        tasks.start("ops", listen::serve(at.ops, ops::router(telemetry.metrics.clone(), ready.clone()), limits, stop.clone()));
        tasks.start("upkeep", ops::upkeep(telemetry.metrics.clone(), stop.clone()));
        let (access, dev_routes) = tokens::issuer(&api, app.config.api.token.clone());
        role::receive(&app, store.clone(), at.receive, &mut tasks)?;
        role::fetch(&app, store.clone(), &mut tasks).await?;
        let consents = consent::follow(&app, Some(store.clone()), &mut tasks).await?;
        let feed = live::follow(&app, consents.clone(), &mut tasks).await?;
        role::api(&app, store.clone(), access, feed, (at.api, dev_routes), &mut tasks)?;
        let normalize = headwater_processors::by_name("normalize").context("normalize is listed")?;
        role::process(&app, normalize, store.clone(), consents.clone(), &mut tasks);
        let settle = Duration::from_secs(app.config.sinks.scylla.erase_settle_seconds);
        role::deliver(&app, Arc::new(ScyllaSink::new(store.clone(), settle)), consents, &mut tasks);
        ready.set(true);

        screen::banner(&screen::Links {
            kafka: &at.kafka,
            registry: &registry,
            receive: &receive,
            api: &api,
            simulator: &simulator.url(),
            data: &data,
            kept: self.data.is_some(),
            token: &keys.token,
        });
        let producer = app.producer("dev")?;
        let ingest = app.ingest(store.clone(), Arc::new(producer))?;
        let connected = people::connect(&ingest.accounts(), &simulator.control(), &format!("{api}/connect/callback")).await?;
        screen::people(&connected, &api, &keys.token, &file);
        let (seen, stop_looking, looked) = (app.clone(), stop.clone(), store.clone());
        tasks.start("first look", async move { screen::first_look(&seen, &*looked, &connected, &stop_looking).await });
        let (metrics, control, shown) = (telemetry.metrics.clone(), simulator.control(), store.clone());
        tasks.start("screen", screen::counters(metrics.clone(), control, shown, stop.clone()));
        if let Some(seconds) = self.seconds {
            tasks.start("clock", async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_secs(seconds)) => stop.cancel(),
                }
                Ok(())
            });
        }
        let ended = tasks.run(Duration::from_secs(20)).await;
        screen::summary(&metrics, &simulator.control(), &*store).await;
        simulator.stop().await;
        broker_stop.cancel();
        broker.join_all().await.into_iter().collect::<anyhow::Result<()>>()?;
        ended.map(|()| ExitCode::SUCCESS)
    }

    fn simulator(&self, at: &Addresses, keys: &people::Secrets) -> anyhow::Result<Settings> {
        let hooks = format!("{}/webhooks", url(&at.receive)?);
        Ok(Settings {
            seed: self.seed,
            history_days: self.history_days,
            people: People { others: 1, ..Settings::default().people },
            bind: format!("127.0.0.1:{}", broker::port(8100)?).parse()?,
            webhooks: Some(WebhookTargets::under(&hooks, &keys.path, &keys.authorization)),
            ..Default::default()
        })
    }
}

/// Counts of requests by provider, for the screen.
fn requests(control: &Control) -> u64 {
    control.counts().values().map(|c| c.requests.values().sum::<u64>()).sum()
}
