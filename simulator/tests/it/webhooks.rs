use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headwater_simulator::{Announcement, ControlError, Limits, Provider, Select, Settings, WebhookTargets};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::{EncodedPoint, FieldBytes};
use serde_json::{Value, json};

use crate::support::{Cloud, Receiver, noon, proper, still};

async fn with_targets(receiver: &Receiver) -> Result<Cloud> {
    let webhooks = WebhookTargets {
        withings: receiver.url.clone(),
        google_health: receiver.url.clone(),
        google_health_authorization: "Bearer hook".into(),
        others: None,
    };
    Cloud::start(Settings { webhooks: Some(webhooks), ..still() }).await
}

fn announce(cloud: &Cloud, provider: Provider, topic: &str) -> Announcement {
    let user_id = cloud.person(provider, 0).user_id;
    Announcement {
        provider,
        user_id,
        topic: topic.into(),
        start: noon().as_second() - 3600,
        end: noon().as_second(),
        delete: false,
        action: None,
    }
}

/// Length-delimited fields of a protobuf message.
fn field(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = message;
    while let [tag, length, tail @ ..] = rest {
        let (value, after) = tail.split_at_checked(usize::from(*length))?;
        if tag >> 3 == wanted {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// Reads the keyset as a receiver would.
fn keys(keyset: &Value) -> Result<Vec<(u32, VerifyingKey)>> {
    let coordinate = |message: &[u8], number: u8| -> Result<FieldBytes> {
        let bytes = field(message, number).context("a coordinate is missing")?;
        let significant = bytes.strip_prefix(&[0]).filter(|_| bytes.len() > 32).unwrap_or(bytes);
        let mut padded = [0u8; 32];
        padded[32 - significant.len()..].copy_from_slice(significant);
        Ok(padded.into())
    };
    let keys = keyset["key"].as_array().context("no keys")?.iter().map(|key| {
        let message = STANDARD.decode(key["keyData"]["value"].as_str().context("no value")?)?;
        let point = EncodedPoint::from_affine_coordinates(&coordinate(&message, 3)?, &coordinate(&message, 4)?, false);
        let id = u32::try_from(key["keyId"].as_u64().context("no id")?)?;
        Ok((id, VerifyingKey::from_encoded_point(&point)?))
    });
    keys.collect()
}

fn genuine(keys: &[(u32, VerifyingKey)], body: &[u8], header: &str) -> Result<bool> {
    let bytes = STANDARD.decode(header)?;
    assert_eq!(bytes[0], 1);
    let id = u32::from_be_bytes(bytes[1..5].try_into()?);
    let Some((_, key)) = keys.iter().find(|(known, _)| *known == id) else { return Ok(false) };
    Ok(key.verify(body, &Signature::from_der(&bytes[5..])?).is_ok())
}

#[tokio::test]
async fn signatures_verify_with_the_published_keyset_whatever_the_seed() -> Result<()> {
    for seed in 0..12 {
        let receiver = Receiver::start(proper).await?;
        let webhooks = WebhookTargets {
            withings: receiver.url.clone(),
            google_health: receiver.url.clone(),
            google_health_authorization: "Bearer hook".into(),
            others: None,
        };
        let cloud = Cloud::start(Settings { seed, webhooks: Some(webhooks), ..still() }).await?;
        let fetch = async || -> Result<Value> {
            Ok(cloud.http.get(cloud.url("/google_health/webhooks_public_keyset.json")).send().await?.json().await?)
        };
        let known = keys(&fetch().await?)?;
        let made = cloud.control.notification(&[announce(&cloud, Provider::GoogleHealth, "steps")])?;
        let signature = made.header("google-health-api-signature").context("no signature")?;
        assert!(genuine(&known, &made.body, signature)?);
        assert!(!genuine(&known, b"{}", signature)?, "another body");
        assert!(!genuine(&known, &made.body, &cloud.control.sign_as_stranger(&made.body))?, "an unknown key");

        cloud.control.rotate_signing_key();
        let later = cloud.control.sign(&made.body);
        assert!(!genuine(&known, &made.body, &later)?, "the key is new");
        let known = keys(&fetch().await?)?;
        assert!(
            genuine(&known, &made.body, &later)? && genuine(&known, &made.body, signature)?,
            "old and new keys are published"
        );
    }
    Ok(())
}

#[tokio::test]
async fn google_healths_handshake_wants_exactly_the_documented_answers() -> Result<()> {
    for (with, without, passes) in
        [(201, 401, true), (200, 403, true), (204, 401, false), (201, 201, false), (201, 404, false), (500, 401, false)]
    {
        let receiver = Receiver::start(move |got| if got.header("authorization").is_some() { with } else { without }).await?;
        let cloud = with_targets(&receiver).await?;
        assert_eq!(cloud.control.verify_endpoint().await.is_ok(), passes, "{with} {without}");
        let got = receiver.all();
        assert_eq!(got.len(), 2);
        assert!(got.iter().all(|got| &got.body[..] == br#"{"type":"verification"}"#));
        assert_eq!(got[0].header("user-agent"), Some("Google-Health-API-Webhooks-Verifier"));
    }
    Ok(())
}

#[tokio::test]
async fn a_subscriber_is_created_only_where_its_endpoint_passes() -> Result<()> {
    let good = Receiver::start(proper).await?;
    let bad = Receiver::start(|_| 204).await?;
    let cloud = Cloud::start(still()).await?;
    let create = async |token: &str, id: &str, url: &str| {
        let body = json!({
            "endpointUri": url,
            "endpointAuthorization": {"secret": "Bearer mine"},
            "subscriberConfigs": [{"dataTypes": ["steps", "sleep"], "subscriptionCreatePolicy": "AUTOMATIC"}],
        });
        cloud.google_post(token, &format!("projects/123/subscribers?subscriberId={id}"), &body).await
    };
    assert_eq!(create("nobody", "mine", &good.url).await?.0, 401);
    let (_, refused) = create("headwater-dev-service", "other", &bad.url).await?;
    assert_eq!(refused["error"]["code"], 9, "{refused}");
    let (_, done) = create("headwater-dev-service", "mine", &good.url).await?;
    assert_eq!(done["response"]["name"], "projects/123/subscribers/mine", "{done}");
    assert_eq!(create("headwater-dev-service", "mine", &good.url).await?.0, 409);

    let sent = cloud.control.notify(&announce(&cloud, Provider::GoogleHealth, "steps")).await?;
    assert_eq!(sent.iter().map(|delivery| delivery.status).collect::<Vec<_>>(), [Some(204)]);
    let unwanted = cloud.control.notify(&announce(&cloud, Provider::GoogleHealth, "weight")).await;
    assert!(matches!(unwanted, Err(ControlError::NoTarget)));
    Ok(())
}

#[tokio::test]
async fn one_announcement_is_an_object_and_several_are_an_array() -> Result<()> {
    let receiver = Receiver::start(proper).await?;
    let cloud = with_targets(&receiver).await?;
    let (steps, sleep) = (announce(&cloud, Provider::GoogleHealth, "steps"), announce(&cloud, Provider::GoogleHealth, "sleep"));
    let one: Value = serde_json::from_slice(&cloud.control.notification(std::slice::from_ref(&steps))?.body)?;
    assert_eq!(one["data"]["operation"], "UPSERT");
    assert_eq!(one["data"]["healthUserId"], json!(steps.user_id));
    assert_eq!(one["data"]["intervals"][0]["physicalTimeInterval"]["endTime"], "2026-11-20T12:00:00Z");
    // Los Angeles, eight hours behind.
    assert_eq!(one["data"]["intervals"][0]["civilIso8601TimeInterval"]["endTime"], "2026-11-20T04:00:00");
    let many: Value = serde_json::from_slice(&cloud.control.notification(&[steps, sleep])?.body)?;
    assert_eq!(many.as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_deletion_is_announced_with_its_interval() -> Result<()> {
    let receiver = Receiver::start(proper).await?;
    let cloud = with_targets(&receiver).await?;
    let user = cloud.person(Provider::GoogleHealth, 0).user_id;
    cloud.google_tokens(&user).await?;
    let gone = cloud.control.delete(Provider::GoogleHealth, &user, "sleep", &Select::Newest).await?;
    assert_eq!(gone.deliveries.len(), 1);
    let got = receiver.wait_for(1, |got| got.is_data() && got.json()["data"]["operation"] == "DELETE").await?;
    let interval = &got[0].json()["data"]["intervals"][0]["physicalTimeInterval"];
    let start: jiff::Timestamp = interval["startTime"].as_str().context("no start")?.parse()?;
    assert_eq!(start.as_second(), gone.window.0);
    Ok(())
}

#[tokio::test]
async fn withings_asks_with_head_before_it_subscribes() -> Result<()> {
    let willing = Receiver::start(|_| 200).await?;
    let closed = Receiver::start(|_| 404).await?;
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let (access, _) = cloud.withings_tokens(&user).await?;
    let subscribe = async |url: &str, appli: &str| {
        cloud.withings("/notify", Some(&access), &[("action", "subscribe"), ("callbackurl", url), ("appli", appli)]).await
    };
    assert_eq!(subscribe(&closed.url, "1").await?["status"], 503);
    assert_eq!(subscribe(&willing.url, "3").await?["status"], 503, "no such appli");
    assert_eq!(subscribe(&willing.url, "1").await?["status"], 0);
    assert_eq!(willing.all()[0].method, axum::http::Method::HEAD);

    let mut weight = announce(&cloud, Provider::Withings, "1");
    weight.end += 7;
    let delivered = cloud.control.notify(&weight).await?;
    assert!(delivered[0].delivered);
    let got = willing.wait_for(1, |got| got.method == axum::http::Method::POST).await?;
    assert_eq!(got[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    let expected = format!("userid={user}&appli=1&startdate={}&enddate={}", weight.start, weight.end);
    assert_eq!(std::str::from_utf8(&got[0].body)?, expected);
    let sleep = cloud.control.notify(&announce(&cloud, Provider::Withings, "44")).await;
    assert!(matches!(sleep, Err(ControlError::NoTarget)), "subscribed per appli");

    let list = cloud.withings("/notify", Some(&access), &[("action", "list")]).await?;
    assert_eq!(list["body"]["profiles"][0]["callbackurl"], willing.url);
    let revoke = [("action", "revoke"), ("callbackurl", willing.url.as_str()), ("appli", "1")];
    assert_eq!(cloud.withings("/notify", Some(&access), &revoke).await?["status"], 0);
    assert!(cloud.control.notify(&weight).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_refused_notification_is_tried_again() -> Result<()> {
    let count = std::sync::atomic::AtomicU32::new(0);
    let receiver =
        Receiver::start(move |_| if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 { 503 } else { 204 }).await?;
    let webhooks = WebhookTargets {
        withings: receiver.url.clone(),
        google_health: receiver.url.clone(),
        google_health_authorization: "Bearer hook".into(),
        others: None,
    };
    let limits = Limits { webhook_retries: vec![Duration::from_millis(5); 3], ..Limits::default() };
    let cloud = Cloud::start(Settings { webhooks: Some(webhooks), limits, ..still() }).await?;
    let delivered = cloud.control.notify(&announce(&cloud, Provider::GoogleHealth, "steps")).await?;
    assert_eq!((delivered[0].tries, delivered[0].status, delivered[0].delivered), (3, Some(204), true));
    let counts = &cloud.control.counts()[&Provider::GoogleHealth];
    assert_eq!((counts.webhooks_sent, counts.webhooks_answered[&503]), (3, 2));
    Ok(())
}

#[tokio::test]
async fn who_disconnects_at_withings_is_announced_and_cut_off() -> Result<()> {
    let receiver = Receiver::start(|_| 200).await?;
    let cloud = with_targets(&receiver).await?;
    let user = cloud.person(Provider::Withings, 0).user_id;
    let (access, refresh) = cloud.withings_tokens(&user).await?;
    let deliveries = cloud.control.unlink(Provider::Withings, &user).await?;
    assert!(deliveries.len() == 1 && deliveries[0].delivered);
    assert_eq!(std::str::from_utf8(&receiver.all()[0].body)?, format!("userid={user}&appli=46&action=unlink"));
    assert_eq!(cloud.withings("/measure", Some(&access), &[("action", "getmeas")]).await?["status"], 401);
    assert_ne!(cloud.withings_refresh(&refresh).await?["status"], 0);
    Ok(())
}
