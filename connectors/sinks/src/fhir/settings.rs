//! What is configured, and what of it is refused.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use crate::http::{self, AddressError};

/// `[sinks.fhir]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The server's base: `https://fhir.example.org/r4`, or http on a loopback address.
    pub url: String,
    /// Takes http to any address: for a server in a network that nobody else reaches.
    #[serde(default)]
    pub allow_http: bool,
    #[serde(default)]
    pub bundle: BundleKind,
    /// Resources of one bundle.
    #[serde(default = "hundred")]
    pub bundle_size: usize,
    /// A bearer token that does not end. For a server that knows no OAuth.
    pub token: Option<SecretString>,
    pub oauth: Option<OAuth>,
    /// PEM file of the authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long after an erasure its person's resources are removed: by then every process has heard of it and ended what it was doing.
    #[serde(default = "a_minute")]
    pub erase_settle_seconds: u64,
}

/// `[sinks.fhir.oauth]`: client credentials, by a secret or, as SMART Backend Services wants it, by a key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: Option<SecretString>,
    /// PEM of an RSA key (RS384) or of one on the curve P-384 (ES384).
    pub private_key: Option<SecretString>,
    /// Which key of the set that the server knows.
    pub key_id: Option<String>,
    #[serde(default = "scope")]
    pub scope: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BundleKind {
    /// Each entry succeeds or fails alone.
    #[default]
    Batch,
    /// For a server that takes no batches: what it refuses is found by halving.
    Transaction,
}

impl BundleKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Transaction => "transaction",
        }
    }
}

/// Longer than a batch may take: what was on its way has come by then.
fn a_minute() -> u64 {
    60
}

fn hundred() -> usize {
    100
}

fn scope() -> String {
    ["Observation", "MedicationAdministration", "Device", "Patient"].map(|kind| format!("system/{kind}.cruds")).join(" ")
}

/// Why the sink cannot start. Holds neither an address nor a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("sinks.fhir.url: {0}")]
    Address(AddressError),
    #[error("sinks.fhir.oauth.token_url: {0}")]
    TokenAddress(AddressError),
    #[error("sinks.fhir.url: expected an address without query")]
    Query,
    #[error("sinks.fhir.bundle_size: expected 1 to 1000")]
    BundleSize,
    #[error("sinks.fhir: expected either token or oauth")]
    TwoWays,
    #[error("sinks.fhir.oauth: expected either client_secret or private_key")]
    Credential,
    #[error("sinks.fhir.oauth.private_key: expected PEM of an RSA key or of one on the curve P-384")]
    Key,
    #[error("sinks.fhir.ca_file: expected a readable file of certificates in PEM")]
    Authorities,
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

impl Settings {
    /// The base without the slash at its end.
    pub(super) fn base(&self) -> Result<String, SettingsError> {
        let url = http::address(&self.url, self.allow_http).map_err(SettingsError::Address)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(SettingsError::Query);
        }
        if !(1..=1000).contains(&self.bundle_size) {
            return Err(SettingsError::BundleSize);
        }
        if self.token.is_some() && self.oauth.is_some() {
            return Err(SettingsError::TwoWays);
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
}

impl OAuth {
    pub(super) fn address(&self) -> Result<Url, SettingsError> {
        http::address(&self.token_url, false).map_err(SettingsError::TokenAddress)
    }
}
