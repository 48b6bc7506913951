use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use headwater_simulator::{Addition, Change, Content, Limits, OAuth, Provider, Select, Settings};
use serde_json::{Value, json};

use crate::support::{Cloud, REDIRECT, noon, still};

const ALL: (i64, i64) = (0, i64::MAX / 4);

#[tokio::test]
async fn a_code_is_exchanged_once_within_thirty_seconds_with_the_same_redirect_uri() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let exchange = async |code: &str, redirect: &str| {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect)];
        cloud.withings_exchange(&fields).await
    };
    let code = cloud.withings_code(&user).await?;
    let first = exchange(&code, REDIRECT).await?;
    assert_eq!(first["status"], 0);
    assert_eq!(first["body"]["expires_in"], 10_800);
    assert_eq!(first["body"]["userid"].to_string().trim_matches('"'), user);
    assert_eq!(exchange(&code, REDIRECT).await?["status"], 503);

    let code = cloud.withings_code(&user).await?;
    assert_eq!(exchange(&code, "http://127.0.0.1:1/other").await?["status"], 503);

    let code = cloud.withings_code(&user).await?;
    cloud.clock.advance(Duration::from_secs(31));
    assert_eq!(exchange(&code, REDIRECT).await?["status"], 503);
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_a_http_200() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let form =
        [("action", "requesttoken"), ("client_id", "headwater-dev"), ("client_secret", "wrong"), ("grant_type", "refresh_token")];
    let answer = cloud.withings("/v2/oauth2", None, &form).await?;
    assert_eq!(answer["status"], 503);
    Ok(())
}

#[tokio::test]
async fn a_replaced_refresh_token_works_until_the_new_access_token_is_used() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (_, old) = cloud.withings_tokens(&cloud.person(Provider::Withings, 0).user_id).await?;
    let second = cloud.withings_refresh(&old).await?;
    assert_ne!(second["body"]["refresh_token"], json!(old));
    // Lost answer: the old one still works.
    let third = cloud.withings_refresh(&old).await?;
    assert_eq!(third["status"], 0);
    let access = third["body"]["access_token"].as_str().unwrap_or_default();
    assert_eq!(cloud.withings("/v2/user", Some(access), &[("action", "getdevice")]).await?["status"], 0);
    assert_ne!(cloud.withings_refresh(&old).await?["status"], 0);
    assert_eq!(cloud.control.counts()[&Provider::Withings].refreshes, 2);
    Ok(())
}

#[tokio::test]
async fn a_replaced_refresh_token_ends_after_eight_hours_anyway() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (_, old) = cloud.withings_tokens(&cloud.person(Provider::Withings, 0).user_id).await?;
    cloud.withings_refresh(&old).await?;
    cloud.clock.advance(Duration::from_secs(8 * 3600 - 1));
    assert_eq!(cloud.withings_refresh(&old).await?["status"], 0);
    cloud.clock.advance(Duration::from_secs(2));
    assert_ne!(cloud.withings_refresh(&old).await?["status"], 0);
    Ok(())
}

#[tokio::test]
async fn an_access_token_ends_when_its_time_is_over_or_consent_is_withdrawn() -> Result<()> {
    let oauth = OAuth { withings_access: Duration::from_secs(2), ..OAuth::default() };
    let cloud = Cloud::start(Settings { oauth, ..still() }).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let (access, refresh) = cloud.withings_tokens(&user).await?;
    let devices = async |token: &str| cloud.withings("/v2/user", Some(token), &[("action", "getdevice")]).await;
    assert_eq!(devices(&access).await?["status"], 0);
    cloud.clock.advance(Duration::from_secs(2));
    assert_eq!(devices(&access).await?["status"], 401);
    cloud.control.revoke(Provider::Withings, &user);
    assert_eq!(cloud.withings_refresh(&refresh).await?["status"], 503);
    Ok(())
}

#[tokio::test]
async fn denying_consent_comes_back_as_an_error() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let query = [
        ("response_type", "code"),
        ("client_id", "headwater-dev"),
        ("state", "s"),
        ("scope", "user.metrics"),
        ("redirect_uri", REDIRECT),
        ("simulate_consent", "deny"),
    ];
    let back = cloud.authorize("/withings/oauth2_user/authorize2", &query).await?;
    assert!(back.contains(&("error".into(), "access_denied".into())), "{back:?}");
    let page = cloud.http.get(cloud.url("/withings/oauth2_user/authorize2")).query(&query[..5]).send().await?;
    assert_eq!(page.status(), 200);
    assert!(page.text().await?.contains(&cloud.person(Provider::Withings, 0).user_id));
    Ok(())
}

async fn pages(cloud: &Cloud, token: &str, form: &[(&str, &str)]) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let mut offset = 0;
    loop {
        let offset_text = offset.to_string();
        let answer = cloud.withings("/measure", Some(token), &[form, &[("offset", offset_text.as_str())]].concat()).await?;
        assert_eq!(answer["status"], 0, "{answer}");
        rows.extend(answer["body"]["measuregrps"].as_array().cloned().unwrap_or_default());
        if answer["body"]["more"] == 0 {
            return Ok(rows);
        }
        offset = answer["body"]["offset"].as_i64().unwrap_or_default();
    }
}

#[tokio::test]
async fn pages_of_measures_have_no_gaps_and_no_repeats() -> Result<()> {
    let limits = Limits { withings_page: 7, ..Limits::default() };
    let cloud = Cloud::start(Settings { limits, ..still() }).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let (access, _) = cloud.withings_tokens(&user).await?;
    let rows = pages(&cloud, &access, &[("action", "getmeas")]).await?;
    let held = cloud.control.records(Provider::Withings, &user, "measures", ALL)?;
    assert!(held.len() > 20);
    let ids = |bodies: Vec<&Value>| {
        let mut ids: Vec<String> = bodies.into_iter().map(|body| format!("{} {}", body["grpid"], body["attrib"])).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(rows.iter().collect()), ids(held.iter().map(|record| &record.body).collect()));
    let dates: Vec<i64> = rows.iter().filter_map(|row| row["date"].as_i64()).collect();
    assert!(dates.is_sorted_by(|left, right| left >= right), "newest first");
    Ok(())
}

#[tokio::test]
async fn measures_come_in_the_variety_that_readers_must_bear() -> Result<()> {
    let cloud = Cloud::start(Settings { history_days: 200, ..still() }).await?;
    let held = cloud.control.records(Provider::Withings, &cloud.person(Provider::Withings, 0).user_id, "measures", ALL)?;
    let attribs: BTreeSet<i64> = held.iter().filter_map(|record| record.body["attrib"].as_i64()).collect();
    for attrib in [0, 1, 2, 4, 5, 8, 17] {
        assert!(attribs.contains(&attrib), "no attrib {attrib} in {attribs:?}");
    }
    let categories: BTreeSet<i64> = held.iter().filter_map(|record| record.body["category"].as_i64()).collect();
    assert_eq!(categories, BTreeSet::from([1, 2]));
    let kinds = |record: &headwater_simulator::Record| -> BTreeSet<i64> {
        record.body["measures"].as_array().into_iter().flatten().filter_map(|measure| measure["type"].as_i64()).collect()
    };
    assert!(held.iter().any(|record| kinds(record).is_superset(&BTreeSet::from([9, 10, 11]))));
    assert!(held.iter().any(|record| kinds(record).contains(&197)));
    let ids: Vec<u64> = held.iter().map(|record| record.id).collect();
    let distinct: BTreeSet<&u64> = ids.iter().collect();
    assert!(distinct.len() < ids.len(), "some group is there twice");
    Ok(())
}

#[tokio::test]
async fn types_category_and_window_narrow_the_answer() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (access, _) = cloud.withings_tokens(&cloud.person(Provider::Withings, 0).user_id).await?;
    let start = (noon().as_second() - 5 * 86_400).to_string();
    let end = noon().as_second().to_string();
    let rows = pages(
        &cloud,
        &access,
        &[("action", "getmeas"), ("meastypes", "9,10"), ("category", "1"), ("startdate", &start), ("enddate", &end)],
    )
    .await?;
    assert!(!rows.is_empty());
    for row in rows {
        assert!(row["date"].as_i64() >= start.parse().ok());
        let kinds: Vec<i64> = row["measures"].as_array().into_iter().flatten().filter_map(|one| one["type"].as_i64()).collect();
        assert!(kinds.iter().all(|kind| [9, 10].contains(kind)));
    }
    for wrong in [
        vec![("action", "nonsense")],
        vec![("action", "getmeas"), ("category", "3")],
        vec![("action", "getmeas"), ("startdate", "yesterday")],
        vec![("action", "getmeas"), ("startdate", "1"), ("lastupdate", "1")],
    ] {
        let answer = cloud.withings("/measure", Some(&access), &wrong).await?;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(503), &json!([])), "{wrong:?}");
    }
    Ok(())
}

#[tokio::test]
async fn days_nights_and_workouts_carry_their_zone_and_time_of_change() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let person = cloud.person(Provider::Withings, 1);
    let (access, _) = cloud.withings_tokens(&person.user_id).await?;
    let span = [("startdateymd", "2026-11-08"), ("enddateymd", "2026-11-18")];
    for (path, action, field) in [
        ("/v2/measure", "getactivity", "activities"),
        ("/v2/measure", "getworkouts", "series"),
        ("/v2/sleep", "getsummary", "series"),
    ] {
        let form = [&[("action", action), ("data_fields", "steps,calories,total_sleep_time")], &span[..]].concat();
        let answer = cloud.withings(path, Some(&access), &form).await?;
        assert_eq!(answer["body"]["more"], false, "{answer}");
        let rows = answer["body"][field].as_array().cloned().unwrap_or_default();
        assert!(rows.len() >= 3, "{action}: {answer}");
        for row in rows {
            assert_eq!(row["timezone"], person.time_zone);
            assert!(row["modified"].is_i64() && row["date"].is_string(), "{row}");
        }
    }
    let both = [&[("action", "getactivity"), ("lastupdate", "1")], &span[..]].concat();
    assert_eq!(cloud.withings("/v2/measure", Some(&access), &both).await?["status"], 503);
    Ok(())
}

#[tokio::test]
async fn fields_come_only_if_they_are_asked_for() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (access, _) = cloud.withings_tokens(&cloud.person(Provider::Withings, 0).user_id).await?;
    let form =
        [("action", "getactivity"), ("startdateymd", "2026-11-15"), ("enddateymd", "2026-11-15"), ("data_fields", "hr_max")];
    let row = cloud.withings("/v2/measure", Some(&access), &form).await?["body"]["activities"][0].clone();
    assert!(row["hr_max"].is_i64() && row.get("steps").is_none(), "{row}");
    Ok(())
}

#[tokio::test]
async fn minutes_of_activity_are_an_object_of_one_day_at_most() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (access, _) = cloud.withings_tokens(&cloud.person(Provider::Withings, 0).user_id).await?;
    let start = noon().as_second() - 6 * 86_400;
    let (from, to) = (start.to_string(), (start + 3 * 86_400).to_string());
    let form = [
        ("action", "getintradayactivity"),
        ("startdate", from.as_str()),
        ("enddate", to.as_str()),
        ("data_fields", "steps,heart_rate"),
    ];
    let answer = cloud.withings("/v2/measure", Some(&access), &form).await?;
    let series = answer["body"]["series"].as_object().cloned().unwrap_or_default();
    let times: Vec<i64> = series.keys().filter_map(|key| key.parse().ok()).collect();
    assert!(times.len() > 100 && times.len() == series.len());
    assert!(times.iter().all(|time| (start..start + 86_400).contains(time)));
    assert!(series.values().any(|entry| entry["steps"].is_i64()) && series.values().any(|entry| entry["heart_rate"].is_i64()));
    Ok(())
}

#[tokio::test]
async fn segments_of_a_night_cover_it_and_carry_series() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let (access, _) = cloud.withings_tokens(&user).await?;
    let nights = cloud.control.records(Provider::Withings, &user, "sleep", ALL)?;
    let night = &nights[nights.len() / 2];
    let (from, to) = (night.start.to_string(), night.end.to_string());
    let form = [("action", "get"), ("startdate", from.as_str()), ("enddate", to.as_str()), ("data_fields", "hr,sdnn_1")];
    let answer = cloud.withings("/v2/sleep", Some(&access), &form).await?;
    let series = answer["body"]["series"].as_array().cloned().unwrap_or_default();
    assert_eq!(series.first().map(|part| &part["startdate"]), Some(&json!(night.start)));
    assert_eq!(series.last().map(|part| &part["enddate"]), Some(&json!(night.end)));
    assert!(series.iter().any(|part| part["hr"].as_object().is_some_and(|hr| !hr.is_empty())));
    assert_eq!(cloud.withings("/v2/sleep", Some(&access), &[("action", "get")]).await?["status"], 503);
    Ok(())
}

#[tokio::test]
async fn the_hundred_and_twenty_first_request_of_a_minute_is_too_many() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (access, _) = cloud.withings_tokens(&cloud.person(Provider::Withings, 0).user_id).await?;
    // The exchange of the code was the first.
    for _ in 0..119 {
        assert_eq!(cloud.withings("/v2/user", Some(&access), &[("action", "getdevice")]).await?["status"], 0);
    }
    assert_eq!(cloud.withings("/v2/user", Some(&access), &[("action", "getdevice")]).await?["status"], 601);
    cloud.clock.advance(Duration::from_secs(60));
    assert_eq!(cloud.withings("/v2/user", Some(&access), &[("action", "getdevice")]).await?["status"], 0);
    assert_eq!(cloud.control.counts()[&Provider::Withings].rate_limited, 1);
    Ok(())
}

#[tokio::test]
async fn a_correction_keeps_the_id_and_a_deletion_leaves_nothing_behind() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let (access, _) = cloud.withings_tokens(&user).await?;
    let weights = [("action", "getmeas"), ("meastypes", "1"), ("category", "1")];
    cloud.clock.advance(Duration::from_secs(10));
    let addition = Addition { start: noon().as_second() - 7200, end: noon().as_second() - 7200, content: Content::Value(80.25) };
    let added = cloud.control.add(Provider::Withings, &user, "measures", addition).await?;
    let find = async || -> Result<Option<Value>> {
        Ok(pages(&cloud, &access, &weights).await?.into_iter().find(|row| row["grpid"] == json!(added.id)))
    };
    let before = find().await?.unwrap_or_default();
    assert_eq!(before["measures"][0]["value"], 80_250);

    cloud.clock.advance(Duration::from_secs(10));
    cloud.control.correct(Provider::Withings, &user, "measures", &Select::Id(added.id), Change::Value(79.5)).await?;
    let after = find().await?.unwrap_or_default();
    assert_eq!(after["measures"][0]["value"], 79_500);
    assert_eq!(after["date"], before["date"]);
    assert!(after["modified"].as_i64() > before["modified"].as_i64());
    let since = (noon().as_second() + 15).to_string();
    let changed = pages(&cloud, &access, &[("action", "getmeas"), ("lastupdate", &since)]).await?;
    assert_eq!(changed, [after]);

    cloud.control.delete(Provider::Withings, &user, "measures", &Select::Id(added.id)).await?;
    assert_eq!(find().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_scope_that_was_not_granted_is_refused() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let query = [
        ("response_type", "code"),
        ("client_id", "headwater-dev"),
        ("state", "s"),
        ("scope", "user.info,user.metrics"),
        ("redirect_uri", REDIRECT),
        ("simulate_consent", user.as_str()),
        ("simulate_scope", "user.info"),
    ];
    let back = cloud.authorize("/withings/oauth2_user/authorize2", &query).await?;
    let code = &back.iter().find(|(name, _)| name == "code").expect("consent was given").1;
    let answer =
        cloud.withings_exchange(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)]).await?;
    assert_eq!(answer["body"]["scope"], "user.info");
    let access = answer["body"]["access_token"].as_str().unwrap_or_default();
    assert_eq!(cloud.withings("/measure", Some(access), &[("action", "getmeas")]).await?["status"], 277);
    Ok(())
}
