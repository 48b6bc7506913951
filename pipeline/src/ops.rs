//! Health and metrics of a role.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
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

/// Serves a router until `stop`, then finishes the requests at hand.
///
/// # Errors
/// When the address is taken.
pub async fn serve(address: &str, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = bind(address).await?;
    serve_on(listener, router, stop).await
}

/// # Errors
/// When the address is taken.
pub async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// The same on a listener that is bound already.
///
/// # Errors
/// When the listener breaks.
pub async fn serve_on(listener: TcpListener, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, router.into_make_service_with_connect_info::<std::net::SocketAddr>())
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}
