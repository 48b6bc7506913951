//! A TCP proxy that can be told to break what goes through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to bytes on their way, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Connections are closed, new ones at once.
    Cut,
    /// Connections stay open and nothing arrives: the other side is gone and nobody says so.
    HalfOpen,
    /// Every read is passed on so much later.
    Late(Duration),
    /// One byte of every so many is another.
    Corrupt(u64),
    /// Whoever asks by HTTP gets a 500.
    Answers500,
}

/// Bytes while they are being changed, and those that were.
#[derive(Default)]
struct Counts {
    seen: AtomicU64,
    spoilt: AtomicU64,
}

pub struct Proxy {
    pub address: String,
    way: watch::Sender<Way>,
    target: watch::Sender<String>,
    counts: Arc<Counts>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port; what it leads to is said later, because some servers have to be told the proxy's address first.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (way, ways) = watch::channel(Way::Open);
        let (target, targets) = watch::channel(String::new());
        let counts = Arc::<Counts>::default();
        let (mut accepting, counter) = (JoinSet::new(), counts.clone());
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let to = targets.borrow().clone();
                connections.spawn(relay(client, to, ways.clone(), counter.clone()));
            }
        });
        Self { address, way, target, counts, _accepting: accepting }
    }

    pub fn lead(&self, target: &str) {
        self.target.send_replace(target.to_owned());
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Bytes that were changed so far.
    pub fn spoilt(&self) -> u64 {
        self.counts.spoilt.load(Ordering::Relaxed)
    }
}

async fn relay(mut client: TcpStream, to: String, mut ways: watch::Receiver<Way>, counts: Arc<Counts>) {
    let now = *ways.borrow();
    match now {
        Way::Cut => return,
        Way::Answers500 => return refuse(&mut client).await,
        _ => {}
    }
    let Ok(server) = TcpStream::connect(&to).await else { return };
    // Dropping a socket with unread bytes resets the connection: a cut is heard at once.
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let again = ways.clone();
    let ended = async { ways.wait_for(|way| matches!(way, Way::Cut | Way::Answers500)).await.map(|_| ()) };
    tokio::select! {
        _ = ended => {}
        () = pass(from_client, to_server, again.clone(), counts.clone()) => {}
        () = pass(from_server, to_client, again, counts) => {}
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut ways: watch::Receiver<Way>,
    counts: Arc<Counts>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut bytes).await {
        if length == 0 {
            return;
        }
        let now = *ways.borrow();
        match now {
            Way::HalfOpen => {
                if ways.wait_for(|way| *way != Way::HalfOpen).await.is_err() {
                    return;
                }
            }
            Way::Late(by) => tokio::time::sleep(by).await,
            Way::Corrupt(every) => {
                for byte in &mut bytes[..length] {
                    // Of all that passes, whatever connection: they do not last long.
                    if (counts.seen.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every) {
                        *byte ^= 0x20;
                        counts.spoilt.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Way::Open | Way::Cut | Way::Answers500 => {}
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

async fn refuse(client: &mut TcpStream) {
    let mut request = vec![0; 16 * 1024];
    let _ = client.read(&mut request).await;
    let _ = client.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
}
