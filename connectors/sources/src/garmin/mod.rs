//! Garmin Health API: what watches and scales bring to Garmin, pushed or announced to us. Facts and traps: `README.md`.

mod receive;
mod samples;
mod streams;
mod summaries;
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
use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Profile, Status, Webhook};
use crate::source::{Ask, Fault, Fetch, Inbound, Method, Page, Receipt, Refusal, Response, Revoke, Source};
use crate::{json, rest};

pub struct Garmin;

const BASE: &str = "/wellness-api/rest";
const IDENTITY: &str = "identity";
const REVOKE: &str = "revoke";

static PROFILE: Profile = Profile {
    id: "garmin",
    name: "Garmin Health",
    status: Status::Live,
    api: "https://apis.garmin.com",
    oauth: Some(OAuth {
        authorize: "https://connect.garmin.com/oauth2Confirm",
        token: "https://diauth.garmin.com/di-oauth2-service/oauth/token",
        // A call of the data API ends the grant: see `revoke`.
        revoke: None,
        issuer: None,
        // What is shared the person ticks on Garmin's page.
        scopes: &[],
        scope_separator: ' ',
        authorize_extra: &[],
        client_auth: ClientAuth::Body,
        dialect: Dialect::Standard,
        pkce: true,
        rotates: true,
        user_field: None,
    }),
    webhook: Some(Webhook {
        deadline: Duration::from_secs(30),
        // Many people's days in one call.
        body_limit: 32 << 20,
        secret_path: true,
        check_every: None,
        keyset: None,
    }),
    upload: None,
    streams: streams::STREAMS,
    limits: Limits { app_per_minute: Some(100), user_per_minute: None, user_per_hour: None },
    poll_minutes: (45, 75),
    history_days: 90,
};

impl Source for Garmin {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        receive::receive(call)
    }

    /// An address that was pinged is called as it is. Otherwise only the past can be asked for, and it comes by the door.
    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        if let Some(address) = ask.object {
            return vec![Fetch::get(ask, address)];
        }
        let (start, end) = rest::seconds(ask.window);
        let fetch = Fetch::get(ask, format!("{BASE}/backfill/{}", ask.stream.id));
        vec![fetch.query("summaryStartTimeInSeconds", start.to_string()).query("summaryEndTimeInSeconds", end.to_string())]
    }

    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        if fetch.path.contains("/backfill/") {
            return match got.status {
                // Asked for before: it came, or is under way.
                202 | 409 => Err(Fault::Coming),
                _ => Err(rest::status(got, None).err().unwrap_or(Fault::Coming)),
            };
        }
        if got.status == 410 {
            // A pinged address lives for a day.
            return Err(Fault::Refused("expired"));
        }
        rest::status(got, None)?;
        if matches!(fetch.stream, IDENTITY | REVOKE) {
            return Ok(rest::whole(got, got.body.is_empty()));
        }
        let rows: Vec<&RawValue> = json::parse(got.body).map_err(Fault::Broken)?;
        Ok(rest::whole(got, rows.is_empty()))
    }

    /// `{"<stream>": […]}` as it is pushed, or the bare list that a pinged address gives.
    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        let Some(take) = streams::reader(raw.stream) else {
            return Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Garmin Health"));
        };
        let (rows, path): (Vec<&'a RawValue>, &str) = if raw.body.trim_ascii_start().starts_with(b"[") {
            (json::parse(raw.body)?, "")
        } else {
            let mut body: Fields<'a> = json::parse(raw.body)?;
            if body.take("errorMessage").is_some() {
                return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("errorMessage"));
            }
            let rows = body.read(raw.stream)?;
            let missing = || Reject::new(code::UNEXPECTED_SHAPE, format!("expected {}", raw.stream)).at(raw.stream);
            (rows.ok_or_else(missing)?, raw.stream)
        };
        json::each::<Fields<'a>>(&rows, path, out, take);
        Ok(())
    }

    fn identify(&self) -> Option<Fetch> {
        Some(Fetch::about(IDENTITY, Method::Get, format!("{BASE}/user/id")))
    }

    fn read_identity(&self, got: &Response<'_>) -> Option<String> {
        #[derive(Deserialize)]
        struct Identity<'a> {
            #[serde(borrow, rename = "userId")]
            user_id: Cow<'a, str>,
        }
        let identity = json::parse::<Identity<'_>>(got.body).ok().filter(|_| got.status == 200)?;
        Some(identity.user_id.into_owned()).filter(|id| !id.is_empty())
    }

    fn revoke(&self, grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
        let end = Fetch::about(REVOKE, Method::Delete, format!("{BASE}/user/registration"));
        previous.is_none().then(|| end.header("authorization", format!("Bearer {}", grant.access)))
    }
}
