//! One test binary. `crash` plays the loop's crash table on the log in memory; `real` runs on real Kafka, Cassandra and registry.

mod crash;
mod real;
