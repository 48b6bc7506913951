//! Tests on real Kafka, Cassandra and registry: `infra/test` brings them up and says where they are. Each test has its own namespace, keyspace and
//! processes, and ends only what it started.

mod bad_input;
mod browser;
mod clouds;
mod feed;
mod fhir;
mod journey;
mod kills;
mod live;
mod outages;
mod overload;
mod people;
mod rig;
mod scale_out;
mod server;
mod uploads;

/// Gives the test its parts, or says on stderr that it is skipped. Skipped is never passed: the runner takes these lines off.
macro_rules! parts_or_skip {
    () => {
        match crate::real::rig::Parts::from_env() {
            Some(parts) => parts,
            None => {
                use std::io::Write as _;
                let name = std::thread::current().name().unwrap_or("a test").to_owned();
                let _ = std::io::stderr().write_all(format!("SKIPPED (needs JDK 17 and Maven): {name}\n").as_bytes());
                return;
            }
        }
    };
}
use parts_or_skip;
