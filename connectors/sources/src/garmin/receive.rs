//! Calls with summaries of several people: the data themselves (push), or addresses to get them from (ping). Nothing is signed, so the route ends
//! in a secret, and an address is followed to the provider's own host or not at all.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::streams;
use crate::json;
use crate::keys::same;
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow, rename = "callbackURL")]
    callback_url: Option<Cow<'a, str>>,
    /// Of a change of permissions.
    permissions: Option<Vec<String>>,
}

pub(super) fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    if !same(call.keys.path_secret.as_deref(), call.tail.as_bytes()) {
        return Err(Refusal::new(401, "wrong_path_secret"));
    }
    if call.method != "POST" {
        return Err(Refusal::new(405, "method_not_allowed"));
    }
    let malformed = |_| Refusal::new(400, "malformed");
    let body: BTreeMap<&str, &RawValue> = json::parse(call.body).map_err(malformed)?;
    let mut receipt = Receipt::status(200);
    for (kind, list) in body {
        let rows: Vec<&RawValue> = json::parse(list.get().as_bytes()).map_err(malformed)?;
        summaries(kind, &rows, &mut receipt);
    }
    Ok(receipt)
}

fn summaries(kind: &str, rows: &[&RawValue], receipt: &mut Receipt) {
    let stream = streams::STREAMS.iter().find(|stream| stream.id == kind).map(|stream| stream.id);
    let mut pushed: BTreeMap<String, Vec<&RawValue>> = BTreeMap::new();
    for raw in rows {
        let Some(row) = json::parse::<Row<'_>>(raw.get().as_bytes()).ok().filter(|row| !row.user_id.is_empty()) else {
            receipt.ignored += 1;
            continue;
        };
        match (kind, stream, row.callback_url) {
            ("deregistrations", ..) => receipt.entries.push(Entry::Hint(Notice::revoked(row.user_id))),
            // Nothing is shared any more.
            ("userPermissionsChange", ..) if row.permissions.as_ref().is_some_and(Vec::is_empty) => {
                receipt.entries.push(Entry::Hint(Notice::revoked(row.user_id)));
            }
            (_, Some(stream), Some(address)) if followed(&address) => {
                let notice = Notice::data(row.user_id, vec![stream]);
                receipt.entries.push(Entry::Hint(Notice { object: Some(address.into_owned()), ..notice }));
            }
            (_, Some(_), None) => pushed.entry(row.user_id.into_owned()).or_default().push(raw),
            _ => receipt.ignored += 1,
        }
    }
    let Some(stream) = stream else { return };
    for (user, rows) in pushed {
        // Each row exactly as it came: a person's part of the call, without the others'.
        let mut body = format!("{{\"{stream}\":[").into_bytes();
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(row.get().as_bytes());
        }
        body.extend_from_slice(b"]}");
        receipt.entries.push(Entry::Payload { user, stream, body });
    }
}

/// Looks like an address of the web. Whether it is the provider's own, the driver decides: it alone knows which that is.
fn followed(address: &str) -> bool {
    let secure = address.starts_with("https://") || address.starts_with("http://");
    secure && address.len() <= 2048 && !address.contains(char::is_whitespace) && address.is_ascii()
}
