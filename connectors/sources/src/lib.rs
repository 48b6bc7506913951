//! Inbound systems, pure: what each provider's cloud says and means, without touching it.
//!
//! A provider is one folder and one line in [`ALL`]; nothing about it stands anywhere else. Start at [`source`] (the five things a provider
//! must answer), then read one provider's folder. This crate never opens anything (a file is read from what the caller opened), never waits and never asks for the time: it has no HTTP client
//! and no async runtime, so every rule in it is tested as a table.

pub mod fields;
pub mod files;
pub mod json;
pub mod keys;
pub mod phone;
pub mod profile;
pub mod rest;
pub mod series;
pub mod sign;
pub mod source;
#[cfg(test)]
mod testing;
pub mod time;
pub mod units;

mod apple_health;
mod dexcom;
mod diabetes_partner;
mod fitbit;
mod garmin;
mod google_fit;
mod google_health;
mod health_connect;
mod oura;
mod own_source;
mod polar;
mod samsung_health;
mod strava;
mod whoop;
mod withings;

pub use profile::Profile;
pub use source::Source;

/// Every provider. Being in this list gives it topics, routes, a configuration section, metric labels and the contract tests.
pub static ALL: &[&dyn Source] = &[
    &withings::Withings,
    &google_health::GoogleHealth,
    &fitbit::Fitbit,
    &google_fit::GoogleFit,
    &whoop::Whoop,
    &oura::Oura,
    &strava::Strava,
    &dexcom::US,
    &dexcom::EU,
    &dexcom::JP,
    &garmin::Garmin,
    &polar::Polar,
    &apple_health::AppleHealth,
    &health_connect::HealthConnect,
    &samsung_health::SamsungHealth,
    &diabetes_partner::DiabetesPartner,
    &own_source::OwnSource,
];

/// The provider with this id.
pub fn by_id(id: &str) -> Option<&'static dyn Source> {
    ALL.iter().copied().find(|source| source.profile().id == id)
}
