//! What is fixed about a provider, as data: addresses, OAuth quirks, streams, limits, deadlines. Each item is a field, none is code.

use std::time::Duration;

use headwater_schemas::codes::Measure;

#[derive(Debug)]
pub struct Profile {
    /// `[a-z][a-z0-9_]*`: topic word, route, configuration section and metric label.
    pub id: &'static str,
    pub name: &'static str,
    pub status: Status,
    /// Base of all data requests; configuration may replace it (sandbox, region, simulator).
    pub api: &'static str,
    pub oauth: Option<OAuth>,
    pub webhook: Option<Webhook>,
    /// Whether batches are brought to us, and how large they may be.
    pub upload: Option<Upload>,
    pub streams: &'static [Stream],
    pub limits: Limits,
    /// Minutes between two polls of a connection, drawn anew each time.
    pub poll_minutes: (u32, u32),
    /// How far back a first connection looks.
    pub history_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Live,
    /// The cloud is switched off: stored payloads are still understood, nothing is polled.
    Legacy {
        since: &'static str,
        successor: &'static str,
    },
}

#[derive(Debug)]
pub struct OAuth {
    pub authorize: &'static str,
    pub token: &'static str,
    /// Where RFC 7009 is spoken; a provider with a way of its own has [`crate::Source::revoke`].
    pub revoke: Option<&'static str>,
    /// What the provider calls itself in `iss` of the redirect (RFC 9207), where it sends one.
    pub issuer: Option<&'static str>,
    pub scopes: &'static [&'static str],
    pub scope_separator: char,
    /// Extra parameters of the authorization request.
    pub authorize_extra: &'static [(&'static str, &'static str)],
    pub client_auth: ClientAuth,
    pub dialect: Dialect,
    pub pkce: bool,
    /// True where a refresh gives a new refresh token and the old one dies.
    pub rotates: bool,
    /// The field of the token answer that holds the provider's user id, where one does.
    pub user_field: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    Body,
    Basic,
}

/// How the token endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 6749.
    Standard,
    /// Its own envelope: the source's `token_form` and `read_tokens` do the translation.
    Own,
}

#[derive(Debug)]
pub struct Upload {
    /// Largest batch, in bytes, once it is unpacked.
    pub body_limit: usize,
}

#[derive(Debug)]
pub struct Webhook {
    /// The provider gives up on us after this long.
    pub deadline: Duration,
    /// Largest body that is read, in bytes.
    pub body_limit: usize,
    /// The route ends in an unguessable segment, because the provider does not sign.
    pub secret_path: bool,
    /// Announcements are set up per connection, and end by themselves: looked after this often.
    pub check_every: Option<Duration>,
    /// Where the public keys are, for providers that sign asymmetrically; under the API base or absolute.
    pub keyset: Option<&'static str>,
}

/// One kind of payload of a provider.
#[derive(Debug)]
pub struct Stream {
    pub id: &'static str,
    /// What it is, for people.
    pub doc: &'static str,
    /// What its payloads become. Empty for streams that give devices only.
    pub becomes: &'static [&'static Measure],
    /// Whether devices come out of it.
    pub devices: bool,
    /// How it is polled; `None` for payloads that only arrive by push, upload or replay.
    pub poll: Option<Poll>,
}

/// How a stream is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    /// Length of a request window in days. Windows are aligned to multiples of it since the epoch, so that a re-read asks the same question
    /// and an unchanged answer is recognised.
    pub window_days: u32,
    /// Each poll looks at least this far back, because bands sync late. 0 where only the past may be asked for.
    pub trailing_hours: u32,
    /// Whether a complete re-read tells deletions: what we hold for the window and the answer lacks was deleted at the source.
    pub reconcile: bool,
}

/// Documented request limits; headers of the provider overrule them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub app_per_minute: Option<u32>,
    pub user_per_minute: Option<u32>,
    pub user_per_hour: Option<u32>,
}

impl Profile {
    pub fn stream(&self, id: &str) -> Option<&'static Stream> {
        self.streams.iter().find(|stream| stream.id == id)
    }

    /// True where the provider still answers.
    pub fn live(&self) -> bool {
        self.status == Status::Live
    }
}
