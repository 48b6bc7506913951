//! Polar AccessLink v3: training, nights and pulse of watches and straps. Facts and traps: `README.md`.

mod days;
mod nights;
mod receive;
#[cfg(test)]
mod tests;

use std::time::Duration;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use serde_json::value::RawValue;

use crate::fields::Fields;
use crate::profile::{ClientAuth, Dialect, Limits, OAuth, Poll, Profile, Status, Stream, Webhook};
use crate::source::{Ask, Fault, Fetch, Inbound, Method, Page, Receipt, Refusal, Response, Revoke, Source};
use crate::{json, rest, time};

pub struct Polar;

const REGISTER: &str = "register";
const REVOKE: &str = "revoke";

/// Lists that hold the last thirty days, whatever is asked: one window, that of the question.
const LIST: Option<Poll> = Some(Poll { window_days: 30, trailing_hours: 48, reconcile: false });
/// The longest span of days that may be asked for.
const SPAN: Option<Poll> = Some(Poll { window_days: 28, trailing_hours: 72, reconcile: false });
const BY_DAY: Option<Poll> = Some(Poll { window_days: 1, trailing_hours: 48, reconcile: false });

const fn stream(id: &'static str, doc: &'static str, becomes: &'static [&'static Measure], poll: Option<Poll>) -> Stream {
    Stream { id, doc, becomes, devices: false, poll }
}

static STREAMS: &[Stream] = &[
    stream("exercises", "training sessions", &[&EXERCISE], LIST),
    stream("activities", "sums of each day", &[&STEPS_DAY, &DISTANCE_DAY, &ENERGY_DAY, &ENERGY_ACTIVE, &TOTAL_ACTIVITY], SPAN),
    stream("sleep", "nights", &[&SLEEP, &SLEEP_STAGE, &HEART_RATE], LIST),
    stream(
        "nightly-recharge",
        "what the watch makes of a night",
        &[&HEART_RATE_SLEEP_AVERAGE, &HRV_RMSSD, &RESPIRATORY_RATE],
        LIST,
    ),
    stream("continuous-heart-rate", "pulse, every five minutes", &[&HEART_RATE], BY_DAY),
    stream("cardio-load", "load of each day", &[&TRAINING_LOAD, &STRAIN], SPAN),
    stream("physical-info", "what the person entered about their body", &[&WEIGHT, &HEIGHT, &VO2_MAX], LIST),
    stream("spo2", "oxygen saturation", &[&SPO2], SPAN),
];

static PROFILE: Profile = Profile {
    id: "polar",
    name: "Polar AccessLink",
    status: Status::Live,
    api: "https://www.polaraccesslink.com",
    oauth: Some(OAuth {
        authorize: "https://flow.polar.com/oauth2/authorization",
        token: "https://polarremote.com/v2/oauth2/token",
        // Taking the person off the application ends the grant: see `revoke`.
        revoke: None,
        issuer: None,
        scopes: &["accesslink.read_all"],
        scope_separator: ' ',
        authorize_extra: &[],
        client_auth: ClientAuth::Basic,
        dialect: Dialect::Standard,
        pkce: false,
        rotates: false,
        user_field: Some("x_user_id"),
    }),
    webhook: Some(Webhook {
        deadline: Duration::from_secs(5),
        body_limit: 64 * 1024,
        secret_path: false,
        check_every: None,
        keyset: None,
    }),
    upload: None,
    streams: STREAMS,
    // 500 in a quarter of an hour, and twenty more for each person.
    limits: Limits { app_per_minute: Some(33), user_per_minute: None, user_per_hour: None },
    poll_minutes: (60, 90),
    // Older data are not given.
    history_days: 28,
};

impl Source for Polar {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn receive(&self, call: &Inbound<'_>) -> Result<Receipt, Refusal> {
        receive::receive(call)
    }

    fn plan(&self, ask: &Ask<'_>) -> Vec<Fetch> {
        let (from, to) = rest::days(ask.window);
        let spanned = |path: &str| Fetch::get(ask, path).query("from", from.as_str()).query("to", to.as_str());
        vec![match ask.stream.id {
            "exercises" => Fetch::get(ask, "/v3/exercises").query("samples", "false").query("zones", "false"),
            "activities" => spanned("/v3/users/activities"),
            "sleep" => Fetch::get(ask, "/v3/users/sleep"),
            "nightly-recharge" => Fetch::get(ask, "/v3/users/nightly-recharge"),
            "continuous-heart-rate" => Fetch::get(ask, format!("/v3/users/continuous-heart-rate/{from}")),
            "cardio-load" => spanned("/v3/users/cardio-load/date"),
            "physical-info" => Fetch::get(ask, "/v3/users/physical-info"),
            "spo2" => spanned("/v3/users/biosensing/spo2"),
            _ => return vec![],
        }]
    }

    fn read(&self, fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        match (fetch.stream, got.status) {
            // Known already.
            (REGISTER, 409) => return Ok(rest::whole(got, true)),
            // A day without data, and a list with nothing in it.
            (_, 204 | 404) if fetch.stream != REGISTER => return Ok(rest::whole(got, true)),
            _ => rest::status(got, reset(got))?,
        }
        if matches!(fetch.stream, REGISTER | REVOKE) {
            return Ok(rest::whole(got, true));
        }
        let page = rest::document(got)?;
        Ok(Page { empty: page.empty || bare(fetch.stream, got.body), ..page })
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        let profile = time::profile_zone(raw.time_zone)?;
        let zone = profile.as_ref();
        let take = |row: Fields<'a>, out: &mut Normalized<'a>| match raw.stream {
            "exercises" => days::exercise(row, zone, out),
            "activities" => days::activity(row, zone, out),
            "cardio-load" => days::load(row, zone, out),
            "spo2" => days::saturation(row, zone, out),
            "sleep" => nights::sleep(row, zone, out),
            "nightly-recharge" => nights::recharge(row, zone, out),
            "continuous-heart-rate" => nights::pulse(row, zone, out),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Polar")),
        };
        if raw.stream == "physical-info" {
            return days::physical(raw, out);
        }
        let name = list(raw.stream);
        if raw.body.trim_ascii_start().starts_with(b"[") {
            let rows: Vec<&'a RawValue> = json::parse(raw.body)?;
            json::each(&rows, "", out, take);
            return Ok(());
        }
        let mut body: Fields<'a> = json::parse(raw.body)?;
        if body.take("error").is_some() {
            return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("error"));
        }
        match body.read::<Vec<&'a RawValue>>(name)? {
            Some(rows) => json::each(&rows, name, out, take),
            None => take(body, out)?,
        }
        Ok(())
    }

    /// Without it nothing is given, and only what is brought to Polar after it.
    fn register(&self, member: &str) -> Option<Fetch> {
        let body = format!("{{\"member-id\":\"{member}\"}}");
        Some(Fetch { json: body, ..Fetch::about(REGISTER, Method::Post, "/v3/users") })
    }

    fn revoke(&self, grant: &Revoke<'_>, previous: Option<&Response<'_>>) -> Option<Fetch> {
        let plain = grant.user.bytes().all(|b| b.is_ascii_digit()) && !grant.user.is_empty() && previous.is_none();
        let end = || Fetch::about(REVOKE, Method::Delete, format!("/v3/users/{}", grant.user));
        plain.then(|| end().header("authorization", format!("Bearer {}", grant.access)))
    }
}

/// Some lists stand in an object of one field, under a name that differs by service.
fn list(stream: &str) -> &str {
    match stream {
        "sleep" => "nights",
        "nightly-recharge" => "recharges",
        other => other,
    }
}

/// Whether such a list is there and has nothing in it.
fn bare(stream: &str, body: &[u8]) -> bool {
    let rows = json::parse::<Fields<'_>>(body).and_then(|mut body| body.read::<Vec<&RawValue>>(list(stream)));
    matches!(rows, Ok(Some(rows)) if rows.is_empty())
}

/// Two windows, a quarter of an hour and a day: until the one that is used up is over.
fn reset(got: &Response<'_>) -> Option<Duration> {
    let pair = |name: &str| -> Option<[u64; 2]> {
        let (short, long) = got.header(name)?.split_once(',')?;
        Some([short.trim().parse().ok()?, long.trim().parse().ok()?])
    };
    let [short, long] = pair("ratelimit-reset")?;
    let day_used = pair("ratelimit-usage").zip(pair("ratelimit-limit")).is_some_and(|(usage, limit)| usage[1] >= limit[1]);
    Some(Duration::from_secs(if day_used { long } else { short }))
}
