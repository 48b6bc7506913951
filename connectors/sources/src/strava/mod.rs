//! Strava API v3: activities, whatever recorded them. Facts and traps: `README.md`.

mod activities;
mod receive;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Poll, Profile, Status, Stream, Webhook};
use crate::source::{Ask, Fault, Fetch, Inbound, Method, Page, Receipt, Refusal, Response, Revoke, Source, digest};
use crate::{json, rest};

pub struct Strava;

const LOCATE: &str = "locate";
const REVOKE: &str = "revoke";
/// The most the API gives in one page.
const PAGE: usize = 200;

static STREAMS: &[Stream] = &[
    Stream {
        id: "activities",
        doc: "activities",
        becomes: &[&EXERCISE],
        devices: false,
        poll: Some(Poll { window_days: 30, trailing_hours: 72, reconcile: true }),
    },
    Stream {
        id: "athlete",
        doc: "weight as the person entered it",
        becomes: &[&WEIGHT],
        devices: false,
        poll: Some(Poll { window_days: 30, trailing_hours: 1, reconcile: false }),
    },
];

static PROFILE: Profile = Profile {
    id: "strava",
    name: "Strava",
    status: Status::Live,
    api: "https://www.strava.com",
    oauth: Some(OAuth {
        authorize: "https://www.strava.com/oauth/authorize",
        token: "https://www.strava.com/oauth/token",
        // By a parameter of its own, not by RFC 7009: see `revoke`.
        revoke: None,
        issuer: None,
        scopes: &["activity:read_all", "profile:read_all"],
        scope_separator: ',',
        authorize_extra: &[("approval_prompt", "auto")],
        client_auth: ClientAuth::Body,
        dialect: Dialect::Standard,
        pkce: false,
        rotates: true,
        user_field: None,
    }),
    webhook: Some(Webhook {
        deadline: Duration::from_secs(2),
        body_limit: 16 * 1024,
        // Older applications are called without a signature: see `receive`.
        secret_path: false,
        check_every: None,
        keyset: None,
    }),
    upload: None,
    streams: STREAMS,
    // 100 reads in a quarter of an hour.
    limits: Limits { app_per_minute: Some(6), user_per_minute: None, user_per_hour: None },
    poll_minutes: (180, 300),
    history_days: 90,
};

impl Source for Strava {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        receive::receive(call)
    }

    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        if ask.stream.id == "athlete" {
            return vec![Fetch::get(ask, "/api/v3/athlete")];
        }
        let (start, end) = rest::seconds(ask.window);
        // Both are exclusive: a second before the window, and the first one beyond it.
        let fetch = Fetch::get(ask, "/api/v3/athlete/activities").query("after", (start - 1).to_string());
        vec![fetch.query("before", end.to_string()).query("page", "1").query("per_page", PAGE.to_string())]
    }

    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        if matches!(fetch.stream, REVOKE) && got.status == 401 {
            return Ok(rest::whole(got, true)); // revoked before
        }
        rest::status(got, quarter_hour(got))?;
        if fetch.stream == "athlete" {
            return rest::document(got);
        }
        if fetch.stream != "activities" {
            return Ok(rest::whole(got, got.body.is_empty()));
        }
        let rows: Vec<&RawValue> = json::parse(got.body).map_err(Fault::Broken)?;
        let page = fetch.page + 2;
        // A page may be short without being the last one: only an empty one is.
        let next = (!rows.is_empty()).then(|| fetch.next(|f| f.query("page", page.to_string())));
        Ok(Page { next, empty: rows.is_empty(), digest: digest(rows.iter().map(|row| row.get().as_bytes())) })
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        match raw.stream {
            "activities" => activities::normalize(raw.body, out),
            "athlete" => activities::athlete(raw, out),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Strava")),
        }
    }

    fn identify(&self) -> Option<Fetch> {
        Some(Fetch::about("identity", Method::Get, "/api/v3/athlete"))
    }

    fn read_identity(&self, got: &Response<'_>) -> Option<String> {
        #[derive(Deserialize)]
        struct Identity {
            id: i64,
        }
        json::parse::<Identity>(got.body).ok().filter(|_| got.status == 200).map(|identity| identity.id.to_string())
    }

    fn locate(&self, stream: &'static Stream, object: &str) -> Option<Fetch> {
        let plain = stream.id == "activities" && !object.is_empty() && object.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| Fetch::about(LOCATE, Method::Get, format!("/api/v3/activities/{object}")))
    }

    fn located(&self, got: &Response<'_>) -> Option<i64> {
        #[derive(Deserialize)]
        struct Activity<'a> {
            #[serde(borrow)]
            start_date: Cow<'a, str>,
        }
        let activity: Activity<'_> = json::parse(got.body).ok()?;
        crate::time::rfc3339(&activity.start_date).ok().map(|stamp| stamp.micros)
    }

    fn revoke(&self, grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
        let end = Fetch::about(REVOKE, Method::Post, "/oauth/deauthorize").query("access_token", grant.access);
        previous.is_none().then_some(end)
    }
}

/// Limits begin anew at every quarter of an hour, and those of the day at midnight UTC; the answer says what is used up, not until when.
fn quarter_hour(got: &Response<'_>) -> Option<Duration> {
    let pair = |name: &str| -> Option<(u64, u64)> {
        let (short, day) = got.header(name)?.split_once(',')?;
        Some((short.trim().parse().ok()?, day.trim().parse().ok()?))
    };
    let over = |limit: &str, usage: &str| {
        let (limit, usage) = (pair(limit)?, pair(usage)?);
        Some(usage.1 >= limit.1)
    };
    let day = over("x-readratelimit-limit", "x-readratelimit-usage").or(over("x-ratelimit-limit", "x-ratelimit-usage"))?;
    Some(Duration::from_secs(if day { 6 * 3600 } else { 15 * 60 }))
}
