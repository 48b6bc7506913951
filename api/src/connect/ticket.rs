//! A link that is handed to a person: for whom, to connect what, until when. What the store keeps cannot be made into a link again.

use headwater_ingest::account;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::state::Api;

/// How long a link lives that a browser is to open at once.
pub(crate) const LIFE: i64 = 600_000_000;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub subject: String,
    /// What it connects; the person's whole page where absent.
    pub provider: Option<String>,
    pub return_to: Option<String>,
    pub state: Option<String>,
    pub zone: Option<String>,
    /// It can be opened again until it was used: mail is looked at by machines before people do.
    pub invited: bool,
    /// Who made it.
    pub actor: String,
}

pub(crate) struct Issued {
    pub url: String,
    pub expires_at: i64,
}

/// A link that was opened.
pub(super) struct Opened {
    pub ticket: Ticket,
    /// What is used up when an invitation ends in a connection.
    pub invitation: Option<[u8; 32]>,
}

pub(crate) async fn issue(api: &Api, ticket: &Ticket, life: i64) -> Result<Issued, Problem> {
    let (secret, now) = (account::secret(), api.accounts.now());
    let body = serde_json::to_vec(ticket).expect("texts are JSON");
    api.store.put_pending(&account::hash("ticket", &secret), &body, now, now + life).await?;
    Ok(Issued { url: format!("{}/connect/start/{secret}", api.settings.public_url), expires_at: now + life })
}

/// `None` where it is unknown, expired or used.
pub(super) async fn open(api: &Api, secret: &str) -> Result<Option<Opened>, Problem> {
    let (key, now) = (account::hash("ticket", secret), api.accounts.now());
    let Some(body) = api.store.pending(&key, now).await? else { return Ok(None) };
    let damaged = |_| Problem::new(500, "damaged link", "its content cannot be read");
    let ticket: Ticket = serde_json::from_slice(&body).map_err(damaged)?;
    if ticket.invited {
        return Ok(Some(Opened { ticket, invitation: Some(key) }));
    }
    let taken = api.store.take_pending(&key, now).await?;
    Ok(taken.map(|_| Opened { ticket, invitation: None }))
}
