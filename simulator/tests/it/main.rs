//! The clouds from the outside, over HTTP, as a client of the providers sees them.

mod determinism;
mod faults;
mod google_health;
mod play;
mod support;
mod webhooks;
mod withings;
