//! A receiver that answers by script, for the tests of sinks that speak HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub line: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

#[derive(Default)]
pub struct Script {
    /// Status line and headers, each ended by its line break, and body. 204 once there are none left.
    answers: Mutex<VecDeque<String>>,
    heard: Mutex<Vec<Heard>>,
}

/// A receiver on a port of its own. It ends with the value.
pub struct Receiver {
    pub url: String,
    pub script: Arc<Script>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// `answers` are statuses with further header lines: `"429\r\nretry-after: 7"`.
    pub async fn start(answers: &[&str]) -> Self {
        Self::verbatim(answers.iter().map(|head| format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n")).collect()).await
    }

    pub async fn verbatim(answers: VecDeque<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in?token=hidden-query", listener.local_addr().unwrap());
        let script = Arc::new(Script { answers: answers.into(), heard: Mutex::default() });
        let mut tasks = JoinSet::new();
        let shared = script.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self { url, script, _tasks: tasks }
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.script.heard.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, script: Arc<Script>) {
    let mut stream = BufReader::new(stream);
    while let Some(heard) = hear(&mut stream).await {
        script.heard.lock().unwrap().push(heard);
        let answer = script.answers.lock().unwrap().pop_front();
        let answer = answer.as_deref().unwrap_or("HTTP/1.1 204 No Content\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn hear(stream: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => head.push(text.to_owned()),
        }
    }
    let mut head = head.into_iter();
    let line = head.next()?;
    let headers: HashMap<String, String> =
        head.filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))).collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(Heard { line, headers, body })
}
