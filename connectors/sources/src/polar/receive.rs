//! Notifications: a ping when the webhook is made, then signed calls that name a resource. The address in them is never followed.

use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::json;
use crate::sign::{self, Written};
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal, Window};

const DAY: i64 = 86_400_000_000;

#[derive(Deserialize)]
struct Notification {
    event: String,
    user_id: Option<i64>,
    date: Option<String>,
}

pub(super) fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    if !call.tail.is_empty() {
        return Err(Refusal::new(404, "no_webhook"));
    }
    if call.method != "POST" {
        return Err(Refusal::new(405, "method_not_allowed"));
    }
    let Some(given) = call.header("polar-webhook-signature") else {
        // Only the ping comes unsigned: its key is given in the answer to it. It tells nothing and changes nothing. Where the header
        // names it, it may have no body.
        let named = call.header("polar-webhook-event") == Some(b"PING".as_slice());
        let said = || call.body.len() <= 1024 && json::parse::<Notification>(call.body).is_ok_and(|said| said.event == "PING");
        let ping = named || said();
        return if ping { Ok(Receipt::status(200)) } else { Err(Refusal::new(401, "missing_signature")) };
    };
    sign::hmac_sha256(call.keys.signing_key.as_deref(), &[call.body], given, Written::Hex)?;
    let said: Notification = json::parse(call.body).map_err(|_| Refusal::new(400, "malformed"))?;
    let streams = match said.event.as_str() {
        "PING" => return Ok(Receipt::status(200)),
        "EXERCISE" => vec!["exercises", "cardio-load"],
        "SLEEP" => vec!["sleep", "nightly-recharge"],
        "CONTINUOUS_HEART_RATE" => vec!["continuous-heart-rate"],
        "ACTIVITY_SUMMARY" => vec!["activities"],
        "PHYSICAL_INFORMATION" => vec!["physical-info"],
        _ => vec![],
    };
    let mut receipt = Receipt::status(200);
    match said.user_id.filter(|_| !streams.is_empty()) {
        Some(user) => {
            let window = said.date.as_deref().and_then(day);
            receipt.entries.push(Entry::Hint(Notice { window, ..Notice::data(user.to_string(), streams) }));
        }
        None => receipt.ignored = 1,
    }
    Ok(receipt)
}

/// A day by its name, in whatever zone: one on either side covers every one of them.
fn day(name: &str) -> Option<Window> {
    let date: jiff::civil::Date = name.parse().ok()?;
    let start = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond();
    (start >= DAY).then_some(Window { start: start - DAY, end: start + 2 * DAY })
}
