use std::time::Duration;

use anyhow::Result;
use headwater_simulator::{Clock, Provider, Record, Settings};

use crate::support::{Cloud, noon, still};

const STREAMS: [(Provider, &str); 9] = [
    (Provider::Withings, "measures"),
    (Provider::Withings, "activity"),
    (Provider::Withings, "sleep"),
    (Provider::Withings, "workouts"),
    (Provider::GoogleHealth, "steps"),
    (Provider::GoogleHealth, "heart-rate"),
    (Provider::GoogleHealth, "sleep"),
    (Provider::GoogleHealth, "exercise"),
    (Provider::GoogleHealth, "weight"),
];

fn everything(cloud: &Cloud, window: (i64, i64)) -> Result<Vec<Record>> {
    let mut all = Vec::new();
    for (provider, stream) in STREAMS {
        for person in cloud.control.people().iter().filter(|person| person.provider == provider) {
            all.extend(cloud.control.records(provider, &person.user_id, stream, window)?);
        }
    }
    Ok(all)
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_and_another_seed_other_ones() -> Result<()> {
    let window = (noon().as_second() - 5 * 86_400, noon().as_second());
    let run = async |seed: u64| -> Result<String> {
        let cloud = Cloud::start(Settings { seed, surprises: true, ..still() }).await?;
        Ok(serde_json::to_string(&everything(&cloud, window)?)?)
    };
    let first = run(7).await?;
    assert!(first.len() > 1_000_000);
    assert!(first == run(7).await?);
    assert!(first != run(8).await?);
    Ok(())
}

#[tokio::test]
async fn a_past_day_is_the_same_whenever_it_is_looked_at() -> Result<()> {
    let window = (noon().as_second() - 12 * 86_400, noon().as_second() - 8 * 86_400);
    let cloud = Cloud::start(still()).await?;
    let before = serde_json::to_string(&everything(&cloud, window)?)?;
    cloud.clock.advance(Duration::from_secs(30 * 3600));
    assert!(before == serde_json::to_string(&everything(&cloud, window)?)?);
    Ok(())
}

#[tokio::test]
async fn data_appear_only_after_they_were_synchronised() -> Result<()> {
    let cloud = Cloud::start(still()).await?;
    let user = cloud.person(Provider::GoogleHealth, 1).user_id;
    let window = (noon().as_second() - 86_400, noon().as_second() + 2 * 86_400);
    let count = || cloud.control.records(Provider::GoogleHealth, &user, "heart-rate", window).map(|records| records.len());
    let mut seen = count()?;
    let mut grew = 0;
    for _ in 0..48 {
        cloud.clock.advance(Duration::from_secs(3600));
        let now = count()?;
        assert!(now >= seen);
        grew += usize::from(now > seen);
        seen = now;
    }
    assert!((4..44).contains(&grew), "grew {grew} times");
    Ok(())
}

#[tokio::test]
async fn with_surprises_some_records_change_and_some_leave() -> Result<()> {
    let settings = || Settings { history_days: 60, ..still() };
    let calm = Cloud::start(settings()).await?;
    let lively = Cloud::start(Settings { surprises: true, clock: Clock::fixed(noon()), ..settings() }).await?;
    let window = (noon().as_second() - 50 * 86_400, noon().as_second() - 8 * 86_400);
    let user = calm.person(Provider::GoogleHealth, 0).user_id;
    let of = |cloud: &Cloud, kind: &str| cloud.control.records(Provider::GoogleHealth, &user, kind, window);
    let (mut changed, mut gone) = (0, 0);
    for kind in ["sleep", "exercise", "weight", "daily-resting-heart-rate"] {
        let after = of(&lively, kind)?;
        for before in of(&calm, kind)? {
            match after.iter().find(|record| record.id == before.id) {
                None => gone += 1,
                Some(record) if record.body != before.body => {
                    assert!(record.modified > before.modified);
                    changed += 1;
                }
                Some(_) => {}
            }
        }
    }
    assert!(changed > 0 && gone > 0, "{changed} changed, {gone} gone");
    Ok(())
}

#[tokio::test]
async fn a_token_of_an_earlier_run_is_nobodys() -> Result<()> {
    let first = Cloud::start(still()).await?;
    let (access, refresh) = first.google_tokens(&first.person(Provider::GoogleHealth, 0).user_id).await?;
    let later = Clock::fixed(noon() + jiff::SignedDuration::from_secs(1));
    let second = Cloud::start(Settings { clock: later, ..still() }).await?;
    second.google_tokens(&second.person(Provider::GoogleHealth, 1).user_id).await?;
    assert_eq!(second.google(&access, "identity", &[]).await?.0, 401);
    assert_eq!(second.google_exchange(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await?.0, 400);
    Ok(())
}
