//! What all parts share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_store::{Lease, Store};
use uuid::Uuid;

use crate::clock::{Clock, micros};
use crate::cloud::Cloud;
use crate::http::Http;
use crate::room::Share;
use crate::settings::IngestSettings;
use crate::{Outlet, Unavailable};

pub(crate) struct Shared {
    pub settings: IngestSettings,
    pub clouds: BTreeMap<&'static str, Arc<Cloud>>,
    pub store: Arc<dyn Store>,
    pub outlet: Arc<dyn Outlet>,
    pub clock: Arc<dyn Clock>,
    pub http: Http,
    /// For the bodies of batches; those of webhooks have their provider's.
    pub uploads: Share,
}

impl Shared {
    pub(crate) fn cloud(&self, provider: &str) -> Option<Arc<Cloud>> {
        self.clouds.get(provider).cloned()
    }

    /// Takes a lease, waiting for it where another holds it. `None` when the wait was in vain.
    pub(crate) async fn lease(&self, name: &str, life: Duration, wait: Duration) -> Result<Option<Lease>, Unavailable> {
        // An owner per flight: the tasks of one instance exclude each other as instances do.
        let (owner, give_up) = (Uuid::new_v4(), self.clock.now() + micros(wait));
        loop {
            let now = self.clock.now();
            if let Some(lease) = self.store.lease(name, owner, now, now + micros(life)).await? {
                return Ok(Some(lease));
            }
            if now >= give_up {
                return Ok(None);
            }
            self.clock.sleep(LEASE_LOOK).await;
        }
    }

    /// Does the work under the lease and gives it back. The lease is renewed meanwhile, so it may be short: when a holder dies, others wait no longer
    /// than that. `None` when it could not be kept: then the work is broken off, because somebody else may be at it.
    pub(crate) async fn under<T>(&self, lease: &Lease, life: Duration, work: impl Future<Output = T>) -> Option<T> {
        let done = tokio::select! {
            done = work => Some(done),
            () = self.keep(lease, life) => None,
        };
        // A lease that is not given back runs out by itself.
        let _ = self.store.release(lease).await;
        done
    }

    /// The same for work that must not be broken off once it began, and is guarded by more than the lease.
    pub(crate) async fn through<T>(&self, lease: &Lease, life: Duration, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let done = tokio::select! {
            done = &mut work => done,
            () = self.keep(lease, life) => work.await,
        };
        let _ = self.store.release(lease).await;
        done
    }

    /// Renews for as long as that is answered in time, and returns when the lease can no longer be relied on.
    async fn keep(&self, lease: &Lease, life: Duration) {
        // Taken a while ago: the store's answer took its time.
        let mut good_until = tokio::time::Instant::now() + life * 3 / 4;
        loop {
            tokio::time::sleep(life / 4).await;
            let (asked, now) = (tokio::time::Instant::now(), self.clock.now());
            let renewed = self.store.lease(&lease.name, lease.owner, now, now + micros(life));
            match tokio::time::timeout_at(good_until, renewed).await {
                Ok(Ok(Some(renewed))) if renewed.fence == lease.fence => good_until = asked + life,
                // Another's, or no answer for as long as it was ours.
                Ok(Ok(_)) | Err(_) => return,
                Ok(Err(_)) => {}
            }
        }
    }
}

/// How often somebody who waits for a lease looks whether it is free.
const LEASE_LOOK: Duration = Duration::from_millis(100);
