//! One test binary. `crash` plays the loop's crash table on the log in memory; `real` runs on real Kafka, Cassandra and registry; `faults` breaks
//! these on purpose and counts what is lost.

mod crash;
mod faults;
mod real;
