//! Every metric and span name of the product, logs, traces, and the page that shows them. Labels come from closed sets; nothing about a person
//! is ever a label, a log field or a span attribute.

use anyhow::Context as _;
use headwater_schemas::{Outbox, topics};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::dead::letter::header;

/// Connections over the limit of a server.
pub const CONNECTIONS_REFUSED: &str = "headwater_connections_refused_total";
/// Records taken by a worker.
pub const RECORDS_IN: &str = "headwater_records_in_total";
/// Records a worker made or wrote.
pub const RECORDS_OUT: &str = "headwater_records_out_total";
pub const DEAD: &str = "headwater_dead_letters_total";
/// 1 where a worker takes nothing more of a topic because most of it became dead letters.
pub const BREAKER: &str = "headwater_breaker_open";
/// Whole batches done again because something outside did not answer.
pub const RETRIES: &str = "headwater_batch_retries_total";
pub const REBALANCES: &str = "headwater_rebalances_total";
/// Times a group was made to share anew because nobody held some of its partitions.
pub const NUDGES: &str = "headwater_group_nudges_total";
/// Transactions of an exactly-once worker, by how they ended.
pub const TRANSACTIONS: &str = "headwater_transactions_total";
/// Types, fields and values this build does not know.
pub const UNKNOWN: &str = "headwater_unknown_values_total";
/// Records and readings that a person's consent, or its absence, kept from going on.
pub const WITHHELD: &str = "headwater_withheld_records_total";
/// Seconds from a person's decision until this process obeys it.
pub const CONSENT_OBEYED: &str = "headwater_consent_obeyed_seconds";
/// Seconds between a record's append and its poll.
pub const AGE: &str = "headwater_record_age_seconds";

/// `[telemetry]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `text` or `json`.
    pub log_format: String,
    /// As in `RUST_LOG`.
    pub log: String,
    /// OTLP over HTTP, e.g. `http://collector:4318/v1/traces`; no traces where absent.
    pub otlp_endpoint: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { log_format: "text".into(), log: "info,nisshi=off,rama=off,libsql=warn,scylla=warn".into(), otlp_endpoint: None }
    }
}

/// Keeps the exporter alive; flushes it when dropped.
pub struct Telemetry {
    pub metrics: PrometheusHandle,
    tracer: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(tracer) = &self.tracer {
            let _ = tracer.shutdown();
        }
    }
}

/// Installs logs (on stderr), metrics and traces for the process.
///
/// # Errors
/// When a setting is wrong or something is installed already.
pub fn install(settings: &Settings) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&settings.log).with_context(|| format!("telemetry.log: {:?} is no filter", settings.log))?;
    let tracer = settings.otlp_endpoint.as_deref().map(traces).transpose()?;
    let spans = tracer.as_ref().map(|t| tracing_opentelemetry::layer().with_tracer(t.tracer("headwater")));
    let registry = tracing_subscriber::registry().with(filter).with(spans);
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    match settings.log_format.as_str() {
        "json" => registry.with(stderr.json()).try_init()?,
        "text" => registry.with(stderr).try_init()?,
        other => anyhow::bail!("telemetry.log_format: expected text or json, not {other:?}"),
    }
    Ok(Telemetry { metrics: PrometheusBuilder::new().install_recorder()?, tracer })
}

fn traces(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .build()
        .context("telemetry.otlp_endpoint")?;
    let resource = opentelemetry_sdk::Resource::builder().with_service_name("headwater").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// One batch done.
pub fn batch(worker: &'static str, taken: usize, made: usize) {
    metrics::counter!(RECORDS_IN, "worker" => worker).increment(taken as u64);
    metrics::counter!(RECORDS_OUT, "worker" => worker).increment(made as u64);
}

/// One transaction over.
pub fn transaction(outcome: &'static str) {
    metrics::counter!(TRANSACTIONS, "outcome" => outcome).increment(1);
}

/// Dead letters among what was appended: told when they are there, and not for what is done again.
pub fn buried(worker: &'static str, appended: &Outbox) {
    for record in appended.records().iter().filter(|record| record.topic == &topics::DEAD) {
        let of =
            |name: &str| appended.headers(record).iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str());
        metrics::counter!(DEAD, "worker" => worker, "code" => of(header::CODE).to_owned()).increment(1);
        tracing::warn!(
            worker,
            origin = of(header::ORIGIN),
            problems = of(header::PROBLEMS),
            path = of(header::PATH),
            place = of(header::PLACE),
            "dead letter: {}: {}",
            of(header::CODE),
            of(header::DETAIL)
        );
    }
}

pub fn withheld(worker: &'static str, records: usize) {
    if records > 0 {
        metrics::counter!(WITHHELD, "worker" => worker).increment(records as u64);
    }
}

/// How old the newest polled record is. `at` is its timestamp in milliseconds.
pub fn age(group: &str, at: i64) {
    let now = jiff::Timestamp::now().as_millisecond();
    metrics::gauge!(AGE, "group" => group.to_owned()).set((now - at).max(0) as f64 / 1000.0);
}
