//! Notifications: a signed JSON array of "something changed".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_schemas::hint::Change;
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha1::Sha1;

use crate::keys::same;
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal, Window};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    collection_type: String,
    owner_id: String,
    date: Option<String>,
}

pub(super) fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    match call.method {
        "GET" => verification(call),
        "POST" => {
            signature(call)?;
            notifications(call.body)
        }
        _ => Err(Refusal::new(405, "method_not_allowed")),
    }
}

/// Two calls, one with the right code and one with a wrong one: 204 and 404.
fn verification(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    let given =
        form_urlencoded::parse(call.query.as_bytes()).find(|(name, _)| name == "verify").map(|(_, code)| code.into_owned());
    if same(call.keys.verification_code.as_deref(), given.unwrap_or_default().as_bytes()) {
        Ok(Receipt::status(204))
    } else {
        Err(Refusal::new(404, "wrong_verification_code"))
    }
}

/// Base64 of HMAC-SHA1 over the bytes as they came; the key is the client secret with an ampersand after it.
fn signature(call: &Inbound<'_>) -> Result<(), Refusal> {
    let wrong = |code| Refusal::new(401, code);
    let given = call.header("x-fitbit-signature").ok_or_else(|| wrong("missing_signature"))?;
    let given = STANDARD.decode(given).map_err(|_| wrong("bad_signature"))?;
    let secret = call.keys.client_secret.as_deref().filter(|s| !s.is_empty()).ok_or_else(|| wrong("no_client_secret"))?;
    let mut mac = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()).map_err(|_| wrong("no_client_secret"))?;
    mac.update(call.body);
    mac.verify_slice(&given).map_err(|_| wrong("bad_signature"))
}

fn notifications(body: &[u8]) -> Result<Receipt, Refusal> {
    let entries: Vec<Notification> = serde_json::from_slice(body).map_err(|_| Refusal::new(400, "malformed"))?;
    let mut receipt = Receipt::status(204);
    for entry in entries {
        let (streams, change): (&[&'static str], _) = match entry.collection_type.as_str() {
            "activities" => (&["activities", "steps", "distance", "calories", "floors", "heart"], Change::Data),
            "sleep" => (&["sleep", "hrv", "spo2", "br", "temp-skin"], Change::Data),
            "body" => (&["weight", "fat"], Change::Data),
            "userRevokedAccess" => (&[], Change::Revoked),
            _ => {
                receipt.ignored += 1;
                continue;
            }
        };
        let window = entry.date.as_deref().and_then(window).filter(|_| change == Change::Data);
        let notice = Notice::data(entry.owner_id, streams.to_vec());
        receipt.entries.push(Entry::Hint(Notice { window, change, ..notice }));
    }
    Ok(receipt)
}

/// The local day, with a day on either side, as its zone is not said.
fn window(date: &str) -> Option<Window> {
    const DAY: i64 = 86_400_000_000;
    let day: jiff::civil::Date = date.parse().ok()?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond();
    Some(Window { start: midnight - DAY, end: midnight + 2 * DAY })
}
