//! The embedded Kafka-wire broker: one node in memory. No replication, no access control, no transactions.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nisshi_broker::broker::Broker;
use nisshi_broker::coordinator::group::administrator::{Controller, GroupCoordinatorConfig};
use nisshi_storage::ArcDynStorage;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Serves on `address` until `stop`. Resolves `ready` by answering connections.
///
/// # Errors
/// When the broker cannot be built or breaks.
pub async fn serve(address: &str, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = format!("tcp://{address}").parse::<reqwest::Url>()?;
    let mut broker = Broker::<Controller<ArcDynStorage>, ArcDynStorage>::builder()
        .node_id(1)
        .cluster_id("headwater-dev")
        .incarnation_id(uuid::Uuid::now_v7())
        .listener(listener.clone())
        .advertised_listener(listener)
        .storage("memory://headwater/".parse()?)
        .silent(true)
        // Nobody else will join: waiting for more members would only delay the first batch.
        .group_coordinator(GroupCoordinatorConfig {
            initial_rebalance_delay: Duration::ZERO,
            poll_interval: Duration::from_millis(500),
        })
        .build()
        .await
        .map_err(|e| anyhow::anyhow!("embedded broker: {e}"))?;
    tokio::select! {
        served = broker.serve(tokio::time::Instant::now()) => served.map_err(|e| anyhow::anyhow!("embedded broker: {e}")),
        () = stop.cancelled() => Ok(()),
    }
}

/// Waits until something listens: a client that is refused backs off for seconds.
///
/// # Errors
/// When nothing does within ten seconds.
pub async fn await_listening(address: &str) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(address).await {
            Ok(_) => return Ok(()),
            Err(e) if Instant::now() > until => return Err(e).with_context(|| format!("nothing listens on {address}")),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// The wanted port of loopback, or any free one where it is taken.
///
/// # Errors
/// When there is no free port.
pub fn port(wanted: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    Ok(listener.local_addr()?.port())
}
