//! The clouds that speak ordinary REST and ordinary OAuth, each with its own paths, pages, times and notifications.

mod call;
mod data;
mod dexcom;
mod garmin;
mod oauth;
mod oura;
mod polar;
mod strava;
pub(crate) mod webhook;
mod whoop;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;

use crate::faults::{Gate, pass};
use crate::people::Provider;
use crate::record::Shelf;
use crate::world::Shared;

pub(crate) use call::fault;

/// All of them.
pub(crate) const ALL: [Provider; 6] =
    [Provider::Whoop, Provider::Oura, Provider::Strava, Provider::Dexcom, Provider::Polar, Provider::Garmin];

pub(crate) fn routes(world: &Shared) -> Router {
    let mut all = Router::new();
    for provider in ALL {
        let gate = Gate { world: world.clone(), provider };
        let path = format!("/{}/{{*path}}", provider.name());
        let one = Router::new().route(&path, any(call::call)).with_state((world.clone(), provider));
        all = all.merge(one.layer(from_fn_with_state(gate, pass)));
    }
    all
}

/// The records of one day and stream.
pub(crate) fn fill(shelf: &mut Shelf<'_>, provider: Provider, stream: &str) {
    match provider {
        Provider::Whoop => whoop::fill(shelf, stream),
        Provider::Oura => oura::fill(shelf, stream),
        Provider::Strava => strava::fill(shelf, stream),
        Provider::Dexcom => dexcom::fill(shelf, stream),
        Provider::Polar => polar::fill(shelf, stream),
        Provider::Garmin => garmin::fill(shelf, stream),
        _ => {}
    }
}

/// The streams whose records are made for each day, and told of where the cloud tells.
pub(crate) fn streams(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::Whoop => &["sleep", "recovery", "cycle", "workout"],
        Provider::Oura => &["sleep", "daily_sleep", "daily_readiness", "daily_activity", "workout"],
        Provider::Strava => &["activities"],
        Provider::Dexcom => &["egvs", "events"],
        Provider::Polar => &["exercises", "activities", "sleep", "nightly-recharge"],
        Provider::Garmin => &["dailies", "sleeps", "activities", "pulseox"],
        _ => &[],
    }
}
