use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_simulator::{Change, OAuth, Provider, Select, Settings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Cloud, REDIRECT, noon, still};

const ALL: (i64, i64) = (0, i64::MAX / 4);

async fn connected(settings: Settings, index: usize) -> Result<(Cloud, String, String)> {
    let cloud = Cloud::start(settings).await?;
    let user = cloud.person(Provider::GoogleHealth, index).user_id;
    let (access, _) = cloud.google_tokens(&user).await?;
    Ok((cloud, user, access))
}

async fn pages(cloud: &Cloud, token: &str, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>> {
    let mut points = Vec::new();
    let mut next = String::new();
    loop {
        let (status, body) = cloud.google(token, path, &[query, &[("pageToken", next.as_str())]].concat()).await?;
        assert_eq!(status, 200, "{body}");
        points.extend(body["dataPoints"].as_array().cloned().unwrap_or_default());
        match body["nextPageToken"].as_str() {
            Some(token) => token.clone_into(&mut next),
            None => return Ok(points),
        }
    }
}

#[tokio::test]
async fn tokens_follow_googles_rules() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let person = cloud.person(Provider::GoogleHealth, 0);
    let (access, refresh) = cloud.google_tokens(&person.user_id).await?;
    let (_, identity) = cloud.google(&access, "identity", &[]).await?;
    assert_eq!(identity["healthUserId"], person.user_id);
    assert_eq!(identity["legacyUserId"].as_str(), person.legacy_user_id.as_deref());

    let (status, again) = cloud.google_exchange(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await?;
    assert_eq!(status, 200);
    assert!(again.get("refresh_token").is_none(), "refresh tokens do not rotate");
    cloud.clock.advance(Duration::from_secs(3600));
    let (status, body) = cloud.google(&access, "identity", &[]).await?;
    assert_eq!((status, &body["error"]["status"]), (401, &json!("UNAUTHENTICATED")));

    cloud.control.revoke(Provider::GoogleHealth, &person.user_id);
    let (status, body) = cloud.google_exchange(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await?;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    Ok(())
}

#[tokio::test]
async fn without_offline_access_there_is_no_refresh_token() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::GoogleHealth, 0).user_id;
    let query = [
        ("response_type", "code"),
        ("client_id", "headwater-dev"),
        ("scope", "https://www.googleapis.com/auth/googlehealth.sleep.readonly"),
        ("redirect_uri", REDIRECT),
        ("simulate_consent", user.as_str()),
    ];
    let back = cloud.authorize("/google_health/o/oauth2/v2/auth", &query).await?;
    let code = &back.iter().find(|(name, _)| name == "code").expect("consent was given").1;
    let (_, body) =
        cloud.google_exchange(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)]).await?;
    assert!(body.get("refresh_token").is_none() && body["access_token"].is_string(), "{body}");
    // Only sleep was granted.
    let access = body["access_token"].as_str().unwrap_or_default();
    let (status, body) = cloud.google(access, "dataTypes/steps/dataPoints", &[]).await?;
    assert_eq!((status, &body["error"]["details"][0]["reason"]), (403, &json!("ACCESS_TOKEN_SCOPE_INSUFFICIENT")));
    Ok(())
}

#[tokio::test]
async fn a_challenge_must_be_answered_by_its_verifier() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::GoogleHealth, 0).user_id;
    let verifier = "a-verifier-of-at-least-forty-three-characters-0123";
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    for (answer, expected) in [(None, 400), (Some("wrong"), 400), (Some(verifier), 200)] {
        let more = [("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")];
        let code = cloud.google_code(&user, &more).await?;
        let mut form = vec![("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
        form.extend(answer.map(|answer| ("code_verifier", answer)));
        assert_eq!(cloud.google_exchange(&form).await?.0, expected, "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_testing_app_loses_its_refresh_token_after_its_time() -> Result<()> {
    let week = Duration::from_secs(7 * 86_400);
    let oauth = OAuth { google_health_refresh: Some(week), ..OAuth::default() };
    let cloud = Cloud::start(Settings { oauth, ..still() }).await?;
    let (_, refresh) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    cloud.clock.advance(week);
    let (status, _) = cloud.google_exchange(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await?;
    assert_eq!(status, 400);
    Ok(())
}

#[tokio::test]
async fn pages_of_points_have_no_gaps_and_no_repeats() -> Result<()> {
    let (cloud, user, access) = connected(still(), 0).await?;
    let filter = r#"heart_rate.sample_time.physical_time >= "2026-11-16T00:00:00Z" AND heart_rate.sample_time.physical_time < "2026-11-18T00:00:00Z""#;
    let path = "dataTypes/heart-rate/dataPoints";
    let points = pages(&cloud, &access, path, &[("filter", filter), ("pageSize", "97")]).await?;
    let window = (
        "2026-11-16T00:00:00Z".parse::<jiff::Timestamp>()?.as_second(),
        "2026-11-18T00:00:00Z".parse::<jiff::Timestamp>()?.as_second(),
    );
    let mut held: Vec<Value> = cloud
        .control
        .records(Provider::GoogleHealth, &user, "heart-rate", window)?
        .into_iter()
        .map(|record| record.body)
        .collect();
    held.reverse();
    assert!(held.len() > 1000);
    assert_eq!(points, held);

    let (_, first) = cloud.google(&access, path, &[("filter", filter), ("pageSize", "97")]).await?;
    let token = first["nextPageToken"].as_str().unwrap_or_default();
    let (status, _) = cloud.google(&access, path, &[("pageToken", token)]).await?;
    assert_eq!(status, 400, "a token belongs to its filter");
    Ok(())
}

#[tokio::test]
async fn page_sizes_have_their_defaults_and_limits() -> Result<()> {
    let (cloud, _, access) = connected(Settings { history_days: 40, ..still() }, 1).await?;
    for (kind, asked, expected) in [("heart-rate", "", 1440), ("sleep", "", 25), ("sleep", "10000", 25)] {
        let (_, body) = cloud.google(&access, &format!("dataTypes/{kind}/dataPoints"), &[("pageSize", asked)]).await?;
        assert_eq!(body["dataPoints"].as_array().map(Vec::len), Some(expected), "{kind} {asked}");
    }
    for wrong in ["-1", "many"] {
        assert_eq!(cloud.google(&access, "dataTypes/steps/dataPoints", &[("pageSize", wrong)]).await?.0, 400);
    }
    Ok(())
}

#[tokio::test]
async fn points_have_the_documented_shape() -> Result<()> {
    let (cloud, user, access) = connected(still(), 0).await?;
    let (_, body) = cloud.google(&access, "dataTypes/steps/dataPoints", &[("pageSize", "2000")]).await?;
    let points = body["dataPoints"].as_array().cloned().unwrap_or_default();
    let point = points.iter().find(|point| point["steps"]["count"].is_string()).expect("somebody walked");
    assert!(point.get("name").is_none());
    let interval = &point["steps"]["interval"];
    for field in ["startTime", "startUtcOffset", "endTime", "endUtcOffset", "civilStartTime", "civilEndTime"] {
        assert!(interval.get(field).is_some(), "{field} in {interval}");
    }
    assert!(interval["startUtcOffset"].as_str().is_some_and(|offset| offset.ends_with('s')));
    assert!(points.iter().any(|point| point["steps"].get("count").is_none()), "a zero is left out");
    assert!(points.iter().any(|point| point["dataSource"]["platform"] == "HEALTH_CONNECT"), "the phone counts too");

    let (_, body) = cloud.google(&access, "dataTypes/sleep/dataPoints", &[]).await?;
    let night = &body["dataPoints"][0];
    assert!(night["name"].as_str().is_some_and(|name| name.starts_with(&format!("users/{user}/dataTypes/sleep/dataPoints/"))));
    assert!(night["sleep"]["summary"]["minutesAsleep"].is_string());
    let id = night["name"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    let (status, one) = cloud.google(&access, &format!("dataTypes/sleep/dataPoints/{id}"), &[]).await?;
    assert_eq!((status, &one), (200, night));
    Ok(())
}

#[tokio::test]
async fn nights_are_staged_or_classic_and_some_sleeps_are_naps() -> Result<()> {
    let cloud = Cloud::start(Settings { history_days: 60, ..still() }).await?;
    let user = cloud.person(Provider::GoogleHealth, 0).user_id;
    let sleeps = cloud.control.records(Provider::GoogleHealth, &user, "sleep", ALL)?;
    let stages = |kind: &str| -> BTreeSet<String> {
        let fitting = sleeps.iter().filter(|record| record.body["sleep"]["type"] == kind);
        let stages = fitting.flat_map(|record| record.body["sleep"]["stages"].as_array().cloned().unwrap_or_default());
        stages.filter_map(|stage| stage["type"].as_str().map(str::to_owned)).collect()
    };
    let set = |names: [&str; 4]| names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(stages("STAGES"), set(["AWAKE", "LIGHT", "DEEP", "REM"]));
    assert_eq!(stages("CLASSIC"), set(["AWAKE", "ASLEEP", "RESTLESS", ""]));
    assert!(sleeps.iter().any(|record| record.body["sleep"]["metadata"]["nap"] == true));
    Ok(())
}

#[tokio::test]
async fn local_times_follow_the_change_of_the_clocks() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    // In Los Angeles the clocks went back on 1 November 2026, and the first person has data from before.
    let person = cloud.person(Provider::GoogleHealth, 0);
    assert_eq!(person.time_zone, "America/Los_Angeles");
    let nights = cloud.control.records(Provider::GoogleHealth, &person.user_id, "sleep", ALL)?;
    let offset = |end: &str| -> BTreeSet<String> {
        nights.iter().filter_map(|night| night.body["sleep"]["interval"][end].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(offset("startUtcOffset"), BTreeSet::from(["-25200s".to_owned(), "-28800s".to_owned()]));
    let over = nights
        .iter()
        .find(|night| night.body["sleep"]["interval"]["startUtcOffset"] != night.body["sleep"]["interval"]["endUtcOffset"]);
    assert!(over.is_some(), "one night lies over the change");
    Ok(())
}

#[tokio::test]
async fn a_wrong_filter_or_type_is_an_invalid_argument() -> Result<()> {
    let (cloud, _, access) = connected(still(), 0).await?;
    for (kind, filter) in [
        ("steps", r#"steps.interval.startTime >= "2026-11-16T00:00:00Z""#),
        ("sleep", r#"sleep.interval.start_time >= "2026-11-16T00:00:00Z""#),
        ("exercise", r#"exercise.interval.start_time >= "2026-11-16T00:00:00Z""#),
        ("total-calories", ""),
        ("step-count", ""),
    ] {
        let (status, body) = cloud.google(&access, &format!("dataTypes/{kind}/dataPoints"), &[("filter", filter)]).await?;
        assert_eq!((status, &body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{kind} {filter}");
    }
    Ok(())
}

#[tokio::test]
async fn civil_filters_select_local_days() -> Result<()> {
    let (cloud, _, access) = connected(still(), 0).await?;
    let filter = r#"steps.interval.civil_start_time >= "2026-11-16" AND steps.interval.civil_start_time < "2026-11-17""#;
    let points = pages(&cloud, &access, "dataTypes/steps/dataPoints", &[("filter", filter), ("pageSize", "10000")]).await?;
    assert!(points.len() > 50);
    assert!(
        points
            .iter()
            .all(|point| point["steps"]["interval"]["civilStartTime"]["date"] == json!({"year": 2026, "month": 11, "day": 16}))
    );
    let filter = r#"daily_resting_heart_rate.date >= "2026-11-16" AND daily_resting_heart_rate.date < "2026-11-18""#;
    let points = pages(&cloud, &access, "dataTypes/daily-resting-heart-rate/dataPoints", &[("filter", filter)]).await?;
    assert_eq!(points.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_merged_stream_counts_each_minute_once_and_names_no_device() -> Result<()> {
    let (cloud, _, access) = connected(still(), 0).await?;
    let points = pages(&cloud, &access, "dataTypes/steps/dataPoints:reconcile", &[("pageSize", "10000")]).await?;
    let starts: Vec<&str> = points.iter().filter_map(|point| point["steps"]["interval"]["startTime"].as_str()).collect();
    assert_eq!(starts.iter().collect::<BTreeSet<_>>().len(), starts.len());
    assert!(points.iter().all(|point| point.get("dataSource").is_none()));
    let (_, body) = cloud.google(&access, "dataTypes/sleep/dataPoints:reconcile", &[]).await?;
    assert!(body["dataPoints"][0]["dataPointName"].is_string() && body["dataPoints"][0].get("name").is_none());
    let wrong = [("dataSourceFamily", "users/me/dataSourceFamilies/rings")];
    assert_eq!(cloud.google(&access, "dataTypes/steps/dataPoints:reconcile", &wrong).await?.0, 400);
    Ok(())
}

fn days(from: (i32, i32, i32), to: (i32, i32, i32)) -> Value {
    let day = |(year, month, day): (i32, i32, i32)| json!({"date": {"year": year, "month": month, "day": day}});
    json!({"range": {"start": day(from), "end": day(to)}})
}

#[tokio::test]
async fn daily_sums_agree_with_the_points() -> Result<()> {
    let (cloud, _, access) = connected(still(), 1).await?;
    let range = days((2026, 11, 16), (2026, 11, 18));
    let path = "users/me/dataTypes/steps/dataPoints:dailyRollUp";
    let (status, body) = cloud.google_post(&access, path, &range).await?;
    assert_eq!(status, 200, "{body}");
    let filter = r#"steps.interval.civil_start_time >= "2026-11-16" AND steps.interval.civil_start_time < "2026-11-17""#;
    let query = [("filter", filter), ("pageSize", "10000")];
    let points = pages(&cloud, &access, "dataTypes/steps/dataPoints:reconcile", &query).await?;
    let counts = points.iter().filter_map(|point| point["steps"]["count"].as_str()).filter_map(|count| count.parse::<i64>().ok());
    assert_eq!(body["rollupDataPoints"][0]["steps"]["countSum"], json!(counts.sum::<i64>().to_string()));
    assert_eq!(body["rollupDataPoints"].as_array().map(Vec::len), Some(2));
    assert_eq!(body["rollupDataPoints"][1]["civilStartTime"]["date"], json!({"year": 2026, "month": 11, "day": 17}));
    Ok(())
}

#[tokio::test]
async fn roll_ups_have_the_documented_longest_range() -> Result<()> {
    let (cloud, _, access) = connected(still(), 0).await?;
    for (kind, to, expected) in [
        ("total-calories", (2026, 11, 15), 200),
        ("total-calories", (2026, 11, 16), 400),
        ("heart-rate", (2026, 11, 16), 400),
        ("steps", (2027, 1, 30), 200),
        ("steps", (2027, 1, 31), 400),
        ("sleep", (2026, 11, 15), 400),
    ] {
        let path = format!("users/me/dataTypes/{kind}/dataPoints:dailyRollUp");
        let (status, body) = cloud.google_post(&access, &path, &days((2026, 11, 1), to)).await?;
        assert_eq!(status, expected, "{kind} {to:?} {body}");
    }
    let physical =
        json!({"range": {"startTime": "2026-11-16T00:00:00Z", "endTime": "2026-11-16T06:00:00Z"}, "windowSize": "3600s"});
    let (_, body) = cloud.google_post(&access, "users/me/dataTypes/heart-rate/dataPoints:rollUp", &physical).await?;
    assert_eq!(body["rollupDataPoints"].as_array().map(Vec::len), Some(6));
    assert!(body["rollupDataPoints"][0]["heartRate"]["beatsPerMinuteAvg"].is_f64(), "{body}");
    Ok(())
}

#[tokio::test]
async fn the_three_hundred_and_first_request_of_a_minute_is_too_many_for_that_user_only() -> Result<()> {
    let (cloud, _, access) = connected(still(), 0).await?;
    let (other, _) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 1).user_id).await?;
    for _ in 0..300 {
        assert_eq!(cloud.google(&access, "identity", &[]).await?.0, 200);
    }
    let (status, body) = cloud.google(&access, "identity", &[]).await?;
    assert_eq!((status, &body["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(cloud.google(&other, "identity", &[]).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn corrections_and_deletions_show_in_the_list() -> Result<()> {
    let (cloud, user, access) = connected(still(), 0).await?;
    let path = "dataTypes/daily-resting-heart-rate/dataPoints";
    let newest = async || -> Result<Value> { Ok(cloud.google(&access, path, &[]).await?.1["dataPoints"][0].clone()) };
    let before = newest().await?;
    let kind = "daily-resting-heart-rate";
    cloud.control.correct(Provider::GoogleHealth, &user, kind, &Select::Newest, Change::Value(99.0)).await?;
    let after = newest().await?;
    assert_eq!(after["dailyRestingHeartRate"]["beatsPerMinute"], "99");
    assert_eq!(after["dailyRestingHeartRate"]["date"], before["dailyRestingHeartRate"]["date"]);
    cloud.control.delete(Provider::GoogleHealth, &user, kind, &Select::Newest).await?;
    assert_ne!(newest().await?["dailyRestingHeartRate"]["date"], before["dailyRestingHeartRate"]["date"]);

    let sleeps = cloud.control.records(Provider::GoogleHealth, &user, "sleep", (0, noon().as_second()))?;
    let night = sleeps.last().expect("a night");
    let patch = json!({"sleep": {"metadata": {"manuallyEdited": true}}});
    cloud.control.correct(Provider::GoogleHealth, &user, "sleep", &Select::Id(night.id), Change::Patch(patch)).await?;
    let (_, body) = cloud.google(&access, "dataTypes/sleep/dataPoints", &[]).await?;
    let edited = &body["dataPoints"][0]["sleep"];
    assert_eq!((&edited["metadata"]["manuallyEdited"], &edited["updateTime"]), (&json!(true), &json!(noon().to_string())));
    Ok(())
}

#[tokio::test]
async fn fitbit_is_gone() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let answer = cloud.http.get(cloud.url("/fitbit/1/user/-/profile.json")).send().await?;
    assert_eq!(answer.status(), 410);
    assert!(answer.json::<Value>().await?["errors"][0]["errorType"].is_string());
    Ok(())
}
