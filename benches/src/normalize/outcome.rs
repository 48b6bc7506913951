//! What an entrant made, in one number: the same records have the same, in whatever order they stand and whatever order the JSON in them has.

use headwater_schemas::observation::Observation;
use headwater_schemas::topics::Subject as _;
use headwater_schemas::wire;
use rdkafka::Message as _;
use uuid::Uuid;

use crate::broker::Broker;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub records: u64,
    sum: u128,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records {:032x}", self.records, self.sum)
    }
}

impl Outcome {
    pub fn of(broker: &Broker<'_>, topic: &str) -> anyhow::Result<Self> {
        let (mut outcome, mut wrong) = (Self::default(), None);
        broker.each(topic, |message| match print(message.key().unwrap_or_default(), message.payload().unwrap_or_default()) {
            Ok(print) => {
                outcome.records += 1;
                outcome.sum = outcome.sum.wrapping_add(print);
            }
            Err(why) => wrong = Some(why.context(format!("{topic} [{}] {}", message.partition(), message.offset()))),
        })?;
        wrong.map_or(Ok(outcome), Err)
    }

    pub fn without(self, before: Self) -> Self {
        Self { records: self.records - before.records, sum: self.sum.wrapping_sub(before.sum) }
    }
}

fn print(key: &[u8], value: &[u8]) -> anyhow::Result<u128> {
    let (_, body) = wire::split(value).map_err(|why| anyhow::anyhow!("no frame: {why:?}"))?;
    let mut observation = Observation::decode(body).map_err(|why| anyhow::anyhow!("no observation: {why:?}"))?;
    let resource: serde_json::Value = serde_json::from_str(observation.fhir)?;
    observation.fhir = "";
    let text = format!("{} {observation:?} {resource}", String::from_utf8_lossy(key));
    Ok(Uuid::new_v5(&Uuid::nil(), text.as_bytes()).as_u128())
}
