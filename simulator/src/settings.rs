//! What a caller may choose.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::clock::Clock;
use crate::faults::FaultPlan;
use crate::people::Provider;

/// How a simulator is set up. `Settings::default()` is for a person who watches; [`Settings::quiet`] is for tests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Everything that looks like chance comes from this number.
    pub seed: u64,
    /// Where to listen; port 0 picks a free one (see [`Simulator::url`](crate::Simulator::url)).
    pub bind: SocketAddr,
    /// Full days of data before today that exist when the simulator starts.
    pub history_days: u32,
    /// How many people each cloud knows.
    pub people: People,
    /// Days of the history that are played as if they came in now, where `start_caught_up` is false.
    pub replay_days: u32,
    /// Virtual seconds per real second while the replayed days are catching up with the present.
    pub speed: f64,
    /// All history is there from the first request on; time then runs at its own pace.
    pub start_caught_up: bool,
    /// Records that are corrected or withdrawn some time after they appeared, and repeated or re-ordered notifications.
    pub surprises: bool,
    /// Where notifications go. `None`: only to what was subscribed through the providers' own subscription endpoints.
    pub webhooks: Option<WebhookTargets>,
    /// Faults that occur by themselves; more can be queued with [`Control::fault`](crate::Control::fault).
    pub faults: FaultPlan,
    /// Credentials and lifetimes of tokens.
    pub oauth: OAuth,
    /// Quotas and page sizes.
    pub limits: Limits,
    /// Hold Withings callback URLs to the documented rules (https, domain name, port 80 or 443); off, so that a receiver
    /// on this machine can subscribe.
    pub strict_callbacks: bool,
    /// A word that stands in everything the clouds give out that must not be told on: codes, tokens, names, the ids of people where they
    /// are text, error texts. Withings' ids of people are numbers and begin with 770077007 instead.
    pub canary: Option<String>,
    /// The time to live by.
    pub clock: Clock,
}

/// How many people each cloud knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct People {
    pub withings: usize,
    pub google_health: usize,
    /// At each of the others.
    pub others: usize,
}

/// Full callback URLs, the secret path segment included.
#[derive(Clone, Debug)]
pub struct WebhookTargets {
    /// Receives Withings' form posts for everybody who connected.
    pub withings: String,
    /// Receives Google Health's signed posts; it is verified with the documented handshake before the first delivery.
    pub google_health: String,
    /// Value of the `Authorization` header of Google Health's posts.
    pub google_health_authorization: String,
    /// Base of the routes of the other clouds, and the secret path segment of those that do not sign.
    pub others: Option<(String, String)>,
}

impl WebhookTargets {
    /// Every provider's route under one base (`http://host/webhooks`), with the secret path segment of those that do not sign and the
    /// `Authorization` value of those that send one.
    pub fn under(base: &str, path_secret: &str, authorization: &str) -> Self {
        Self {
            withings: format!("{base}/withings/{path_secret}"),
            google_health: format!("{base}/google_health"),
            google_health_authorization: authorization.to_owned(),
            others: Some((base.to_owned(), path_secret.to_owned())),
        }
    }

    /// The route of one of the other clouds; Dexcom tells nobody.
    pub(crate) fn of(&self, provider: Provider) -> Option<String> {
        let (base, secret) = self.others.as_ref()?;
        match provider {
            Provider::Dexcom => None,
            Provider::Garmin => Some(format!("{base}/garmin/{secret}")),
            other => Some(format!("{base}/{}", other.name())),
        }
    }
}

/// Credentials and lifetimes of tokens.
#[derive(Clone, Debug)]
pub struct OAuth {
    pub client_id: String,
    pub client_secret: String,
    /// Redirect URIs that are registered. Empty: any; the exchange must then still repeat the one of the authorisation.
    pub redirect_uris: Vec<String>,
    /// How long a code can be exchanged. Withings documents 30 s; Google does not say (10 minutes here).
    pub withings_code: Duration,
    pub google_health_code: Duration,
    /// How long an access token works: 3 h and 1 h.
    pub withings_access: Duration,
    pub google_health_access: Duration,
    /// How long a Withings refresh token works (1 year), and one that was replaced (8 h).
    pub withings_refresh: Duration,
    pub withings_refresh_grace: Duration,
    /// How long a Google refresh token works: for ever once the app is verified, 7 days in "testing" mode.
    pub google_health_refresh: Option<Duration>,
    /// Bearer token of the service account that may manage Google Health subscribers.
    pub google_health_service_token: String,
    /// How long an access token of the other clouds works, instead of each one's own time.
    pub access: Option<Duration>,
    /// What Polar's webhook is signed with.
    pub signing_key: String,
}

/// Quotas and page sizes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests per minute of the whole Withings application (120).
    pub withings_per_minute: u32,
    /// Requests per minute and user of Google Health (300).
    pub google_health_per_minute: u32,
    /// Rows of one Withings page. Not documented; clients must follow `more`.
    pub withings_page: usize,
    /// Pauses between the tries of an unanswered or refused notification. The real ones take hours.
    pub webhook_retries: Vec<Duration>,
    /// How long a receiver may take to answer a notification (Withings documents 2 s).
    pub webhook_timeout: Duration,
}

impl Settings {
    /// No replay, no surprises and no faults of its own: what a test gets is what it asked for. Quotas hold.
    pub fn quiet() -> Self {
        Self {
            start_caught_up: true,
            surprises: false,
            faults: FaultPlan::none(),
            limits: Limits { webhook_retries: vec![Duration::from_millis(50)], ..Limits::default() },
            ..Self::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            history_days: 14,
            people: People { withings: 3, google_health: 3, others: 0 },
            replay_days: 3,
            speed: 2_880.0,
            start_caught_up: false,
            surprises: true,
            webhooks: None,
            faults: FaultPlan::default(),
            oauth: OAuth::default(),
            limits: Limits::default(),
            strict_callbacks: false,
            canary: None,
            clock: Clock::system(),
        }
    }
}

impl Default for OAuth {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self {
            client_id: "headwater-dev".into(),
            client_secret: "headwater-dev-secret".into(),
            redirect_uris: Vec::new(),
            withings_code: Duration::from_secs(30),
            google_health_code: Duration::from_secs(600),
            withings_access: hours(3),
            google_health_access: Duration::from_secs(3599),
            withings_refresh: hours(24 * 365),
            withings_refresh_grace: hours(8),
            google_health_refresh: None,
            google_health_service_token: "headwater-dev-service".into(),
            access: None,
            signing_key: "headwater-dev-signing".into(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            withings_per_minute: 120,
            google_health_per_minute: 300,
            withings_page: 100,
            webhook_retries: [1, 5, 15].map(Duration::from_secs).to_vec(),
            webhook_timeout: Duration::from_secs(2),
        }
    }
}
