//! How all our HTTP servers listen: HTTP/1.1, so many connections and no more, none that waits for ever. TLS and HTTP/2 end at what stands in
//! front of us.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// How long a peer may take none of an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// What is kept of a connection's input before somebody reads it. Also the longest head.
const BUFFER: usize = 32 << 10;
/// Connections over the limit that are still told to come back; others over it are closed.
const REFUSED: usize = 128;
/// How long they may take to hear it.
const FAREWELL: Duration = Duration::from_secs(1);
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// After a failure to accept, mostly that the process has no more files.
const PAUSE: Duration = Duration::from_millis(200);

/// What a server gives to those who connect.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more are told to come back.
    pub connections: usize,
    /// Until the head of a request is there, counted from the connection or from the answer before.
    pub idle: Duration,
}

/// # Errors
/// When the address is taken.
pub async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Serves a router within these limits until `stop`, then finishes the requests at hand.
///
/// # Errors
/// None today: a listener that fails is tried again.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) -> anyhow::Result<()> {
    let (places, refusals) = (Arc::new(Semaphore::new(limits.connections)), Arc::new(Semaphore::new(REFUSED)));
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(e) => {
                tracing::warn!("a connection cannot be accepted: {e}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            let (router, stop) = (router.clone(), stop.clone());
            tasks.spawn(async move {
                hold(stream, router, limits.idle, stop).await;
                drop(place);
            });
        } else if let Ok(place) = refusals.clone().try_acquire_owned() {
            metrics::counter!(crate::telemetry::CONNECTIONS_REFUSED).increment(1);
            tasks.spawn(async move {
                let _ = tokio::time::timeout(FAREWELL, refuse(stream)).await;
                drop(place);
            });
        } else {
            metrics::counter!(crate::telemetry::CONNECTIONS_REFUSED).increment(1);
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// One connection to its end.
async fn hold(stream: TcpStream, router: Router, idle: Duration, stop: CancellationToken) {
    // An answer is one small write that nothing follows.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(BUFFER);
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // How a connection ends is its peer's affair.
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Says so before anything is read, then waits until the peer has heard it: closing with input unread would take the words back.
async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    struct Served {
        address: String,
        stop: CancellationToken,
        task: JoinSet<anyhow::Result<()>>,
    }

    async fn served(limits: Limits) -> Served {
        let listener = bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (stop, mut task) = (CancellationToken::new(), JoinSet::new());
        let slow = get(async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        });
        let router = Router::new().route("/", get(async || "here")).route("/slow", slow);
        task.spawn(serve(listener, router, limits, stop.clone()));
        Served { address, stop, task }
    }

    const LONG: Limits = Limits { connections: 2, idle: Duration::from_secs(60) };
    const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    async fn connect(served: &Served) -> TcpStream {
        TcpStream::connect(&served.address).await.expect("a connection")
    }

    /// All that comes until the connection is closed.
    async fn hear(stream: &mut TcpStream) -> String {
        let mut heard = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut heard)).await.expect("it is closed").expect("read");
        String::from_utf8(heard).expect("text")
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_is_told_to_come_back() {
        let served = served(LONG).await;
        let (mut first, mut second) = (connect(&served).await, connect(&served).await);
        for held in [&mut first, &mut second] {
            held.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
            assert!(held.read(&mut [0; 1024]).await.expect("an answer") > 0);
        }
        let mut third = connect(&served).await;
        third.write_all(CLOSING).await.expect("sent");
        let told = hear(&mut third).await;
        assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: 2"), "{told}");
        drop(first);
        let mut told = String::new();
        for _ in 0..100 {
            let mut fourth = connect(&served).await;
            fourth.write_all(CLOSING).await.expect("sent");
            told = hear(&mut fourth).await;
            if told.starts_with("HTTP/1.1 200 ") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(told.ends_with("here"), "a place that is given up is given on: {told}");
    }

    #[tokio::test]
    async fn who_says_nothing_or_only_half_a_head_is_let_go() {
        let served = served(Limits { idle: Duration::from_millis(200), ..LONG }).await;
        let (mut silent, mut half) = (connect(&served).await, connect(&served).await);
        half.write_all(b"GET / HTTP/1.1\r\nhost:").await.expect("sent");
        assert_eq!(hear(&mut silent).await, "");
        assert!(!hear(&mut half).await.contains("200"));
    }

    #[tokio::test]
    async fn the_end_waits_for_the_request_at_hand_and_not_for_who_idles() {
        let mut served = served(LONG).await;
        let (_idle, mut busy) = (connect(&served).await, connect(&served).await);
        busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        served.stop.cancel();
        assert!(hear(&mut busy).await.ends_with("done"));
        let ended = tokio::time::timeout(Duration::from_secs(10), served.task.join_next()).await.expect("it ends");
        ended.expect("one task").expect("no panic").expect("no error");
    }
}
