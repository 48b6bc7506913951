//! Notifications: a challenge when the one subscription of the application is made, then calls that name one activity each.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;
use crate::keys::same;
use crate::sign::{self, Written};
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal};

/// A call is not taken more than this long after it was signed.
const TOLERANCE: i64 = 300_000_000;

#[derive(Deserialize)]
struct Event<'a> {
    object_type: &'a str,
    object_id: i64,
    owner_id: i64,
    subscription_id: Option<i64>,
    #[serde(borrow)]
    updates: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Updates {
    /// `"false"`, as text.
    authorized: Option<String>,
}

pub(super) fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    if !call.tail.is_empty() && !same(call.keys.path_secret.as_deref(), call.tail.as_bytes()) {
        return Err(Refusal::new(401, "wrong_path_secret"));
    }
    match call.method {
        "GET" => challenge(call),
        "POST" => {
            signature(call)?;
            event(call)
        }
        _ => Err(Refusal::new(405, "method_not_allowed")),
    }
}

fn challenge(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    let given =
        |name: &str| form_urlencoded::parse(call.query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    if !same(call.keys.verification_code.as_deref(), given("hub.verify_token").unwrap_or_default().as_bytes()) {
        return Err(Refusal::new(401, "wrong_verification_code"));
    }
    let challenge =
        given("hub.challenge").filter(|c| c.len() <= 512 && given("hub.mode").as_deref() == Some("subscribe") && !c.is_empty());
    let challenge = challenge.ok_or_else(|| Refusal::new(400, "malformed"))?;
    let body = serde_json::to_vec(&std::collections::BTreeMap::from([("hub.challenge", challenge)]));
    let body = body.map_err(|_| Refusal::new(400, "malformed"))?;
    Ok(Receipt { content_type: "application/json", body, ..Receipt::status(200) })
}

/// `t=<seconds>,v1=<hex>` over `<seconds>.<body>`. Without one, a call must know the secret of the path.
fn signature(call: &Inbound<'_>) -> Result<(), Refusal> {
    let Some(header) = call.header("x-strava-signature") else {
        let known = same(call.keys.path_secret.as_deref(), call.tail.as_bytes());
        return if known { Ok(()) } else { Err(Refusal::new(401, "missing_signature")) };
    };
    let part = |name: &[u8]| header.split(|b| *b == b',').find_map(|part| part.trim_ascii().strip_prefix(name));
    let wrong = || Refusal::new(401, "bad_signature");
    let (stamp, given) = (part(b"t=").ok_or_else(wrong)?, part(b"v1=").ok_or_else(wrong)?);
    sign::hmac_sha256(call.keys.client_secret.as_deref(), &[stamp, b".", call.body], given, Written::Hex)?;
    sign::fresh(call, sign::number(stamp).and_then(|seconds| seconds.checked_mul(1_000_000)), TOLERANCE)
}

fn event(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    let malformed = |_| Refusal::new(400, "malformed");
    let event: Event<'_> = json::parse(call.body).map_err(malformed)?;
    if let Some(ours) = call.keys.subscription.as_deref()
        && event.subscription_id.map(|id| id.to_string()).as_deref() != Some(ours)
    {
        return Err(Refusal::new(401, "other_subscription"));
    }
    let mut receipt = Receipt::status(200);
    let user = event.owner_id.to_string();
    let updates = event.updates.filter(|raw| raw.get().starts_with('{'));
    let authorized = updates.map(|raw| json::parse::<Updates>(raw.get().as_bytes())).transpose().map_err(malformed)?;
    let revoked = authorized.and_then(|updates| updates.authorized).as_deref() == Some("false");
    match event.object_type {
        "athlete" if revoked => receipt.entries.push(Entry::Hint(Notice::revoked(user))),
        "athlete" => receipt.entries.push(Entry::Hint(Notice::data(user, vec!["athlete"]))),
        "activity" => {
            let notice = Notice::data(user, vec!["activities"]);
            receipt.entries.push(Entry::Hint(Notice { object: Some(event.object_id.to_string()), ..notice }));
        }
        _ => receipt.ignored = 1,
    }
    Ok(receipt)
}
