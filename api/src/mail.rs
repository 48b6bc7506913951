//! Invitations by mail: who invites, where to go, until when. No health data, and nothing about the person but the address it goes to.

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncFileTransport, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::ExposeSecret as _;

use crate::settings::Mail;

/// Sends, or writes into a folder.
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(AsyncFileTransport<Tokio1Executor>),
}

/// What an invitation says.
pub struct Invitation<'a> {
    pub to: Mailbox,
    /// Who asks.
    pub name: &'a str,
    pub provider: &'a str,
    pub link: &'a str,
    /// As people read it.
    pub until: &'a str,
}

/// The relay did not take it. Its own words may quote the message, so they are not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    #[error("the mail relay does not answer")]
    Unavailable,
    #[error("the mail relay refused the message")]
    Refused,
    #[error("the message cannot be written")]
    Malformed,
}

impl Mailer {
    /// # Errors
    /// When an address of the settings cannot be read; names the key.
    pub fn new(settings: &Mail) -> Result<Self, &'static str> {
        let from = settings.from.parse().map_err(|_| "api.mail.from: expected a mailbox")?;
        let transport = match (&settings.smtp_url, &settings.folder) {
            (Some(url), None) => {
                let smtp = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
                Transport::Smtp(smtp.map_err(|_| "api.mail.smtp_url: expected smtp:// or smtps://")?.build())
            }
            (None, Some(folder)) => Transport::Folder(AsyncFileTransport::new(folder)),
            _ => return Err("api.mail: expected either smtp_url or folder"),
        };
        Ok(Self { from, transport })
    }

    /// # Errors
    /// [`NotSent`].
    pub async fn invite(&self, invitation: &Invitation<'_>) -> Result<(), NotSent> {
        let Invitation { to, name, provider, link, until } = invitation;
        let body = format!(
            "{name} asks you to connect your {provider} account.\n\n\
             Open this link to see what is asked for, and to agree or not:\n\n  {link}\n\n\
             It works once, until {until}. You log in at {provider} itself; {name} never sees your password.\n\
             If you did not expect this message, do nothing.\n"
        );
        let message = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(format!("{name} asks you to connect your {provider} account"))
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .map_err(|_| NotSent::Malformed)?;
        match &self.transport {
            Transport::Smtp(smtp) => smtp
                .send(message)
                .await
                .map(drop)
                .map_err(|e| if e.is_permanent() { NotSent::Refused } else { NotSent::Unavailable }),
            Transport::Folder(folder) => folder.send(message).await.map(drop).map_err(|_| NotSent::Unavailable),
        }
    }
}
