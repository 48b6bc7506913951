//! Wakes librdkafka up where it sleeps with partitions that may be fetched again.
//!
//! A rebalance pauses all partitions of a member while it is told, also those that it keeps. The thread that fetches from a broker goes to sleep when
//! it finds every partition paused, for up to a second, and nobody wakes it when they are resumed: that is as long as the partitions that stay
//! stand still. Any request to the broker wakes it, so for each its partitions' ends are asked for and thrown away. The same goes for partitions
//! that were paused because too much of them waits.

use std::sync::Weak;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::Offset;

use super::poller::Reader;

const ANSWER: Duration = Duration::from_secs(5);
/// Between two calls: partitions that come and go all the time are looked after often enough by this.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    Now,
    /// The poll thread ends, and must be the last that holds the consumer.
    End,
}

pub(super) fn channel() -> (Sender<Wake>, Receiver<Wake>) {
    crossbeam_channel::bounded(1)
}

/// Until it is told to end.
pub(super) fn start(group: &str, reader: Weak<Reader>, calls: Receiver<Wake>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("wake {group}")).spawn(move || {
        while calls.recv() == Ok(Wake::Now) {
            // A call may come a moment before the partitions are resumed: so once more after that.
            for _ in 0..2 {
                std::thread::sleep(PAUSE / 2);
                let Some(reader) = reader.upgrade() else { return };
                ask(&reader);
            }
        }
    })
}

/// The end of every partition, of all brokers that lead them.
fn ask(reader: &Reader) {
    let Ok(mut list) = reader.assignment() else { return };
    if list.count() > 0 && list.set_all_offsets(Offset::End).is_ok() {
        // Who is away cannot be fetched from either.
        let _ = reader.offsets_for_times(list, ANSWER);
    }
}
