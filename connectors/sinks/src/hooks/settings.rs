//! What is configured, and what of it is refused.

use std::fmt;

use headwater_schemas::connection::State;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use crate::http::{self, AddressError};

/// `[sinks.hooks]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to POST: https, or http on a loopback address.
    pub url: String,
    /// `whsec_<base64>` of 24 to 64 bytes; several separated by spaces or commas while secrets are changed.
    pub secret: SecretString,
    /// The states that are told; [`DEFAULT_EVENTS`] where none are given.
    pub events: Option<Vec<Event>>,
}

/// What a platform has to act on: somebody must mend a link, or a link is gone.
pub const DEFAULT_EVENTS: &[State] = &[State::NeedsReauth, State::Migrated, State::Disconnected, State::Erased];

/// A state by its name in the topic's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Event(pub State);

impl TryFrom<String> for Event {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        State::from_symbol(&name).map(Self).ok_or_else(|| {
            let known: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
            format!("unknown event `{name}`, expected one of {}", known.join(", "))
        })
    }
}

/// Why the sink cannot start. Holds neither the address nor a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("sinks.hooks.url: {0}")]
    Address(#[from] AddressError),
    #[error("sinks.hooks.secret: expected at least one secret")]
    NoSecret,
    #[error("sinks.hooks.secret: expected whsec_ and 24 to 64 bytes in base64 as secret {place} of the list")]
    Secret { place: usize },
    #[error("sinks.hooks.events: expected at least one event, or none given for the usual ones")]
    NoEvents,
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

impl Settings {
    pub(super) fn address(&self) -> Result<Url, SettingsError> {
        Ok(http::address(&self.url, false)?)
    }

    pub(super) fn states(&self) -> Result<Vec<State>, SettingsError> {
        match &self.events {
            None => Ok(DEFAULT_EVENTS.to_vec()),
            Some(events) if events.is_empty() => Err(SettingsError::NoEvents),
            Some(events) => Ok(events.iter().map(|event| event.0).collect()),
        }
    }
}

impl fmt::Debug for Settings {
    /// Only the host of the address: receivers put secrets into paths and queries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Url::parse(&self.url).ok();
        f.debug_struct("Settings")
            .field("host", &url.as_ref().and_then(Url::host_str))
            .field("secret", &self.secret)
            .field("events", &self.events)
            .finish()
    }
}
