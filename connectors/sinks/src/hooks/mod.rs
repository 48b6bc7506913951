//! Telling a platform by HTTPS webhook that an account link changed: one signed POST per selected connection event.
//!
//! Signed by the Standard Webhooks scheme, so that receivers verify with any of its libraries: `webhook-id`, `webhook-timestamp` (of the
//! attempt, seconds) and `webhook-signature` (`v1,` and the HMAC-SHA256 of id, timestamp and body). The body is
//! `{"type":"connection.<state>","timestamp":…,"data":{…}}` with ids of ours and never a token, a provider's user id or a reading.
//!
//! Delivery is at least once. A batch that is stopped is done again, and after a restart a receiver may hear an event twice, under the same
//! `webhook-id`: receivers drop ids they have seen. Events of one connection are told in their order. A group that starts without offsets
//! tells what the compacted topic still holds, which may be long past: receivers go by the body's `timestamp`.
//!
//! Must never hold: anything that logs. Start at [`HooksSink`].

mod message;
mod settings;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use headwater_schemas::connection::{Connection, State};
use headwater_schemas::reject::code;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Reject, Topic};
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::http::{no_answer, pause};
use crate::{Incoming, Sink, Unavailable, Verdict};
use message::Message;
pub use settings::{DEFAULT_EVENTS, Event, Settings, SettingsError};
use signature::Keys;

pub const NAME: &str = "hooks";

/// One request, from connecting to the end of its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No request of a batch starts later than this. A slow receiver would otherwise hold a batch for longer than the loop calls progress.
const ROUND: Duration = Duration::from_secs(30);

/// Requests under way, over all batches.
const AT_ONCE: usize = 8;

/// What is read of an answer. Enough for its connection to be used again; what it says is never looked at.
const ANSWER_LIMIT: usize = 4096;

/// Verdicts kept for batches that come again. More than all partitions' batches together; past it some receivers hear twice.
const MEMORY: usize = 10_000;

pub struct HooksSink {
    client: Client,
    url: Url,
    keys: Keys,
    states: Vec<State>,
    slots: Semaphore,
    memory: Mutex<Memory>,
}

/// What outlives a batch that has to come again.
#[derive(Default)]
struct Memory {
    /// What became of messages whose batch is not through. Without it a receiver that takes fewer requests at a time than a batch has
    /// would get the first ones for ever and the last ones never.
    settled: HashMap<Uuid, Verdict>,
    /// The receiver asked for silence until then.
    quiet_until: Option<Instant>,
}

/// One pass over one batch.
struct Round {
    until: Instant,
    stopped: Mutex<Option<Unavailable>>,
}

impl Round {
    fn stopped(&self) -> MutexGuard<'_, Option<Unavailable>> {
        self.stopped.lock().expect("nothing panics under this lock")
    }
}

impl HooksSink {
    /// # Errors
    /// When the address is neither https nor loopback, a secret has not the documented form, or no event is selected.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .no_gzip()
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            url: settings.address()?,
            keys: Keys::parse(&settings.secret)?,
            states: settings.states()?,
            slots: Semaphore::new(AT_ONCE),
            memory: Mutex::default(),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics under this lock")
    }

    /// What is to be sent for a record; `None` where its state is not selected.
    fn message(&self, incoming: &Incoming<'_>) -> Result<Option<Message>, Reject> {
        let event = Connection::decode(incoming.body).map_err(|e| Reject::new(code::BAD_AVRO, e.to_string()))?;
        if self.states.contains(&event.state) { Message::of(&event).map(Some) } else { Ok(None) }
    }

    /// The messages of one connection, one after the other. What cannot be settled stops the round and leaves those behind it untold.
    async fn tell(&self, lane: &[(usize, Message)], round: &Round) -> Vec<(usize, Verdict)> {
        let mut settled = Vec::with_capacity(lane.len());
        for (index, message) in lane {
            match self.settle(message, round).await {
                Ok(verdict) => settled.push((*index, verdict)),
                Err(unavailable) => {
                    round.stopped().get_or_insert(unavailable);
                    break;
                }
            }
        }
        settled
    }

    async fn settle(&self, message: &Message, round: &Round) -> Result<Verdict, Unavailable> {
        if let Some(verdict) = self.memory().settled.get(&message.id) {
            return Ok(verdict.clone());
        }
        let turn = timeout_at(round.until, self.slots.acquire()).await.map_err(|_| slow())?;
        let _slot = turn.expect("the slots are never closed");
        self.may_ask(round)?;
        let verdict = self.post(message).await?;
        let mut memory = self.memory();
        if memory.settled.len() >= MEMORY {
            memory.settled.clear();
        }
        memory.settled.insert(message.id, verdict.clone());
        Ok(verdict)
    }

    fn may_ask(&self, round: &Round) -> Result<(), Unavailable> {
        if let Some(stopped) = &*round.stopped() {
            return Err(stopped.clone());
        }
        let now = Instant::now();
        if let Some(rest) = self.memory().quiet_until.map(|until| until.duration_since(now)).filter(|rest| !rest.is_zero()) {
            return Err(Unavailable { why: "the receiver asked for a pause".into(), retry_after: Some(rest) });
        }
        if now > round.until { Err(slow()) } else { Ok(()) }
    }

    async fn post(&self, message: &Message) -> Result<Verdict, Unavailable> {
        let id = message.id.to_string();
        let now = Timestamp::now().as_second();
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", self.keys.sign(&id, now, &message.body))
            .body(message.body.clone());
        let mut answer = request.send().await.map_err(|e| Unavailable { why: no_answer(&e).into(), retry_after: None })?;
        let status = answer.status();
        let retry_after = pause(&answer);
        drain(&mut answer).await;
        if status.is_success() {
            return Ok(Verdict::Written);
        }
        if refused(status) {
            return Ok(Verdict::Rejected(Reject::new(code::REFUSED, format!("the receiver answered {}", status.as_u16()))));
        }
        if let Some(pause) = retry_after {
            let mut memory = self.memory();
            memory.quiet_until = memory.quiet_until.max(Some(Instant::now() + pause));
        }
        let hint = if status.is_redirection() { ", redirects are not followed" } else { "" };
        Err(Unavailable { why: format!("the receiver answered {}{hint}", status.as_u16()), retry_after })
    }
}

impl Sink for HooksSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static Topic] {
        static INPUTS: &[&Topic] = &[&topics::CONNECTION];
        INPUTS
    }

    fn write<'a>(&'a self, batch: &'a [Incoming<'a>]) -> BoxFuture<'a, Result<Vec<Verdict>, Unavailable>> {
        Box::pin(async move {
            let mut verdicts = vec![Verdict::Written; batch.len()];
            let mut lanes: HashMap<Uuid, Vec<(usize, Message)>> = HashMap::new();
            for (index, incoming) in batch.iter().enumerate() {
                match self.message(incoming) {
                    Ok(Some(message)) => lanes.entry(message.connection).or_default().push((index, message)),
                    Ok(None) => {}
                    Err(reject) => verdicts[index] = Verdict::Rejected(reject),
                }
            }
            let round = Round { until: Instant::now() + ROUND, stopped: Mutex::default() };
            let settled = join_all(lanes.values().map(|lane| self.tell(lane, &round))).await;
            if let Some(unavailable) = round.stopped().take() {
                return Err(unavailable);
            }
            for (index, verdict) in settled.into_iter().flatten() {
                verdicts[index] = verdict;
            }
            let mut memory = self.memory();
            for (_, message) in lanes.values().flatten() {
                memory.settled.remove(&message.id);
            }
            Ok(verdicts)
        })
    }
}

fn slow() -> Unavailable {
    Unavailable { why: "the receiver is slow, the rest of the batch follows".into(), retry_after: None }
}

/// The receiver will never take this message. A time-out (408), an early one (425) and a crowd (429) pass.
fn refused(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

/// The status is the answer; whether its body arrives changes nothing.
async fn drain(answer: &mut Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read >= ANSWER_LIMIT {
            return;
        }
    }
}
