//! What comes out: when the broker had the first observation of each raw record.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::Subject as _;
use headwater_schemas::wire;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::Broker;

/// Raw topic and offset, to the broker's time of the first observation in milliseconds, and how many observations there are.
type Seen = HashMap<(String, i64), (i64, u32)>;

/// A reader of the observation topic, until it is stopped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Watch {
    /// Has the broker stamp the topic's records when they arrive, and reads it.
    pub async fn start(broker: &Broker<'_>, topic: &str) -> anyhow::Result<Self> {
        broker.stamp(topic).await?;
        let consumer: BaseConsumer =
            broker.client().set("group.id", format!("{topic}.watch")).set("fetch.wait.max.ms", "50").create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&list)?;
        let (seen, stop) = (Arc::new(Mutex::new(Seen::new())), Arc::new(AtomicBool::new(false)));
        let (noted, stopped) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(message) = consumer.poll(Duration::from_millis(50)) else { continue };
                let message = message?;
                let at = message.timestamp().to_millis().context("no time on a record")?;
                let (_, body) = wire::split(message.payload().unwrap_or_default())?;
                let observation = Observation::decode(body)?;
                let mut noted = noted.lock().expect("nothing panics under this lock");
                let (first, count) = noted.entry((observation.raw_topic.to_owned(), observation.raw_offset)).or_insert((at, 0));
                (*first, *count) = ((*first).min(at), *count + 1);
            }
            Ok(())
        });
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    /// When the first observation of a raw record arrived.
    pub fn arrival(&self, topic: &str, offset: i64) -> Option<i64> {
        self.seen.lock().expect("nothing panics under this lock").get(&(topic.to_owned(), offset)).map(|(at, _)| *at)
    }

    /// The first arrival from a topic after a moment.
    pub fn first_after(&self, topic: &str, moment: i64) -> Option<i64> {
        let seen = self.seen.lock().expect("nothing panics under this lock");
        seen.iter().filter(|((from, _), (at, _))| from == topic && *at > moment).map(|(_, (at, _))| *at).min()
    }

    /// Raw records of which something arrived, and observations in all.
    pub fn counts(&self) -> (usize, u64) {
        let seen = self.seen.lock().expect("nothing panics under this lock");
        (seen.len(), seen.values().map(|(_, count)| u64::from(*count)).sum())
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("stopped once")?;
        thread.join().map_err(|_| anyhow::anyhow!("the watch panicked"))?
    }
}
