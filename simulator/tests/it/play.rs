use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use headwater_simulator::{Clock, FaultPlan, Provider, Settings, WebhookTargets};

use crate::support::{Cloud, Receiver, noon, proper, still};

fn playing(receiver: &Receiver) -> Settings {
    let webhooks = WebhookTargets {
        withings: receiver.url.clone(),
        google_health: receiver.url.clone(),
        google_health_authorization: "Bearer hook".into(),
        others: None,
    };
    Settings { webhooks: Some(webhooks), start_caught_up: false, surprises: true, faults: FaultPlan::none(), ..still() }
}

#[tokio::test]
async fn the_last_days_are_played_and_every_contact_is_announced() -> Result<()> {
    let receiver = Receiver::start(proper).await?;
    let cloud = Cloud::start(playing(&receiver)).await?;
    assert_eq!(cloud.control.horizon().as_second(), noon().as_second() - 3 * 86_400);
    let google = cloud.person(Provider::GoogleHealth, 0).user_id;
    cloud.google_tokens(&google).await?;
    // The play runs its handshake before anything else; time stands still until then.
    receiver.wait_for(2, |got| !got.is_data()).await?;
    cloud.clock.advance(Duration::from_secs(45));
    let got = receiver.wait_for(20, |got| got.is_data()).await?;
    let mut kinds = BTreeSet::new();
    for body in got.iter().map(crate::support::Got::json) {
        let entries = body.as_array().cloned().unwrap_or_else(|| vec![body]);
        for entry in entries {
            assert_eq!(entry["data"]["healthUserId"], google, "only who is connected is announced");
            kinds.insert(entry["data"]["dataType"].as_str().context("no type")?.to_owned());
        }
    }
    for kind in ["steps", "heart-rate", "sleep"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    cloud.clock.advance(Duration::from_secs(3600));
    assert_eq!(cloud.control.horizon(), cloud.clock.now(), "caught up");
    Ok(())
}

#[tokio::test]
async fn withings_announces_by_kind_of_data() -> Result<()> {
    let receiver = Receiver::start(|_| 200).await?;
    let cloud = Cloud::start(playing(&receiver)).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    cloud.withings_tokens(&user).await?;
    cloud.clock.advance(Duration::from_secs(60));
    let got = receiver.wait_for(15, |got| got.header("content-type") == Some("application/x-www-form-urlencoded")).await?;
    let mut applis = BTreeSet::new();
    for got in got {
        let body = std::str::from_utf8(&got.body)?.to_owned();
        assert!(body.starts_with(&format!("userid={user}&appli=")), "{body}");
        applis.insert(body.split('&').nth(1).unwrap_or_default().to_owned());
    }
    assert!(applis.is_superset(&BTreeSet::from(["appli=16".to_owned(), "appli=44".to_owned()])), "{applis:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_delivered_to_an_endpoint_that_failed_the_handshake() -> Result<()> {
    let receiver = Receiver::start(|_| 204).await?;
    let cloud = Cloud::start(Settings { clock: Clock::fixed(noon()), ..playing(&receiver) }).await?;
    cloud.google_tokens(&cloud.person(Provider::GoogleHealth, 0).user_id).await?;
    cloud.clock.advance(Duration::from_secs(60));
    // Several rounds of the play, each with a new handshake.
    let got = receiver.wait_for(8, |_| true).await?;
    assert!(got.iter().all(|got| !got.is_data()), "{got:?}");
    Ok(())
}
