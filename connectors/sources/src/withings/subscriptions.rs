//! Announcements: one per kind of data (`appli`) and callback.

use serde::Deserialize;

use super::envelope;
use crate::json;
use crate::source::{Fault, Fetch, Method, Response, Window};

/// What requests about announcements are called in place of a stream.
pub(super) const STREAM: &str = "notify";

/// Weight, temperature, blood pressure and pulse, activity, sleep, what the person did with the account, and glucose.
const APPLIS: [u32; 7] = [1, 2, 4, 16, 44, 46, 54];

pub(super) fn subscribe(callback: &str) -> Vec<Fetch> {
    each("subscribe", callback)
}

pub(super) fn unsubscribe(callback: &str) -> Vec<Fetch> {
    each("revoke", callback)
}

pub(super) fn list() -> Fetch {
    request("list")
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    appli: u32,
    callbackurl: String,
}

pub(super) fn missing(callback: &str, got: &Response<'_>) -> Result<Vec<Fetch>, Fault> {
    let body: Body = json::parse(envelope::open(got)?).map_err(|reject| Fault::Broken(reject.under("body")))?;
    let there = |appli| body.profiles.iter().any(|p| p.appli == appli && p.callbackurl == callback);
    Ok(APPLIS.into_iter().filter(|appli| !there(*appli)).map(|appli| about("subscribe", callback, appli)).collect())
}

fn each(action: &str, callback: &str) -> Vec<Fetch> {
    APPLIS.into_iter().map(|appli| about(action, callback, appli)).collect()
}

fn about(action: &str, callback: &str, appli: u32) -> Fetch {
    request(action).form("callbackurl", callback).form("appli", appli.to_string())
}

fn request(action: &str) -> Fetch {
    Fetch::new(STREAM, Window { start: 0, end: 0 }, Method::Post, "/notify").form("action", action)
}
