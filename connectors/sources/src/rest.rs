//! What most clouds share: plain HTTP statuses, whole bodies as pages, and how windows are written.

use std::time::Duration;

use headwater_schemas::reject::{Reject, code};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::source::{Fault, Fetch, Page, Response, Window, digest};

const SECOND: i64 = 1_000_000;

/// What the status of an answer means where a provider gives it no meaning of its own. `limited` is how long it asks for patience, if at all.
///
/// # Errors
/// [`Fault`] for everything but 2xx.
pub fn status(got: &Response<'_>, limited: Option<Duration>) -> Result<(), Fault> {
    match got.status {
        200..=299 => Ok(()),
        401 => Err(Fault::Reauthorise),
        403 => Err(Fault::Refused("forbidden")),
        404 => Err(Fault::Refused("not_found")),
        410 => Err(Fault::Gone),
        429 => Err(Fault::Limited { after: limited.or(got.retry_after()) }),
        408 | 425 => Err(Fault::Again { why: "provider_timeout", after: got.retry_after() }),
        400..=499 => Err(Fault::Refused("bad_request")),
        500.. => Err(Fault::Again { why: "server_error", after: got.retry_after() }),
        other => Err(Fault::Broken(Reject::new(code::UNEXPECTED_SHAPE, format!("expected HTTP 200, found {other}")))),
    }
}

/// A body that is content as a whole.
pub fn whole(got: &Response<'_>, empty: bool) -> Page {
    Page { next: None, empty, digest: digest([got.body]) }
}

/// The same for a body that must be JSON: a proxy's page is no answer.
///
/// # Errors
/// [`Fault::Broken`].
pub fn document(got: &Response<'_>) -> Result<Page, Fault> {
    crate::json::parse::<&RawValue>(got.body).map_err(Fault::Broken)?;
    Ok(whole(got, matches!(got.body.trim_ascii(), b"[]" | b"{}")))
}

/// Rows with the token of the next page, which goes into `parameter`. A token that was asked with before would be asked with for ever.
///
/// # Errors
/// [`Fault::Broken`] when the page leads to itself.
pub fn page(fetch: &Fetch, rows: &[&RawValue], token: Option<&str>, parameter: &'static str) -> Result<Page, Fault> {
    let asked = fetch.query.iter().find(|(name, _)| *name == parameter).map(|(_, token)| token.as_str());
    let token = token.filter(|token| !token.is_empty());
    if token.is_some() && token == asked {
        return Err(Fault::Broken(Reject::new(code::UNEXPECTED_SHAPE, "expected the token of another page").at(parameter)));
    }
    let next = token.map(|token| fetch.next(|f| f.query(parameter, token)));
    Ok(Page { next, empty: rows.is_empty(), digest: digest(rows.iter().map(|row| row.get().as_bytes())) })
}

/// `2026-11-01T00:00:00Z`
pub fn instant(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|at| at.to_string()).unwrap_or_default()
}

/// `2026-11-01T00:00:00`, in UTC and without saying so.
pub fn civil(micros: i64) -> String {
    let at = Timestamp::from_microsecond(micros).map(|at| TimeZone::UTC.to_datetime(at).to_string());
    at.unwrap_or_default()
}

/// The name of the day in UTC, `2026-11-01`.
pub fn day(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|at| TimeZone::UTC.to_datetime(at).date().to_string()).unwrap_or_default()
}

/// First and last day of a window by name, both within it.
pub fn days(window: Window) -> (String, String) {
    (day(window.start), day(window.end - 1))
}

/// Epoch seconds of both ends, the last one within the window.
pub fn seconds(window: Window) -> (i64, i64) {
    (window.start / SECOND, window.end / SECOND)
}
