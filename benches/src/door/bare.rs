//! The floor: a body, its signature, an answer. Nothing is parsed and nothing is kept.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use clap::Args;
use headwater_sources::sign::{Written, hmac_sha256};
use tokio::net::TcpListener;

/// The most that ours takes of a body.
const LIMIT: usize = 64 << 10;

#[derive(Args)]
pub struct BareDoor {
    #[arg(long)]
    listen: String,
    #[arg(long)]
    key: String,
}

impl BareDoor {
    /// Runs until it is killed.
    pub async fn run(self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(&self.listen).await?.tap_io(|stream| drop(stream.set_nodelay(true)));
        Ok(axum::serve(listener, router(self.key)).await?)
    }
}

fn router(key: String) -> Router {
    Router::new().route(super::ROUTE, post(call)).layer(DefaultBodyLimit::max(LIMIT)).with_state(Arc::from(key))
}

async fn call(State(key): State<Arc<str>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let given = headers.get("polar-webhook-signature").map_or(&b""[..], |given| given.as_bytes());
    match hmac_sha256(Some(&key), &[&body], given, Written::Hex) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headwater_simulator::flood::{Flood, flood};
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn a_wrong_signature_is_refused_and_a_right_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}{}", listener.local_addr().expect("an address"), super::super::ROUTE);
        let mut served = JoinSet::new();
        served.spawn(async { axum::serve(listener, router("right".into())).await });
        for (key, status) in [("right", 200), ("wrong", 401)] {
            let flood = flood(Flood {
                url: url.clone(),
                signing_key: key.into(),
                rate: Some(200.0),
                length: Duration::from_millis(100),
                connections: 2,
                patience: Duration::from_secs(60),
                first: 0,
            });
            let answers = flood.await.expect("a client").answers;
            assert_eq!(answers.into_iter().collect::<Vec<_>>(), [(Some(status), 20)], "signed with the {key} key");
        }
    }
}
