//! What these clouds tell when a record appeared, changed or left, each in its own words and under its own signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::call::data_id;
use super::garmin::{PINGED, token};
use crate::people::{Profile, Provider, instant};
use crate::record::Record;
use crate::send::Notification;
use crate::world::World;

pub(crate) fn mac(key: &str, over: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    over.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).expect("four bits")).collect()
}

/// The notification about one record; `None` where the cloud tells nothing of it.
pub(crate) fn about(world: &World, who: &Profile, record: &Record, deleted: bool) -> Option<Notification> {
    let (provider, user) = (who.person.provider, &who.person.user_id);
    let number = user.parse::<i64>().unwrap_or_default();
    let (word, id) = (record.stream.as_str(), data_id(record));
    let body = match provider {
        Provider::Whoop if word != "cycle" => {
            json!({"user_id": number, "id": id, "type": format!("{word}.{}", if deleted { "deleted" } else { "updated" }), "trace_id": "t"})
        }
        Provider::Oura => json!({
            "event_type": if deleted { "delete" } else { "update" }, "data_type": word, "object_id": id, "event_time": instant(record.modified).to_string(), "user_id": user,
        }),
        Provider::Strava => json!({
            "aspect_type": if deleted { "delete" } else { "update" }, "event_time": record.modified, "object_id": record.id, "object_type": "activity", "owner_id": number,
            "subscription_id": 1, "updates": {},
        }),
        Provider::Polar => json!({
            "event": match word { "exercises" => "EXERCISE", "activities" => "ACTIVITY_SUMMARY", _ => "SLEEP" }, "user_id": number, "date": record.date.to_string(),
            "timestamp": instant(record.modified).to_string(), "url": "https://example.invalid/never-followed",
        }),
        // What was deleted there is not told.
        Provider::Garmin if !deleted => return garmin(world, user, word, std::slice::from_ref(record)),
        _ => return None,
    };
    signed(world, provider, body.to_string().into_bytes())
}

/// The person ended the grant on the provider's page.
pub(crate) fn unlinked(world: &World, who: &Profile) -> Option<Notification> {
    let (provider, user) = (who.person.provider, &who.person.user_id);
    let body = match provider {
        Provider::Strava => json!({
            "aspect_type": "update", "event_time": 1, "object_id": 1, "object_type": "athlete", "owner_id": user.parse::<i64>().unwrap_or_default(), "subscription_id": 1,
            "updates": {"authorized": "false"},
        }),
        Provider::Garmin => json!({"deregistrations": [{"userId": user}]}),
        _ => return None,
    };
    signed(world, provider, body.to_string().into_bytes())
}

fn signed(world: &World, provider: Provider, body: Vec<u8>) -> Option<Notification> {
    let url = world.settings.webhooks.as_ref()?.of(provider)?;
    let (secret, now) = (world.settings.oauth.client_secret.as_str(), world.settings.clock.millis());
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    match provider {
        Provider::Whoop => {
            let stamp = now.to_string();
            add("x-whoop-signature", STANDARD.encode(mac(secret, &[stamp.as_bytes(), &body])));
            add("x-whoop-signature-timestamp", stamp);
        }
        Provider::Oura => {
            let stamp = (now / 1000).to_string();
            add("x-oura-signature", hex(&mac(secret, &[stamp.as_bytes(), &body])).to_uppercase());
            add("x-oura-timestamp", stamp);
        }
        Provider::Strava => {
            let stamp = (now / 1000).to_string();
            let signature = hex(&mac(secret, &[stamp.as_bytes(), b".", &body]));
            add("x-strava-signature", format!("t={stamp},v1={signature}"));
        }
        Provider::Polar => add("polar-webhook-signature", hex(&mac(&world.settings.oauth.signing_key, &[&body]))),
        _ => {}
    }
    Some(Notification { provider, url, headers, body })
}

/// Data themselves, or for one type an address to get them from.
pub(super) fn garmin(world: &World, user: &str, stream: &str, records: &[Record]) -> Option<Notification> {
    let (first, last) = (records.first()?, records.last()?);
    let rows: Vec<serde_json::Value> = if stream == PINGED {
        let (from, to) = (first.start, last.start + 1);
        let host = world.state().host.clone();
        let query = format!("uploadStartTimeInSeconds={from}&uploadEndTimeInSeconds={to}&token={}", token(user, from, to));
        vec![json!({"userId": user, "callbackURL": format!("http://{host}/garmin/wellness-api/rest/{stream}?{query}")})]
    } else {
        records.iter().map(|record| record.body.clone()).collect()
    };
    signed(world, Provider::Garmin, json!({ stream: rows }).to_string().into_bytes())
}
