//! The clouds: accounts with tokens and records, answering in the process as the providers' documentation says.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Request;
use headwater_ingest::http::Answer;
use headwater_schemas::ids;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::plan::{self, Kind, Plan, Rule};
use crate::seams::Life;

const SECOND: i64 = 1_000_000;
/// Longest that a process which lives has a pair in hand: it tries to store it for a minute, and the last try may meet an outage.
const IN_HAND: i64 = 130 * SECOND;
/// Longest that a call stands still.
const STALL: i64 = 400 * SECOND;
/// How long an access token lives.
pub const ACCESS_LIFE: i64 = 1500;
/// How long a token that was used is still good at a cloud with grace.
const GRACE: i64 = 8 * 3600 * SECOND;
/// Rows of a page: few, so that there are several.
const PAGE: usize = 3;

#[derive(Default)]
pub struct Clouds {
    pub accounts: Vec<Account>,
    pub wrong: Vec<Wrong>,
}

/// What was asked that should not have been.
pub enum Wrong {
    /// Where a lease ran out under its holder two may meet, and neither knows better.
    Together(String),
    Never(String),
}

pub struct Account {
    pub plan: plan::Account,
    pub connection: Uuid,
    pub provider: &'static str,
    pub user: String,
    pub records: BTreeMap<(i64, String), Record>,
    pub pairs: Vec<Pair>,
    /// Calls of the door that were taken, in hints.
    pub taken: usize,
    noted: BTreeMap<(String, i64), usize>,
    made: u64,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub id: String,
    pub start: i64,
    pub value: i64,
    pub modified: i64,
}

/// What one answer of the token endpoint gave.
pub struct Pair {
    access: String,
    refresh: String,
    expires: i64,
    /// The refresh token it was given for, and when.
    of: Option<(String, i64)>,
    dead: bool,
    pub stored: bool,
    /// When the token it was given for was first used again while it was not stored yet, and by whom.
    pub contested: Option<(i64, Arc<Life>)>,
    /// Whom it reached, and when.
    pub arrived: Option<(Arc<Life>, i64)>,
}

impl Clouds {
    pub fn new(plan: &Plan) -> Self {
        let accounts = plan.accounts.iter().enumerate().map(|(index, plan)| Account::new(index, plan.clone())).collect();
        Self { accounts, wrong: vec![] }
    }

    /// One of those who have tokens.
    pub fn someone(&self, number: u64) -> Option<(Uuid, &'static str)> {
        let all: Vec<_> = self.accounts.iter().filter(|a| a.plan.kind != Kind::Brought).collect();
        let one = all.get(usize::try_from(number).ok()? % all.len().max(1))?;
        Some((one.connection, one.provider))
    }

    fn of(&mut self, connection: Uuid) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.connection == connection)
    }

    /// The pair with this access token is in the store.
    pub fn stored(&mut self, connection: Uuid, access: &str) {
        let pair = self.of(connection).and_then(|account| account.pairs.iter_mut().find(|pair| pair.access == access));
        if let Some(pair) = pair {
            pair.stored = true;
        }
    }

    /// How often an answer to this window was noted, with this time.
    pub fn noted(&mut self, connection: Uuid, stream: &str, window: i64) -> usize {
        let Some(account) = self.of(connection) else { return 0 };
        let noted = account.noted.entry((stream.to_owned(), window)).or_default();
        *noted += 1;
        *noted
    }

    /// An answer reached whoever asked.
    pub fn arrived(&mut self, answer: &Answer, life: Arc<Life>, now: i64) {
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return };
        let Some(access) = body["access_token"].as_str() else { return };
        if let Some(pair) = self.accounts.iter_mut().flat_map(|a| &mut a.pairs).find(|pair| pair.access == access) {
            pair.arrived = Some((life, now));
        }
    }

    pub fn answer(&mut self, now: i64, request: &Request<Vec<u8>>, who: &Arc<Life>) -> Answer {
        let path = request.uri().path();
        let done = if path == "/token" { self.refresh(now, request.body(), who) } else { self.data(now, request, path) };
        let (status, body) = done.unwrap_or_else(|status| (status, json!({})));
        Answer { status, headers: vec![("content-type".into(), "application/json".into())], body: body.to_string().into_bytes() }
    }

    fn refresh(&mut self, now: i64, form: &[u8], who: &Arc<Life>) -> Result<(u16, Value), u16> {
        let given = form_urlencoded::parse(form).find(|(name, _)| name == "refresh_token").ok_or(400u16)?.1.into_owned();
        let index: usize = given.split('.').nth(1).and_then(|text| text.parse().ok()).ok_or(400u16)?;
        let account = self.accounts.get_mut(index).ok_or(400u16)?;
        let rule = account.plan.rule;
        let before = account.pairs.iter_mut().filter(|pair| pair.of.as_ref().is_some_and(|(of, _)| *of == given));
        let mut answered = None;
        for pair in before {
            if rule != Rule::Lasting && pair.stored {
                self.wrong.push(Wrong::Together("a refresh token was used again although its answer was stored".into()));
            }
            if !pair.stored {
                pair.contested.get_or_insert_with(|| (now, who.clone()));
            }
            answered = Some((pair.refresh.clone(), pair.given_at()));
        }
        let refresh = match (rule, answered) {
            (Rule::Lasting, _) => given.clone(),
            (_, None) => account.name("r", index),
            (Rule::Grace, Some((refresh, at))) if now - at < GRACE => refresh,
            _ => return Ok((400, json!({"error": "invalid_grant"}))),
        };
        if account.plan.access_dies {
            account.pairs.iter_mut().for_each(|pair| pair.dead = true);
        }
        let access = account.name("a", index);
        let mut body = json!({"access_token": access, "token_type": "bearer", "expires_in": ACCESS_LIFE});
        if rule != Rule::Lasting {
            body["refresh_token"] = json!(refresh);
        }
        account.pairs.push(Pair {
            access,
            refresh,
            expires: now + ACCESS_LIFE * SECOND,
            of: Some((given, now)),
            ..Pair::first()
        });
        Ok((200, body))
    }

    fn data(&mut self, now: i64, request: &Request<Vec<u8>>, path: &str) -> Result<(u16, Value), u16> {
        let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = bearer.strip_prefix("Bearer ").ok_or(401u16)?;
        let index: usize = token.split('.').nth(1).and_then(|text| text.parse().ok()).ok_or(401u16)?;
        let account = self.accounts.get(index).ok_or(401u16)?;
        let pair = account.pairs.iter().find(|pair| pair.access == token).ok_or(401u16)?;
        if !pair.stored {
            self.wrong.push(Wrong::Never("a token was used before it was stored".into()));
        }
        if pair.dead || pair.expires <= now {
            return Err(401);
        }
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        account.rows(path, &query).map(|body| (200, body))
    }
}

impl Pair {
    pub fn given_at(&self) -> i64 {
        self.of.as_ref().map_or(0, |(_, at)| *at)
    }

    /// Whether it never came to be stored, or only after its predecessor was used again.
    pub fn is_lost(&self) -> bool {
        !self.stored || self.contested.is_some()
    }

    /// Whether its loss cannot be helped by anybody, of a cloud that takes a refresh token once. What is not one of these is a fault of ours.
    pub fn is_excused(&self, plan: &Plan) -> bool {
        // The answer never reached the process that asked: lost on the way, torn, too late, or the process was dead by then.
        let Some((life, at)) = &self.arrived else { return true };
        // The process died with the pair in hand, before the store had said that it is stored.
        let in_hand = IN_HAND + if plan.stalls > 0 { STALL } else { 0 };
        let died = life.died().filter(|died| died - at < in_hand);
        if !self.stored {
            return died.is_some();
        }
        // Or it was stored, and too late for somebody else.
        let Some((when, by)) = &self.contested else { return false };
        // A process knows of itself that it lives.
        if Arc::ptr_eq(life, by) {
            return false;
        }
        // Somebody else had to take a process that stood still for one that had died, or stood still itself between looking and asking; or reads
        // an hour on its clock that has not passed.
        let still = life.stood_still(at - STALL, *when) || by.stood_still(at - STALL, *when);
        died.is_some_and(|died| died <= *when) || still || plan.steps
    }

    fn first() -> Self {
        Self {
            access: String::new(),
            refresh: String::new(),
            expires: 0,
            of: None,
            dead: false,
            stored: false,
            contested: None,
            arrived: None,
        }
    }
}

impl Account {
    fn new(index: usize, plan: plan::Account) -> Self {
        let (provider, user) = match plan.kind {
            Kind::Workouts => ("whoop", (1000 + index).to_string()),
            Kind::Documents | Kind::Pulse => ("oura", format!("user-{index}")),
            Kind::Pushed => ("garmin", format!("user-{index}")),
            Kind::Brought => ("own_source", format!("device-{index}")),
        };
        Self {
            connection: ids::connection(provider, &user),
            plan,
            provider,
            user,
            records: BTreeMap::new(),
            pairs: vec![],
            taken: 0,
            noted: BTreeMap::new(),
            made: 0,
        }
    }

    /// What the person's consent gave, and is stored.
    pub fn connected(&mut self, index: usize, now: i64) -> (String, String, i64) {
        let (access, refresh) = (self.name("a", index), self.name("r", index));
        let expires = now + ACCESS_LIFE * SECOND;
        let pair = Pair { access: access.clone(), refresh: refresh.clone(), expires, stored: true, ..Pair::first() };
        self.pairs.push(pair);
        (access, refresh, expires)
    }

    fn name(&mut self, kind: &str, index: usize) -> String {
        self.made += 1;
        format!("{kind}.{index}.{}", self.made)
    }

    pub fn stream(&self) -> &'static str {
        match self.plan.kind {
            Kind::Workouts | Kind::Documents => "workout",
            Kind::Pulse => "heartrate",
            Kind::Pushed => "epochs",
            Kind::Brought => "events",
        }
    }

    /// A new record, which begins at `start`.
    pub fn add(&mut self, start: i64, value: i64, now: i64) -> Record {
        self.made += 1;
        // One sample a second; everything else may begin together.
        let start = start.div_euclid(SECOND) * SECOND;
        let id = format!("00000000-0000-4000-8000-{:012x}", self.made);
        let record = Record { id: id.clone(), start, value, modified: now };
        if self.plan.kind != Kind::Pulse || !self.records.keys().any(|(at, _)| *at == start) {
            self.records.insert((start, id), record.clone());
        }
        record
    }

    fn rows(&self, path: &str, query: &BTreeMap<String, String>) -> Result<Value, u16> {
        let get = |name: &str| query.get(name).map(String::as_str);
        let instant = |name: &str| get(name)?.parse::<Timestamp>().ok().map(|at| at.as_microsecond());
        if let Some(id) =
            path.strip_prefix("/developer/v2/activity/workout/").or(path.strip_prefix("/v2/usercollection/workout/"))
        {
            return self.records.values().find(|record| record.id == id).map(|record| self.row(record)).ok_or(404);
        }
        match path {
            "/developer/v2/activity/workout" => {
                let (from, to) = (instant("start").ok_or(400u16)?, instant("end").ok_or(400u16)?);
                // The token is the place of the record that comes next, so that a change meanwhile moves no other.
                let after =
                    get("nextToken").and_then(|token| token.split_once('|')).map(|(at, id)| (at.to_owned(), id.to_owned()));
                let after = after.and_then(|(at, id)| Some((at.parse::<i64>().ok()?, id)));
                let within = self.records.iter().rev().filter(|((at, _), _)| (from..to).contains(at));
                let mut rest = within.filter(|(place, _)| after.as_ref().is_none_or(|after| *place <= after));
                let rows: Vec<Value> = rest.by_ref().take(PAGE).map(|(_, record)| self.row(record)).collect();
                let next = rest.next().map(|((at, id), _)| format!("{at}|{id}"));
                Ok(json!({"records": rows, "next_token": next}))
            }
            "/v2/usercollection/workout" => {
                let (from, to) = (get("start_date").ok_or(400u16)?, get("end_date").ok_or(400u16)?);
                let within = self.records.values().filter(|record| (from..=to).contains(&day(record.start).as_str()));
                Ok(json!({"data": within.map(|record| self.row(record)).collect::<Vec<_>>(), "next_token": null}))
            }
            "/v2/usercollection/heartrate" => {
                let (from, to) = (instant("start_datetime").ok_or(400u16)?, instant("end_datetime").ok_or(400u16)?);
                let within = self.records.values().filter(|record| (from..to).contains(&record.start));
                Ok(json!({"data": within.map(|record| self.row(record)).collect::<Vec<_>>(), "next_token": null}))
            }
            _ => Err(404),
        }
    }

    /// A record as this cloud writes it.
    pub fn row(&self, record: &Record) -> Value {
        let (start, end) = (time(record.start), time(record.start + 1800 * SECOND));
        match self.plan.kind {
            Kind::Workouts => json!({
                "id": record.id, "user_id": self.user.parse::<i64>().unwrap_or(0), "created_at": start, "updated_at": time(record.modified),
                "start": start, "end": end, "timezone_offset": "+00:00", "score_state": "SCORED", "sport_name": "running",
                "score": {"kilojoule": record.value},
            }),
            Kind::Documents => json!({
                "id": record.id, "activity": "running", "calories": record.value, "day": day(record.start), "distance": 1.0,
                "intensity": "easy", "label": null, "source": "manual", "start_datetime": start, "end_datetime": end,
            }),
            Kind::Pulse => json!({"bpm": record.value, "source": "awake", "timestamp": start}),
            Kind::Pushed => json!({
                "userId": self.user, "summaryId": record.id, "startTimeInSeconds": record.start / SECOND,
                "startTimeOffsetInSeconds": 0, "durationInSeconds": 900, "steps": record.value,
            }),
            Kind::Brought => json!({"id": record.id, "type": "body-weight", "start": start, "value": record.value, "unit": "kg"}),
        }
    }

    /// All there is, as one body of the provider's.
    pub fn everything(&self) -> Vec<u8> {
        let rows: Vec<Value> = self.records.values().map(|record| self.row(record)).collect();
        let name = match self.plan.kind {
            Kind::Workouts | Kind::Brought => "records",
            Kind::Documents | Kind::Pulse => "data",
            Kind::Pushed => self.stream(),
        };
        json!({ name: rows }).to_string().into_bytes()
    }
}

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros).expect("a time of this century").to_string()
}

fn day(micros: i64) -> String {
    time(micros)[..10].to_owned()
}
