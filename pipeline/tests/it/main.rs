//! One test binary. `crash` and `breaker` play the loop's crash table on the log in memory; `real` runs on real Kafka, Cassandra and registry.

mod breaker;
mod crash;
mod real;
