//! Where the group stands on partitions that were just given, asked once more by ourselves.
//!
//! librdkafka asks as well, and begins there. But while a transaction holds the group's offsets back, the broker says "not yet", and where the
//! assignment changes before the next try, librdkafka (2.12; 2.15 does the same) takes that for "there are none" and begins at the topic's beginning: all
//! that was ever done of the partition would be done again. So where offsets go with transactions, nothing is handed out of a partition before this
//! answer, and where librdkafka began earlier it is sent to the right place.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::aside::Aside;
use super::lease::Place;
use super::poller::Reader;

/// Short, because partitions that are given meanwhile wait for the next question.
const ANSWER: Duration = Duration::from_secs(2);
/// After an answer that was none.
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of where a lease begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Not answered yet: nothing is handed out.
    Unknown,
    /// No record from before this one is ours to do.
    At(i64),
    /// Wherever librdkafka says: the group has no offset here, or it was sent there.
    Anywhere,
}

impl Begin {
    /// What becomes of it when the next record to be handed out is this one, and the offset to go to where it is too early.
    pub fn meets(self, first: i64) -> (Self, Option<i64>) {
        match self {
            // Once: an offset that the topic no longer has, librdkafka answers with the beginning again.
            Self::At(at) => (Self::Anywhere, Some(at).filter(|at| first < *at)),
            Self::Unknown | Self::Anywhere => (self, None),
        }
    }
}

/// A lease: its partition, and which of the leases on it.
pub(super) type Asked = (Place, u64);

/// No answer where one of them is not known in time: they are to be asked for again.
pub(super) type Begins = Aside<Vec<Asked>, Option<Vec<(Asked, Begin)>>>;

pub(super) fn start(group: &str) -> std::io::Result<Begins> {
    let (name, group, mut told) = (format!("begin {group}"), group.to_owned(), false);
    Begins::start(name, move |consumer, asked| match stand(consumer, asked.iter().map(|(place, _)| place), ANSWER) {
        Ok(found) => {
            told = false;
            let begins = found.into_iter().map(|at| at.map_or(Begin::Anywhere, Begin::At));
            Some(asked.into_iter().zip(begins).collect())
        }
        Err(why) => {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(group, "where the group is cannot be told: {why}; nothing is handed out before it can");
            }
            std::thread::sleep(PAUSE);
            None
        }
    })
}

/// The group's offset on each of these partitions, waited for where a transaction holds it back.
///
/// # Errors
/// When one of them is not known in time.
pub(super) fn stand<'p>(
    consumer: &Reader,
    places: impl IntoIterator<Item = &'p Place>,
    timeout: Duration,
) -> Result<Vec<Option<i64>>, String> {
    let (mut list, mut order) = (TopicPartitionList::new(), Vec::new());
    for place in places {
        list.add_partition(&place.0, place.1);
        order.push(place);
    }
    let why = |why: &dyn std::fmt::Display| format!("offsets of the group: {why}");
    let found = consumer.committed_offsets(list, timeout).map_err(|e| why(&e))?;
    let one = |place: &Place| {
        let found = found.find_partition(&place.0, place.1).ok_or_else(|| why(&"expected one of each partition"))?;
        found.error().map_err(|e| why(&e))?;
        Ok(match found.offset() {
            Offset::Offset(at) => Some(at),
            _ => None,
        })
    };
    order.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_groups_offset_is_not_taken_and_what_comes_after_is() {
        assert_eq!(Begin::At(7).meets(0), (Begin::Anywhere, Some(7)));
        assert_eq!(Begin::At(7).meets(7), (Begin::Anywhere, None));
        // Offsets have gaps, and what was asked for may have been deleted.
        assert_eq!(Begin::At(7).meets(12), (Begin::Anywhere, None));
        assert_eq!(Begin::Anywhere.meets(0), (Begin::Anywhere, None));
    }
}
