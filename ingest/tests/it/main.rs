//! Door, driver and tokens, against a simulated cloud and a real store.

mod accounts;
mod door;
mod fetch;
mod flights;
mod schedule;
mod support;
mod tokens;
