//! Commits beside the polling, one at a time, and what came of each.
//!
//! An asynchronous commit of rust-rdkafka tells nobody how it ended: librdkafka answers the callback of a configuration, or a queue given with the
//! commit, and neither can be set from here. So a thread waits for each. While the group is on the move the client keeps commits back, mostly to
//! have them refused in the end: more than one at a time would only be more of these.

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::aside::Aside;

/// Answers with what was refused.
pub(super) type Committer = Aside<TopicPartitionList, Option<TopicPartitionList>>;

pub(super) fn start(group: &str) -> std::io::Result<Committer> {
    Committer::start(format!("commit {group}"), |consumer, list| {
        consumer.commit(&list, CommitMode::Sync).is_err().then_some(list)
    })
}
