//! One test binary. `crash` and `breaker` play the loop's crash table on the log in memory, `sim` plays the loop by the thousand; `real` runs on
//! real Kafka, Cassandra and registry; `sealed` is what stays closed; `faults` breaks these on purpose and counts what is lost.

mod breaker;
mod crash;
mod faults;
mod real;
mod sealed;
mod sim;
