//! Dexcom API v3: continuous glucose, by region. Facts and traps: `README.md`.

mod records;
#[cfg(test)]
mod tests;
mod when;

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Poll, Profile, Status, Stream};
use crate::source::{Ask, Fault, Fetch, Method, Page, Response, Source, digest};
use crate::{json, rest};

/// One region's cloud: accounts, applications and addresses of one are unknown to the others, so each is a provider of its own.
pub struct Dexcom(&'static Profile);

pub static US: Dexcom = Dexcom(&profile("dexcom", "Dexcom", "https://api.dexcom.com", AUTH_US));
pub static EU: Dexcom = Dexcom(&profile("dexcom_eu", "Dexcom (outside the US)", "https://api.dexcom.eu", AUTH_EU));
pub static JP: Dexcom = Dexcom(&profile("dexcom_jp", "Dexcom (Japan)", "https://api.dexcom.jp", AUTH_JP));

/// The longest window that the API takes.
const DAYS: u32 = 30;
/// Readings arrive an hour late or more, and more once a receiver is plugged in.
const GLUCOSE: Option<Poll> = Some(Poll { window_days: 1, trailing_hours: 48, reconcile: false });
const LISTED: Option<Poll> = Some(Poll { window_days: DAYS, trailing_hours: 72, reconcile: true });

static STREAMS: &[Stream] = &[
    Stream {
        id: "egvs",
        doc: "estimated glucose values, every five minutes",
        becomes: &[&GLUCOSE_INTERSTITIAL_MASS, &GLUCOSE_INTERSTITIAL_MOLAR],
        devices: true,
        poll: GLUCOSE,
    },
    Stream {
        id: "events",
        doc: "carbohydrates, insulin, exercise and meter readings that the person entered",
        becomes: &[&CARBOHYDRATES, &EXERCISE, &GLUCOSE_CAPILLARY_MASS, &GLUCOSE_BLOOD_MOLAR],
        devices: false,
        poll: LISTED,
    },
    Stream {
        id: "calibrations",
        doc: "meter readings that the sensor was calibrated with",
        becomes: &[&GLUCOSE_CAPILLARY_MASS, &GLUCOSE_BLOOD_MOLAR],
        devices: false,
        poll: LISTED,
    },
    Stream {
        id: "devices",
        doc: "transmitters and displays",
        becomes: &[],
        devices: true,
        poll: Some(Poll { window_days: DAYS, trailing_hours: 1, reconcile: false }),
    },
];

const AUTH_US: OAuth = oauth("https://api.dexcom.com/v2/oauth2/login", "https://api.dexcom.com/v2/oauth2/token");
const AUTH_EU: OAuth = oauth("https://api.dexcom.eu/v2/oauth2/login", "https://api.dexcom.eu/v2/oauth2/token");
const AUTH_JP: OAuth = oauth("https://api.dexcom.jp/v2/oauth2/login", "https://api.dexcom.jp/v2/oauth2/token");

const fn oauth(authorize: &'static str, token: &'static str) -> OAuth {
    OAuth {
        authorize,
        token,
        // The person ends it in the account's settings.
        revoke: None,
        issuer: None,
        scopes: &["offline_access"],
        scope_separator: ' ',
        authorize_extra: &[],
        client_auth: ClientAuth::Body,
        dialect: Dialect::Standard,
        pkce: false,
        rotates: true,
        user_field: None,
    }
}

const fn profile(id: &'static str, name: &'static str, api: &'static str, oauth: OAuth) -> Profile {
    Profile {
        id,
        name,
        status: Status::Live,
        api,
        oauth: Some(oauth),
        webhook: None,
        upload: None,
        streams: STREAMS,
        // 60 000 an hour for the application.
        limits: Limits { app_per_minute: Some(1000), user_per_minute: None, user_per_hour: None },
        // Many applications poll at the full hour: drawn anew each time, so that ours never do.
        poll_minutes: (45, 75),
        history_days: 90,
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

impl Source for Dexcom {
    fn profile(&self) -> &'static Profile {
        self.0
    }

    fn folder(&self) -> &'static str {
        "dexcom"
    }

    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        let fetch = Fetch::get(ask, format!("/v3/users/self/{}", ask.stream.id));
        if ask.stream.id == "devices" {
            return vec![fetch];
        }
        // UTC, and without saying so: an offset is refused.
        let longest = i64::from(DAYS) * 86_400_000_000;
        let end = ask.window.end.min(ask.window.start.saturating_add(longest));
        vec![fetch.query("startDate", rest::civil(ask.window.start)).query("endDate", rest::civil(end))]
    }

    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        rest::status(got, None)?;
        if fetch.stream == IDENTITY {
            return Ok(rest::whole(got, false));
        }
        let list: List<'_> = json::parse(got.body).map_err(Fault::Broken)?;
        Ok(Page {
            next: None,
            empty: list.records.is_empty(),
            digest: digest(list.records.iter().map(|record| record.get().as_bytes())),
        })
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            records: Option<Vec<&'a RawValue>>,
        }
        let take = match raw.stream {
            "egvs" => records::glucose,
            "events" => records::event,
            "calibrations" => records::calibration,
            "devices" => records::device,
            _ => return Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Dexcom")),
        };
        let parsed: Body<'a> = json::parse(raw.body)?;
        let rows = parsed.records.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected records").at("records"))?;
        json::each(&rows, "records", out, take);
        Ok(())
    }

    fn identify(&self) -> Option<Fetch> {
        Some(Fetch::about(IDENTITY, Method::Get, "/v3/users/self/dataRange"))
    }

    /// Unique for an account and an application: nothing else tells who somebody is.
    fn read_identity(&self, got: &Response<'_>) -> Option<String> {
        #[derive(Deserialize)]
        struct Range<'a> {
            #[serde(borrow, rename = "userId")]
            user_id: Cow<'a, str>,
        }
        let range = json::parse::<Range<'_>>(got.body).ok().filter(|_| got.status == 200)?;
        Some(range.user_id.into_owned()).filter(|id| !id.is_empty())
    }
}

const IDENTITY: &str = "identity";
