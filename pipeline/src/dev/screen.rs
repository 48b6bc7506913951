//! What a person at the terminal sees.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_schemas::topics;
use headwater_simulator::Control;
use headwater_store::{Store, StoredObservation};
use metrics_exporter_prometheus::PrometheusHandle;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio_util::sync::CancellationToken;

use super::people::Connected;
use super::requests;
use crate::app::App;
use crate::telemetry;

pub struct Links<'a> {
    pub kafka: &'a str,
    pub registry: &'a str,
    pub receive: &'a str,
    pub api: &'a str,
    pub simulator: &'a str,
    pub data: &'a Path,
    pub kept: bool,
    pub token: &'a str,
}

pub fn banner(links: &Links<'_>) {
    println!("headwater dev: everything in this process, for trying and developing.");
    println!(
        "The embedded broker is one node in memory: no replication, no access control, no transactions. Production is real Kafka.\n"
    );
    println!("  api           {}/docs   to browse; bearer token {}", links.api, links.token);
    println!("  clouds        {}   simulated providers, people and faults", links.simulator);
    println!("  webhooks      {}/webhooks/<provider>", links.receive);
    println!("  kafka         {}", links.kafka);
    println!("  registry      {}", links.registry);
    let how = if links.kept { "kept" } else { "deleted at the end; --data FOLDER keeps it" };
    println!("  store         {} ({how})\n", links.data.display());
}

pub fn people(people: &[Connected], api: &str, token: &str, config: &Path) {
    println!("Connected:");
    for person in people {
        println!("  {:9} {:14} {:20} {}", person.subject, person.provider, person.zone, person.name);
    }
    println!("\nThe store:  curl -H 'Authorization: Bearer {token}' '{api}/health/observations/latest?subject=person-1'");
    println!("A person's page, to connect and disconnect in a browser:");
    println!(
        "            curl -X POST -H 'Authorization: Bearer {token}' --json '{{\"subject\": \"person-1\"}}' {api}/v1/account-links"
    );
    println!("A JWT as an identity provider would give it:  curl '{api}/dev/token?subject=person-1'");
    println!("The stream: target/debug/headwater tail --config {} --from-beginning", config.display());
    println!("Ctrl-C drains and ends.\n");
}

/// What a first look shows of each person.
const LOOK: &[&str] = &["body-weight", "heart-rate", "steps-day", "sleep"];
const LOOK_AFTER: Duration = Duration::from_secs(40);

/// Once everybody has something, or after a while: the newest of each person in the store, and how much is on the stream.
pub async fn first_look(app: &App, store: &dyn Store, people: &[Connected], stop: &CancellationToken) -> anyhow::Result<()> {
    let until = tokio::time::Instant::now() + LOOK_AFTER;
    let now = || jiff::Timestamp::now().as_microsecond();
    loop {
        let mut rows = Vec::new();
        for person in people {
            rows.push(store.latest(&person.subject, LOOK, now(), 1).await?);
        }
        if rows.iter().all(|r| !r.is_empty()) || tokio::time::Instant::now() > until {
            println!("\n\nIn the store:");
            for (person, rows) in people.iter().zip(&rows) {
                let said: Vec<String> = rows.iter().map(figure).collect();
                println!("  {:9} {:14} {}", person.subject, person.provider, said.join(", "));
            }
            println!("On the stream: {} records\n", tokio::task::block_in_place(|| on_stream(app))?);
            stop.cancelled().await;
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

fn figure(row: &StoredObservation) -> String {
    format!("{} {} {}", row.data_type, row.value_text.as_deref().unwrap_or("–"), row.unit.as_deref().unwrap_or_default())
}

/// Records on the observation topic.
fn on_stream(app: &App) -> anyhow::Result<i64> {
    let consumer: BaseConsumer = app.config.kafka.client("headwater-look").create()?;
    let topic = topics::OBSERVATION.name(&app.config.namespace, None);
    let partitions = app.config.topics.partitions.unwrap_or(topics::OBSERVATION.partitions);
    (0..partitions).try_fold(0, |sum, partition| {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, Duration::from_secs(5))?;
        Ok(sum + high - low)
    })
}

/// One line of counters a second on a terminal, every five seconds elsewhere.
pub async fn counters(
    metrics: PrometheusHandle,
    control: Control,
    store: Arc<dyn Store>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let terminal = std::io::stdout().is_terminal();
    let every = Duration::from_secs(if terminal { 1 } else { 5 });
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                if terminal {
                    println!();
                }
                return Ok(());
            }
            () = tokio::time::sleep(every) => {}
        }
        let line = line(&metrics, &control, &*store).await;
        if terminal {
            print!("\r\x1b[2K{line}");
            std::io::stdout().flush()?;
        } else {
            println!("{line}");
        }
    }
}

async fn line(metrics: &PrometheusHandle, control: &Control, store: &dyn Store) -> String {
    let page = metrics.render();
    let count = |name: &str, label: &str| sum(&page, name, label);
    let stored = store.count_observations().await.map_or_else(|_| "?".to_owned(), |n| n.to_string());
    format!(
        "requests {}  hints {}  raw {}  observations {}  stored {stored}  dead letters {}",
        requests(control),
        count(telemetry::RECORDS_IN, "worker=\"fetch"),
        count(telemetry::RECORDS_IN, "worker=\"normalize\""),
        count(telemetry::RECORDS_OUT, "worker=\"normalize\""),
        count(telemetry::DEAD, ""),
    )
}

/// Sum of a counter over its label sets that contain `label`.
fn sum(page: &str, name: &str, label: &str) -> u64 {
    page.lines()
        .filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && l.contains(label))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

/// What was done, at the end.
pub async fn summary(metrics: &PrometheusHandle, control: &Control, store: &dyn Store) {
    println!("\ndrained. {}", line(metrics, control, store).await);
    let totals: BTreeMap<_, _> = control.counts();
    for (provider, counts) in totals.into_iter().filter(|(_, c)| !c.requests.is_empty()) {
        println!(
            "  {:14} {} requests, {} refused as too many, {} notifications sent, {} answered 2xx",
            provider.name(),
            counts.requests.values().sum::<u64>(),
            counts.rate_limited,
            counts.webhooks_sent,
            counts.webhooks_answered.iter().filter(|(status, _)| (200..300).contains(*status)).map(|(_, n)| n).sum::<u64>(),
        );
    }
}
