//! What a person's browser sees: a link opened, the way to the provider and back, and the page of what is connected.
//!
//! A browser is known by a cookie that only it has; every attempt to connect is bound to it. Nothing here takes a subject from the address.

mod pages;
mod session;
pub(crate) mod ticket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use headwater_ingest::account::{AccountError, Begin, Callback, FinishError, Unfinished};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::problem::Problem;
use crate::state::{Act, Api};
use pages::Notice;
use session::Session;

pub(crate) fn router() -> Router<Arc<Api>> {
    Router::new()
        .route("/connect", get(home))
        .route("/connect/style.css", get(pages::style))
        .route("/connect/start/{ticket}", get(start))
        .route("/connect/to/{provider}", post(go))
        .route("/connect/end", post(end))
        .route("/connect/callback/{provider}", get(callback))
}

/// Pages that end here instead of going on.
enum Stop {
    Page(StatusCode, Notice),
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<AccountError> for Stop {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Unavailable(e) => Self::Problem(e.into()),
            AccountError::Erased => Self::Page(StatusCode::CONFLICT, Notice::Erased),
            AccountError::Busy => Self::Page(StatusCode::CONFLICT, Notice::Busy),
            _ => Self::Page(StatusCode::BAD_GATEWAY, Notice::ProviderFailed),
        }
    }
}

impl From<headwater_store::Unavailable> for Stop {
    fn from(error: headwater_store::Unavailable) -> Self {
        Self::Problem(error.into())
    }
}

fn answer(api: &Api, result: Result<Response, Stop>) -> Response {
    let response = match result {
        Ok(response) => response,
        Err(Stop::Page(status, notice)) => (status, pages::notice(api, notice)).into_response(),
        Err(Stop::Problem(problem)) => problem.into_response(),
    };
    pages::guarded(api, response)
}

/// What goes along with an attempt to connect.
#[derive(Serialize, Deserialize)]
struct Note {
    return_to: Option<String>,
    state: Option<String>,
    actor: String,
}

/// A link was opened.
async fn start(State(api): State<Arc<Api>>, Path(given): Path<String>) -> Response {
    let opened = async {
        let gone = || Stop::Page(StatusCode::NOT_FOUND, Notice::LinkGone);
        let ticket = ticket::open(&api, &given).await?.ok_or_else(gone)?;
        let direct = ticket.ticket.provider.clone().filter(|_| !ticket.ticket.invited);
        let (session, cookie) = session::make(&api, ticket).await?;
        let mut response = match direct {
            Some(provider) => Redirect::to(&begin(&api, &session, &provider).await?).into_response(),
            None => Redirect::to("/connect").into_response(),
        };
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    };
    let opened = opened.await;
    answer(&api, opened)
}

/// The person's page.
#[derive(Deserialize)]
struct Seen {
    /// How the last attempt ended.
    told: Option<String>,
}

async fn home(State(api): State<Arc<Api>>, headers: HeaderMap, Query(seen): Query<Seen>) -> Response {
    let shown = async {
        let session = session::of(&api, &headers).await?;
        let told = seen.told.as_deref().and_then(Notice::of_code);
        let page = pages::home(&api, &session, told).await?;
        let actor = session.actor();
        let act = Act { actor: &actor, action: "view_page", subject: Some(session.subject()), connection: None, detail: None };
        api.done(act).await?;
        Ok(page.into_response())
    };
    let shown = shown.await;
    answer(&api, shown)
}

#[derive(Deserialize)]
struct Go {
    csrf: String,
}

/// The person goes to a provider.
async fn go(State(api): State<Arc<Api>>, headers: HeaderMap, Path(provider): Path<String>, Form(given): Form<Go>) -> Response {
    let gone = async {
        let session = session::of(&api, &headers).await?;
        session.check(&given.csrf)?;
        if !session.offers(&provider) {
            return Err(Stop::Page(StatusCode::NOT_FOUND, Notice::LinkGone));
        }
        Ok(Redirect::to(&begin(&api, &session, &provider).await?).into_response())
    };
    let gone = gone.await;
    answer(&api, gone)
}

async fn begin(api: &Api, session: &Session, provider: &str) -> Result<String, Stop> {
    let note = Note {
        return_to: session.ticket.return_to.clone(),
        state: session.ticket.state.clone(),
        actor: session.ticket.actor.clone(),
    };
    let note = serde_json::to_string(&note).expect("texts are JSON");
    let redirect_uri = format!("{}/connect/callback/{provider}", api.settings.public_url);
    let started = api.accounts.begin(Begin {
        provider,
        subject: session.subject(),
        session: &session.key,
        redirect_uri: &redirect_uri,
        zone: session.ticket.zone.as_deref(),
        invitation: session.invitation.as_ref(),
        note: &note,
    });
    Ok(started.await?.url)
}

#[derive(Deserialize)]
struct Returned {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// The person comes back. The only address that an outsider may call with parameters of their own.
async fn callback(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(provider): Path<String>,
    Query(returned): Query<Returned>,
) -> Response {
    let came = async {
        let session = session::key(&api, &headers);
        let callback = Callback {
            provider: &provider,
            state: returned.state.as_deref().unwrap_or_default(),
            code: returned.code.as_deref(),
            error: returned.error.as_deref(),
            issuer: returned.iss.as_deref(),
            session: session.as_ref(),
        };
        match api.accounts.finish(callback).await {
            Ok(finished) => {
                let notice = if finished.missing.is_empty() { Notice::Connected } else { Notice::ConnectedInPart };
                let (subject, connection) = (Some(finished.subject.as_str()), Some(finished.connection));
                let note = record(&api, &finished.note, "connect", subject, connection, notice).await?;
                Ok(back(note, notice, connection))
            }
            Err(Unfinished { why, note, subject }) => unfinished(&api, why, note, subject).await,
        }
    };
    let came = came.await;
    answer(&api, came)
}

async fn unfinished(api: &Api, why: FinishError, note: Option<String>, subject: Option<String>) -> Result<Response, Stop> {
    let (status, notice) = match why {
        FinishError::UnknownState => (StatusCode::FORBIDDEN, Notice::UnknownAttempt),
        FinishError::OtherSession | FinishError::OtherProvider => (StatusCode::FORBIDDEN, Notice::OtherBrowser),
        FinishError::Declined => (StatusCode::OK, Notice::Declined),
        FinishError::InvitationUsed => (StatusCode::FORBIDDEN, Notice::LinkGone),
        FinishError::ProviderError => (StatusCode::BAD_GATEWAY, Notice::ProviderFailed),
        FinishError::Account(error) => match Stop::from(error) {
            Stop::Page(status, notice) => (status, notice),
            problem @ Stop::Problem(_) => return Err(problem),
        },
    };
    tracing::info!(outcome = notice.code(), "account not connected");
    // Where the attempt was known, its own browser is sent on; where it was not, nothing is told of it.
    match note {
        Some(note) if notice != Notice::OtherBrowser => {
            let note = record(api, &note, "connect_refused", subject.as_deref(), None, notice).await?;
            Ok(back(note, notice, None))
        }
        _ => Err(Stop::Page(status, notice)),
    }
}

async fn record(
    api: &Api,
    note: &str,
    action: &'static str,
    subject: Option<&str>,
    connection: Option<Uuid>,
    notice: Notice,
) -> Result<Note, Stop> {
    let note: Note = serde_json::from_str(note).map_err(|_| Problem::new(500, "damaged attempt", "its note cannot be read"))?;
    api.done(Act { actor: &note.actor, action, subject, connection, detail: Some(notice.code()) }).await?;
    Ok(note)
}

/// To where the platform wants its people, or to the person's page.
fn back(note: Note, notice: Notice, connection: Option<Uuid>) -> Response {
    let Some(base) = note.return_to else {
        return Redirect::to(&format!("/connect?told={}", notice.code())).into_response();
    };
    let Ok(mut url) = reqwest::Url::parse(&base) else {
        return Redirect::to(&format!("/connect?told={}", notice.code())).into_response();
    };
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("status", notice.code());
        if let Some(connection) = connection {
            query.append_pair("connection", &connection.to_string());
        }
        if let Some(state) = &note.state {
            query.append_pair("state", state);
        }
    }
    Redirect::to(url.as_str()).into_response()
}

#[derive(Deserialize)]
struct End {
    csrf: String,
    connection: Uuid,
}

/// The person disconnects.
async fn end(State(api): State<Arc<Api>>, headers: HeaderMap, Form(given): Form<End>) -> Response {
    let ended = async {
        let session = session::of(&api, &headers).await?;
        session.check(&given.csrf)?;
        let unknown = || Stop::Page(StatusCode::NOT_FOUND, Notice::LinkGone);
        // An invitation connects; what else there is of the person is not its holder's to end.
        if session.ticket.invited {
            return Err(unknown());
        }
        match api.accounts.disconnect(given.connection, session.subject()).await {
            Ok(_) => {}
            Err(AccountError::Unknown) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        }
        let actor = session.actor();
        let (subject, connection) = (Some(session.subject()), Some(given.connection));
        api.done(Act { actor: &actor, action: "disconnect", subject, connection, detail: None }).await?;
        Ok(Redirect::to("/connect?told=disconnected").into_response())
    };
    let ended = ended.await;
    answer(&api, ended)
}

impl Api {
    /// One of the configured addresses, to the letter.
    pub(crate) fn return_url(&self, url: String) -> Result<String, Problem> {
        if self.settings.return_urls.contains(&url) {
            Ok(url)
        } else {
            Err(Problem::parameter("return_to", "one of api.return_urls"))
        }
    }
}

/// The value of a header that is text.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
