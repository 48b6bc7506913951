//! Listing data points: every source as it came, or one merged stream; newest first, page by page.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::filter::Filter;
use super::types::{Shape, Type, find};
use super::{Call, Problem};
use crate::dice;
use crate::oauth::Params;
use crate::record::{Origin, Record};
use crate::world::Shared;

type Answer = Result<Json<Value>, Problem>;

pub(super) async fn list(
    State(world): State<Shared>,
    Path((user, kind)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let call = Call::check(&world, &headers, &user)?;
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let kind = kind_of(&call, &kind)?;
    let page = Page::find(&call, kind, &params, &|_| true)?;
    Ok(Json(page.render(|record| record.body)))
}

pub(super) async fn reconcile(
    State(world): State<Shared>,
    Path((user, kind)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let call = Call::check(&world, &headers, &user)?;
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let kind = kind_of(&call, &kind)?;
    let family = params.get("dataSourceFamily").unwrap_or("users/me/dataSourceFamilies/all-sources");
    let origins = family_of(family)?;
    let page = Page::find(&call, kind, &params, &|record| origins.contains(&record.origin))?;
    Ok(Json(page.render(|record| {
        let mut body = record.body;
        if let Value::Object(fields) = &mut body {
            // A merged point belongs to no device, and its name has another name.
            fields.remove("dataSource");
            if let Some(name) = fields.remove("name") {
                fields.insert("dataPointName".to_owned(), name);
            }
        }
        body
    })))
}

pub(super) async fn one(
    State(world): State<Shared>,
    Path((user, kind, point)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let call = Call::check(&world, &headers, &user)?;
    let kind = kind_of(&call, &kind)?;
    let name = format!("users/{}/dataTypes/{}/dataPoints/{point}", call.who.person.user_id, kind.kebab);
    let all = call.world.range(call.who, kind.kebab, 0, i64::MAX / 4, call.world.horizon());
    let found = all.into_iter().find(|record| record.body["name"] == json!(name));
    let record = found.ok_or_else(|| Problem::new(404, "NOT_FOUND", "Requested entity was not found."))?;
    Ok(Json(record.body))
}

/// The type, if it exists, can be listed and is covered by the token.
fn kind_of(call: &Call<'_>, kebab: &str) -> Result<&'static Type, Problem> {
    let kind = find(kebab).ok_or_else(|| Problem::argument(format!("Invalid data type: {kebab}.")))?;
    call.allow(kind.scope)?;
    if kind.shape == Shape::RollUpOnly {
        return Err(Problem::argument(format!("The data type {kebab} does not support this operation.")));
    }
    Ok(kind)
}

/// What a family of sources admits to a merged stream.
pub(super) fn family_of(name: &str) -> Result<&'static [Origin], Problem> {
    match name.strip_prefix("users/me/dataSourceFamilies/") {
        Some("all-sources") => Ok(&[Origin::Band, Origin::Person, Origin::PhoneAlone]),
        Some("google-wearables") => Ok(&[Origin::Band]),
        Some("google-sources") => Ok(&[Origin::Band, Origin::Person]),
        _ => Err(Problem::argument(format!("Invalid data source family: {name}."))),
    }
}

struct Page {
    records: Vec<Record>,
    next: Option<String>,
}

impl Page {
    fn find(call: &Call<'_>, kind: &'static Type, params: &Params, wanted: &dyn Fn(&Record) -> bool) -> Result<Self, Problem> {
        let text = params.get("filter");
        let filter = text.map(|text| Filter::parse(text, kind)).transpose()?;
        let size = page_size(kind, params.get("pageSize"))?;
        let fingerprint = dice::mix(&[dice::key(kind.kebab), dice::key(text.unwrap_or_default())]);
        let before = params.get("pageToken").map(|token| Token::parse(token, fingerprint)).transpose()?;
        let (from, mut to) = filter.as_ref().map_or((0, i64::MAX / 4), Filter::window);
        if let Some(before) = &before {
            to = to.min(before.start);
        }
        let at = call.world.horizon();
        let mut records: Vec<Record> = Vec::new();
        // Days from the newest on, until the page is full.
        for date in call.world.days(call.who, from, to).rev() {
            let mut day = call.world.day(call.who, kind.kebab, date, at);
            day.reverse();
            day.retain(|record| {
                wanted(record)
                    && filter.as_ref().is_none_or(|filter| filter.admits(call.who, record))
                    && before.as_ref().is_none_or(|before| (record.start, record.id) < (before.start, before.id))
            });
            records.append(&mut day);
            if records.len() > size {
                break;
            }
        }
        let more = records.len() > size;
        records.truncate(size);
        let next = records.last().filter(|_| more).map(|last| Token { start: last.start, id: last.id }.render(fingerprint));
        Ok(Self { records, next })
    }

    /// Without points the answer is an empty object.
    fn render(self, body: impl Fn(Record) -> Value) -> Value {
        let mut answer = json!({});
        if !self.records.is_empty() {
            answer["dataPoints"] = self.records.into_iter().map(body).collect();
        }
        if let Some(next) = self.next {
            answer["nextPageToken"] = json!(next);
        }
        answer
    }
}

/// Too large a size is cut down, as documented; no number, or a negative one, is an error.
fn page_size(kind: &Type, asked: Option<&str>) -> Result<usize, Problem> {
    let (most, usual) = kind.page_sizes();
    let Some(asked) = asked else { return Ok(usual) };
    let asked: i32 = asked.parse().map_err(|_| Problem::argument("Invalid value at 'page_size' (TYPE_INT32)."))?;
    match usize::try_from(asked) {
        Ok(0) => Ok(usual),
        Ok(asked) => Ok(asked.min(most)),
        Err(_) => Err(Problem::argument("page_size must not be negative.")),
    }
}

/// Where the next page begins: after this point. It fits one type and filter only.
struct Token {
    start: i64,
    id: u64,
}

impl Token {
    fn render(&self, fingerprint: u64) -> String {
        URL_SAFE_NO_PAD.encode(format!("{fingerprint}.{}.{}", self.start, self.id))
    }

    fn parse(text: &str, fingerprint: u64) -> Result<Self, Problem> {
        let refuse = || Problem::argument("Invalid page token.");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse())?;
        let text = String::from_utf8(bytes).map_err(|_| refuse())?;
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or_else(refuse);
        if part()?.parse() != Ok(fingerprint) {
            return Err(refuse());
        }
        Ok(Self { start: part()?.parse().map_err(|_| refuse())?, id: part()?.parse().map_err(|_| refuse())? })
    }
}
