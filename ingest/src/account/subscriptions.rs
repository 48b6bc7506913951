//! Announcements of a connection: set up when it is made, looked after while it lasts, ended with it.

use headwater_sources::source::Fetch;
use headwater_store::Connection;

use super::Accounts;
use crate::cloud::Cloud;
use crate::shared::Shared;
use crate::tokens::TokenKeeper;

impl Accounts {
    /// Asks the provider to announce changes.
    pub(super) async fn subscribe(&self, cloud: &Cloud, connection: &Connection) -> Result<(), &'static str> {
        let Some(callback) = cloud.callback(&self.shared.settings) else { return Ok(()) };
        let wanted = cloud.source.subscribe(&callback);
        set_up(&self.shared, &self.tokens, cloud, connection, wanted).await
    }

    /// As far as it goes: what is not ended ends with the grant.
    pub(super) async fn unsubscribe(&self, cloud: &Cloud, connection: &Connection) {
        let Some(callback) = cloud.callback(&self.shared.settings) else { return };
        let requests = cloud.source.unsubscribe(&callback);
        if requests.is_empty() {
            return;
        }
        let Ok(access) = self.tokens.access(connection.id, &connection.provider, None).await else { return };
        for fetch in requests {
            let _ = self.shared.http.fetch(cloud.api(), &fetch, &access.token).await;
        }
    }
}

/// Looks whether everything is still announced, and sets up what is not. Once in the profile's interval.
pub(crate) async fn look_after(shared: &Shared, tokens: &TokenKeeper, cloud: &Cloud, connection: &Connection) {
    let Some(every) = cloud.profile().webhook.as_ref().and_then(|w| w.check_every) else { return };
    let (Some(callback), Some(list)) = (cloud.callback(&shared.settings), cloud.source.subscriptions()) else { return };
    let now = shared.clock.now();
    match shared.store.health(connection.id).await {
        Ok(health) if health.subscribed_at.is_none_or(|at| now - at >= crate::clock::micros(every)) => {}
        _ => return,
    }
    let looked = async {
        let access = tokens.access(connection.id, &connection.provider, None).await.map_err(|_| "no_token")?;
        let answer = shared.http.fetch(cloud.api(), &list, &access.token).await.map_err(|e| e.why)?;
        let missing = cloud.source.missing_subscriptions(&callback, &answer.as_response()).map_err(|_| "not_listed")?;
        if !missing.is_empty() {
            tracing::info!(
                provider = connection.provider,
                connection = %connection.id,
                missing = missing.len(),
                "announcements had ended; set up again"
            );
        }
        set_up(shared, tokens, cloud, connection, missing).await
    };
    if let Err(why) = looked.await {
        tracing::warn!(provider = connection.provider, connection = %connection.id, why, "announcements could not be looked after");
    }
}

async fn set_up(
    shared: &Shared,
    tokens: &TokenKeeper,
    cloud: &Cloud,
    connection: &Connection,
    requests: Vec<Fetch>,
) -> Result<(), &'static str> {
    for fetch in requests {
        let access = tokens.access(connection.id, &connection.provider, None).await.map_err(|_| "no_token")?;
        let answer = shared.http.fetch(cloud.api(), &fetch, &access.token).await.map_err(|e| e.why)?;
        cloud.source.read(&fetch, &answer.as_response()).map_err(|_| "refused")?;
    }
    shared.store.set_subscribed(connection.id, Some(shared.clock.now())).await.map_err(|_| "store_unavailable")
}
