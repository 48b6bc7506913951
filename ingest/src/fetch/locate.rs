//! Where in time a record stands that a notification names by the provider's id alone.

use headwater_schemas::ids;
use headwater_sources::profile::Poll;
use headwater_sources::source::Window;

use super::Fetcher;
use super::ask::Got;
use super::window::{Stop, Target};
use crate::held;
use crate::window::aligned;

impl Fetcher {
    /// The window in which we hold the record, so that a re-read sees its change or that it is gone; else where the provider says it begins.
    /// `None` where neither knows: the trailing window is looked at.
    pub(super) async fn span_of(&self, target: &Target<'_>, poll: Poll, object: &str) -> Result<Option<Window>, Stop> {
        let (store, connection, stream) = (&self.shared.store, target.connection(), target.stream);
        let named: Vec<_> = connection
            .subjects
            .iter()
            .flat_map(|subject| {
                stream.becomes.iter().map(|measure| ids::observation(connection.id, subject, measure.slug, object))
            })
            .collect();
        let now = self.shared.clock.now();
        let cursor = store.cursor(connection.id, stream.id).await?;
        let oldest = cursor.and_then(|cursor| cursor.history_from).unwrap_or(now - target.cloud.history());
        for window in aligned(&poll, Window { start: oldest, end: now }).into_iter().rev() {
            let held = store.held(connection.id, stream.id, window.start).await?.and_then(|blob| held::decode(&blob));
            if held.is_some_and(|held| named.iter().any(|id| held.entries.get(id).is_some_and(|entry| !entry.gone))) {
                return Ok(Some(window));
            }
        }
        let Some(fetch) = target.cloud.source.locate(stream, object) else { return Ok(None) };
        Ok(match self.ask(target, &fetch).await? {
            Got::Page { answer, .. } => {
                target.cloud.source.located(&answer.as_response()).map(|start| Window { start, end: start + 1 })
            }
            Got::Broken { .. } | Got::Coming | Got::Refused(_) => None,
        })
    }
}
