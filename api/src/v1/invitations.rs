//! Links for people: to their own page, and invitations that a clinician sends.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{body, connections, subject_id, time};
use crate::auth::{Action, Caller};
use crate::connect::ticket::{self, Ticket};
use crate::mail::{Invitation, NotSent};
use crate::problem::Problem;
use crate::state::{Act, Api};

const DAY: i64 = 86_400_000_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    subject: String,
    zone: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    /// Open it in the person's browser. It works once.
    url: String,
    expires_at: String,
}

/// A link to a person's own page: what is connected, connect, disconnect
#[utoipa::path(post, path = "/v1/account-links", tag = "connections", request_body = LinkRequest,
    responses((status = 201, body = Link), (status = 403)))]
pub async fn account_link(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Json<LinkRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Link>), Problem> {
    let ask = body(given)?;
    let subject = subject_id(&ask.subject)?;
    // The page disconnects and shows readings too: who may not do all of it for the person may not open the door.
    for action in [Action::Connect, Action::Disconnect, Action::ReadObservations] {
        api.allow(&caller, action, "account_link", subject).await?;
    }
    let ticket = Ticket {
        subject: subject.to_owned(),
        provider: None,
        return_to: None,
        state: None,
        zone: ask.zone.map(connections::zone).transpose()?,
        invited: false,
        actor: caller.actor.clone(),
    };
    let issued = ticket::issue(&api, &ticket, ticket::LIFE).await?;
    api.done(Act { actor: &caller.actor, action: "account_link", subject: Some(subject), connection: None, detail: None })
        .await?;
    Ok((StatusCode::CREATED, Json(Link { url: issued.url, expires_at: time(issued.expires_at) })))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    subject: String,
    provider: String,
    /// Where the invitation goes; without it the link is only given back.
    email: Option<String>,
    zone: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Invited {
    expires_at: String,
    /// Only where no mail was asked for: then somebody else hands it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    mailed: bool,
}

/// Invite a person to connect an account
#[utoipa::path(post, path = "/v1/invitations", tag = "connections", request_body = Invite,
    responses((status = 201, body = Invited), (status = 400), (status = 403), (status = 503)))]
pub async fn invite(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Json<Invite>, JsonRejection>,
) -> Result<(StatusCode, Json<Invited>), Problem> {
    let ask = body(given)?;
    let subject = subject_id(&ask.subject)?;
    api.allow(&caller, Action::Invite, "invite", subject).await?;
    let profiles = api.accounts.providers();
    let profile = profiles.iter().find(|profile| profile.id == ask.provider);
    let profile = profile.ok_or_else(|| Problem::parameter("provider", "one of /v1/providers"))?;
    let to: Option<Mailbox> =
        ask.email.map(|to| to.parse().map_err(|_| Problem::parameter("email", "an e-mail address"))).transpose()?;
    let ticket = Ticket {
        subject: subject.to_owned(),
        provider: Some(ask.provider),
        return_to: None,
        state: None,
        zone: ask.zone.map(connections::zone).transpose()?,
        invited: true,
        actor: caller.actor.clone(),
    };
    let issued = ticket::issue(&api, &ticket, i64::from(api.settings.invitation_days) * DAY).await?;
    let until = time(issued.expires_at);
    let mailed = match to {
        None => false,
        Some(to) => {
            let mailer = api.mailer.as_ref().ok_or_else(|| Problem::new(409, "no mail", "api.mail is not configured"))?;
            let (name, provider, link) = (&api.settings.name, profile.name, issued.url.as_str());
            mailer.invite(&Invitation { to, name, provider, link, until: &until }).await.map_err(|e| match e {
                NotSent::Refused | NotSent::Malformed => Problem::new(502, "mail refused", e.to_string()),
                NotSent::Unavailable => Problem::new(503, "mail unavailable", e.to_string()),
            })?;
            true
        }
    };
    let detail = ticket.provider.as_deref();
    api.done(Act { actor: &caller.actor, action: "invite", subject: Some(subject), connection: None, detail }).await?;
    let url = (!mailed).then_some(issued.url);
    Ok((StatusCode::CREATED, Json(Invited { expires_at: until, url, mailed })))
}
