//! What an entrant made: the same records have the same digest, whatever order the JSON in them has.

use headwater_schemas::observation::Observation;
use headwater_schemas::topics::Subject as _;
use headwater_schemas::wire;
use rdkafka::Message as _;

use crate::broker::Broker;
use crate::digest::Digest;

/// Of all that stands on a topic.
pub fn of(broker: &Broker<'_>, topic: &str) -> anyhow::Result<Digest> {
    let (mut digest, mut wrong) = (Digest::default(), None);
    broker.each(topic, |message| match text(message.key().unwrap_or_default(), message.payload().unwrap_or_default()) {
        Ok(text) => digest.add(&text),
        Err(why) => wrong = Some(why.context(format!("{topic} [{}] {}", message.partition(), message.offset()))),
    })?;
    wrong.map_or(Ok(digest), Err)
}

fn text(key: &[u8], value: &[u8]) -> anyhow::Result<String> {
    let (_, body) = wire::split(value).map_err(|why| anyhow::anyhow!("no frame: {why:?}"))?;
    let mut observation = Observation::decode(body).map_err(|why| anyhow::anyhow!("no observation: {why:?}"))?;
    let resource: serde_json::Value = serde_json::from_str(observation.fhir)?;
    observation.fhir = "";
    Ok(format!("{} {observation:?} {resource}", String::from_utf8_lossy(key)))
}
