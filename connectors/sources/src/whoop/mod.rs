//! WHOOP API v2: nights, recoveries, cycles and workouts of a strap. Facts and traps: `README.md`.

mod receive;
mod records;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::Reject;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Poll, Profile, Status, Stream, Webhook};
use crate::source::{Ask, Fault, Fetch, Inbound, Method, Page, Receipt, Refusal, Response, Revoke, Source};
use crate::{json, rest};

pub struct Whoop;

/// Records vanish when somebody deletes them: what a window no longer lists was deleted.
const LISTED: Option<Poll> = Some(Poll { window_days: 30, trailing_hours: 72, reconcile: true });
const PREFIX: &str = "/developer/v2";
/// The most the API gives in one page.
const PAGE: &str = "25";
/// What requests outside streams are called.
const LOCATE: &str = "locate";
const REVOKE: &str = "revoke";

static STREAMS: &[Stream] = &[
    Stream { id: "sleep", doc: "nights and naps", becomes: &[&SLEEP, &RESPIRATORY_RATE], devices: false, poll: LISTED },
    Stream {
        id: "recovery",
        doc: "what the strap makes of a night",
        becomes: &[&RECOVERY_SCORE, &RESTING_HEART_RATE, &HRV_RMSSD, &SPO2, &SKIN_TEMPERATURE],
        devices: false,
        poll: LISTED,
    },
    Stream {
        id: "cycle",
        doc: "from waking to waking",
        becomes: &[&STRAIN, &ENERGY, &HEART_RATE_DAY_AVERAGE],
        devices: false,
        poll: LISTED,
    },
    Stream { id: "workout", doc: "workouts", becomes: &[&EXERCISE], devices: false, poll: LISTED },
    Stream {
        id: "body_measurement",
        doc: "what the person entered about their body",
        becomes: &[&HEIGHT, &WEIGHT],
        devices: false,
        poll: Some(Poll { window_days: 30, trailing_hours: 1, reconcile: false }),
    },
];

static PROFILE: Profile = Profile {
    id: "whoop",
    name: "WHOOP",
    status: Status::Live,
    api: "https://api.prod.whoop.com",
    oauth: Some(OAuth {
        authorize: "https://api.prod.whoop.com/oauth/oauth2/auth",
        token: "https://api.prod.whoop.com/oauth/oauth2/token",
        // A call of the data API ends the grant: see `revoke`.
        revoke: None,
        issuer: None,
        scopes: &[
            "offline",
            "read:profile",
            "read:sleep",
            "read:recovery",
            "read:cycles",
            "read:workout",
            "read:body_measurement",
        ],
        scope_separator: ' ',
        authorize_extra: &[],
        client_auth: ClientAuth::Body,
        dialect: Dialect::Standard,
        pkce: false,
        rotates: true,
        user_field: None,
    }),
    webhook: Some(Webhook {
        // Sources name between one second and ten.
        deadline: Duration::from_secs(1),
        body_limit: 16 * 1024,
        secret_path: false,
        check_every: None,
        keyset: None,
    }),
    upload: None,
    streams: STREAMS,
    limits: Limits { app_per_minute: Some(100), user_per_minute: None, user_per_hour: None },
    poll_minutes: (45, 75),
    history_days: 90,
};

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
    #[serde(borrow)]
    next_token: Option<Cow<'a, str>>,
}

impl Source for Whoop {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        receive::receive(call)
    }

    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        let Some(path) = path(ask.stream.id) else { return vec![] };
        let fetch = Fetch::get(ask, format!("{PREFIX}{path}"));
        if ask.stream.id == "body_measurement" {
            return vec![fetch];
        }
        let (start, end) = (rest::instant(ask.window.start), rest::instant(ask.window.end));
        vec![fetch.query("limit", PAGE).query("start", start).query("end", end)]
    }

    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        rest::status(got, reset(got))?;
        if matches!(fetch.stream, LOCATE | REVOKE) {
            return Ok(rest::whole(got, got.body.is_empty()));
        }
        if fetch.stream == "body_measurement" {
            return rest::document(got);
        }
        let list: List<'_> = json::parse(got.body).map_err(Fault::Broken)?;
        rest::page(fetch, &list.records, list.next_token.as_deref(), "nextToken")
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        records::normalize(raw, out)
    }

    fn identify(&self) -> Option<Fetch> {
        Some(Fetch::about("identity", Method::Get, format!("{PREFIX}/user/profile/basic")))
    }

    fn read_identity(&self, got: &Response<'_>) -> Option<String> {
        #[derive(Deserialize)]
        struct Identity {
            user_id: i64,
        }
        json::parse::<Identity>(got.body).ok().filter(|_| got.status == 200).map(|identity| identity.user_id.to_string())
    }

    fn scope(&self, stream: &Stream) -> Option<&'static str> {
        Some(match stream.id {
            "sleep" => "read:sleep",
            "recovery" => "read:recovery",
            "cycle" => "read:cycles",
            "workout" => "read:workout",
            _ => "read:body_measurement",
        })
    }

    fn locate(&self, stream: &'static Stream, object: &str) -> Option<Fetch> {
        // The id of a recovery is its night's.
        let path = path(if stream.id == "recovery" { "sleep" } else { stream.id })?;
        let plain = !object.is_empty() && object.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain.then(|| Fetch::about(LOCATE, Method::Get, format!("{PREFIX}{path}/{object}")))
    }

    fn located(&self, got: &Response<'_>) -> Option<i64> {
        #[derive(Deserialize)]
        struct Record<'a> {
            #[serde(borrow)]
            start: Cow<'a, str>,
        }
        let record: Record<'_> = json::parse(got.body).ok()?;
        crate::time::rfc3339(&record.start).ok().map(|stamp| stamp.micros)
    }

    fn revoke(&self, grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
        let end = Fetch::about(REVOKE, Method::Delete, format!("{PREFIX}/user/access"));
        previous.is_none().then(|| end.header("authorization", format!("Bearer {}", grant.access)))
    }
}

fn path(stream: &str) -> Option<&'static str> {
    Some(match stream {
        "sleep" => "/activity/sleep",
        "workout" => "/activity/workout",
        "recovery" => "/recovery",
        "cycle" => "/cycle",
        "body_measurement" => "/user/measurement/body",
        _ => return None,
    })
}

/// Seconds until the used-up window is over.
fn reset(got: &Response<'_>) -> Option<Duration> {
    got.header("x-ratelimit-reset")?.trim().parse().ok().map(Duration::from_secs)
}
