//! The observation topic as it grows, for those who listen to one person: one consumer for all of them, and for each who comes back a short
//! one that reads what was missed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use headwater_api::health::{Deaf, Feed, News, Place};
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use headwater_sinks::scylla;
use headwater_store::StoredObservation;
use rdkafka::consumer::{BaseConsumer, Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::consent::ConsentTable;
use crate::log::kafka::partition;
use crate::supervise::Supervisor;

/// Listeners of this process.
const LISTENERS: usize = 1000;
/// Of them, those that are still told what they missed.
const RETURNING: usize = 16;
/// Records of a partition that are looked through for somebody who comes back; further back there is a gap.
const FAR: i64 = 200_000;
/// What a listener may be behind.
const BEHIND: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

struct Follower {
    app: Arc<App>,
    consents: Arc<ConsentTable>,
    topic: String,
    partitions: i32,
    listeners: Mutex<HashMap<Box<str>, Vec<Listener>>>,
    stop: CancellationToken,
    places: Arc<Semaphore>,
    returning: Arc<Semaphore>,
}

/// Somebody who listens. The place is given back when they are gone, or let go.
struct Listener {
    tell: mpsc::Sender<News>,
    _place: OwnedSemaphorePermit,
}

/// Starts following the topic at its present end.
///
/// # Errors
/// When it cannot be followed.
pub async fn follow(app: &Arc<App>, consents: Arc<ConsentTable>, tasks: &mut Supervisor) -> anyhow::Result<Arc<dyn Feed>> {
    let topic = topics::OBSERVATION.name(&app.config.namespace, None);
    let consumer: StreamConsumer = settings(app).create()?;
    let asked = topic.clone();
    let (consumer, partitions) = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let metadata = consumer.fetch_metadata(Some(&asked), TIMEOUT)?;
        let found = metadata.topics().iter().find(|t| t.name() == asked && t.error().is_none());
        let count = found.map_or(0, |found| found.partitions().len());
        anyhow::ensure!(count > 0, "topic {asked} is missing, `headwater topics apply` makes it");
        let mut all = TopicPartitionList::new();
        for id in 0..i32::try_from(count)? {
            // Where it ends now, and not where it ends when the consumer has got there.
            let (_, high) = consumer.fetch_watermarks(&asked, id, TIMEOUT)?;
            all.add_partition_offset(&asked, id, Offset::Offset(high))?;
        }
        consumer.assign(&all)?;
        Ok((consumer, i32::try_from(count)?))
    })
    .await??;
    let feed = Arc::new(Follower {
        app: app.clone(),
        consents,
        topic,
        partitions,
        listeners: Mutex::default(),
        stop: tasks.stop(),
        places: Arc::new(Semaphore::new(LISTENERS)),
        returning: Arc::new(Semaphore::new(RETURNING)),
    });
    let following = feed.clone();
    tasks.start("live", async move { following.run(consumer).await });
    Ok(Arc::new(LiveFeed(feed)))
}

fn settings(app: &App) -> rdkafka::ClientConfig {
    let mut settings = app.config.kafka.reader(&format!("live-{}-{}", app.instance, uuid::Uuid::new_v4().simple()));
    // No group is joined and nothing is committed.
    settings.set("group.id", format!("{}.live", app.config.namespace));
    settings.set("enable.auto.offset.store", "false").set("enable.partition.eof", "false");
    settings.set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", "100").set("queued.max.messages.kbytes", "8192");
    settings
}

impl Follower {
    async fn run(&self, consumer: StreamConsumer) -> anyhow::Result<()> {
        loop {
            let received = tokio::select! {
                () = self.stop.cancelled() => {
                    self.listeners.lock().expect("nothing panics under this lock").clear();
                    return Ok(());
                }
                received = consumer.recv() => received,
            };
            match received {
                Ok(message) => self.tell(&message).await,
                // No pause: an outage leaves many of these in the queue, before what comes next.
                Err(why) => tracing::warn!("the live stream stands still: {why}"),
            }
        }
    }

    async fn tell(&self, message: &BorrowedMessage<'_>) {
        let Some(subject) = message.key().and_then(|key| std::str::from_utf8(key).ok()) else { return };
        if !self.listeners.lock().expect("nothing panics under this lock").contains_key(subject) {
            return;
        }
        let Some(news) = self.news(message).await else { return };
        let mut listeners = self.listeners.lock().expect("nothing panics under this lock");
        let Some(told) = listeners.get_mut(subject) else { return };
        // Whoever is too slow is let go, and comes back for the rest.
        told.retain(|listener| listener.tell.try_send(news.clone()).is_ok());
        if told.is_empty() {
            listeners.remove(subject);
        }
    }

    /// What a record says to those who listen to its person: nothing where the person's decision withholds it.
    async fn news(&self, message: &BorrowedMessage<'_>) -> Option<News> {
        let (id, body) = wire::split(message.payload()?).ok()?;
        let mut resolved = Vec::new();
        let reading = loop {
            match self.app.registry.learn(id, &topics::OBSERVATION).await {
                Ok(reading) => break reading,
                Err(why) => {
                    tracing::warn!("the live stream stands still: {why}");
                    tokio::select! {
                        () = self.stop.cancelled() => return None,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        };
        let body = reading.body(body, &mut resolved).ok()?;
        let observation = Observation::decode(body).ok()?;
        // They read what the store is given.
        let (subject, data_type) = (observation.subject_id, Some(observation.data_type));
        let permitted = self.consents.permits(subject, scylla::NAME, data_type, self.app.now());
        let row = permitted.then(|| StoredObservation::of(&observation, self.app.now()))?;
        Some(News::Observation((message.partition(), message.offset()), Box::new(row)))
    }

    /// Reads what stands between a place and the present end of its partition, in a thread of its own.
    fn missed(self: &Arc<Self>, subject: &str, place: Place, permit: OwnedSemaphorePermit) -> mpsc::Receiver<News> {
        let (tell, told) = mpsc::channel(BEHIND);
        let (feed, subject, handle) = (self.clone(), subject.to_owned(), Handle::current());
        tokio::task::spawn_blocking(move || {
            if let Err(why) = feed.read_missed(&subject, place, &handle, &tell) {
                tracing::warn!("what a listener missed cannot be read: {why:#}");
                let _ = tell.blocking_send(News::Gap);
            }
            drop(permit);
        });
        told
    }

    fn read_missed(&self, subject: &str, (id, offset): Place, handle: &Handle, tell: &mpsc::Sender<News>) -> anyhow::Result<()> {
        let consumer: BaseConsumer = settings(&self.app).set("enable.partition.eof", "true").create()?;
        let (low, high) = consumer.fetch_watermarks(&self.topic, id, TIMEOUT)?;
        // Before what is kept, beyond the end (another topic of the name), or further back than is read for one listener.
        let first = (offset + 1).max(low).max(high - FAR);
        if (offset >= high || first > offset + 1) && tell.blocking_send(News::Gap).is_err() {
            return Ok(());
        }
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&self.topic, id, Offset::Offset(first))?;
        consumer.assign(&from)?;
        let mut quiet = Duration::ZERO;
        loop {
            let at = consumer.position()?.find_partition(&self.topic, id).map(|p| p.offset());
            let needless = tell.is_closed() || self.stop.is_cancelled();
            if first >= high || needless || matches!(at, Some(Offset::Offset(at)) if at >= high) {
                return Ok(());
            }
            let Some(message) = consumer.poll(PAUSE) else {
                quiet += PAUSE;
                anyhow::ensure!(quiet < TIMEOUT, "nothing came for {TIMEOUT:?}");
                continue;
            };
            let message = match message {
                Ok(message) => message,
                // What stands before the end we saw may be no record: a transaction's marker, an aborted one.
                Err(KafkaError::PartitionEOF(_)) => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            quiet = Duration::ZERO;
            if message.key() == Some(subject.as_bytes())
                && let Some(news) = handle.block_on(self.news(&message))
                && tell.blocking_send(news).is_err()
            {
                return Ok(());
            }
        }
    }
}

/// Shared, because the thread of a listener may outlive the request.
struct LiveFeed(Arc<Follower>);

impl Feed for LiveFeed {
    fn listen(&self, subject: &str, after: Option<Place>) -> Result<BoxStream<'static, News>, Deaf> {
        let follower = &self.0;
        if after.is_some_and(|(id, _)| id != partition::of(subject.as_bytes(), follower.partitions)) {
            return Err(Deaf::NoSuchPlace);
        }
        let missed = match after {
            None => None,
            Some(after) => {
                let permit = follower.returning.clone().try_acquire_owned().map_err(|_| Deaf::Full)?;
                Some((after, permit))
            }
        };
        // Before what was missed is read, so that nothing falls between the two.
        let (tell, told) = mpsc::channel(BEHIND);
        {
            let mut listeners = follower.listeners.lock().expect("nothing panics under this lock");
            listeners.values_mut().for_each(|told| told.retain(|listener| !listener.tell.is_closed()));
            listeners.retain(|_, told| !told.is_empty());
            let place = follower.places.clone().try_acquire_owned().map_err(|_| Deaf::Full)?;
            listeners.entry(subject.into()).or_default().push(Listener { tell, _place: place });
        }
        let missed = missed.map(|(after, permit)| follower.missed(subject, after, permit));
        let both = stream::iter(missed).flat_map(received).chain(received(told));
        // What both told is told once. After a gap nothing is known of what was seen.
        Ok(both
            .scan(after.map_or(-1, |(_, offset)| offset), |seen, news| {
                let again = matches!(&news, News::Observation((_, offset), _) if offset <= seen);
                *seen = match &news {
                    News::Observation((_, offset), _) => *offset.max(seen),
                    News::Gap => -1,
                };
                std::future::ready(Some((!again).then_some(news)))
            })
            .filter_map(std::future::ready)
            .boxed())
    }
}

fn received(told: mpsc::Receiver<News>) -> impl futures::Stream<Item = News> + Send {
    stream::unfold(told, |mut told| async move { told.recv().await.map(|news| (news, told)) })
}
