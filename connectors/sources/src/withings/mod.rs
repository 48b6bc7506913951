//! Withings: scales, cuffs, watches, thermometers and sleep mats, through the public API. Facts and traps: `README.md`.

mod activity;
mod columns;
mod devices;
mod envelope;
mod heart;
mod measures;
mod receive;
mod requests;
mod revoke;
mod sleep;
mod streams;
mod subscriptions;
#[cfg(test)]
mod tests;
mod workout_kinds;

use std::borrow::Cow;
use std::time::Duration;

use headwater_schemas::observation::OffsetOrigin;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Effective, Normalized, Stamp};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;

use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Profile, Status, Stream, Webhook};
use crate::source::{Ask, Fault, Fetch, Grant, Inbound, Page, Receipt, Refusal, Response, Revoke, Source, TokenFault, Tokens};
use crate::time;

pub struct Withings;

static PROFILE: Profile = Profile {
    id: "withings",
    name: "Withings",
    status: Status::Live,
    api: "https://wbsapi.withings.net",
    oauth: Some(OAuth {
        authorize: "https://account.withings.com/oauth2_user/authorize2",
        token: "https://wbsapi.withings.net/v2/oauth2",
        // Not by RFC 7009: see `requests::revoke`.
        revoke: None,
        issuer: None,
        scopes: &["user.info", "user.metrics", "user.activity", "user.sleepevents"],
        scope_separator: ',',
        authorize_extra: &[],
        client_auth: ClientAuth::Body,
        dialect: Dialect::Own,
        pkce: false,
        rotates: true,
        user_field: None,
    }),
    webhook: Some(Webhook {
        deadline: Duration::from_secs(2),
        body_limit: 16 * 1024,
        secret_path: true,
        // An endpoint that failed for a while loses its subscriptions without a word.
        check_every: Some(Duration::from_secs(24 * 3600)),
        keyset: None,
    }),
    upload: None,
    streams: streams::STREAMS,
    limits: Limits { app_per_minute: Some(120), user_per_minute: None, user_per_hour: None },
    poll_minutes: (45, 75),
    history_days: 90,
};

impl Source for Withings {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        receive::receive(call)
    }

    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        requests::plan(ask)
    }

    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        requests::read(fetch, got)
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        let profile = time::profile_zone(raw.time_zone)?;
        let body = envelope::content(raw.body)?;
        match raw.stream {
            "getmeas" => measures::normalize(body, profile.as_ref(), out),
            "getactivity" => activity::days(body, profile.as_ref(), out),
            "getintradayactivity" => activity::intraday(body, profile.as_ref(), out),
            "getworkouts" => activity::workouts(body, profile.as_ref(), out),
            "sleep" => sleep::segments(body, profile.as_ref(), out),
            "sleepsummary" => sleep::summaries(body, profile.as_ref(), out),
            "heartlist" => heart::list(body, profile.as_ref(), out),
            "heart" => heart::signal(body, raw, profile.as_ref(), out),
            "getdevice" => devices::normalize(body, out),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Withings")),
        }
    }

    fn token_form(&self, grant: &Grant<'_>) -> Vec<(&'static str, String)> {
        envelope::token_form(grant)
    }

    fn read_tokens(&self, got: &Response<'_>) -> Result<Tokens, TokenFault> {
        envelope::read_tokens(got)
    }

    fn scope(&self, stream: &Stream) -> Option<&'static str> {
        streams::scope(stream.id)
    }

    fn subscribe(&self, callback: &str) -> Vec<Fetch> {
        subscriptions::subscribe(callback)
    }

    fn subscriptions(&self) -> Option<Fetch> {
        Some(subscriptions::list())
    }

    fn missing_subscriptions(&self, callback: &str, got: &Response<'_>) -> Result<Vec<Fetch>, Fault> {
        subscriptions::missing(callback, got)
    }

    fn unsubscribe(&self, callback: &str) -> Vec<Fetch> {
        subscriptions::unsubscribe(callback)
    }

    fn revoke(&self, grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
        revoke::next(grant, previous)
    }
}

/// An instant by the zone that the answer names, else by the person's profile.
fn time_of(seconds: i64, own: Option<&TimeZone>, profile: Option<&TimeZone>) -> Result<Stamp, Reject> {
    match (own, profile) {
        (None, Some(zone)) => time::in_zone(seconds.saturating_mul(1_000_000), zone, OffsetOrigin::Profile),
        (own, _) => time::epoch_in_zone(seconds, own),
    }
}

/// From an instant to a later one, or to itself.
fn period(start: i64, end: i64, own: Option<&TimeZone>, profile: Option<&TimeZone>) -> Result<Effective, Reject> {
    if end < start {
        return Err(Reject::new(code::BAD_TIME, "expected an end after the start").at("enddate"));
    }
    let (start, end) = (time_of(start, own, profile), time_of(end, own, profile));
    Ok(Effective::During(start.map_err(|r| r.at("startdate"))?, end.map_err(|r| r.at("enddate"))?))
}

/// The calendar day a row names, where it names one.
fn named_day(date: Option<Cow<'_, str>>) -> Result<Option<Cow<'_, str>>, Reject> {
    date.map(|date| time::date(&date).map(|day| if day.to_string() == *date { date } else { day.to_string().into() }))
        .transpose()
        .map_err(|r| r.at("date"))
}
