//! Forwarding to an Event Hubs-compatible endpoint: Kafka over SASL_SSL PLAIN with a connection string.
//!
//! Event Hubs closes the connection on a request over 1 046 528 bytes, so sizes are checked before sending: what does not fit can never be
//! sent, and is refused instead of being tried for ever. It closes idle connections after 240 s. Compression and the idempotent producer are
//! not offered by all its tiers, so both are off; ids make repeats harmless.

pub mod medtech;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_schemas::avro::Malformed;
use headwater_schemas::consent::{Consent, Decision};
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::reject::code;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Reject, Topic};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::{Incoming, Sink, Unavailable, Verdict};

pub const NAME: &str = "eventhubs";

/// The documented request limit, less room for the request around a record.
const LIMIT: usize = 1_046_528 - 4096;

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The FHIR R4 resource as JSON.
    #[default]
    FhirJson,
    /// The record as it stands on our topic: Confluent frame and Avro body.
    Avro,
    /// A device message for the MedTech service.
    Medtech,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::FhirJson => "application/fhir+json",
            Self::Avro => "avro/binary",
            Self::Medtech => "application/json",
        }
    }
}

/// `[sinks.eventhubs]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `namespace.servicebus.windows.net:9093`
    pub bootstrap: String,
    /// `Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…`
    pub connection_string: SecretString,
    /// The event hub.
    pub topic: String,
    #[serde(default)]
    pub format: Format,
    /// PEM file of the authorities to trust, for an endpoint that is not Azure's.
    pub ca_file: Option<String>,
}

pub struct EventHubsSink {
    producer: ThreadedProducer<Context>,
    topic: String,
    format: Format,
}

struct Context;

impl ClientContext for Context {}

/// One batch on its way: what is outstanding, and what failed at which index.
struct Flight {
    left: AtomicUsize,
    failures: Mutex<Vec<(usize, RDKafkaErrorCode)>>,
    done: Notify,
}

struct Passenger {
    flight: Arc<Flight>,
    index: usize,
}

impl Flight {
    fn landed(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Passenger>;

    fn delivery(&self, result: &DeliveryResult<'_>, passenger: Box<Passenger>) {
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            passenger.flight.failures.lock().expect("nothing panics under this lock").push((passenger.index, code));
        }
        passenger.flight.landed();
    }
}

impl EventHubsSink {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(settings: &Settings) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &settings.bootstrap)
            .set("client.id", "headwater-eventhubs")
            .set("security.protocol", "sasl_ssl")
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.username", "$ConnectionString")
            .set("sasl.password", settings.connection_string.expose_secret())
            .set("acks", "all")
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", "20")
            .set("batch.size", "900000")
            .set("message.max.bytes", LIMIT.to_string())
            .set("metadata.max.age.ms", "180000")
            .set("connections.max.idle.ms", "180000")
            .set("request.timeout.ms", "60000")
            .set("delivery.timeout.ms", "90000")
            .set("queue.buffering.max.kbytes", "16384")
            .set("socket.keepalive.enable", "true")
            .set("partitioner", "murmur2_random");
        if let Some(file) = &settings.ca_file {
            config.set("ssl.ca.location", file);
        }
        Ok(Self { producer: config.create_with_context(Context)?, topic: settings.topic.clone(), format: settings.format })
    }

    /// What is sent of a record: `None` where nothing is, an empty value for a person who was erased. Its key is the subject, so that a
    /// compacted hub drops all that it holds of the person. `scratch` holds what does not stand in the record already.
    fn value<'a>(&self, incoming: &Incoming<'a>, scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, Reject> {
        let bad = |e: Malformed| Reject::new(code::BAD_AVRO, e.to_string());
        if incoming.topic == &topics::CONSENT {
            let consent = Consent::decode(incoming.body).map_err(bad)?;
            return Ok((consent.decision == Decision::Erased).then_some(&[]));
        }
        let dose = incoming.topic == &topics::MEDICATION;
        let value = match self.format {
            Format::Avro => incoming.framed,
            Format::FhirJson if dose => Medication::decode(incoming.body).map_err(bad)?.fhir.as_bytes(),
            Format::FhirJson => Observation::decode(incoming.body).map_err(bad)?.fhir.as_bytes(),
            Format::Medtech => {
                scratch.clear();
                if dose {
                    medtech::medication(&Medication::decode(incoming.body).map_err(bad)?, scratch)?;
                } else {
                    medtech::observation(&Observation::decode(incoming.body).map_err(bad)?, scratch)?;
                }
                scratch
            }
        };
        if value.len() + incoming.key.len() > LIMIT {
            return Err(Reject::new(code::TOO_LARGE, format!("{} bytes, the endpoint takes at most {LIMIT}", value.len())));
        }
        Ok(Some(value))
    }

    async fn send(&self, value: &[u8], key: &[u8], passenger: Box<Passenger>) -> Result<(), Unavailable> {
        let (name, kind) =
            if value.is_empty() { ("headwater-event", "erased") } else { ("content-type", self.format.content_type()) };
        let headers = OwnedHeaders::new_with_capacity(1).insert(Header { key: name, value: Some(kind) });
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.topic, passenger).key(key).headers(headers);
        if !value.is_empty() {
            record = record.payload(value);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err((error, _)) => return Err(Unavailable { why: error.to_string(), retry_after: None }),
            }
        }
    }
}

impl Sink for EventHubsSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static Topic] {
        static INPUTS: &[&Topic] = &[&topics::OBSERVATION, &topics::MEDICATION, &topics::CONSENT];
        INPUTS
    }

    fn write<'a>(&'a self, batch: &'a [Incoming<'a>]) -> BoxFuture<'a, Result<Vec<Verdict>, Unavailable>> {
        Box::pin(async move {
            let flight = Arc::new(Flight { left: AtomicUsize::new(1), failures: Mutex::default(), done: Notify::new() });
            let mut verdicts = Vec::with_capacity(batch.len());
            let (mut stopped, mut scratch) = (None, Vec::new());
            for (index, incoming) in batch.iter().enumerate() {
                match self.value(incoming, &mut scratch) {
                    Err(reject) => verdicts.push(Verdict::Rejected(reject)),
                    Ok(None) => verdicts.push(Verdict::Written),
                    Ok(Some(value)) => {
                        flight.left.fetch_add(1, Ordering::AcqRel);
                        let passenger = Box::new(Passenger { flight: flight.clone(), index });
                        if let Err(e) = self.send(value, incoming.key, passenger).await {
                            flight.landed();
                            stopped = Some(e);
                            break;
                        }
                        verdicts.push(Verdict::Written);
                    }
                }
            }
            flight.landed();
            flight.done.notified().await;
            if let Some(e) = stopped {
                return Err(e);
            }
            for (index, code) in flight.failures.lock().expect("nothing panics under this lock").drain(..) {
                match code {
                    // The endpoint itself calls the record too large; every other failure is of the way there.
                    RDKafkaErrorCode::MessageSizeTooLarge => {
                        verdicts[index] = Verdict::Rejected(Reject::new(code::TOO_LARGE, "the endpoint refuses its size"));
                    }
                    other => return Err(Unavailable { why: other.to_string(), retry_after: None }),
                }
            }
            Ok(verdicts)
        })
    }
}
