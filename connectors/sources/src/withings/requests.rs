//! Requests for a window, and what their answers are.

use std::borrow::Cow;

use headwater_schemas::reject::{Reject, code};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{envelope, revoke, subscriptions};
use crate::json;
use crate::source::{Ask, Fault, Fetch, Page, Response, Window, digest};

const SECOND: i64 = 1_000_000;

/// Fields come only if they are asked for.
const ACTIVITY: &str = "steps,distance,elevation,soft,moderate,intense,active,calories,totalcalories,hr_average,hr_min,hr_max,hr_zone_0,hr_zone_1,hr_zone_2,hr_zone_3";
const INTRADAY: &str = "steps,elevation,calories,distance,stroke,pool_lap,duration,heart_rate,spo2_auto,rmssd,sdnn1,hrv_quality";
const WORKOUT: &str = "calories,intensity,manual_distance,manual_calories,hr_average,hr_min,hr_max,hr_zone_0,hr_zone_1,hr_zone_2,hr_zone_3,pause_duration,algo_pause_duration,spo2_average,steps,distance,elevation,pool_laps,strokes,pool_length";
const SLEEP: &str = "hr,rr,snoring,sdnn_1,rmssd";
const SUMMARY: &str = "nb_rem_episodes,sleep_efficiency,sleep_latency,total_sleep_time,total_timeinbed,wakeup_latency,waso,apnea_hypopnea_index,breathing_disturbances_intensity,asleepduration,deepsleepduration,hr_average,hr_max,hr_min,lightsleepduration,night_events,out_of_bed_count,remsleepduration,rr_average,rr_max,rr_min,sleep_score,snoring,snoringepisodecount,wakeupcount,wakeupduration";

pub(super) fn plan(ask: &Ask<'_>) -> Vec<Fetch> {
    let post = |path: &str, action: &str| Fetch::post(ask, path).form("action", action);
    let fetch = match ask.stream.id {
        // Category 1 is real measurements; 2 would be goals.
        "getmeas" => seconds(post("/measure", "getmeas").form("category", "1"), ask.window),
        "getactivity" => days(post("/v2/measure", "getactivity").form("data_fields", ACTIVITY), ask.window),
        "getintradayactivity" => seconds(post("/v2/measure", "getintradayactivity").form("data_fields", INTRADAY), ask.window),
        "getworkouts" => days(post("/v2/measure", "getworkouts").form("data_fields", WORKOUT), ask.window),
        "sleep" => seconds(post("/v2/sleep", "get").form("data_fields", SLEEP), ask.window),
        "sleepsummary" => days(post("/v2/sleep", "getsummary").form("data_fields", SUMMARY), ask.window),
        "heartlist" => seconds(post("/v2/heart", "list"), ask.window),
        "getdevice" => post("/v2/user", "getdevice"),
        _ => return vec![],
    };
    vec![fetch]
}

/// Both ends are included by the API, so the last second of the window is named.
fn seconds(fetch: Fetch, window: Window) -> Fetch {
    fetch.form("startdate", (window.start / SECOND).to_string()).form("enddate", (window.end / SECOND - 1).to_string())
}

/// Calendar days by their names. Windows begin and end at midnight UTC, so each day's name belongs to exactly one window, in whatever zone
/// the day was lived.
fn days(fetch: Fetch, window: Window) -> Fetch {
    let date =
        |micros| Timestamp::from_microsecond(micros).map(|t| TimeZone::UTC.to_datetime(t).date().to_string()).unwrap_or_default();
    fetch.form("startdateymd", date(window.start)).form("enddateymd", date(window.end - 1))
}

/// The content of any answer: one of these lists, and how to go on.
#[derive(Deserialize)]
struct Lists<'a> {
    #[serde(borrow)]
    measuregrps: Option<&'a RawValue>,
    #[serde(borrow)]
    activities: Option<&'a RawValue>,
    #[serde(borrow)]
    series: Option<&'a RawValue>,
    #[serde(borrow)]
    devices: Option<&'a RawValue>,
    /// 0 or 1 in one service, false or true in the others.
    #[serde(borrow)]
    more: Option<&'a RawValue>,
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow)]
    timezone: Option<Cow<'a, str>>,
}

pub(super) fn read(fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
    let body = envelope::open(got)?;
    if matches!(fetch.stream, subscriptions::STREAM | revoke::STREAM) {
        return Ok(Page { next: None, empty: true, digest: digest([]) });
    }
    let lists: Lists<'_> = json::parse(body).map_err(|reject: Reject| Fault::Broken(reject.under("body")))?;
    let content = [lists.measuregrps, lists.activities, lists.series, lists.devices];
    let (name, own) = match fetch.stream {
        "getmeas" => ("measuregrps", lists.measuregrps),
        "getactivity" => ("activities", lists.activities),
        "getdevice" => ("devices", lists.devices),
        _ => ("series", lists.series),
    };
    // An answer without its list is not an empty one: taken for that, it would withdraw all we hold of the window.
    let own = own.ok_or_else(|| broken("expected the list of the stream", name))?;
    let parts = content.into_iter().flatten().map(|list| list.get().as_bytes());
    // Not part of it: `updatetime`, which changes with every call.
    let digest = digest(parts.chain([lists.timezone.as_deref().unwrap_or_default().as_bytes()]));
    let empty = matches!(own.get(), "[]" | "{}");
    let more = lists.more.is_some_and(|more| !matches!(more.get().trim_matches('"'), "0" | "false" | "null" | ""));
    let offset = lists.offset.map(|offset| offset.get().trim_matches('"')).filter(|_| more);
    let next = more.then(|| next(fetch, offset)).transpose()?;
    Ok(Page { next, empty, digest })
}

/// The same question from another offset; one that was asked before would be asked for ever.
fn next(fetch: &Fetch, offset: Option<&str>) -> Result<Fetch, Fault> {
    let asked = fetch.form.iter().find(|(name, _)| *name == "offset").map_or("0", |(_, offset)| offset);
    match offset {
        Some(offset) if offset != "null" && offset != asked => Ok(fetch.next(|f| f.form("offset", offset))),
        _ => Err(broken("expected the offset of another page, because there is more", "offset")),
    }
}

fn broken(expected: &str, name: &str) -> Fault {
    Fault::Broken(Reject::new(code::UNEXPECTED_SHAPE, expected).at(format!("body.{name}")))
}
