//! Withings' notifications: subscriptions per user and application type, and the unsigned form post.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Call, Trouble};
use crate::people::{Profile, Provider, instant};
use crate::record::Record;
use crate::send::Notification;
use crate::world::World;

/// A callback for one user and one kind of data.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Subscription {
    pub user_id: String,
    pub appli: i64,
    pub callback: String,
    pub comment: String,
}

/// Kinds of data that can be subscribed.
const APPLIS: [i64; 12] = [1, 2, 4, 16, 44, 46, 50, 51, 52, 54, 55, 58];

/// Which kind announces a record of a stream.
pub(crate) fn appli(record: &Record) -> i64 {
    match record.stream.as_str() {
        "activity" | "workouts" => 16,
        "sleep" => 44,
        "heart" => 54,
        _ => {
            let kinds = record.body["measures"].as_array().into_iter().flatten();
            let kinds: Vec<i64> = kinds.filter_map(|measure| measure["type"].as_i64()).collect();
            if kinds.contains(&1) || kinds.contains(&4) {
                1
            } else if kinds.iter().any(|kind| [12, 71, 73].contains(kind)) {
                2
            } else {
                4
            }
        }
    }
}

/// The post that tells of new, changed or withdrawn data in a window (epoch seconds). It never says which.
///
/// Events (a bed, an inflation, an electrocardiogram) carry a date, and changes of the account (46) an action.
pub(crate) fn notification(url: &str, who: &Profile, appli: i64, (start, end): (i64, i64), action: &str) -> Notification {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("userid", &who.person.user_id).append_pair("appli", &appli.to_string());
    match appli {
        46 => {
            form.append_pair("action", action);
        }
        50..=55 => {
            // Both spellings of the date occur.
            let date = if start % 2 == 0 {
                start.to_string()
            } else {
                who.tz.to_datetime(instant(start)).strftime("%Y-%m-%d %H:%M:%S").to_string()
            };
            form.append_pair("date", &date).append_pair("deviceid", &who.watch_id);
        }
        _ => {
            form.append_pair("startdate", &start.to_string()).append_pair("enddate", &end.to_string());
        }
    }
    Notification {
        provider: Provider::Withings,
        url: url.to_owned(),
        headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
        body: form.finish().into_bytes(),
    }
}

/// Where a person's notifications of one kind go.
pub(crate) fn targets(world: &World, user_id: &str, appli: i64) -> Vec<String> {
    let state = world.state();
    let subscribed = state.subscriptions.iter().filter(|held| held.user_id == user_id && held.appli == appli);
    let mut urls: Vec<String> = subscribed.map(|held| held.callback.clone()).collect();
    drop(state);
    urls.extend(world.settings.webhooks.iter().map(|targets| targets.withings.clone()));
    urls.sort();
    urls.dedup();
    urls
}

pub(super) async fn manage(call: &Call<'_>) -> Result<Value, Trouble> {
    let user_id = &call.who.person.user_id;
    let appli = call.number("appli")?;
    match call.form.get("action").ok_or(Trouble::Params("action"))? {
        "subscribe" => subscribe(call, appli.ok_or(Trouble::Params("appli"))?).await,
        "revoke" => {
            let (callback, appli) = (callback(call)?, appli.unwrap_or(1));
            let mut state = call.world.state();
            let before = state.subscriptions.len();
            state.subscriptions.retain(|held| !(held.user_id == *user_id && held.callback == callback && held.appli == appli));
            if state.subscriptions.len() == before { Err(Trouble::Params("callbackurl")) } else { Ok(json!({})) }
        }
        "list" => {
            let state = call.world.state();
            let held = state
                .subscriptions
                .iter()
                .filter(|held| held.user_id == *user_id && appli.is_none_or(|appli| appli == held.appli));
            let profiles: Vec<Value> = held.map(profile).collect();
            Ok(json!({"profiles": profiles}))
        }
        "get" => {
            let (callback, appli) = (callback(call)?, appli.unwrap_or(1));
            let state = call.world.state();
            let held = state
                .subscriptions
                .iter()
                .find(|held| held.user_id == *user_id && held.callback == callback && held.appli == appli);
            held.map(profile).ok_or(Trouble::Params("callbackurl"))
        }
        _ => Err(Trouble::Params("action")),
    }
}

fn profile(held: &Subscription) -> Value {
    json!({"appli": held.appli, "callbackurl": held.callback, "comment": held.comment})
}

fn callback<'a>(call: &'a Call<'_>) -> Result<&'a str, Trouble> {
    call.form.get("callbackurl").ok_or(Trouble::Params("callbackurl"))
}

async fn subscribe(call: &Call<'_>, appli: i64) -> Result<Value, Trouble> {
    if !APPLIS.contains(&appli) {
        return Err(Trouble::Params("appli"));
    }
    let url = callback(call)?;
    if !acceptable(url, call.world.settings.strict_callbacks) || !answers(call.world, url).await {
        return Err(Trouble::Params("callbackurl"));
    }
    let held = Subscription {
        user_id: call.who.person.user_id.clone(),
        appli,
        callback: url.to_owned(),
        comment: call.form.get("comment").unwrap_or_default().to_owned(),
    };
    let mut state = call.world.state();
    state.subscriptions.retain(|other| (&other.user_id, other.appli, &other.callback) != (&held.user_id, appli, &held.callback));
    state.subscriptions.push(held);
    Ok(json!({}))
}

/// At most 255 characters; strictly also https, a domain name, port 80 or 443.
fn acceptable(url: &str, strict: bool) -> bool {
    let Ok(parsed) = reqwest::Url::parse(url) else { return false };
    let lenient = url.len() <= 255 && matches!(parsed.scheme(), "http" | "https");
    let named =
        parsed.host_str().is_some_and(|host| host.contains('.') && host.chars().any(char::is_alphabetic) && !host.contains(':'));
    let port = matches!(parsed.port_or_known_default(), Some(80 | 443));
    lenient && (!strict || (parsed.scheme() == "https" && named && port))
}

/// The check before a subscription is taken: HEAD must be answered with 2xx.
async fn answers(world: &World, url: &str) -> bool {
    let asked = world.http.head(url).timeout(Duration::from_secs(5)).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strict_rules_for_callbacks_are_the_documented_ones() {
        assert!(acceptable("https://health.example.org/withings/secret", true));
        for url in [
            "http://health.example.org/x",
            "https://127.0.0.1/x",
            "https://health.example.org:8443/x",
            "https://localhost/x",
            "no url",
        ] {
            assert!(!acceptable(url, true), "{url}");
        }
        assert!(acceptable("http://127.0.0.1:8080/x", false));
        assert!(!acceptable(&format!("https://health.example.org/{}", "x".repeat(255)), false));
    }
}
