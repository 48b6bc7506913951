//! The trait a provider implements. Every function decides and none acts: the driver in `ingest` makes the requests.

use std::time::Duration;

use headwater_schemas::hint::Change;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::Reject;
use sha2::{Digest as _, Sha256};

use crate::files::Files;
use crate::keys::Keys;
use crate::profile::{Profile, Stream};

/// A provider, as a value.
pub trait Source: Send + Sync {
    fn profile(&self) -> &'static Profile;

    /// The folder that holds its code, its fixtures and what it says of itself: one for several regions of the same cloud.
    fn folder(&self) -> &'static str {
        self.profile().id
    }

    /// Judges a call to our webhook: handshake, genuine notification, or refusal. The bytes are verified before they are parsed.
    ///
    /// # Errors
    /// [`Refusal`] with the status to answer.
    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        let _ = call;
        Err(Refusal::new(404, "no_webhook"))
    }

    /// The first requests that cover one window of one stream; further pages come from [`Source::read`].
    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        let _ = ask;
        Vec::new()
    }

    /// What an answer is: a page, or one of the ways it can fail. HTTP 200 may be a fault.
    ///
    /// # Errors
    /// [`Fault`].
    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault>;

    /// What a stored payload says. Rows that cannot be understood go to `out.problems` and spare their neighbours.
    ///
    /// # Errors
    /// [`Reject`] when nothing of the payload can be understood.
    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject>;

    /// The files people have of this provider, where they are understood.
    fn files(&self) -> Option<&'static Files> {
        None
    }

    /// The form of a token request, for providers with a dialect of their own.
    fn token_form(&self, grant: &Grant<'_>) -> Vec<(&'static str, String)> {
        let _ = grant;
        Vec::new()
    }

    /// The answer to a token request, for providers with a dialect of their own.
    ///
    /// # Errors
    /// [`TokenFault`].
    fn read_tokens(&self, got: &Response<'_>) -> Result<Tokens, TokenFault> {
        let _ = got;
        Err(TokenFault::Again("no dialect"))
    }

    /// The request that tells the provider's user id, where the token answer does not.
    fn identify(&self) -> Option<Fetch> {
        None
    }

    /// The user id in the answer to [`Source::identify`].
    fn read_identity(&self, got: &Response<'_>) -> Option<String> {
        let _ = got;
        None
    }

    /// The scope without which a stream cannot be asked for. `None` where any grant will do.
    fn scope(&self, stream: &Stream) -> Option<&'static str> {
        let _ = stream;
        None
    }

    /// The request without which a provider gives nothing of a person who consented. `member` is what the person is to be called there: it says
    /// nothing about anybody. Harmless to repeat.
    fn register(&self, member: &str) -> Option<Fetch> {
        let _ = member;
        None
    }

    /// The request for one record by the provider's id, where a notification names one that may lie anywhere in time.
    fn locate(&self, stream: &'static Stream, object: &str) -> Option<Fetch> {
        let _ = (stream, object);
        None
    }

    /// When the record in the answer to [`Source::locate`] begins, microseconds since the epoch.
    fn located(&self, got: &Response<'_>) -> Option<i64> {
        let _ = got;
        None
    }

    /// Requests that make the provider announce this connection's changes to `callback`. Harmless to repeat.
    fn subscribe(&self, callback: &str) -> Vec<Fetch> {
        let _ = callback;
        Vec::new()
    }

    /// The request that lists what is announced, where announcements are set up per connection and can end by themselves.
    fn subscriptions(&self) -> Option<Fetch> {
        None
    }

    /// Of [`Source::subscribe`], the requests whose announcements the answer to [`Source::subscriptions`] lacks.
    ///
    /// # Errors
    /// [`Fault`] as for any answer.
    fn missing_subscriptions(&self, callback: &str, got: &Response<'_>) -> Result<Vec<Fetch>, Fault> {
        let _ = got;
        Ok(self.subscribe(callback))
    }

    /// Requests that end the announcements to `callback`.
    fn unsubscribe(&self, callback: &str) -> Vec<Fetch> {
        let _ = callback;
        Vec::new()
    }

    /// The next request that ends the grant at a provider that does not follow RFC 7009, made without credentials of its own. Asked again
    /// with the answer until there is none; what an answer means is told by [`Source::read`].
    fn revoke(&self, grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
        let _ = (grant, previous);
        None
    }
}

/// A grant that is to end.
#[derive(Clone, Copy)]
pub struct Revoke<'a> {
    /// The provider's id of the person's account.
    pub user: &'a str,
    pub client_id: &'a str,
    pub client_secret: &'a str,
    /// The newest access token there is; it may have ended.
    pub access: &'a str,
    /// Seconds since the epoch.
    pub now: i64,
}

/// A span of time, microseconds since the epoch, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    pub start: i64,
    pub end: i64,
}

/// A call to our webhook, exactly as it came.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a> {
    /// Upper case.
    pub method: &'a str,
    /// What follows `/webhooks/<provider>/`; empty when nothing does.
    pub tail: &'a str,
    pub query: &'a str,
    /// Names in lower case.
    pub headers: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
    pub keys: &'a Keys,
    /// Microseconds since the epoch.
    pub now: i64,
}

impl Inbound<'_> {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }
}

/// What to answer and what to append first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    pub entries: Vec<Entry>,
    /// Entries in the call that name nothing this build knows; counted.
    pub ignored: u32,
}

impl Receipt {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something changed: go and look.
    Hint(Notice),
    /// The call carries the data itself.
    Payload { user: String, stream: &'static str, body: Vec<u8> },
}

/// A provider's notification.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of the person's account. Hashed into the connection id at once.
    pub user: String,
    /// Empty means all.
    pub streams: Vec<&'static str>,
    /// `None` means the trailing window.
    pub window: Option<Window>,
    pub change: Change,
    /// The provider's id of one record: the window it stands in is looked at. Of a stream that is not polled, the address it is to be had from.
    pub object: Option<String>,
}

impl Notice {
    /// Data of some streams may have changed.
    pub fn data(user: impl Into<String>, streams: Vec<&'static str>) -> Self {
        Self { user: user.into(), streams, window: None, change: Change::Data, object: None }
    }

    /// The person ended the grant at the provider.
    pub fn revoked(user: impl Into<String>) -> Self {
        Self { change: Change::Revoked, ..Self::data(user, vec![]) }
    }
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notice")
            .field("streams", &self.streams)
            .field("window", &self.window)
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}

/// Why a call is refused. `code` is a metric label from a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status})")]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    /// The signature names a key we do not hold: fetch the key set and judge again, once.
    pub unknown_key: bool,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str) -> Self {
        Self { status, code, unknown_key: false }
    }

    pub fn unknown_key() -> Self {
        Self { status: 401, code: "unknown_key", unknown_key: true }
    }
}

/// The question that [`Source::plan`] turns into requests.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub stream: &'static Stream,
    pub window: Window,
    /// IANA zone of the person's profile, where known.
    pub zone: Option<&'a str>,
    /// The address that a notification pointed to, for streams that are not polled.
    pub object: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Delete,
}

/// One request, without the connection's credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetch {
    pub stream: &'static str,
    pub window: Window,
    pub method: Method,
    /// Under the provider's API base, with a leading slash; or a whole address, which the driver follows only to the host of the base.
    pub path: String,
    /// Beside the usual ones.
    pub headers: Vec<(&'static str, String)>,
    pub query: Vec<(&'static str, String)>,
    /// Sent form-urlencoded when not empty.
    pub form: Vec<(&'static str, String)>,
    /// Sent as JSON when not empty.
    pub json: String,
    /// 0 for the first page.
    pub page: u32,
}

/// Headers, forms and addresses may hold credentials.
impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.split('?').next();
        f.debug_struct("Fetch")
            .field("stream", &self.stream)
            .field("path", &path)
            .field("page", &self.page)
            .finish_non_exhaustive()
    }
}

impl Fetch {
    pub fn get(ask: &Ask<'_>, path: impl Into<String>) -> Self {
        Self::new(ask.stream.id, ask.window, Method::Get, path)
    }

    pub fn post(ask: &Ask<'_>, path: impl Into<String>) -> Self {
        Self::new(ask.stream.id, ask.window, Method::Post, path)
    }

    pub fn new(stream: &'static str, window: Window, method: Method, path: impl Into<String>) -> Self {
        Self {
            stream,
            window,
            method,
            path: path.into(),
            headers: vec![],
            query: vec![],
            form: vec![],
            json: String::new(),
            page: 0,
        }
    }

    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        set(&mut self.query, name, value.into());
        self
    }

    #[must_use]
    pub fn form(mut self, name: &'static str, value: impl Into<String>) -> Self {
        set(&mut self.form, name, value.into());
        self
    }

    /// A request that belongs to no stream and no window: about the person, the grant, or what is announced.
    pub fn about(what: &'static str, method: Method, path: impl Into<String>) -> Self {
        Self::new(what, Window { start: 0, end: 0 }, method, path)
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        set(&mut self.headers, name, value.into());
        self
    }

    /// The same request for the next page, with `change` applied.
    #[must_use]
    pub fn next(&self, change: impl FnOnce(Self) -> Self) -> Self {
        change(Self { page: self.page + 1, ..self.clone() })
    }
}

fn set(list: &mut Vec<(&'static str, String)>, name: &'static str, value: String) {
    match list.iter_mut().find(|(n, _)| *n == name) {
        Some(slot) => slot.1 = value,
        None => list.push((name, value)),
    }
}

/// An answer, with header names in lower case.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    pub status: u16,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

impl Response<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After` in seconds, where it is there and a number.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// A page that is worth storing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub next: Option<Fetch>,
    /// No row in it.
    pub empty: bool,
    /// Over the content alone, without what changes from call to call (server times, request ids).
    pub digest: Digest,
}

pub type Digest = [u8; 16];

/// The digest of the parts of a body that are content.
pub fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].try_into().expect("a SHA-256 has 32 bytes")
}

/// How an answer can fail. `why` is a metric label from a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Try the same again later: server error, time-out of theirs.
    #[error("try again: {why}")]
    Again { why: &'static str, after: Option<Duration> },
    /// Asked too often.
    #[error("rate limited")]
    Limited { after: Option<Duration> },
    /// The access token is not accepted: refresh, then try once more; when that fails too, the person must consent again.
    #[error("access token not accepted")]
    Reauthorise,
    /// This account or grant cannot give the data: scope missing, membership lapsed. Not retried.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// The service is switched off (410): the connection moved elsewhere. Never retried.
    #[error("service switched off")]
    Gone,
    /// Taken, and nothing to store yet: what was asked for will be brought to the door.
    #[error("accepted; the data will be pushed")]
    Coming,
    /// Not what the provider documents; the bytes are stored all the same, so that nothing is lost before it is understood.
    #[error("answer not understood: {0}")]
    Broken(Reject),
}

/// What a token request asks for.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    Code { code: &'a str, redirect_uri: &'a str, client_id: &'a str, client_secret: &'a str },
    Refresh { refresh_token: &'a str, client_id: &'a str, client_secret: &'a str },
}

/// The answer to a token request. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub expires_in: Option<Duration>,
    pub scopes: Vec<String>,
    /// The provider's user id, where the answer has it.
    pub user: Option<String>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The grant is gone; only the person can mend it.
    #[error("consent withdrawn or expired: {0}")]
    Terminal(&'static str),
    #[error("token endpoint: {0}")]
    Again(&'static str),
}
