//! Stands between the driver and a node, and can lose the answer to one request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Ends with this value.
pub struct Proxy {
    pub address: String,
    state: Arc<State>,
    _connections: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// The answer to the next request with these bytes is lost.
    needle: Mutex<Option<Vec<u8>>>,
    cuts: AtomicUsize,
}

impl State {
    /// Whether the answer to this request is to be lost; true once.
    fn is_it(&self, request: &[u8]) -> bool {
        let mut needle = self.needle.lock().unwrap();
        needle.take_if(|n| request.windows(n.len()).any(|w| w == n)).is_some()
    }
}

impl Proxy {
    pub async fn start(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let (node, shared) = (node.to_owned(), state.clone());
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((driver, _)) = listener.accept().await {
                let server = TcpStream::connect(&node).await.unwrap();
                connections.spawn(relay(driver, server, shared.clone()));
            }
        });
        Self { address, state, _connections: accepting }
    }

    /// Passes the next request that contains these bytes, waits for its answer, and closes the connection instead of passing that on.
    pub fn cut_answer_to(&self, needle: &[u8]) {
        *self.state.needle.lock().unwrap() = Some(needle.to_vec());
    }

    /// How many answers were lost.
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

async fn relay(driver: TcpStream, server: TcpStream, state: Arc<State>) {
    let (mut from_driver, mut to_driver) = driver.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (cut, doomed) = watch::channel(false);
    let requests = async {
        while let Some(bytes) = some(&mut from_driver).await {
            if state.is_it(&bytes) {
                cut.send_replace(true);
            }
            if to_server.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    let answers = async {
        while let Some(bytes) = some(&mut from_server).await {
            if *doomed.borrow() {
                state.cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to_driver.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    // Whichever side ends, both are closed.
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}

async fn some(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64 * 1024];
    let length = from.read(&mut bytes).await.ok().filter(|&n| n > 0)?;
    bytes.truncate(length);
    Some(bytes)
}
