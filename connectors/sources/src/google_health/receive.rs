//! The webhook: a handshake that must be answered in two ways, and signed notifications that name a type and the times to look at again.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{signature, types, when};
use crate::fields::Fields;
use crate::json;
use crate::keys::same;
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal, Window};

const SIGNATURE: [&str; 2] = ["google-health-api-signature", "x-healthapi-signature"];
/// Only the handshake comes unsigned, and it is shorter than this.
const HANDSHAKE_LIMIT: usize = 1024;
const HOUR: i64 = 3_600_000_000;
const PLAUSIBLE: std::ops::Range<i64> = 0..4_102_444_800_000_000;

pub fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    if !call.tail.is_empty() {
        return Err(Refusal::new(404, "no_webhook"));
    }
    if call.method != "POST" {
        return Err(Refusal::new(405, "bad_method"));
    }
    let authorized = same(call.keys.authorization.as_deref(), call.header("authorization").unwrap_or_default());
    let Some(given) = SIGNATURE.iter().find_map(|name| call.header(name)) else {
        return match call.body.len() <= HANDSHAKE_LIMIT && handshake(call.body) {
            true if authorized => Ok(Receipt::status(201)),
            true => Err(Refusal::new(401, "bad_authorization")),
            false => Err(Refusal::new(401, "no_signature")),
        };
    };
    signature::verify(given, call.body, call.keys.keyset.as_deref())?;
    if handshake(call.body) {
        return if authorized { Ok(Receipt::status(201)) } else { Err(Refusal::new(401, "bad_authorization")) };
    }
    if call.keys.authorization_required && !authorized {
        return Err(Refusal::new(401, "bad_authorization"));
    }
    notifications(call.body)
}

fn handshake(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Handshake<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    json::parse::<Handshake>(body).is_ok_and(|body| body.kind == "verification")
}

/// One notification or a list of them; each is judged by itself.
fn notifications(body: &[u8]) -> Result<Receipt, Refusal> {
    let bad = |_| Refusal::new(400, "bad_body");
    let single: Vec<&RawValue>;
    let rows = if body.trim_ascii_start().starts_with(b"[") {
        json::parse::<Vec<&RawValue>>(body).map_err(bad)?
    } else {
        single = vec![json::parse::<&RawValue>(body).map_err(bad)?];
        single
    };
    let mut receipt = Receipt::status(204);
    for row in rows {
        match hints(row) {
            Some(hints) => receipt.entries.extend(hints.into_iter().map(Entry::Hint)),
            None => receipt.ignored += 1,
        }
    }
    Ok(receipt)
}

/// What a notification asks to look at; `None` where it names no person or nothing this build knows. The operation is not looked at: after an
/// upsert, a deletion or a word yet to come, the thing to do is to read the whole window again.
fn hints(row: &RawValue) -> Option<Vec<Notice>> {
    let mut outer: Fields = json::parse(row.get().as_bytes()).ok()?;
    let mut data = outer.read::<Fields>("data").ok()??;
    let user = data.text("healthUserId").ok()??.into_owned();
    let streams = types::find(&data.text("dataType").ok()??)?.streams();
    let intervals = data.read::<Vec<&RawValue>>("intervals").ok().flatten().unwrap_or_default();
    let notice = |window| Notice { window, ..Notice::data(user.clone(), streams.clone()) };
    if intervals.is_empty() {
        // Without a window the driver looks at the trailing one.
        return Some(vec![notice(None)]);
    }
    let mut windows: Vec<Option<Window>> = intervals.iter().map(|interval| window(interval)).collect();
    windows.sort_unstable();
    windows.dedup();
    Some(windows.into_iter().map(notice).collect())
}

/// The physical interval where there is one; else the civil one, widened by every offset there is, because the person's is not told.
fn window(interval: &RawValue) -> Option<Window> {
    let mut interval: Fields = json::parse(interval.get().as_bytes()).ok()?;
    if let Ok(Some(mut physical)) = interval.read::<Fields>("physicalTimeInterval") {
        let mut at = |name| physical.text(name).ok()??.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
        let (start, end) = (at("startTime"), at("endTime"));
        if let Some(start) = start {
            return sensible(start, end.unwrap_or(start));
        }
    }
    let (start, end) = civil_parts(&mut interval).or_else(|| civil_text(&mut interval))?;
    let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp().as_microsecond());
    sensible(utc(start)? - 14 * HOUR, utc(end)? + 12 * HOUR)
}

fn civil_parts(interval: &mut Fields<'_>) -> Option<(DateTime, DateTime)> {
    let mut civil = interval.read::<Fields>("civilDateTimeInterval").ok()??;
    let mut at = |name| {
        let (date, time) = when::civil(civil.read(name).ok()??).ok()?;
        Some(date.to_datetime(time.unwrap_or_else(jiff::civil::Time::midnight)))
    };
    let start = at("startDateTime")?;
    Some((start, at("endDateTime").unwrap_or(start)))
}

fn civil_text(interval: &mut Fields<'_>) -> Option<(DateTime, DateTime)> {
    let mut civil = interval.read::<Fields>("civilIso8601TimeInterval").ok()??;
    let mut at = |name| civil.text(name).ok()??.parse::<DateTime>().ok();
    let start = at("startTime")?;
    Some((start, at("endTime").unwrap_or(start)))
}

/// A sample's interval is empty; a window never is.
fn sensible(start: i64, end: i64) -> Option<Window> {
    (start <= end && PLAUSIBLE.contains(&start) && PLAUSIBLE.contains(&end))
        .then(|| Window { start, end: end.max(start + 1_000_000) })
}
