//! Requests and what their answers are: filters, roll-up bodies, paging and Google's error envelope.

use std::borrow::Cow;
use std::time::Duration;

use headwater_schemas::reject::{Reject, code};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::streams::{self, Operation};
use super::types::{DataType, Time};
use crate::json;
use crate::source::{Ask, Fault, Fetch, Method, Page, Response, Window, digest};

const HOUR: i64 = 3_600_000_000;
/// Civil clocks run from 12 hours behind UTC to 14 hours ahead of it.
const BEHIND: i64 = 12 * HOUR;
const AHEAD: i64 = 14 * HOUR;
/// No sleep that started in a window ends later than this after it.
const LONGEST_SLEEP: i64 = 24 * HOUR;

/// A list or a daily roll-up that covers at least what starts in the window, wherever on earth the person is.
pub fn plan(ask: &Ask<'_>) -> Vec<Fetch> {
    let Some((kind, operation)) = streams::of_stream(ask.stream.id) else { return Vec::new() };
    let points = format!("/v4/users/me/dataTypes/{}/dataPoints", kind.name);
    vec![match operation {
        Operation::List => {
            Fetch::get(ask, points).query("filter", filter(kind, ask.window)).query("pageSize", kind.page_size().to_string())
        }
        Operation::DailyRollUp => {
            let (from, to) = days(ask.window);
            let range = json!({"start": {"date": parts(from)}, "end": {"date": parts(to)}});
            let body = json!({"range": range, "windowSizeDays": 1}).to_string();
            Fetch { json: body, ..Fetch::post(ask, format!("{points}:dailyRollUp")) }
        }
    }]
}

/// AIP-160: names in snake case, one time field, `>=` and `<`.
fn filter(kind: &DataType, Window { start, end }: Window) -> String {
    let name = kind.snake();
    let (field, from, to) = match kind.time {
        Time::Interval => ("interval.start_time", instant(start), instant(end)),
        Time::Sample => ("sample_time.physical_time", instant(start), instant(end)),
        Time::Sleep => ("interval.end_time", instant(start), instant(end.saturating_add(LONGEST_SLEEP))),
        Time::Session => ("interval.civil_start_time", civil(start.saturating_sub(BEHIND)), civil(end.saturating_add(AHEAD))),
        Time::Daily | Time::RollUp => {
            let (from, to) = days(Window { start, end });
            ("date", from.to_string(), to.to_string())
        }
    };
    format!("{name}.{field} >= \"{from}\" AND {name}.{field} < \"{to}\"")
}

fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros.clamp(0, 4_102_444_800 * 1_000_000)).unwrap_or_default()
}

fn instant(micros: i64) -> String {
    timestamp(micros).to_string()
}

fn civil(micros: i64) -> String {
    timestamp(micros).to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// The days whose midnight lies in the window somewhere on earth; the last is excluded.
fn days(window: Window) -> (Date, Date) {
    let date = |micros: i64| timestamp(micros).to_zoned(TimeZone::UTC).date();
    let last = date(window.end.saturating_add(AHEAD));
    (date(window.start.saturating_sub(BEHIND)), last.tomorrow().unwrap_or(last))
}

fn parts(date: Date) -> Value {
    json!({"year": date.year(), "month": date.month(), "day": date.day()})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    data_points: Option<&'a RawValue>,
    #[serde(borrow)]
    rollup_data_points: Option<&'a RawValue>,
    #[serde(borrow)]
    next_page_token: Option<Cow<'a, str>>,
    error: Option<Envelope>,
}

/// `google.rpc.Status`, as far as anything depends on it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Envelope {
    code: u16,
    status: String,
    details: Vec<Detail>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    reason: String,
    retry_delay: String,
}

pub fn read(fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
    if got.status != 200 {
        let envelope = json::parse::<Body>(got.body).ok().and_then(|body| body.error).unwrap_or_default();
        return Err(fault(got.status, &envelope, got));
    }
    let body: Body = json::parse(got.body).map_err(Fault::Broken)?;
    if let Some(envelope) = &body.error {
        return Err(fault(envelope.code, envelope, got));
    }
    let lists = [("dataPoints", body.data_points), ("rollupDataPoints", body.rollup_data_points)];
    let mut empty = true;
    for (name, list) in lists.iter().filter_map(|(name, list)| Some((*name, (*list)?))) {
        let rows: Vec<&RawValue> = json::parse(list.get().as_bytes()).map_err(|r| Fault::Broken(r.under(name)))?;
        empty &= rows.is_empty();
    }
    let token = body.next_page_token.filter(|token| !token.is_empty());
    let next = token.map(|token| next(fetch, &token)).transpose().map_err(Fault::Broken)?;
    let content = lists.iter().filter_map(|(_, list)| list.map(|list| list.get().as_bytes()));
    Ok(Page { next, empty, digest: digest(content) })
}

/// The same question with the token; one that was asked before would be asked for ever.
fn next(fetch: &Fetch, token: &str) -> Result<Fetch, Reject> {
    let again = || Reject::new(code::UNEXPECTED_SHAPE, "expected the token of another page").at("nextPageToken");
    if fetch.method == Method::Get {
        let same = fetch.query.iter().any(|(name, value)| *name == "pageToken" && value == token);
        return if same { Err(again()) } else { Ok(fetch.next(|f| f.query("pageToken", token))) };
    }
    let mut body: Value = json::parse(fetch.json.as_bytes())?;
    if body["pageToken"].as_str() == Some(token) {
        return Err(again());
    }
    body["pageToken"] = Value::from(token);
    Ok(fetch.next(|f| Fetch { json: body.to_string(), ..f }))
}

fn fault(status: u16, envelope: &Envelope, got: &Response<'_>) -> Fault {
    let says = |word: &str| envelope.status == word || envelope.details.iter().any(|detail| detail.reason == word);
    let after = || got.retry_after().or_else(|| envelope.details.iter().find_map(|d| delay(&d.retry_delay)));
    match status {
        _ if status == 429 || says("RESOURCE_EXHAUSTED") || says("RATE_LIMIT_EXCEEDED") => Fault::Limited { after: after() },
        _ if status == 401 || says("UNAUTHENTICATED") => Fault::Reauthorise,
        _ if says("ACCESS_TOKEN_SCOPE_INSUFFICIENT") => Fault::Refused("scope"),
        _ if says("ACCOUNT_NOT_LINKED") => Fault::Refused("account_not_linked"),
        403 if says("SERVICE_DISABLED") => Fault::Refused("service_disabled"),
        403 => Fault::Refused("forbidden"),
        // A type that this account, region or release does not have.
        404 => Fault::Refused("not_found"),
        410 => Fault::Gone,
        408 => Fault::Again { why: "timeout", after: after() },
        409 => Fault::Again { why: "aborted", after: after() },
        500.. => Fault::Again { why: "server_error", after: after() },
        400 => Fault::Refused("bad_request"),
        _ => Fault::Broken(Reject::new(code::UNEXPECTED_SHAPE, "expected status 200 or one of the documented errors")),
    }
}

fn delay(text: &str) -> Option<Duration> {
    let (whole, part) = super::when::duration(text)?;
    let seconds = u64::try_from(whole).ok()? + u64::from(!part.is_empty());
    Some(Duration::from_secs(seconds))
}

/// The account's id is in no token answer and has to be asked for.
pub fn identify() -> Fetch {
    Fetch::new("identity", Window { start: 0, end: 0 }, Method::Get, "/v4/users/me/identity")
}

pub fn read_identity(got: &Response<'_>) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Identity {
        health_user_id: String,
    }
    let identity: Identity = (got.status == 200).then(|| json::parse(got.body).ok())??;
    Some(identity.health_user_id).filter(|id| !id.is_empty())
}
