//! People and clouds: who connects, what changes, who calls the door and calls again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_ingest::settings::Providers;
use headwater_schemas::Outbox;
use headwater_schemas::hint::{Cause, Change, Hint};
use headwater_schemas::raw::Lane;
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::{Connection, ConnectionState, Store as _, Subject, Tokens};
use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cloud::Record;
use crate::instance::Host;
use crate::plan::Kind;
use crate::world::World;

const SECRET: &str = "client-secret";
const PATH_SECRET: &str = "path-secret";
pub const POLL_MINUTES: (i64, i64) = (20, 30);
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Connects everybody, with a past that is asked for, and says how the clouds are reached.
pub async fn connect(world: &Arc<World>) -> Providers {
    let now = world.now();
    let count = world.clouds().accounts.len();
    for index in 0..count {
        let past: Vec<(i64, i64)> = (0..world.draw(0, 5)).map(|_| (ago(world, 4 * DAY), value(world))).collect();
        let (connection, kind, tokens) = {
            let mut clouds = world.clouds();
            let account = &mut clouds.accounts[index];
            if account.plan.kind.polled() {
                past.iter().for_each(|(start, value)| drop(account.add(*start, *value, now)));
            }
            let (access, refresh, expires) = account.connected(index, now);
            let brought = account.plan.kind == Kind::Brought;
            let tokens = Tokens {
                access: access.into(),
                refresh: (!brought).then(|| refresh.into()),
                expires_at: (!brought).then_some(expires),
                generation: 1,
            };
            (connection(account.connection, account.provider, &account.user, account.plan.kind), account.plan.kind, tokens)
        };
        let first = i64::try_from(world.draw(0, 600)).expect("seconds are few") * SECOND;
        let never = kind == Kind::Brought;
        let connection = Connection {
            created_at: now,
            state_at: now,
            next_poll: Some(if never { i64::MAX } else { now + first }),
            ..connection
        };
        let subject = Subject { id: connection.subjects[0].clone(), identity: None, created_at: now };
        world.store.put_subject(&subject).await.expect("an open gate");
        world.store.put_connection(&connection).await.expect("an open gate");
        world.store.put_tokens(connection.id, None, &tokens).await.expect("an open gate");
        if kind.polled() {
            world.log.arrive(&history(&connection, now), 1, now);
        }
    }
    let oauth = |name: &str| {
        json!({
            "client_id": "client", "client_secret": SECRET, "api_url": format!("http://{name}.sim"), "token_url": format!("http://{name}.sim/token"),
            "poll_minutes": [POLL_MINUTES.0, POLL_MINUTES.1], "webhook": {"path_secret": PATH_SECRET},
        })
    };
    let providers = json!({"whoop": oauth("whoop"), "oura": oauth("oura"), "garmin": oauth("garmin"), "own_source": {}});
    serde_json::from_value(providers).expect("settings")
}

fn connection(id: Uuid, provider: &str, user: &str, kind: Kind) -> Connection {
    let scopes: &[&str] = match kind {
        Kind::Workouts => &["offline", "read:workout"],
        Kind::Documents => &["workout"],
        Kind::Pulse => &["heartrate"],
        Kind::Pushed | Kind::Brought => &[],
    };
    Connection {
        id,
        provider: provider.to_owned(),
        provider_user: user.to_owned(),
        subjects: vec![format!("person of {user}")],
        zone: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        state: ConnectionState::Active,
        reason: None,
        created_at: 0,
        state_at: 0,
        last_poll: None,
        next_poll: None,
    }
}

/// The hint for the past of a new connection.
fn history(connection: &Connection, now: i64) -> Outbox {
    let hint = Hint {
        hint_id: Uuid::nil(),
        provider: &connection.provider,
        connection_id: connection.id,
        cause: Cause::SyncNow,
        lane: Lane::History,
        change: Change::Data,
        streams: vec![],
        window_start: Some(now - 5 * DAY),
        window_end: Some(now),
        created_at: now,
        not_before: None,
        attempt: 0,
        object: None,
    };
    let mut out = Outbox::default();
    out.put(&topics::HINT_HISTORY, None, connection.id.to_string().as_bytes(), |bytes| hint.encode(bytes));
    out
}

fn ago(world: &World, most: i64) -> i64 {
    world.now() - i64::try_from(world.draw(0, most.unsigned_abs())).expect("days are few")
}

fn value(world: &World) -> i64 {
    i64::try_from(world.draw(50, 180)).expect("a small number")
}

/// Things happen to people until all is calm, and clouds call until they are heard.
pub async fn live(world: Arc<World>, hosts: Vec<Arc<Host>>) {
    let mut calls = JoinSet::new();
    while !world.is_calm() {
        world.pause(30_000, 420_000).await;
        if world.is_calm() {
            break;
        }
        let Some((index, record, what)) = change(&world) else { continue };
        let (kind, announced) = {
            let account = &world.clouds().accounts[index].plan;
            (account.kind, account.announced)
        };
        world.tell("changes", format_args!("{index} {what} {}", record.id));
        let heard = matches!(kind, Kind::Pushed | Kind::Brought) || announced;
        // Now and then a call is made twice, and the second may overtake the first.
        let times = if heard { 1 + world.draw(0, 5) / 5 } else { 0 };
        for _ in 0..times {
            calls.spawn(call(world.clone(), hosts.clone(), index, record.clone(), what));
        }
    }
    calls.join_all().await;
}

fn change(world: &World) -> Option<(usize, Record, &'static str)> {
    let (pick, dice, which) = (world.draw(0, 1000), world.draw(0, 99), world.draw(0, 1000));
    let (start, new, now) = (ago(world, 3600 * SECOND), value(world), world.now());
    let mut clouds = world.clouds();
    let count = clouds.accounts.len();
    let index = usize::try_from(pick).ok()? % count;
    let account = &mut clouds.accounts[index];
    let changes = matches!(account.plan.kind, Kind::Workouts | Kind::Documents) && !account.records.is_empty();
    if dice < 55 || !changes {
        return Some((index, account.add(start, new, now), "created"));
    }
    let place = account.records.keys().nth(usize::try_from(which).ok()? % account.records.len())?.clone();
    if dice < 80 {
        let record = account.records.get_mut(&place)?;
        (record.value, record.modified) = (new, now);
        return Some((index, record.clone(), "updated"));
    }
    Some((index, account.records.remove(&place)?, "deleted"))
}

/// Calls until it is heard.
async fn call(world: Arc<World>, hosts: Vec<Arc<Host>>, index: usize, record: Record, what: &'static str) {
    world.pause(0, 30_000).await;
    loop {
        let (request, kind) = request(&world, index, &record, what);
        let host = world.draw(0, 1000) as usize % hosts.len();
        let status = hosts[host].call(request).await;
        let taken = status.is_some_and(|status| status.is_success());
        world.tell("calls", format_args!("{index} {what} at {host}: {}", status.map_or(0, |status| status.as_u16())));
        if taken {
            judge(&world, index, &record, kind);
            // The answer may be lost on its way.
            if !world.strikes(world.plan.cloud, 4000) {
                return;
            }
        } else if world.plan.is_quiet() {
            world.wrong(format!("a call was not taken: {status:?}"));
        }
        world.pause(1_000, 90_000).await;
    }
}

fn request(world: &World, index: usize, record: &Record, what: &str) -> (Request<Vec<u8>>, Kind) {
    let now = world.now();
    let clouds = world.clouds();
    let account = &clouds.accounts[index];
    let row = account.row(record);
    let mac = |parts: &[&[u8]]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let post = |path: &str| Request::post(path).header("content-type", "application/json");
    let made = match account.plan.kind {
        Kind::Workouts => {
            let user: i64 = account.user.parse().expect("a number");
            let kind = if what == "deleted" { "workout.deleted" } else { "workout.updated" };
            let body = json!({"user_id": user, "id": record.id, "type": kind}).to_string().into_bytes();
            let stamp = (now / 1000).to_string();
            let signature = STANDARD.encode(mac(&[stamp.as_bytes(), &body]));
            post("/webhooks/whoop").header("x-whoop-signature", signature).header("x-whoop-signature-timestamp", stamp).body(body)
        }
        Kind::Documents | Kind::Pulse => {
            let body = json!({"event_type": what, "data_type": "workout", "object_id": record.id, "user_id": account.user});
            let (body, stamp) = (body.to_string().into_bytes(), (now / SECOND).to_string());
            let signature: String = mac(&[stamp.as_bytes(), &body]).iter().map(|byte| format!("{byte:02X}")).collect();
            post("/webhooks/oura").header("x-oura-signature", signature).header("x-oura-timestamp", stamp).body(body)
        }
        Kind::Pushed => post(&format!("/webhooks/garmin/{PATH_SECRET}")).body(json!({"epochs": [row]}).to_string().into_bytes()),
        Kind::Brought => Request::put(format!("/uploads/events/{}", record.id))
            .header("authorization", format!("Bearer {}.a.{index}.1", account.connection))
            .body(json!({"records": [row]}).to_string().into_bytes()),
    };
    (made.expect("a request"), account.plan.kind)
}

/// What was taken is on the log.
fn judge(world: &World, index: usize, record: &Record, kind: Kind) {
    let (connection, taken) = {
        let mut clouds = world.clouds();
        let account = &mut clouds.accounts[index];
        account.taken += if kind == Kind::Workouts { 2 } else { 1 };
        (account.connection, account.taken)
    };
    let there = match kind {
        Kind::Pushed | Kind::Brought => world.log.has_raw(connection, record.id.as_bytes()),
        _ => world.log.announced(connection) >= taken,
    };
    if !there {
        world.wrong("a call was answered with 2xx and is not on the log".into());
    }
    world.count(|ran| if kind == Kind::Brought { ran.uploads += 1 } else { ran.webhooks += 1 });
}

/// Clocks jump by up to an hour, and back.
pub async fn step_clocks(world: Arc<World>, hosts: Vec<Arc<Host>>) {
    loop {
        world.pause(300_000, 2_400_000).await;
        if world.is_calm() {
            return;
        }
        let host = &hosts[world.draw(0, 1000) as usize % hosts.len()];
        let hours = [-3600, 0, 3600][world.draw(0, 2) as usize];
        let step = if world.draw(0, 1) == 0 { hours } else { i64::try_from(world.draw(0, 7200)).expect("few") - 3600 };
        host.skew.store(step * SECOND, Ordering::Relaxed);
        world.tell("steps a clock", format_args!("{} by {step} s", host.instance));
    }
}
