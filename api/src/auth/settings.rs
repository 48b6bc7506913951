//! Whose tokens are accepted.

use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

const LEEWAY_MAX: u32 = 120;

/// `[api.auth]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `iss` of every token, to the letter.
    pub issuer: String,
    /// What `aud` of every token contains.
    pub audience: String,
    /// The issuer's JWK set (RFC 7517): https, or http on a loopback address. Either this or `jwks_file`.
    pub jwks_url: Option<String>,
    /// A file with the JWK set, read again when it changes.
    pub jwks_file: Option<PathBuf>,
    /// How far the clocks of issuer and API may be apart, at most 120.
    #[serde(default = "leeway")]
    pub leeway_seconds: u32,
    /// The claim that names the one person a `headwater.subject` token acts for.
    #[serde(default = "subject_claim")]
    pub subject_claim: String,
    /// The claim that lists the people a `headwater.clinician` token is about.
    #[serde(default = "subjects_claim")]
    pub subjects_claim: String,
}

/// Why no [`super::Verifier`] could be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{field}: expected {expected}")]
    Setting { field: &'static str, expected: &'static str },
    #[error("no http client for the key set")]
    Client(#[source] reqwest::Error),
}

/// Where the key set is.
#[derive(Debug, Clone)]
pub(super) enum Location {
    Url(Url),
    File(PathBuf),
}

impl Settings {
    /// # Errors
    ///
    /// The first setting that cannot be used, with what was expected.
    pub fn validate(&self) -> Result<(), SetupError> {
        self.location().map(drop)
    }

    /// Validates all, for there is no use of one without the other.
    pub(super) fn location(&self) -> Result<Location, SetupError> {
        let named = [
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("subject_claim", &self.subject_claim),
            ("subjects_claim", &self.subjects_claim),
        ];
        if let Some((field, _)) = named.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(SetupError::Setting { field, expected: "a text that is not empty" });
        }
        if self.leeway_seconds > LEEWAY_MAX {
            return Err(SetupError::Setting { field: "leeway_seconds", expected: "at most 120" });
        }
        match (&self.jwks_url, &self.jwks_file) {
            (Some(url), None) => jwks_url(url).map(Location::Url),
            (None, Some(file)) if file.as_os_str().is_empty() => {
                Err(SetupError::Setting { field: "jwks_file", expected: "the path of a JWK set" })
            }
            (None, Some(file)) => Ok(Location::File(file.clone())),
            _ => Err(SetupError::Setting { field: "jwks_url", expected: "exactly one of jwks_url and jwks_file" }),
        }
    }
}

fn jwks_url(text: &str) -> Result<Url, SetupError> {
    let refuse = |expected| SetupError::Setting { field: "jwks_url", expected };
    let url: Url = text.parse().map_err(|_| refuse("a URL such as https://id.example.org/keys"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("a URL without a user name or password"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback(&url) => Ok(url),
        _ => Err(refuse("https, or http on a loopback address")),
    }
}

fn loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

pub(super) const fn leeway() -> u32 {
    30
}

pub(super) fn subject_claim() -> String {
    "sub".to_owned()
}

pub(super) fn subjects_claim() -> String {
    "subjects".to_owned()
}
