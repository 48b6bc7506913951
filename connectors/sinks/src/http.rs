//! What the sinks that speak HTTP have in common.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, Url};

/// Limits of what a receiver may ask for. Below the least, asking at once for ever would be obeyed.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(300);

/// Why an address is not taken. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("expected an absolute https address: {0}")]
    Address(String),
    #[error("expected https, plain http goes to loopback addresses only")]
    Plain,
    #[error("expected no user name or password in the address")]
    Credentials,
}

/// An address that health data or secrets may be sent to. `plain` where the operator says that the network between is as good as none.
pub(crate) fn address(text: &str, plain: bool) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|e| AddressError::Address(e.to_string()))?;
    let allowed = match url.scheme() {
        "https" => true,
        "http" => plain || url.host_str().is_some_and(loopback),
        _ => false,
    };
    if !allowed {
        return Err(AddressError::Plain);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    Ok(url)
}

/// `host` as an address' text has it: IPv6 in brackets.
fn loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `Retry-After` in seconds. Its other form, a date, is left to the loop's own patience.
pub(crate) fn pause(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if seconds.is_empty() || !seconds.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are a long time, too.
    let asked = seconds.parse().map_or(MOST_PAUSE, Duration::from_secs);
    Some(asked.clamp(LEAST_PAUSE, MOST_PAUSE))
}

/// From a closed set: an error's own text may hold the address with its parameters.
pub(crate) fn no_answer(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "the receiver did not answer in time"
    } else if error.is_connect() {
        "no connection to the receiver"
    } else {
        "the receiver broke off"
    }
}
