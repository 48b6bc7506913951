//! Notifications: form bodies that say "look again at user X". Nothing is signed, so the route ends in a secret, and nothing is believed but
//! that there may be something to see.

use headwater_schemas::hint::Change;
use jiff::Timestamp;

use crate::keys::same;
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal, Window};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

pub(super) fn receive(call: &Inbound<'_>) -> Result<Receipt, Refusal> {
    if !same(call.keys.path_secret.as_deref(), call.tail.as_bytes()) {
        return Err(Refusal::new(401, "wrong_path_secret"));
    }
    match call.method {
        // The handshake: HEAD today, GET in older pages.
        "HEAD" | "GET" => Ok(Receipt::status(200)),
        "POST" => notification(call.body),
        _ => Err(Refusal::new(405, "method_not_allowed")),
    }
}

fn notification(body: &[u8]) -> Result<Receipt, Refusal> {
    let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let user = field("userid").filter(|id| !id.is_empty()).ok_or_else(|| Refusal::new(400, "malformed"))?;
    let mut receipt = Receipt::status(200);
    let change = match field("action") {
        Some("unlink" | "delete") if field("appli") == Some("46") => Change::Revoked,
        _ => Change::Data,
    };
    let streams = streams(field("appli"));
    if change == Change::Data && streams.is_none() {
        receipt.ignored = 1;
        return Ok(receipt);
    }
    let window = if change == Change::Data { window(field("startdate"), field("enddate"), field("date"))? } else { None };
    receipt.entries.push(Entry::Hint(Notice { window, change, ..Notice::data(user, streams.unwrap_or_default()) }));
    Ok(receipt)
}

/// The streams an application number stands for. `None`: it is about nothing we fetch (bed in, bed out, inflation, glucose) or unknown.
fn streams(appli: Option<&str>) -> Option<Vec<&'static str>> {
    Some(match appli?.parse::<u32>().ok()? {
        1 | 2 => vec!["getmeas"],
        4 => vec!["getmeas", "heartlist"],
        16 => vec!["getactivity", "getintradayactivity", "getworkouts"],
        44 => vec!["sleep", "sleepsummary"],
        // The profile changed: whatever hangs on it is looked at again.
        46 => vec![],
        54 | 55 => vec!["heartlist"],
        _ => return None,
    })
}

/// Epoch seconds from and to, or one `date`, as day or as epoch.
fn window(start: Option<&str>, end: Option<&str>, date: Option<&str>) -> Result<Option<Window>, Refusal> {
    let malformed = || Refusal::new(400, "malformed");
    let epoch = |text: &str| text.parse::<i64>().ok().filter(|s| (0..4_102_444_800).contains(s)).map(|s| s * SECOND);
    if let (Some(start), Some(end)) = (start, end) {
        let (start, end) = (epoch(start).ok_or_else(malformed)?, epoch(end).ok_or_else(malformed)?);
        return if end < start { Err(malformed()) } else { Ok(Some(Window { start, end: end + SECOND })) };
    }
    let Some(date) = date else { return Ok(None) };
    let day = match epoch(date) {
        Some(at) => at,
        None => {
            let day: jiff::civil::Date = date.parse().map_err(|_| malformed())?;
            let midnight: Timestamp = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| malformed())?.timestamp();
            midnight.as_microsecond()
        }
    };
    // Whose day it is, is not said: a day on either side covers every zone.
    Ok(Some(Window { start: (day - DAY).max(0), end: day + 2 * DAY }))
}
