//! One test binary. `crash` plays the loop's crash table on the log in memory, `sim` plays the loop by the thousand; `real` runs on real Kafka, Cassandra and registry.

mod crash;
mod real;
mod sim;
