//! One request, until there is a page or a reason why there is none.

use std::time::Duration;

use headwater_sources::source::{Fault, Fetch, Page};

use super::Fetcher;
use super::window::{Stop, Target};
use crate::http::{Answer, FOREIGN};
use crate::limits::{Wait, backoff};
use crate::tokens::TokenError;

/// A pause this short is waited out; a longer one puts the hint off.
const SHORT: Duration = Duration::from_secs(3);
/// How long to leave a user alone when the provider says too many and not until when.
const UNSAID: Duration = Duration::from_secs(20);
const BASE: Duration = Duration::from_millis(300);

/// What came of a request.
pub(super) enum Got {
    Page {
        answer: Answer,
        page: Page,
        fetched_at: i64,
    },
    /// Kept although it is not understood.
    Broken {
        answer: Answer,
        fetched_at: i64,
    },
    /// Nothing to store: it will be brought to the door.
    Coming,
    /// Not to be had, and not worth another try.
    Refused(&'static str),
}

impl Fetcher {
    /// Asks with a fresh token, within the limits, a few times.
    pub(super) async fn ask(&self, target: &Target<'_>, fetch: &Fetch) -> Result<Got, Stop> {
        let (cloud, connection) = (target.cloud, target.connection());
        let mut refused = None;
        for attempt in 0u32.. {
            self.leave(target).await?;
            let access = self.tokens.access(connection.id, &connection.provider, refused).await.map_err(|e| match e {
                TokenError::NeedsReauth(_) => Stop::Ended,
                TokenError::Later(why) => Stop::Later { why, after: None, pace: false },
                TokenError::Store(e) => Stop::Unavailable(e.into()),
            })?;
            let fetched_at = self.shared.clock.now();
            let fault = match self.shared.http.fetch(cloud.api(), fetch, &access.token).await {
                Ok(answer) => match cloud.source.read(fetch, &answer.as_response()) {
                    Ok(page) => {
                        cloud.limiter.answered();
                        return Ok(Got::Page { answer, page, fetched_at });
                    }
                    Err(Fault::Broken(reject)) => {
                        cloud.limiter.answered();
                        tracing::warn!(
                            provider = connection.provider,
                            stream = fetch.stream,
                            "answer not understood, kept as it is: {reject}"
                        );
                        return Ok(Got::Broken { answer, fetched_at });
                    }
                    Err(fault) => fault,
                },
                Err(e) if e.why == FOREIGN => Fault::Refused(FOREIGN),
                Err(e) => Fault::Again { why: e.why, after: None },
            };
            match fault {
                Fault::Again { why, after } => {
                    if cloud.limiter.failed(self.shared.clock.now()) {
                        tracing::warn!(provider = connection.provider, why, "provider fails; left alone for a while");
                    }
                    if attempt + 1 >= self.shared.settings.tries || self.shared.clock.now() >= target.until {
                        return Err(Stop::Later { why, after, pace: false });
                    }
                    let wait =
                        after.unwrap_or_else(|| backoff(attempt, BASE, Duration::from_secs(10), self.shared.clock.chance()));
                    if wait > SHORT {
                        return Err(Stop::Later { why, after: Some(wait), pace: false });
                    }
                    self.shared.clock.sleep(wait).await;
                }
                Fault::Limited { after } => {
                    cloud.limiter.answered();
                    let wait = after.unwrap_or(UNSAID);
                    cloud.limiter.limited(connection.id, wait, self.shared.clock.now());
                }
                Fault::Reauthorise if refused.is_none() => {
                    cloud.limiter.answered();
                    refused = Some(access.generation);
                }
                Fault::Reauthorise => {
                    self.ended(
                        target,
                        headwater_store::ConnectionState::NeedsReauth,
                        headwater_schemas::connection::State::NeedsReauth,
                        "token_refused",
                    )
                    .await?;
                    return Err(Stop::Ended);
                }
                Fault::Gone => {
                    self.ended(
                        target,
                        headwater_store::ConnectionState::Migrated,
                        headwater_schemas::connection::State::Migrated,
                        "switched_off",
                    )
                    .await?;
                    return Err(Stop::Ended);
                }
                Fault::Coming => {
                    cloud.limiter.answered();
                    return Ok(Got::Coming);
                }
                Fault::Refused(why) => {
                    cloud.limiter.answered();
                    return Ok(Got::Refused(why));
                }
                Fault::Broken(_) => unreachable!("returned above"),
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Waits for leave to ask where that is short, and stops where it is long.
    async fn leave(&self, target: &Target<'_>) -> Result<(), Stop> {
        loop {
            let now = self.shared.clock.now();
            match target.cloud.limiter.take(target.connection().id, target.lane, now) {
                Ok(()) => return Ok(()),
                Err(wait) if wait.how_long() <= SHORT => self.shared.clock.sleep(wait.how_long()).await,
                Err(Wait::Rate(after)) => return Err(Stop::Later { why: "rate_limited", after: Some(after), pace: true }),
                Err(Wait::Open(after)) => return Err(Stop::Later { why: "provider_down", after: Some(after), pace: true }),
            }
        }
    }

    async fn ended(
        &self,
        target: &Target<'_>,
        state: headwater_store::ConnectionState,
        event: headwater_schemas::connection::State,
        why: &'static str,
    ) -> Result<(), Stop> {
        crate::events::state(&self.shared, target.connection().id, state, event, why).await.map_err(Stop::Unavailable)
    }
}
