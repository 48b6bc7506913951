//! Provider clouds in a box: plays the Withings and Google Health clouds, and what is left of Fitbit's, over HTTP.
//!
//! It serves OAuth, data, quotas, notifications and failures as the providers document them, so that everything else can
//! be run and tested without an account anywhere. All data are invented: they follow from a seed and are the same in each
//! run. Where a provider's documentation is silent, the simulator is strict.
//!
//! It must never contain code of the product that it tests (no parser, no signature check, no OAuth client of ours), real
//! people's data, or behaviour that no provider shows except under `/control`.
//!
//! ```no_run
//! use headwater_simulator::{Fault, Provider, Settings, Simulator};
//! # async fn example() -> std::io::Result<()> {
//! let simulator = Simulator::start(Settings::quiet()).await?;
//! let control = simulator.control();
//! control.fault(Provider::Withings, Fault::RateLimited { retry_after: None }, 2);
//! // … point a client at `{url}/withings` and `{url}/google_health` …
//! println!("{} {:?}", simulator.url(), control.counts());
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Start with [`Settings`], [`Simulator::start`] and [`Simulator::control`]. Inside, `day` makes a person's day,
//! `withings::data` and `google_health::points` turn it into records, `world` holds what is shared.

mod clock;
mod control;
mod day;
mod dice;
mod faults;
mod fitbit;
pub mod flood;
mod google_health;
mod line;
mod oauth;
mod people;
mod play;
mod record;
mod rest;
mod send;
mod server;
mod settings;
mod withings;
mod world;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use crate::clock::Clock;
pub use crate::control::{Addition, Announcement, Change, Changed, Content, Control, ControlError, Select};
pub use crate::faults::{Fault, FaultPlan};
pub use crate::people::{Person, Provider};
pub use crate::record::Record;
pub use crate::send::{Delivery, Notification};
pub use crate::settings::{Limits, OAuth, People, Settings, WebhookTargets};
pub use crate::world::{Counts, ProviderCounts};

use crate::server::{Door, Line};
use crate::world::World;

/// How long open connections may take to end at [`Simulator::stop`].
const FAREWELL: Duration = Duration::from_secs(5);

/// Running clouds. Dropping it ends them at once, [`stop`](Self::stop) with due form.
pub struct Simulator {
    world: Arc<World>,
    url: String,
    /// The server and the play.
    tasks: JoinSet<io::Result<()>>,
}

impl Simulator {
    /// Listens and begins to play.
    ///
    /// # Errors
    /// Where the address cannot be bound or no HTTP client can be made.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        // Providers follow no redirects of a callback.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().map_err(io::Error::other)?;
        let listener = TcpListener::bind(settings.bind).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let world = Arc::new(World::new(settings, http));
        let app = Router::new()
            .merge(withings::routes(world.clone()))
            .merge(google_health::routes(world.clone()))
            .merge(fitbit::routes(world.clone()))
            .merge(rest::routes(&world))
            .merge(control::http::routes(world.clone()));
        let service = app.into_make_service_with_connect_info::<Line>();
        let stopping = world.clone();
        let server = axum::serve(Door(listener), service).with_graceful_shutdown(async move { stopping.stopped().await });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { server.await });
        let playing = world.clone();
        tasks.spawn(async move {
            play::run(playing).await;
            Ok(())
        });
        Ok(Self { world, url, tasks })
    }

    /// `http://address:port`, without a slash at the end. A provider's endpoints lie under its name.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A handle on the data, the notifications and the faults.
    pub fn control(&self) -> Control {
        Control { world: self.world.clone() }
    }

    /// Ends hanging answers and deliveries, and stops listening.
    pub async fn stop(mut self) {
        self.world.stop();
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended.map_err(io::Error::from).flatten() {
                    tracing::warn!(%error, "a task of the simulator failed");
                }
            }
        };
        if tokio::time::timeout(FAREWELL, ending).await.is_err() {
            tracing::warn!("the simulator did not end in time and is aborted");
            self.tasks.abort_all();
        }
    }
}
