//! Google Health API v4: what Fitbit, Pixel and Health Connect collect, by the person's Google account.
//!
//! Start at [`types`] (the table of data types, from which the streams follow), then [`points`] for how a row becomes readings. Facts, links and
//! quirks are in the README beside this file. Nothing here reads a clock, and no name of a person or device gets into an id.

mod points;
mod receive;
mod requests;
mod rollup;
mod row;
mod sessions;
mod signature;
mod special;
mod streams;
#[cfg(test)]
mod tests;
mod types;
mod when;

use std::time::Duration;

use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use serde_json::value::RawValue;

use crate::fields::Fields;
use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Profile, Status, Stream, Webhook};
use crate::source::{Ask, Fault, Fetch, Inbound, Page, Receipt, Refusal, Response, Source};
use crate::{json, time};

pub struct GoogleHealth;

static PROFILE: Profile = Profile {
    id: "google_health",
    name: "Google Health",
    status: Status::Live,
    api: "https://health.googleapis.com",
    oauth: Some(OAuth {
        authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        token: "https://oauth2.googleapis.com/token",
        revoke: Some("https://oauth2.googleapis.com/revoke"),
        issuer: Some("https://accounts.google.com"),
        scopes: &[
            "https://www.googleapis.com/auth/googlehealth.activity_and_fitness.readonly",
            "https://www.googleapis.com/auth/googlehealth.health_metrics_and_measurements.readonly",
            "https://www.googleapis.com/auth/googlehealth.sleep.readonly",
            "https://www.googleapis.com/auth/googlehealth.nutrition.readonly",
        ],
        scope_separator: ' ',
        // Without both of the first two, Google gives no refresh token the second time.
        authorize_extra: &[("access_type", "offline"), ("prompt", "consent"), ("include_granted_scopes", "true")],
        client_auth: ClientAuth::Body,
        dialect: Dialect::Standard,
        pkce: true,
        rotates: false,
        user_field: None,
    }),
    webhook: Some(Webhook {
        // Google documents no number, only "at once".
        deadline: Duration::from_secs(5),
        body_limit: 1 << 20,
        secret_path: false,
        // Subscribers belong to the project, not to a connection.
        check_every: None,
        keyset: Some("https://www.gstatic.com/googlehealthapi/webhooks/webhooks_public_keyset.json"),
    }),
    upload: None,
    streams: streams::STREAMS,
    limits: Limits { app_per_minute: Some(120_000), user_per_minute: Some(300), user_per_hour: None },
    poll_minutes: (45, 75),
    history_days: 90,
};

impl Source for GoogleHealth {
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
        normalize(raw, out)
    }

    fn scope(&self, stream: &Stream) -> Option<&'static str> {
        streams::of_stream(stream.id).map(|(kind, _)| streams::scope(kind.name))
    }

    fn identify(&self) -> Option<Fetch> {
        Some(requests::identify())
    }

    fn read_identity(&self, got: &Response<'_>) -> Option<String> {
        requests::read_identity(got)
    }
}

/// The body says whether its rows are points or roll-ups, so a roll-up that was stored under the name of the type is understood too.
fn normalize<'a>(raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let unknown = || Reject::new(code::UNKNOWN_STREAM, "expected a data type of Google Health or its daily roll-up");
    let (kind, _) = streams::of_stream(raw.stream).ok_or_else(unknown)?;
    let zone = time::profile_zone(raw.time_zone)?;
    let mut body: Fields = json::parse(raw.body)?;
    if body.take("error").is_some() {
        return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("error"));
    }
    let points = body.read::<Vec<&RawValue>>("dataPoints")?.unwrap_or_default();
    let roll_ups = body.read::<Vec<&RawValue>>("rollupDataPoints")?.unwrap_or_default();
    body.tell("body", &["nextPageToken"], out);
    let zone = zone.as_ref();
    json::each(&points, "dataPoints", out, |fields, out| points::point(fields, kind, zone, out));
    json::each(&roll_ups, "rollupDataPoints", out, |fields, out| rollup::row(fields, kind, zone, raw.fetched_at, out));
    Ok(())
}
