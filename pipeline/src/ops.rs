//! Health and metrics of a role.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

/// Whether the role takes part: set once everything it needs has answered, unset while it drains.
#[derive(Debug, Clone, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

/// `/metrics`, `/health/live` and `/health/ready`.
pub fn router(metrics: PrometheusHandle, ready: Ready) -> Router {
    let answer = move || {
        let ready = ready.0.load(Ordering::Acquire);
        async move { if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") } }
    };
    Router::new()
        .route("/metrics", get(move || std::future::ready(metrics.render())))
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(answer))
}

/// How often measured times are summed up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Sums up measured times until `stop`: each one is kept by itself until then, also where nobody ever asks for `/metrics`.
///
/// # Errors
/// None.
pub async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(UPKEEP) => metrics.run_upkeep(),
        }
    }
}
