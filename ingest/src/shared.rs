//! What all parts share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_store::{Lease, Store};
use uuid::Uuid;

use crate::clock::{Clock, micros};
use crate::cloud::Cloud;
use crate::http::Http;
use crate::room::Room;
use crate::settings::IngestSettings;
use crate::{Outlet, Unavailable};

pub(crate) struct Shared {
    pub settings: IngestSettings,
    pub clouds: BTreeMap<&'static str, Arc<Cloud>>,
    pub store: Arc<dyn Store>,
    pub outlet: Arc<dyn Outlet>,
    pub clock: Arc<dyn Clock>,
    pub http: Http,
    /// For the bodies of webhooks and batches.
    pub room: Room,
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
}

/// How often somebody who waits for a lease looks whether it is free.
const LEASE_LOOK: Duration = Duration::from_millis(100);
