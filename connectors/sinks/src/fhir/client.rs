//! Requests to the server: with a token, within a time, and with answers that are told from its absence.

use std::time::Duration;

use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::settings::{Settings, SettingsError};
use super::token::Tokens;
use crate::Unavailable;
use crate::http::{no_answer, pause};

const JSON: &str = "application/fhir+json";
const CONNECT: Duration = Duration::from_secs(10);
/// A server may validate each of a hundred resources.
const TIMEOUT: Duration = Duration::from_secs(25);
/// Largest answer that is read.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

pub(super) struct FhirClient {
    http: Client,
    pub base: String,
    access: Access,
}

enum Access {
    Open,
    Bearer(SecretString),
    OAuth(Box<Tokens>),
}

/// What the server said of a request, about which it may be asked: neither its absence nor that it knows us not.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

impl FhirClient {
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let mut builder = Client::builder().redirect(Policy::none()).connect_timeout(CONNECT).timeout(TIMEOUT);
        builder = builder.user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &settings.ca_file {
            let pem = std::fs::read(file).map_err(|_| SettingsError::Authorities)?;
            for authority in Certificate::from_pem_bundle(&pem).map_err(|_| SettingsError::Authorities)? {
                builder = builder.add_root_certificate(authority);
            }
        }
        let (http, base) = (builder.build()?, settings.base()?);
        let access = match (&settings.token, &settings.oauth) {
            (Some(token), _) => Access::Bearer(token.clone()),
            (None, Some(oauth)) => Access::OAuth(Box::new(Tokens::new(http.clone(), oauth)?)),
            (None, None) => Access::Open,
        };
        Ok(Self { http, base, access })
    }

    /// The bundle to the server's root.
    pub async fn bundle(&self, body: String) -> Result<Answer, Unavailable> {
        self.ask(Method::POST, "", Some((JSON, body))).await
    }

    /// A search, its parameters in the body: lists of ids are longer than some servers take in an address, and logs hold addresses.
    pub async fn search(&self, kind: &str, parameters: &[(&str, &str)]) -> Result<Answer, Unavailable> {
        let form =
            reqwest::Url::parse_with_params("http://localhost/", parameters).ok().and_then(|url| url.query().map(str::to_owned));
        let form = ("application/x-www-form-urlencoded", form.unwrap_or_default());
        self.ask(Method::POST, &format!("/{kind}/_search"), Some(form)).await
    }

    /// An address that the server gave, as a path at the base that we know it by: proxies have another name for it.
    pub fn path_of(&self, address: &str) -> Option<String> {
        let (base, url) = (Url::parse(&self.base).ok()?, Url::parse(address).ok()?);
        let path = url.path().strip_prefix(base.path().trim_end_matches('/')).unwrap_or(url.path());
        Some(format!("{path}{}{}", if url.query().is_some() { "?" } else { "" }, url.query().unwrap_or_default()))
    }

    /// `path` begins with a slash, a question mark, or is empty for the root.
    pub async fn ask(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Result<Answer, Unavailable> {
        let mut refused: Option<SecretString> = None;
        loop {
            let token = match &self.access {
                Access::Open => None,
                Access::Bearer(token) => Some(token.clone()),
                Access::OAuth(tokens) => Some(tokens.token(refused.as_ref()).await?),
            };
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base)).header(ACCEPT, JSON);
            // Some servers answer a search from one of a minute ago.
            request = request.header(CACHE_CONTROL, "no-cache");
            if let Some(token) = &token {
                request = request.bearer_auth(token.expose_secret());
            }
            if let Some((kind, text)) = &body {
                request = request.header(CONTENT_TYPE, *kind).body(text.clone());
            }
            let answer = request.send().await.map_err(|e| Unavailable { why: no_answer(&e).into(), retry_after: None })?;
            let (status, retry_after) = (answer.status(), pause(&answer));
            // A token may end early: one new one is asked for.
            if status == StatusCode::UNAUTHORIZED && refused.is_none() && matches!(self.access, Access::OAuth(_)) {
                refused = token;
                continue;
            }
            if absent(status) {
                return Err(Unavailable { why: format!("the server answered {}", status.as_u16()), retry_after });
            }
            return Ok(Answer { status, body: read(answer).await? });
        }
    }
}

/// The server is not there, does not let us in or asks for patience: no record's fault.
pub(super) fn absent(status: StatusCode) -> bool {
    matches!(status.as_u16(), 300..=399 | 401 | 403 | 407 | 408 | 425 | 429 | 502 | 503 | 504 | 507)
}

/// Something else than the server answers at its address: no bundle is to blame.
pub(super) fn misled(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404..=406 | 410 | 415)
}

async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, Unavailable> {
    let failed = |why: &str| Unavailable { why: why.into(), retry_after: None };
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| failed(no_answer(&e)))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LIMIT {
            return Err(failed("the server's answer is too long"));
        }
    }
    Ok(body)
}
