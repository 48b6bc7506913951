//! Token flights over a store that hangs for minutes, in played time. The provider takes each refresh token once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Request;
use headwater_ingest::Ingest;
use headwater_ingest::clock::Clock;
use headwater_ingest::http::{Answer, Line, NoAnswer};
use headwater_ingest::settings::IngestSettings;
use headwater_store::memory::{Gate, MemoryStore};
use headwater_store::{Result, Store as _, Tokens, Unavailable};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::support::Memory;

const EPOCH: i64 = 1_773_554_400_000_000;
const CONNECTION: Uuid = Uuid::from_u128(1);
const HANGS: Duration = Duration::from_secs(200);

#[tokio::test(start_paused = true)]
async fn a_pair_in_hand_is_stored_although_the_first_try_hung_for_minutes_and_failed() {
    let (ingest, _) = flight(Hangs { fails: true, ..Hangs::default() }).await;
    let access = ingest.tokens().access(CONNECTION, "whoop", None).await.expect("a token");
    assert_eq!(access.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_leaves_its_flight_the_only_one_of_its_process() {
    let (ingest, asked) = flight(Hangs { leases_too: true, ..Hangs::default() }).await;
    let tokens = ingest.tokens();
    let hung_up = tokio::time::timeout(Duration::from_secs(1), tokens.access(CONNECTION, "whoop", None)).await;
    assert!(hung_up.is_err(), "expected the store to hang");
    // By now the lease has run out, and what the flight noted of itself is as old as that of one that died.
    sleep(HANGS * 3 / 4).await;
    let access = tokens.access(CONNECTION, "whoop", None).await.expect("the pair of the first flight");
    assert_eq!((access.generation, asked.load(Ordering::Relaxed)), (2, 1));
}

/// An instance with a token that has run out.
async fn flight(gate: Hangs) -> (Ingest, Arc<AtomicUsize>) {
    let (store, strict) = (MemoryStore::default(), Strict::default());
    let tokens = Tokens { access: "a.1".into(), refresh: Some("r.1".to_owned().into()), expires_at: Some(1), generation: 1 };
    assert!(store.put_tokens(CONNECTION, None, &tokens).await.expect("an open gate"));
    let asked = strict.0.clone();
    let providers = serde_json::json!({"whoop": {
        "client_id": "client", "client_secret": "secret", "api_url": "http://whoop.sim", "token_url": "http://whoop.sim/token",
    }});
    let providers = serde_json::from_value(providers).expect("settings");
    let (store, clock) = (Arc::new(store.behind(Arc::new(gate))), Arc::new(Played(Instant::now())));
    let settings = IngestSettings { seal_raw: false, ..IngestSettings::default() };
    let ingest = Ingest::over(Arc::new(strict), settings, providers, store, Arc::new(Memory::default()), clock);
    (ingest.expect("settings that can be meant"), asked)
}

/// The first pair that is stored hangs.
#[derive(Default)]
struct Hangs {
    begun: AtomicBool,
    /// Then it fails.
    fails: bool,
    /// While it hangs, leases do for half as long.
    leases_too: bool,
    until: Mutex<Option<Instant>>,
}

#[async_trait]
impl Gate for Hangs {
    async fn before(&self, request: &'static str) -> Result<()> {
        if request == "put_tokens" && !self.begun.swap(true, Ordering::Relaxed) {
            *self.until.lock().expect("nothing panics under this lock") = Some(Instant::now() + HANGS / 2);
            sleep(HANGS).await;
            return if self.fails { Err(Unavailable::new("test")) } else { Ok(()) };
        }
        let until = *self.until.lock().expect("nothing panics under this lock");
        if let Some(until) = until.filter(|_| self.leases_too && request == "lease") {
            sleep_until(until).await;
        }
        Ok(())
    }
}

/// Takes its one token once.
#[derive(Default)]
struct Strict(Arc<AtomicUsize>);

#[async_trait]
impl Line for Strict {
    async fn carry(&self, _: Request<Vec<u8>>) -> std::result::Result<Answer, NoAnswer> {
        let (status, body) = match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => (200, r#"{"access_token": "a.2", "refresh_token": "r.2", "token_type": "bearer", "expires_in": 3600}"#),
            _ => (400, r#"{"error": "invalid_grant"}"#),
        };
        Ok(Answer { status, headers: vec![("content-type".into(), "application/json".into())], body: body.into() })
    }
}

struct Played(Instant);

#[async_trait]
impl Clock for Played {
    fn now(&self) -> i64 {
        EPOCH + i64::try_from(self.0.elapsed().as_micros()).expect("minutes are few")
    }

    async fn sleep(&self, how_long: Duration) {
        sleep(how_long).await;
    }
}
