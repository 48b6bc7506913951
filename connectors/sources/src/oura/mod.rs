//! Oura API v2: nights, days and heart rate of a ring. Facts and traps: `README.md`.

mod days;
mod nights;
mod receive;
mod streams;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields::Fields;
use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Profile, Status, Stream, Webhook};
use crate::source::{Ask, Fault, Fetch, Inbound, Method, Page, Receipt, Refusal, Response, Revoke, Source};
use crate::{json, rest, time};

pub struct Oura;

const BASE: &str = "/v2/usercollection";
const LOCATE: &str = "locate";
const REVOKE: &str = "revoke";

static PROFILE: Profile = Profile {
    id: "oura",
    name: "Oura",
    status: Status::Live,
    api: "https://api.ouraring.com",
    oauth: Some(OAuth {
        authorize: "https://cloud.ouraring.com/oauth/authorize",
        token: "https://api.ouraring.com/oauth/token",
        // By a parameter of its own, not by RFC 7009: see `revoke`.
        revoke: None,
        issuer: None,
        scopes: &["personal", "daily", "heartrate", "workout", "session", "spo2Daily"],
        scope_separator: ' ',
        authorize_extra: &[],
        client_auth: ClientAuth::Body,
        dialect: Dialect::Standard,
        pkce: false,
        rotates: true,
        user_field: None,
    }),
    webhook: Some(Webhook {
        deadline: Duration::from_secs(10),
        body_limit: 16 * 1024,
        secret_path: false,
        check_every: None,
        keyset: None,
    }),
    upload: None,
    streams: streams::STREAMS,
    limits: Limits { app_per_minute: Some(1000), user_per_minute: None, user_per_hour: None },
    poll_minutes: (45, 75),
    history_days: 90,
};

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(borrow)]
    next_token: Option<Cow<'a, str>>,
}

impl Source for Oura {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        receive::receive(call)
    }

    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        let fetch = Fetch::get(ask, format!("{BASE}/{}", streams::path(ask.stream.id)));
        if ask.stream.id == "ring_configuration" {
            return vec![fetch];
        }
        if ask.stream.id == "heartrate" {
            let (start, end) = (rest::instant(ask.window.start), rest::instant(ask.window.end));
            return vec![fetch.query("start_datetime", start).query("end_datetime", end)];
        }
        // Whether the last day is within the answer differs by type: a day more is asked for, and a document that comes twice is one.
        vec![fetch.query("start_date", rest::day(ask.window.start)).query("end_date", rest::day(ask.window.end))]
    }

    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        if got.status == 426 {
            // The person's phone app is too old to share: nothing that asking again would change.
            return Err(Fault::Refused("app_outdated"));
        }
        if fetch.stream == REVOKE && got.status == 401 {
            return Ok(rest::whole(got, true)); // revoked before
        }
        rest::status(got, None)?;
        if matches!(fetch.stream, LOCATE | REVOKE) {
            return Ok(rest::whole(got, got.body.is_empty()));
        }
        let list: List<'_> = json::parse(got.body).map_err(Fault::Broken)?;
        rest::page(fetch, &list.data, list.next_token.as_deref(), "next_token")
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            data: Option<Vec<&'a RawValue>>,
        }
        let zone = time::profile_zone(raw.time_zone)?;
        let parsed: Body<'a> = json::parse(raw.body)?;
        let rows = parsed.data.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected data").at("data"))?;
        let zone = zone.as_ref();
        json::each::<Fields<'a>>(&rows, "data", out, |row, out| match raw.stream {
            "sleep" => nights::night(row, out),
            "heartrate" => nights::heart_rate(row, out),
            "workout" => days::workout(row, out),
            "session" => days::session(row, out),
            "ring_configuration" => days::ring(row, out),
            stream => days::day(stream, row, zone, out),
        });
        Ok(())
    }

    fn identify(&self) -> Option<Fetch> {
        Some(Fetch::about("identity", Method::Get, format!("{BASE}/personal_info")))
    }

    fn read_identity(&self, got: &Response<'_>) -> Option<String> {
        #[derive(Deserialize)]
        struct Identity {
            id: String,
        }
        json::parse::<Identity>(got.body).ok().filter(|i| got.status == 200 && !i.id.is_empty()).map(|i| i.id)
    }

    fn scope(&self, stream: &Stream) -> Option<&'static str> {
        streams::scope(stream.id)
    }

    fn locate(&self, stream: &'static Stream, object: &str) -> Option<Fetch> {
        let plain = !object.is_empty() && object.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let path = format!("{BASE}/{}/{object}", streams::path(stream.id));
        (plain && stream.id != "heartrate").then(|| Fetch::about(LOCATE, Method::Get, path))
    }

    fn located(&self, got: &Response<'_>) -> Option<i64> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            day: Cow<'a, str>,
        }
        let document: Document<'_> = json::parse(got.body).ok()?;
        let day = time::date(&document.day).ok()?;
        time::day(day, None, headwater_schemas::observation::OffsetOrigin::None).ok().map(|day| day.start().micros)
    }

    fn revoke(&self, grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
        let end = Fetch::about(REVOKE, Method::Post, "/oauth/revoke").query("access_token", grant.access);
        previous.is_none().then_some(end)
    }
}
