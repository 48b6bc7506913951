use std::time::{Duration, Instant};

use anyhow::Result;
use headwater_simulator::{Fault, FaultPlan, Provider, Settings};
use serde_json::{Value, json};

use crate::support::{Cloud, still};

async fn google(cloud: &Cloud, token: &str) -> reqwest::Result<reqwest::Response> {
    let url = cloud.url("/google_health/v4/users/me/dataTypes/weight/dataPoints");
    cloud.http.get(url).bearer_auth(token).send().await
}

#[tokio::test]
async fn queued_faults_come_in_order_and_end() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (token, _) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    cloud.control.fault(Provider::GoogleHealth, Fault::RateLimited { retry_after: Some(7) }, 2);
    cloud.control.fault(Provider::GoogleHealth, Fault::ServerError, 1);
    cloud.control.fault(Provider::GoogleHealth, Fault::Expired, 1);
    let first = google(&cloud, &token).await?;
    assert_eq!((first.status().as_u16(), first.headers()["retry-after"].to_str()?), (429, "7"));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(google(&cloud, &token).await?.status().as_u16());
    }
    assert_eq!(statuses, [429, 500, 401, 200]);
    assert_eq!(cloud.control.counts()[&Provider::GoogleHealth].rate_limited, 2);
    Ok(())
}

#[tokio::test]
async fn withings_faults_keep_its_envelope() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (token, _) = cloud.withings_tokens(&cloud.person(Provider::Withings, 0).user_id).await?;
    cloud.control.fault(Provider::Withings, Fault::RateLimited { retry_after: None }, 1);
    cloud.control.fault(Provider::Withings, Fault::Expired, 1);
    for status in [601, 401, 0] {
        let answer = cloud.withings("/measure", Some(&token), &[("action", "getmeas")]).await?;
        assert_eq!(answer["status"], status);
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_can_be_cut_off_in_the_middle() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (token, _) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    let whole = google(&cloud, &token).await?.text().await?;
    cloud.control.fault(Provider::GoogleHealth, Fault::CutJson, 1);
    let cut = google(&cloud, &token).await?.text().await?;
    assert!(serde_json::from_str::<Value>(&cut).is_err());
    assert!(whole.starts_with(&cut) && !cut.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_connection_can_break_or_hang_and_the_next_one_works() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (token, _) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    cloud.control.fault(Provider::GoogleHealth, Fault::Reset, 1);
    // A client may repeat a GET on a connection that it had open already: a fresh one shows the fault itself.
    let fresh = reqwest::Client::builder().retry(reqwest::retry::never()).build()?;
    let url = cloud.url("/google_health/v4/users/me/identity");
    assert!(fresh.get(&url).bearer_auth(&token).send().await.is_err());
    assert_eq!(google(&cloud, &token).await?.status(), 200);

    cloud.control.fault(Provider::GoogleHealth, Fault::Hang, 1);
    let waited = fresh.get(&url).bearer_auth(&token).timeout(Duration::from_millis(200)).send().await;
    assert!(waited.is_err_and(|error| error.is_timeout()));
    assert_eq!(google(&cloud, &token).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_slow_answer_is_right_in_the_end() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (token, _) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    cloud.control.fault(Provider::GoogleHealth, Fault::Slow { millis: 150 }, 1);
    let begun = Instant::now();
    assert_eq!(google(&cloud, &token).await?.status(), 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    Ok(())
}

#[tokio::test]
async fn a_fault_can_be_aimed_at_one_endpoint() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (token, refresh) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    cloud.control.fault_at(Provider::GoogleHealth, "/token", Fault::ServerError, 1);
    assert_eq!(google(&cloud, &token).await?.status(), 200);
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(cloud.google_exchange(&form).await?.0, 500);
    assert_eq!(cloud.google_exchange(&form).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn faults_of_the_plan_come_by_themselves_and_repeatably() -> Result<()> {
    let run = async || -> Result<Vec<u16>> {
        let faults = FaultPlan { rate_limited: 200, server_error: 100 };
        let cloud = Cloud::start(Settings { faults, ..still() }).await?;
        let mut statuses = Vec::new();
        for _ in 0..60 {
            statuses.push(google(&cloud, "nobody").await?.status().as_u16());
        }
        Ok(statuses)
    };
    let statuses = run().await?;
    for status in [401, 429, 500] {
        assert!(statuses.contains(&status), "{statuses:?}");
    }
    assert_eq!(statuses, run().await?);
    Ok(())
}

#[tokio::test]
async fn the_same_hand_works_over_http() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let person = cloud.person(Provider::Withings, 0);
    let (token, _) = cloud.withings_tokens(&person.user_id).await?;
    let body = json!({"provider": "withings", "fault": {"kind": "rate_limited"}, "times": 1});
    assert_eq!(cloud.http.post(cloud.url("/control/fault")).json(&body).send().await?.status(), 200);
    assert_eq!(cloud.withings("/measure", Some(&token), &[("action", "getmeas")]).await?["status"], 601);

    let body = json!({"provider": "withings", "user_id": person.user_id, "stream": "measures", "change": {"value": 70.5}});
    assert_eq!(cloud.http.post(cloud.url("/control/correct")).json(&body).send().await?.status(), 200);
    let wrong = json!({"provider": "withings", "user_id": "0", "stream": "measures", "change": {"value": 70.5}});
    assert_eq!(cloud.http.post(cloud.url("/control/correct")).json(&wrong).send().await?.status(), 400);
    let counts: Value = cloud.http.get(cloud.url("/control/counts")).send().await?.json().await?;
    assert_eq!(counts["withings"]["requests"]["POST /measure getmeas"], 1);
    let page = cloud.http.get(cloud.url("/")).send().await?.text().await?;
    assert!(page.contains(&person.user_id) && page.contains("getmeas"));
    Ok(())
}

#[tokio::test]
async fn a_simulator_stops_although_a_client_hangs_on() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let (token, _) = cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    cloud.control.fault(Provider::GoogleHealth, Fault::Hang, 1);
    let url = cloud.url("/google_health/v4/users/me/identity");
    let mut hanging = tokio::task::JoinSet::new();
    hanging.spawn(cloud.http.get(url.clone()).bearer_auth(token).send());
    // The request is in once it is counted.
    let name = "GET /v4/users/me/identity";
    while !cloud.control.counts()[&Provider::GoogleHealth].requests.contains_key(name) {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    cloud.simulator.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(hanging.join_next().await.is_some());
    assert!(cloud.http.get(url).send().await.is_err());
    Ok(())
}
