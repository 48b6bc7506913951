//! Notifications on the wire.

use serde::Serialize;

use crate::people::Provider;
use crate::world::World;

/// A POST as a provider would make it. A test may send it as it is, twice, late, or changed.
#[derive(Clone, Debug)]
pub struct Notification {
    pub provider: Provider,
    pub url: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Notification {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What became of a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The last answer; `None` where none came in time.
    pub status: Option<u16>,
    pub tries: u32,
    /// The provider counts it as delivered: below 400 at Withings, 204 at Google Health.
    pub delivered: bool,
}

/// One try.
pub(crate) async fn send(world: &World, notification: &Notification) -> Option<u16> {
    let mut request = world.http.post(&notification.url).timeout(world.settings.limits.webhook_timeout);
    for (name, value) in &notification.headers {
        request = request.header(name, value);
    }
    let status = request.body(notification.body.clone()).send().await.ok().map(|answer| answer.status().as_u16());
    world.count(notification.provider, |counts| {
        counts.webhooks_sent += 1;
        match status {
            Some(status) => *counts.webhooks_answered.entry(status).or_default() += 1,
            None => counts.webhooks_unanswered += 1,
        }
    });
    status
}

/// Tries until the provider would be content, with the pauses of the settings.
pub(crate) async fn deliver(world: &World, notification: &Notification) -> Delivery {
    let mut delivery = Delivery::default();
    let pauses = world.settings.limits.webhook_retries.iter().map(Some).chain([None]);
    for pause in pauses {
        delivery.tries += 1;
        delivery.status = send(world, notification).await;
        delivery.delivered = delivery.status.is_some_and(|status| accepted(notification.provider, status));
        let Some(pause) = pause.filter(|_| !delivery.delivered) else { break };
        tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            () = world.stopped() => break,
        }
    }
    delivery
}

fn accepted(provider: Provider, status: u16) -> bool {
    match provider {
        Provider::GoogleHealth => status == 204,
        _ => status < 400,
    }
}
