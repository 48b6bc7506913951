//! One HTTP/1.1 connection that is asked again and again, on the task of whoever asks: a client with a pool costs as much as what is measured with it.

use std::pin::Pin;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::http::response::Parts;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(crate) struct Line {
    /// Host and port.
    address: String,
    open: Option<Open>,
}

struct Open {
    requests: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

impl Line {
    /// Connects when it is first asked, and again after a connection has ended.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), open: None }
    }

    /// What was answered, with its body read; none where the connection failed, or could not be made.
    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> Option<Parts> {
        // Taken, not borrowed: a connection that is left in the middle of an answer is not asked again.
        let ready = match self.open.take() {
            Some(open) => open.ready().await,
            None => None,
        };
        let mut open = match ready {
            Some(open) => open,
            None => Open::to(&self.address).await.ok()?,
        };
        let (answer, lives) = open.ask(request).await;
        self.open = lives.then_some(open);
        answer
    }
}

impl Open {
    async fn to(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        Ok(Self { requests, connection: Box::pin(connection) })
    }

    /// Itself, if it can be asked once more: it may have been closed since it answered.
    async fn ready(mut self) -> Option<Self> {
        let ready = tokio::select! {
            biased;
            _ = self.connection.as_mut() => false,
            ready = self.requests.ready() => ready.is_ok(),
        };
        ready.then_some(self)
    }

    /// The answer, and whether the connection is there after it.
    async fn ask(&mut self, request: Request<Full<Bytes>>) -> (Option<Parts>, bool) {
        let answer = async {
            let (head, body) = Response::into_parts(self.requests.send_request(request).await.ok()?);
            body.collect().await.ok()?;
            Some(head)
        };
        tokio::pin!(answer);
        tokio::select! {
            // In this order: what came is taken from the connection first, and then seen.
            biased;
            _ = self.connection.as_mut() => {}
            answer = answer.as_mut() => return (answer, true),
        }
        // It has ended, perhaps with the answer.
        (answer.await, false)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// Answers one call on each connection, and closes it.
    async fn curt(listener: TcpListener, answer: &'static str) {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\nbody") {
                assert!(stream.read_buf(&mut asked).await.expect("a call") > 0);
            }
            stream.write_all(answer.as_bytes()).await.expect("told");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_with_its_answer_loses_none_and_is_made_again() {
        for answer in [
            "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno",
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let mut line = Line::new(&listener.local_addr().expect("an address").to_string());
            let mut server = JoinSet::new();
            server.spawn(curt(listener, answer));
            for _ in 0..50 {
                let request = Request::post("/").header("host", "a").body("body".into()).expect("a request");
                assert_eq!(line.ask(request).await.map(|head| head.status.as_u16()), Some(503), "{answer:?}");
            }
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_there_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let request = Request::post("/").header("host", "a").body("body".into()).expect("a request");
        assert!(Line::new(&address).ask(request).await.is_none());
    }
}
