//! The pages, without a script: they work in every browser and nothing foreign can run in them.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use headwater_store::{Connection, ConnectionState, StoredObservation};
use maud::{DOCTYPE, Markup, html};

use super::session::Session;
use super::{Stop, header_value};
use crate::state::Api;
use crate::v1;

/// Types whose newest value a person knows how to read.
const SHOWN: &[&str] = &["body-weight", "heart-rate", "steps-day", "steps", "sleep", "blood-pressure", "oxygen-saturation"];
const MONTHS: u32 = 3;

/// How something ended, in words for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Connected,
    ConnectedInPart,
    Declined,
    Disconnected,
    UnknownAttempt,
    OtherBrowser,
    ProviderFailed,
    LinkGone,
    Erased,
    Busy,
}

impl Notice {
    const ALL: [Self; 10] = [
        Self::Connected,
        Self::ConnectedInPart,
        Self::Declined,
        Self::Disconnected,
        Self::UnknownAttempt,
        Self::OtherBrowser,
        Self::ProviderFailed,
        Self::LinkGone,
        Self::Erased,
        Self::Busy,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ConnectedInPart => "connected_in_part",
            Self::Declined => "declined",
            Self::Disconnected => "disconnected",
            Self::UnknownAttempt => "unknown_attempt",
            Self::OtherBrowser => "refused",
            Self::ProviderFailed => "provider_failed",
            Self::LinkGone => "link_gone",
            Self::Erased => "erased",
            Self::Busy => "busy",
        }
    }

    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.code() == code)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Connected => "Your account is connected. The first readings arrive within a minute or so.",
            Self::ConnectedInPart => {
                "Your account is connected. You did not allow everything that was asked for, so some readings will not arrive."
            }
            Self::Declined => "You declined. Nothing was connected.",
            Self::Disconnected => "The account is disconnected. Its access was deleted here.",
            Self::UnknownAttempt => "This attempt to connect is not known, or no longer. Please begin again.",
            Self::OtherBrowser => "This could not be accepted. Please begin again in the browser you began in.",
            Self::ProviderFailed => "The provider could not do it. Nothing was connected; please try again later.",
            Self::LinkGone => "This link does not work, or no longer. Please ask for a new one.",
            Self::Erased => "This person was removed. Nothing can be connected.",
            Self::Busy => "Somebody else is changing the same account. Please try again in a minute.",
        }
    }

    fn good(self) -> bool {
        matches!(self, Self::Connected | Self::ConnectedInPart | Self::Disconnected)
    }
}

pub(super) fn notice(api: &Api, notice: Notice) -> Markup {
    page(api, None, &html! { p.notice.bad[!notice.good()] id="told" data-told=(notice.code()) { (notice.words()) } })
}

/// What is connected, and what can be.
pub(super) async fn home(api: &Api, session: &Session, told: Option<Notice>) -> Result<Markup, Stop> {
    let subject = session.subject();
    let mut connections = Vec::new();
    // Whoever holds an invitation is shown what it connects and nothing else of the person.
    for id in api.store.connections_of(subject).await? {
        let found = api.store.connection(id).await?.filter(|c| c.subjects.iter().any(|s| s == subject));
        if let Some(connection) = found.filter(|c| !session.ticket.invited || session.offers(&c.provider)) {
            let status = v1::connections::status(api, connection.clone(), subject.to_owned()).await?;
            connections.push((connection, status));
        }
    }
    let readings = if session.ticket.invited {
        vec![]
    } else {
        let now = api.accounts.now();
        api.store.latest(subject, &shown(), now, MONTHS).await?
    };
    let arriving = connections.iter().any(|(c, s)| c.state == ConnectionState::Active && !s.whole());
    let content = html! {
        @if let Some(told) = told { p.notice.bad[!told.good()] id="told" data-told=(told.code()) { (told.words()) } }
        h1 { @if session.ticket.invited { (api.settings.name) " asks you to connect an account" } @else { "Your connected accounts" } }
        @for (connection, status) in &connections { (card(api, session, connection, status)) }
        (offers(api, session, &connections))
        @if !readings.is_empty() { (latest(&readings)) }
    };
    Ok(page(api, arriving.then_some(3), &content))
}

fn shown() -> Vec<&'static str> {
    SHOWN.iter().filter_map(|slug| headwater_schemas::codes::by_slug(slug).map(|m| m.slug)).collect()
}

fn card(api: &Api, session: &Session, connection: &Connection, status: &v1::connections::Status) -> Markup {
    let name = provider_name(api, &connection.provider);
    let words = match connection.state {
        ConnectionState::Active if status.whole() => "connected, all history is in",
        ConnectionState::Active => "connected, history is arriving",
        ConnectionState::NeedsReauth => "access ended: connect again to go on",
        ConnectionState::Migrated => "the provider's service was switched off",
        ConnectionState::Disconnected => "disconnected",
        ConnectionState::Inactive => "paused",
    };
    let live = !matches!(connection.state, ConnectionState::Disconnected);
    html! {
        section.card data-provider=(connection.provider) data-state=(connection.state.as_str()) {
            h2 { (name) }
            p.state { (words) }
            @if live {
                p.small { (status.streams_in()) " of " (status.streams_granted()) " kinds of data looked through." }
                @if status.missing() { p.small { "Some kinds of data were not allowed and are not fetched." } }
            }
            @if live && !session.ticket.invited {
                form method="post" action="/connect/end" {
                    input type="hidden" name="csrf" value=(session.csrf);
                    input type="hidden" name="connection" value=(connection.id);
                    button.quiet name="disconnect" { "Disconnect" }
                }
            }
        }
    }
}

fn offers(api: &Api, session: &Session, connections: &[(Connection, v1::connections::Status)]) -> Markup {
    let active = |provider: &str| connections.iter().any(|(c, _)| c.provider == provider && c.state == ConnectionState::Active);
    let providers = api.accounts.providers();
    let offered: Vec<_> = providers.into_iter().filter(|p| session.offers(p.id) && !active(p.id)).collect();
    html! {
        @if !offered.is_empty() {
            h2 { "Connect an account" }
            p.small { "You log in at the provider itself, and can end the access there or here at any time." }
            @for profile in offered {
                form method="post" action={ "/connect/to/" (profile.id) } {
                    input type="hidden" name="csrf" value=(session.csrf);
                    button id={ "connect-" (profile.id) } { "Connect " (profile.name) }
                }
            }
        }
    }
}

fn latest(readings: &[StoredObservation]) -> Markup {
    html! {
        h2 { "Latest readings" }
        table id="readings" {
            @for row in readings {
                tr data-type=(row.data_type) {
                    td { (row.data_type) }
                    td { (row.value_text.as_deref().unwrap_or("recorded")) " " (row.unit.as_deref().unwrap_or("")) }
                    td { (v1::time(row.start)) }
                }
            }
        }
    }
}

fn provider_name(api: &Api, id: &str) -> String {
    api.accounts.providers().into_iter().find(|p| p.id == id).map_or_else(|| id.to_owned(), |p| p.name.to_owned())
}

fn page(api: &Api, refresh: Option<u32>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content={ (seconds) "; url=/connect" }; }
                title { "Connected accounts · " (api.settings.name) }
                link rel="stylesheet" href="/connect/style.css";
            }
            body { header { (api.settings.name) } main { (content) } }
        }
    }
}

/// Headers of every page: no script, no frame, nothing kept, nothing told to the next site.
pub(super) fn guarded(api: &Api, mut response: Response) -> Response {
    let headers = response.headers_mut();
    // A form that leads to a provider's page is followed by its redirect, which browsers hold to the same rule.
    let targets = api.accounts.authorize_origins().join(" ");
    let policy =
        format!("default-src 'none'; style-src 'self'; form-action 'self' {targets}; frame-ancestors 'none'; base-uri 'none'");
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, header_value(value));
    }
    response
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}
