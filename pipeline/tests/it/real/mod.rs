//! Tests on real Kafka, Cassandra and registry: `infra/test` brings them up and says where they are. Each test has its own namespace, keyspace and
//! processes, and ends only what it started.

mod bad_input;
mod breaker;
mod browser;
mod clouds;
mod dead;
pub mod environment;
mod exactly_once;
pub mod feed;
mod fhir;
mod journey;
mod kills;
mod live;
mod outages;
mod overload;
mod paused;
mod people;
mod replay;
mod replay_kept;
pub mod rig;
mod scale_out;
pub mod server;
mod topics;
mod uploads;

/// Returns from the test where the real parts are not to be had, and says so on stderr. Skipped is never passed: the runner takes these lines off.
macro_rules! real_or_skip {
    () => {
        if !crate::real::rig::Parts::wanted() {
            use std::io::Write as _;
            let name = std::thread::current().name().unwrap_or("a test").to_owned();
            let _ = std::io::stderr().write_all(format!("SKIPPED (needs JDK 17 and Maven): {name}\n").as_bytes());
            return;
        }
    };
}
pub(crate) use real_or_skip;

/// Gives the test the addresses of the servers that all tests share, or returns.
macro_rules! parts_or_skip {
    () => {{
        crate::real::real_or_skip!();
        crate::real::rig::Parts::from_env()
    }};
}
pub(crate) use parts_or_skip;
