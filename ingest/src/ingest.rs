//! The parts, wired once.

use std::sync::Arc;

use axum::Router;
use headwater_store::Store;

use crate::account::Accounts;
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::fetch::Fetcher;
use crate::http::{Http, Line, Wire};
use crate::room::Room;
use crate::schedule::Scheduler;
use crate::settings::{self, IngestSettings, Providers, Wrong};
use crate::shared::Shared;
use crate::tokens::TokenKeeper;
use crate::upload::{self, Uploads};
use crate::{Outlet, receive};

/// Door and driver over one store and one outlet.
pub struct Ingest {
    shared: Arc<Shared>,
    tokens: Arc<TokenKeeper>,
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Wrong(#[from] Wrong),
    #[error("cannot make an HTTP client")]
    Http(#[from] reqwest::Error),
}

impl Ingest {
    /// # Errors
    /// When a setting cannot be meant.
    pub fn new(
        settings: IngestSettings,
        providers: Providers,
        store: Arc<dyn Store>,
        outlet: Arc<dyn Outlet>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngestError> {
        let line = Wire::new(settings.request_timeout())?;
        Self::over(Arc::new(line), settings, providers, store, outlet, clock)
    }

    /// The same with another way to the providers than the network.
    ///
    /// # Errors
    /// When a setting cannot be meant.
    pub fn over(
        line: Arc<dyn Line>,
        settings: IngestSettings,
        providers: Providers,
        store: Arc<dyn Store>,
        outlet: Arc<dyn Outlet>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngestError> {
        settings::validate(&settings, &providers)?;
        let room = Room::new(settings.door_bytes);
        let clouds = headwater_sources::ALL
            .iter()
            .filter_map(|source| {
                let id = source.profile().id;
                let provider = providers.get(id)?.clone();
                Some((id, Arc::new(Cloud::new(*source, provider, &settings, room.share()))))
            })
            .collect();
        let (http, uploads) = (Http::over(line), room.share());
        let shared = Arc::new(Shared { settings, clouds, store, outlet, clock, http, uploads });
        let tokens = Arc::new(TokenKeeper::new(shared.clone()));
        Ok(Self { shared, tokens })
    }

    /// The webhook routes.
    pub fn receive_router(&self) -> Router {
        receive::router(self.shared.clone())
    }

    /// Where phones and partners bring their batches.
    pub fn upload_router(&self) -> Router {
        upload::route::router(self.shared.clone())
    }

    pub fn uploads(&self) -> Uploads {
        Uploads { shared: self.shared.clone() }
    }

    pub fn tokens(&self) -> Arc<TokenKeeper> {
        self.tokens.clone()
    }

    pub fn fetcher(&self) -> Arc<Fetcher> {
        Arc::new(Fetcher::new(self.shared.clone(), self.tokens.clone()))
    }

    pub fn scheduler(&self) -> Arc<Scheduler> {
        Arc::new(Scheduler::new(self.shared.clone()))
    }

    pub fn accounts(&self) -> Arc<Accounts> {
        Arc::new(Accounts::new(self.shared.clone(), self.tokens.clone()))
    }
}
