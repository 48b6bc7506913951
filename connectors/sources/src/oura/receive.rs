//! Notifications: a challenge when a subscription is made, then signed calls that name one document each.

use serde::Deserialize;

use crate::json;
use crate::keys::same;
use crate::sign::{self, Written};
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal};

#[derive(Deserialize)]
struct Notification {
    data_type: String,
    object_id: Option<String>,
    user_id: String,
}

pub(super) fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    if !call.tail.is_empty() {
        return Err(Refusal::new(404, "no_webhook"));
    }
    match call.method {
        "GET" => challenge(call),
        "POST" => {
            let given = sign::header(call, "x-oura-signature")?;
            let stamp = sign::header(call, "x-oura-timestamp")?;
            sign::hmac_sha256(call.keys.client_secret.as_deref(), &[stamp, call.body], given, Written::Hex)?;
            notification(call.body)
        }
        _ => Err(Refusal::new(405, "method_not_allowed")),
    }
}

fn challenge(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    let given =
        |name: &str| form_urlencoded::parse(call.query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    if !same(call.keys.verification_code.as_deref(), given("verification_token").unwrap_or_default().as_bytes()) {
        return Err(Refusal::new(401, "wrong_verification_code"));
    }
    let challenge = given("challenge").filter(|c| c.len() <= 512).ok_or_else(|| Refusal::new(400, "malformed"))?;
    let body = serde_json::to_vec(&std::collections::BTreeMap::from([("challenge", challenge)]));
    let body = body.map_err(|_| Refusal::new(400, "malformed"))?;
    Ok(Receipt { content_type: "application/json", body, ..Receipt::status(200) })
}

fn notification(body: &[u8]) -> Result<Receipt, Refusal> {
    let said: Notification = json::parse(body).map_err(|_| Refusal::new(400, "malformed"))?;
    let mut receipt = Receipt::status(200);
    match super::streams::STREAMS.iter().find(|stream| stream.id == said.data_type) {
        Some(stream) if !said.user_id.is_empty() => {
            let object = said.object_id.filter(|id| !id.is_empty() && id.len() <= 64);
            receipt.entries.push(Entry::Hint(Notice { object, ..Notice::data(said.user_id, vec![stream.id]) }));
        }
        _ => receipt.ignored = 1,
    }
    Ok(receipt)
}
