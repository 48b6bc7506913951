//! What can be configured about the API.

use secrecy::SecretString;
use serde::Deserialize;

use crate::auth;

/// `[api]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whoever has it acts as operator and reads observations. For a service beside this one; people come with JWTs.
    pub token: Option<SecretString>,
    /// JSON web tokens of an issuer.
    pub auth: Option<auth::Settings>,
    /// Where browsers reach this API: `https://health.example.org`. Redirect addresses and invitations are made of it.
    pub public_url: String,
    /// Where a browser may be sent when an account was connected or was not: whole addresses, compared to the letter.
    pub return_urls: Vec<String>,
    /// Who asks, as people know them: on pages and in invitations.
    pub name: String,
    pub invitation_days: u32,
    /// How long the body of a request may take to come.
    pub body_seconds: u64,
    pub mail: Option<Mail>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token: None,
            auth: None,
            public_url: "http://127.0.0.1:8090".into(),
            return_urls: vec![],
            name: "Headwater".into(),
            invitation_days: 7,
            body_seconds: 30,
            mail: None,
        }
    }
}

/// `[api.mail]`: how invitations go out. Without it they are only given to whoever asked for them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtps://user:password@host` or `smtp://user:password@host:587?tls=required`.
    pub smtp_url: Option<SecretString>,
    /// A folder that gets the messages instead, for trying.
    pub folder: Option<std::path::PathBuf>,
    /// `Clinic <care@example.org>`
    pub from: String,
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: expected {expected}")]
pub struct Wrong {
    pub key: &'static str,
    pub expected: &'static str,
}

impl Settings {
    /// # Errors
    /// Names the key and what was expected.
    pub fn validate(&self) -> Result<(), Wrong> {
        let wrong = |key, expected| Err(Wrong { key, expected });
        let secure = |text: &str| match reqwest::Url::parse(text) {
            Ok(url) if url.scheme() == "https" => true,
            Ok(url) => url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
            Err(_) => false,
        };
        if !secure(&self.public_url) || self.public_url.ends_with('/') {
            return wrong("api.public_url", "an https address without a slash at its end; http on loopback only");
        }
        if !self.return_urls.iter().all(|url| secure(url)) {
            return wrong("api.return_urls", "https addresses; http on loopback only");
        }
        if !(1..=90).contains(&self.invitation_days) {
            return wrong("api.invitation_days", "1 to 90");
        }
        if !(1..=3600).contains(&self.body_seconds) {
            return wrong("api.body_seconds", "1 to 3600");
        }
        if let Some(mail) = &self.mail {
            if mail.smtp_url.is_some() == mail.folder.is_some() {
                return wrong("api.mail", "either smtp_url or folder");
            }
            if mail.from.parse::<lettre::message::Mailbox>().is_err() {
                return wrong("api.mail.from", "a mailbox such as Clinic <care@example.org>");
            }
        }
        Ok(())
    }
}
