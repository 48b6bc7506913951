//! Fitbit's Web API as it was: switched off in November 2026. Stored payloads and exports are still understood, its webhooks verified, and its
//! cloud never asked. Facts and traps: `README.md`.

mod activity;
mod body;
mod export;
mod receive;
mod series;
mod sleep;
#[cfg(test)]
mod tests;
mod vitals;

use std::time::Duration;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::files::Files;
use crate::profile::{Limits, Profile, Status, Stream, Webhook};
use crate::source::{Fault, Fetch, Inbound, Page, Receipt, Refusal, Response, Source, digest};
use crate::{json, time};

pub struct Fitbit;

const fn stored(id: &'static str, doc: &'static str, becomes: &'static [&'static Measure]) -> Stream {
    Stream { id, doc, becomes, devices: becomes.is_empty(), poll: None }
}

static STREAMS: &[Stream] = &[
    stored("sleep", "sleep logs", &[&SLEEP, &SLEEP_STAGE]),
    stored("activities", "activity logs", &[&EXERCISE]),
    stored("steps", "steps of each day", &[&STEPS_DAY]),
    stored("distance", "distance of each day", &[&DISTANCE_DAY]),
    stored("calories", "calories of each day, basal ones included", &[&ENERGY_DAY]),
    stored("floors", "floors of each day", &[&FLOORS]),
    stored("heart", "heart rate of each day, and within it", &[&RESTING_HEART_RATE, &HEART_RATE]),
    stored("weight", "weight logs", &[&WEIGHT, &BMI, &BODY_FAT]),
    stored("fat", "body fat logs", &[&BODY_FAT]),
    stored("hrv", "heart rate variability of each night", &[&HRV_RMSSD, &HRV_RMSSD_DEEP_SLEEP]),
    stored("spo2", "oxygen saturation of each night", &[&SPO2]),
    stored("br", "breathing rate of each night", &[&RESPIRATORY_RATE]),
    stored("temp-skin", "skin temperature of each night, against the person's own baseline", &[&TEMPERATURE_DEVIATION]),
    stored("cardioscore", "cardio fitness, as a range", &[&VO2_MAX]),
    stored("devices", "devices", &[]),
];

static PROFILE: Profile = Profile {
    id: "fitbit",
    name: "Fitbit",
    status: Status::Legacy { since: "2026-11-02", successor: "google_health" },
    api: "https://api.fitbit.com",
    oauth: None,
    webhook: Some(Webhook {
        deadline: Duration::from_secs(5),
        body_limit: 64 * 1024,
        secret_path: false,
        check_every: None,
        keyset: None,
    }),
    upload: Some(crate::phone::UPLOAD),
    streams: STREAMS,
    limits: Limits { app_per_minute: None, user_per_minute: None, user_per_hour: Some(150) },
    poll_minutes: (45, 75),
    history_days: 0,
};

impl Source for Fitbit {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        receive::receive(call)
    }

    /// Every answer of this cloud is the end of it: 410, never to be asked again. The others are kept for stored exchanges.
    fn read(&self, _fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        match got.status {
            410 => Err(Fault::Gone),
            401 => Err(Fault::Reauthorise),
            429 => {
                let reset = got.header("fitbit-rate-limit-reset").and_then(|s| s.parse().ok()).map(Duration::from_secs);
                Err(Fault::Limited { after: reset.or(got.retry_after()) })
            }
            status if status >= 500 => Err(Fault::Again { why: "server_error", after: got.retry_after() }),
            200 => Ok(Page { next: None, empty: got.body.is_empty(), digest: digest([got.body]) }),
            _ => Err(Fault::Refused("bad_request")),
        }
    }

    fn files(&self) -> Option<&'static Files> {
        Some(&export::FILES)
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        let zone = time::profile_zone(raw.time_zone)?;
        envelope(raw.body)?;
        let zone = zone.as_ref();
        match raw.stream {
            "sleep" => sleep::normalize(raw.body, zone, out),
            "activities" => activity::normalize(raw.body, out),
            "steps" | "distance" | "calories" | "floors" => series::days(raw.stream, raw.body, zone, out),
            "heart" => series::heart(raw.body, zone, out),
            "weight" | "fat" => body::normalize(raw.body, zone, out),
            "hrv" | "spo2" | "br" | "temp-skin" | "cardioscore" => vitals::normalize(raw.stream, raw.body, zone, out),
            "devices" => body::devices(raw.body, zone, out),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Fitbit")),
        }
    }
}

/// Refuses a stored error: `{"errors":[…]}`, or the older `{"success":false,…}`.
fn envelope(body: &[u8]) -> Result<(), Reject> {
    #[derive(Deserialize)]
    struct Errors<'a> {
        #[serde(borrow)]
        errors: Option<&'a RawValue>,
        success: Option<bool>,
    }
    if body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return Ok(());
    }
    let errors: Errors<'_> = json::parse(body)?;
    if errors.errors.is_some() || errors.success == Some(false) {
        return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("errors"));
    }
    Ok(())
}
