//! Commits beside the polling, one at a time, and what came of each.
//!
//! An asynchronous commit of rust-rdkafka tells nobody how it ended: librdkafka answers the callback of a configuration, or a queue given with the
//! commit, and neither can be set from here. So a thread waits for each. While the group is on the move the client keeps commits back, mostly to
//! have them refused in the end: more than one at a time would only be more of these.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::poller::Reader;

pub(super) struct Committer {
    lists: Sender<(Arc<Reader>, TopicPartitionList)>,
    refused: Receiver<Option<TopicPartitionList>>,
    free: bool,
}

impl Committer {
    pub fn start(group: &str) -> std::io::Result<Self> {
        let (lists, todo) = crossbeam_channel::bounded::<(Arc<Reader>, TopicPartitionList)>(1);
        let (tell, refused) = crossbeam_channel::bounded(1);
        std::thread::Builder::new().name(format!("commit {group}")).spawn(move || {
            for (consumer, list) in todo {
                let result = consumer.commit(&list, CommitMode::Sync);
                // The poll thread closes the consumer by letting go of it: nobody else may be the last to hold it.
                drop(consumer);
                if tell.send(result.is_err().then_some(list)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { lists, refused, free: true })
    }

    /// Whether the last one has ended; `again` gets what it was where it was refused.
    pub fn free(&mut self, again: impl FnOnce(&TopicPartitionList)) -> bool {
        if let Ok(refused) = self.refused.try_recv() {
            self.free = true;
            if let Some(list) = refused {
                again(&list);
            }
        }
        self.free
    }

    /// Waits for what is on its way, for so long at most: the broker may be away.
    pub fn settle(&mut self, most: Duration) {
        if !self.free {
            let _ = self.refused.recv_timeout(most);
        }
    }

    /// Only where it is free.
    pub fn commit(&mut self, consumer: &Arc<Reader>, list: TopicPartitionList) {
        self.free = self.lists.try_send((consumer.clone(), list)).is_err();
    }
}
