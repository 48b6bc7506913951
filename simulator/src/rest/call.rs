//! A request, who made it, and the answers that all of these clouds share.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{dexcom, garmin, oauth, oura, polar, strava, whoop};
use crate::faults::Said;
use crate::oauth::{Grant, Params};
use crate::people::{Profile, Provider};
use crate::record::Record;
use crate::world::{Shared, World};

pub(super) struct Call<'a> {
    pub world: &'a Shared,
    pub provider: Provider,
    pub method: Method,
    /// Without the provider's name, with a leading slash.
    pub path: String,
    pub query: Params,
    pub form: Params,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub(super) async fn call(
    State((world, provider)): State<(Shared, Provider)>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        world: &world,
        provider,
        method,
        path: format!("/{path}"),
        query: Params::parse(query.unwrap_or_default().as_bytes()),
        form: Params::parse(&body),
        headers,
        body,
    };
    if let Some(answer) = oauth::answer(&call) {
        return answer;
    }
    let answered = match provider {
        Provider::Whoop => whoop::answer(&call),
        Provider::Oura => oura::answer(&call),
        Provider::Strava => strava::answer(&call),
        Provider::Dexcom => dexcom::answer(&call),
        Provider::Polar => polar::answer(&call),
        Provider::Garmin => garmin::answer(&call),
        _ => Err(problem(404, "no such cloud")),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// An error as most of them write it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    status: u16,
    message: &'static str,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(json!({"message": self.message, "errors": [{"code": self.status}]}))).into_response()
    }
}

pub(super) fn problem(status: u16, message: &'static str) -> Refused {
    Refused { status, message }
}

pub(crate) fn fault(said: Said) -> Response {
    let refused = match said {
        Said::TooMany => problem(429, "Rate Limit Exceeded"),
        Said::Expired => problem(401, "Authorization Error"),
        Said::Broken => problem(500, "Internal Server Error"),
    };
    refused.into_response()
}

pub(super) type Answer = Result<Response, Refused>;

pub(super) fn ok(value: Value) -> Answer {
    Ok(Json(value).into_response())
}

impl<'a> Call<'a> {
    pub fn token(&self) -> Option<&str> {
        let bearer =
            self.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
        bearer.or(self.query.get("access_token"))
    }

    /// Who granted the token. `scope`, where it is not empty, must be among what was granted.
    pub fn who(&self, scope: &str) -> Result<&'a Profile, Refused> {
        let now = self.world.settings.clock.millis();
        let token = self.token().unwrap_or_default().to_owned();
        let granted = self.world.state().grants.bearer(self.provider, &token, now);
        let Grant { user_id, scopes, .. } = granted.map_err(|_| problem(401, "Authorization Error"))?;
        if !scope.is_empty() && !scopes.iter().any(|s| s == scope) {
            return Err(problem(403, "scope not granted"));
        }
        let world: &'a World = self.world;
        world.person(self.provider, &user_id).ok_or_else(|| problem(401, "Authorization Error"))
    }

    pub fn revoke(&self, who: &Profile) {
        self.world.state().grants.revoke(self.provider, &who.person.user_id);
    }

    pub fn number(&self, name: &str) -> Result<Option<i64>, Refused> {
        let number = |text: &str| text.parse().map_err(|_| problem(400, "not a number"));
        self.query.get(name).map(number).transpose()
    }

    /// Epoch seconds of an RFC 3339 parameter.
    pub fn instant(&self, name: &str) -> Result<Option<i64>, Refused> {
        let parse = |text: &str| text.parse::<jiff::Timestamp>().map(|t| t.as_second()).map_err(|_| problem(400, "not a time"));
        self.query.get(name).map(parse).transpose()
    }

    pub fn date(&self, name: &str) -> Result<jiff::civil::Date, Refused> {
        self.query.get(name).and_then(|text| text.parse().ok()).ok_or_else(|| problem(400, "expected a date"))
    }

    /// What started within [from, to), newest last.
    pub fn range(&self, who: &Profile, stream: &str, from: i64, to: i64) -> Vec<Record> {
        self.world.count(self.provider, |counts| {
            let streams = counts.asked.entry(who.person.user_id.clone()).or_default();
            *streams.entry(stream.to_owned()).or_default() += 1;
        });
        self.world.range(who, stream, from, to, self.world.horizon())
    }

    /// What is of the days from one to another, both included.
    pub fn days(&self, who: &Profile, stream: &str, from: jiff::civil::Date, to: jiff::civil::Date) -> Vec<Record> {
        let horizon = self.world.horizon();
        let days = self.world.days(who, who.midnight(from) - 86_400, who.midnight(to) + 2 * 86_400);
        let mut records: Vec<Record> = days.flat_map(|date| self.world.day(who, stream, date, horizon)).collect();
        records.retain(|record| (from..=to).contains(&record.date));
        records
    }

    /// One record by the id in its body.
    pub fn one(&self, who: &Profile, stream: &str, id: &str) -> Answer {
        let all = self.world.range(who, stream, 0, i64::MAX / 4, self.world.horizon());
        let found = all.into_iter().find(|record| data_id(record) == id);
        found.map_or_else(|| Err(problem(404, "Record Not Found")), |record| ok(record.body))
    }
}

/// The id by which a record is known outside.
pub(super) fn data_id(record: &Record) -> String {
    match &record.body["id"] {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    }
}
