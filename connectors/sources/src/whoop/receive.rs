//! Notifications: signed over a stamp and the body, and naming one record each.

use serde::Deserialize;

use crate::json;
use crate::sign::{self, Written};
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal};

/// A call is not taken more than this long after it was signed.
const TOLERANCE: i64 = 300_000_000;

#[derive(Deserialize)]
struct Notification {
    user_id: i64,
    id: Option<Id>,
    #[serde(rename = "type")]
    kind: String,
}

/// A UUID; a number in the retired version.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

pub(super) fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    if !call.tail.is_empty() {
        return Err(Refusal::new(404, "no_webhook"));
    }
    if call.method != "POST" {
        return Err(Refusal::new(405, "method_not_allowed"));
    }
    let given = sign::header(call, "x-whoop-signature")?;
    let stamp = sign::header(call, "x-whoop-signature-timestamp")?;
    sign::hmac_sha256(call.keys.client_secret.as_deref(), &[stamp, call.body], given, Written::Base64)?;
    sign::fresh(call, sign::number(stamp).and_then(|millis| millis.checked_mul(1000)), TOLERANCE)?;
    let said: Notification = json::parse(call.body).map_err(|_| Refusal::new(400, "malformed"))?;
    let mut receipt = Receipt::status(204);
    let (what, _) = said.kind.split_once('.').unwrap_or((&said.kind, ""));
    let streams = match what {
        // A recovery changes with its night, and both with the cycle they are of.
        "sleep" => vec!["sleep", "recovery", "cycle"],
        "recovery" => vec!["recovery"],
        "workout" => vec!["workout", "cycle"],
        _ => {
            receipt.ignored = 1;
            return Ok(receipt);
        }
    };
    let user = said.user_id.to_string();
    let object = match said.id {
        Some(Id::Text(id)) if !id.is_empty() && id.len() <= 64 => Some(id),
        Some(Id::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    // The record named is of the first stream; the others are looked at where they always are.
    let (own, others) = streams.split_at(1);
    let notice = Notice { object, ..Notice::data(user.clone(), own.to_vec()) };
    receipt.entries.push(Entry::Hint(notice));
    if !others.is_empty() {
        receipt.entries.push(Entry::Hint(Notice::data(user, others.to_vec())));
    }
    Ok(receipt)
}
