//! The body of a request is there in time, or it is given up: a byte now and then would hold a connection and its place for ever. Layers that are to be
//! had count from one piece to the next, so that whoever sends that way is always in time; here all of the body has one end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use crate::problem::Problem;

/// Layer over routes. An answer may take any time.
pub(crate) async fn body_in_time(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (until, late) = (Instant::now() + patience, Arc::new(AtomicBool::new(false)));
    let told = late.clone();
    let request = request.map(|body| {
        Body::from_stream(stream::unfold(body.into_data_stream(), move |mut pieces| {
            let told = told.clone();
            async move {
                let piece = timeout_at(until, pieces.next()).await.unwrap_or_else(|_| {
                    told.store(true, Ordering::Relaxed);
                    Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut))))
                });
                Some((piece?, pieces))
            }
        }))
    });
    let response = next.run(request).await;
    // Whoever read it took the body for one that broke off.
    if late.load(Ordering::Relaxed) {
        return Problem::new(408, "too slow", "the body did not come in time").into_response();
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinSet;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn an_answer_may_take_longer_than_a_body() {
        let begun = Instant::now();
        let slow = post(async |body: String| {
            let pieces = stream::unfold((0, body), async |(said, body)| {
                tokio::time::sleep(PATIENCE).await;
                (said < 2).then_some((Ok::<_, std::io::Error>(body.clone()), (said + 1, body)))
            });
            Body::from_stream(pieces)
        });
        let router = Router::new().route("/", slow).layer(from_fn_with_state(PATIENCE, body_in_time));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut stream = tokio::net::TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nconnection: close\r\n\r\nword";
        stream.write_all(request).await.expect("sent");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.expect("an answer");
        assert!(begun.elapsed() > 2 * PATIENCE, "it was slow");
        assert!(
            heard.starts_with("HTTP/1.1 200 ") && heard.matches("word").count() == 2 && heard.ends_with("0\r\n\r\n"),
            "{heard}"
        );
    }
}
