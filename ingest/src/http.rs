//! One way to all providers: no redirects, bounded time, bounded answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{self, HeaderValue, header};
use headwater_sources::source::{Fetch, Method, Response};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};

/// Largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// An address that leads elsewhere than to the provider.
pub(crate) const FOREIGN: &str = "foreign_address";

/// Carries one request to a provider and its answer back. [`Wire`] does it in production; a test may answer in the process.
#[async_trait]
pub trait Line: Send + Sync + 'static {
    /// # Errors
    /// [`NoAnswer`]: whether the request arrived is not known.
    async fn carry(&self, request: http::Request<Vec<u8>>) -> Result<Answer, NoAnswer>;
}

#[derive(Clone)]
pub(crate) struct Http {
    line: Arc<dyn Line>,
}

/// An answer, owned.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn as_response(&self) -> Response<'_> {
        Response { status: self.status, headers: &self.headers, body: &self.body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// No answer. `why` is from a closed set: an error's own text may hold an address with parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NoAnswer {
    pub why: &'static str,
}

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> Self {
        let why = if error.is_timeout() {
            "timeout"
        } else if error.is_connect() {
            "no_connection"
        } else if error.is_body() || error.is_decode() {
            "cut_off"
        } else {
            "no_answer"
        };
        Self { why }
    }
}

/// The network.
pub struct Wire(reqwest::Client);

impl Wire {
    /// # Errors
    /// When no client can be made.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Line for Wire {
    async fn carry(&self, request: http::Request<Vec<u8>>) -> Result<Answer, NoAnswer> {
        let request = reqwest::Request::try_from(request).map_err(|_| NoAnswer { why: "bad_request" })?;
        read(self.0.execute(request).await?).await
    }
}

impl Http {
    pub(crate) fn over(line: Arc<dyn Line>) -> Self {
        Self { line }
    }

    pub(crate) async fn fetch(&self, base: &str, fetch: &Fetch, token: &SecretString) -> Result<Answer, NoAnswer> {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| NoAnswer { why: "bad_request" })?;
        bearer.set_sensitive(true);
        let mut request = request(base, fetch)?;
        request.headers_mut().append(header::AUTHORIZATION, bearer);
        self.execute(request).await
    }

    /// A request that brings its own proof with it.
    pub(crate) async fn fetch_signed(&self, base: &str, fetch: &Fetch) -> Result<Answer, NoAnswer> {
        self.execute(request(base, fetch)?).await
    }

    pub(crate) async fn post_form(&self, url: &str, form: &[(&str, String)]) -> Result<Answer, NoAnswer> {
        let request = http::Request::post(url).header(header::CONTENT_TYPE, FORM).body(encoded(form).into_bytes());
        self.execute(request.map_err(|_| NoAnswer { why: "bad_address" })?).await
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Answer, NoAnswer> {
        self.execute(http::Request::get(url).body(vec![]).map_err(|_| NoAnswer { why: "bad_address" })?).await
    }

    pub(crate) async fn execute(&self, request: http::Request<Vec<u8>>) -> Result<Answer, NoAnswer> {
        self.line.carry(request).await
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn encoded<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn request(base: &str, fetch: &Fetch) -> Result<http::Request<Vec<u8>>, NoAnswer> {
    let mut url = address(base, &fetch.path)?;
    if !fetch.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&fetch.query);
    }
    let method = match fetch.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Delete => http::Method::DELETE,
    };
    let mut request = http::Request::builder().method(method).uri(url.as_str());
    for (name, value) in &fetch.headers {
        request = request.header(*name, value);
    }
    let body = if !fetch.json.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
        fetch.json.clone().into()
    } else if !fetch.form.is_empty() {
        request = request.header(header::CONTENT_TYPE, FORM);
        encoded(&fetch.form).into_bytes()
    } else {
        vec![]
    };
    request.body(body).map_err(|_| NoAnswer { why: "bad_address" })
}

/// A path under the base; or an address somebody else named, which may lead nowhere but to the very host, port and scheme of the base.
fn address(base: &str, path: &str) -> Result<reqwest::Url, NoAnswer> {
    let wrong = |_| NoAnswer { why: "bad_address" };
    if path.starts_with('/') {
        return reqwest::Url::parse(&format!("{base}{path}")).map_err(wrong);
    }
    let (base, named) = (reqwest::Url::parse(base).map_err(wrong)?, reqwest::Url::parse(path).map_err(wrong)?);
    let same = named.origin() == base.origin() && named.username().is_empty() && named.password().is_none();
    if same { Ok(named) } else { Err(NoAnswer { why: FOREIGN }) }
}

async fn read(mut response: reqwest::Response) -> Result<Answer, NoAnswer> {
    let status = response.status().as_u16();
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(NoAnswer { why: "too_large" });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_somebody_named_leads_to_the_provider_or_nowhere() {
        let base = "https://api.example.org/v1";
        assert_eq!(address(base, "/steps?a=1").unwrap().as_str(), "https://api.example.org/v1/steps?a=1");
        assert_eq!(address(base, "https://api.example.org/other?token=t").unwrap().path(), "/other");
        for foreign in [
            "https://api.example.org.evil.net/x",
            "https://api.example.org:8443/x",
            "http://api.example.org/x",
            "https://api.example.org@evil.net/x",
            "https://user@api.example.org/x",
            "https://169.254.169.254/latest/meta-data",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "file:///etc/passwd",
            "gopher://api.example.org/x",
            "no address",
        ] {
            assert!(address(base, foreign).is_err(), "{foreign}");
        }
    }
}
