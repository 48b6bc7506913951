//! Raw records at a steady pace, each topic in its turn, and when each was sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use crate::payload;

/// A feed that runs until it is stopped.
pub struct Feed {
    /// Milliseconds since the epoch at which record `n` was sent: topic `n % topics`, offset `n / topics`.
    sent: Arc<Mutex<Vec<i64>>>,
    topics: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Feed {
    pub fn start(client: &ClientConfig, topics: &[(String, u32)], rate: f64) -> anyhow::Result<Self> {
        let producer: ThreadedProducer<DefaultProducerContext> =
            client.clone().set("enable.idempotence", "true").set("linger.ms", "0").create()?;
        let (sent, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (times, stopped, to) = (sent.clone(), stop.clone(), topics.to_vec());
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            for n in 0u64.. {
                let due = Duration::from_secs_f64(n as f64 / rate);
                std::thread::sleep(due.saturating_sub(started.elapsed()));
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (topic, schema_id) = &to[usize::try_from(n)? % to.len()];
                let (key, value) = payload::record(n, *schema_id);
                let record = BaseRecord::to(topic).partition(0).key(&key).payload(&value);
                times.lock().expect("nothing panics under this lock").push(now());
                // The pace is far from what fills the queue.
                producer.send(record).map_err(|(e, _)| e)?;
            }
            producer.flush(Duration::from_secs(20))?;
            Ok(())
        });
        Ok(Self { sent, topics: topics.len(), stop, thread: Some(thread) })
    }

    /// What was sent to a topic from one moment to another: offsets and times.
    pub fn sent(&self, topic: usize, (from, to): (i64, i64)) -> Vec<(i64, i64)> {
        let sent = self.sent.lock().expect("nothing panics under this lock");
        let of = sent.iter().skip(topic).step_by(self.topics);
        (0i64..).zip(of.copied()).filter(|(_, at)| (from..to).contains(at)).collect()
    }

    /// Stops, and says how many were sent.
    pub fn stop(mut self) -> anyhow::Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow::anyhow!("the feed panicked"))??;
        }
        Ok(self.sent.lock().expect("nothing panics under this lock").len())
    }
}

/// Milliseconds since the epoch.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
