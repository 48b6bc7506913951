//! The door: what providers call. Exact bytes in, a hint or a raw record appended and acknowledged, then the answer. It asks nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt as _;
use headwater_schemas::hint::{Cause, Hint};
use headwater_schemas::raw::{Lane, Origin};
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, ids};
use headwater_sources::source::{Entry, Inbound, Notice, Receipt, Refusal};
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::OutletError;
use crate::cloud::Cloud;
use crate::push::{self, Pushed};
use crate::room::Unread;
use crate::shared::Shared;

/// Calls taken, by provider.
pub const ACCEPTED: &str = "headwater_webhook_accepted_total";
/// Calls refused, by provider and code.
pub const REFUSED: &str = "headwater_webhook_refused_total";
/// Entries of accepted calls that name nothing this build knows.
pub const IGNORED: &str = "headwater_webhook_ignored_entries_total";
pub const SECONDS: &str = "headwater_webhook_duration_seconds";

/// Most bytes of an oversize body that are read and dropped.
const DISCARD: usize = 8 << 20;

const FULL: &str = "full";
/// Told to whom finds the door full.
const FULL_RETRY: Duration = Duration::from_secs(2);

struct Door {
    shared: Arc<Shared>,
    permits: Semaphore,
}

/// Routes `/webhooks/<provider>` and `/webhooks/<provider>/<tail>`.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let permits = Semaphore::new(shared.settings.door_permits);
    let door = Arc::new(Door { shared, permits });
    Router::new().route("/webhooks/{provider}", any(call)).route("/webhooks/{provider}/{*tail}", any(call)).with_state(door)
}

/// A refusal as it is answered.
struct Answer {
    status: u16,
    code: &'static str,
    retry_after: Option<Duration>,
}

impl Answer {
    fn new(status: u16, code: &'static str) -> Self {
        Self { status, code, retry_after: None }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "type": "about:blank", "title": self.code, "status": self.status }).to_string();
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}

async fn call(State(door): State<Arc<Door>>, Path(path): Path<Vec<(String, String)>>, request: Request) -> Response {
    let part = |name: &str| path.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
    let Some(cloud) = door.shared.cloud(part("provider")) else {
        metrics::counter!(REFUSED, "provider" => "unknown", "code" => "unknown_provider").increment(1);
        return Answer::new(404, "unknown_provider").into_response();
    };
    let provider = cloud.profile().id;
    let started = Instant::now();
    let span = tracing::info_span!("receive webhook", otel.kind = "server", provider);
    let answered = door.take(&cloud, part("tail"), request).instrument(span).await;
    metrics::histogram!(SECONDS, "provider" => provider).record(started.elapsed().as_secs_f64());
    match answered {
        Ok(receipt) => {
            metrics::counter!(ACCEPTED, "provider" => provider).increment(1);
            let status = StatusCode::from_u16(receipt.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, receipt.body).into_response();
            response.headers_mut().remove(header::CONTENT_TYPE);
            if !receipt.content_type.is_empty() {
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(receipt.content_type));
            }
            response
        }
        Err(answer) => {
            metrics::counter!(REFUSED, "provider" => provider, "code" => answer.code).increment(1);
            // Under a flood the counter tells it; a line for each would cost more than the refusal.
            if answer.code != FULL {
                tracing::info!(provider, status = answer.status, code = answer.code, "webhook call refused");
            }
            answer.into_response()
        }
    }
}

impl Door {
    async fn take(&self, cloud: &Cloud, tail: &str, request: Request) -> Result<Receipt, Answer> {
        let Some(webhook) = &cloud.profile().webhook else { return Err(Answer::new(404, "no_webhook")) };
        // A little earlier than the provider gives up: an answer it does not hear is worse than an honest "later".
        let deadline = webhook.deadline.mul_f64(0.9);
        match tokio::time::timeout(deadline, self.judge(cloud, webhook.body_limit, tail, request)).await {
            Ok(done) => done,
            Err(_) => Err(later("deadline")),
        }
    }

    async fn judge(&self, cloud: &Cloud, limit: usize, tail: &str, request: Request) -> Result<Receipt, Answer> {
        let (parts, body) = request.into_parts();
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit) {
            discard(body).await;
            return Err(Answer::new(413, "too_large"));
        }
        let body = cloud.room.read(body, limit).await.map_err(|unread| match unread {
            Unread::Full => later(FULL),
            Unread::TooLarge => Answer::new(413, "too_large"),
            Unread::CutOff => Answer::new(400, "cut_off"),
        })?;
        // Only now: whoever dribbles holds the bytes he sent, and no place of those who are done.
        let Ok(_permit) = self.permits.try_acquire() else { return Err(later(FULL)) };
        let headers: Vec<(&str, &[u8])> =
            parts.headers.iter().map(|(name, value)| (HeaderName::as_str(name), value.as_bytes())).collect();
        let now = self.shared.clock.now();
        cloud.refresh_keyset(&self.shared.http, now, false).await;
        let judge = || {
            let keys = cloud.keys();
            let query = parts.uri.query().unwrap_or_default();
            cloud.source.receive(&Inbound {
                method: parts.method.as_str(),
                tail,
                query,
                headers: &headers,
                body: &body.bytes,
                keys: &keys,
                now,
            })
        };
        let mut judged = judge();
        if judged.as_ref().is_err_and(|refusal| refusal.unknown_key) && cloud.refresh_keyset(&self.shared.http, now, true).await {
            judged = judge();
        }
        let receipt = judged.map_err(|Refusal { status, code, .. }| Answer::new(status, code))?;
        if receipt.ignored > 0 {
            metrics::counter!(IGNORED, "provider" => cloud.profile().id).increment(receipt.ignored.into());
        }
        self.append(cloud, &receipt, now, &parts.headers).await?;
        Ok(receipt)
    }

    async fn append(&self, cloud: &Cloud, receipt: &Receipt, now: i64, headers: &axum::http::HeaderMap) -> Result<(), Answer> {
        let mut outbox = Outbox::default();
        for entry in &receipt.entries {
            match entry {
                Entry::Hint(notice) => hint(cloud, notice, now, &mut outbox),
                Entry::Payload { user, stream, body } => {
                    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
                    let pushed = Pushed { stream, body, content_type, origin: Origin::Webhook, lane: Lane::Live, now };
                    self.payload(cloud, user, pushed, &mut outbox).await?;
                }
            }
        }
        if outbox.is_empty() {
            return Ok(());
        }
        self.shared.outlet.append(&outbox).await.map_err(|e| {
            tracing::warn!(provider = cloud.profile().id, "webhook not taken: {e}");
            let after = if let OutletError::Full { retry_after } = e { retry_after } else { FULL_RETRY };
            Answer { retry_after: Some(after), ..later("log_unavailable") }
        })
    }

    async fn payload(&self, cloud: &Cloud, user: &str, pushed: Pushed<'_>, out: &mut Outbox) -> Result<(), Answer> {
        let unavailable = || later("store_unavailable");
        let id = ids::connection(cloud.profile().id, user);
        let Some(connection) = self.shared.store.connection(id).await.map_err(|_| unavailable())? else {
            metrics::counter!(IGNORED, "provider" => cloud.profile().id).increment(1);
            return Ok(());
        };
        push::put(&self.shared, cloud, &connection, pushed, out).await.map_err(|_| unavailable())?;
        Ok(())
    }
}

/// Reads on without keeping anything, for a while: a caller that is still sending would meet a closed connection instead of the answer.
async fn discard(body: Body) {
    let mut stream = body.into_data_stream();
    let mut seen = 0;
    while let Some(Ok(chunk)) = stream.next().await {
        seen += chunk.len();
        if seen > DISCARD {
            return;
        }
    }
}

/// Taken if it comes again a little later.
fn later(code: &'static str) -> Answer {
    Answer { retry_after: Some(FULL_RETRY), ..Answer::new(503, code) }
}

fn hint(cloud: &Cloud, notice: &Notice, now: i64, out: &mut Outbox) {
    let connection_id = ids::connection(cloud.profile().id, &notice.user);
    let hint = Hint {
        hint_id: Uuid::now_v7(),
        provider: cloud.profile().id,
        connection_id,
        cause: Cause::Webhook,
        lane: Lane::Live,
        change: notice.change,
        streams: notice.streams.clone(),
        window_start: notice.window.map(|w| w.start),
        window_end: notice.window.map(|w| w.end),
        created_at: now,
        not_before: None,
        attempt: 0,
        object: notice.object.as_deref(),
    };
    out.put(&topics::HINT_LIVE, None, connection_id.to_string().as_bytes(), |bytes| hint.encode(bytes));
}
