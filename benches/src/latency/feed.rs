//! The sender: raw records when they are due, whatever becomes of those before.

use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use super::plan::{Plan, now, times, until};
use crate::broker::{Broker, TIMEOUT};
use crate::payload;

/// Where records go and how.
#[derive(Clone)]
pub struct To {
    pub topic: String,
    pub schema_id: u32,
    pub linger: Duration,
}

pub struct Feed(JoinHandle<anyhow::Result<Histogram<u64>>>);

impl Feed {
    /// With the settings of the loop's own producer.
    pub fn start(broker: &Broker<'_>, to: To, plan: Plan) -> anyhow::Result<Self> {
        let producer: ThreadedProducer<DefaultProducerContext> = broker
            .client()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("compression.codec", "lz4")
            .set("linger.ms", to.linger.as_millis().to_string())
            .create()?;
        // What is not known of the topic yet would be asked with the first record's time.
        producer.client().fetch_metadata(Some(&to.topic), TIMEOUT)?;
        Ok(Self(std::thread::spawn(move || {
            let mut late = times();
            for n in plan.numbers() {
                let (key, value) = payload::record(n, to.schema_id);
                std::thread::sleep(until(plan.due(n)));
                plan.note(&mut late, n, now());
                // The pace is far from what fills the queue.
                producer.send(BaseRecord::to(&to.topic).key(&key).payload(&value)).map_err(|(why, _)| why)?;
            }
            producer.flush(TIMEOUT)?;
            Ok(late)
        })))
    }

    /// Waits until all is sent, and says how late what counts was.
    pub fn end(self) -> anyhow::Result<Histogram<u64>> {
        self.0.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?
    }
}
