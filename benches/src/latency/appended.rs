//! When the broker had the first observation of each record, by its own stamp. Read afterwards, so that it disturbs nobody.

use std::collections::HashMap;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::Subject as _;
use headwater_schemas::wire;
use rdkafka::message::{BorrowedMessage, Message as _, Timestamp};

use super::plan::{Plan, times};
use crate::broker::Broker;
use crate::payload;

/// Of a topic on which all that the plan leads to stands already.
pub fn appended(broker: &Broker<'_>, topic: &str, plan: &Plan) -> anyhow::Result<Histogram<u64>> {
    // The first time, and how many there are.
    let (mut seen, mut wrong) = (HashMap::<u64, (i64, u64)>::new(), None);
    broker.each(topic, |message| match one(message) {
        Ok((n, at)) if plan.has(n) => {
            let (first, count) = seen.entry(n).or_insert((at, 0));
            (*first, *count) = ((*first).min(at), *count + 1);
        }
        Ok(_) => {}
        Err(why) => wrong = Some(why.context(format!("{topic} [{}] {}", message.partition(), message.offset()))),
    })?;
    if let Some(why) = wrong {
        return Err(why);
    }
    let mut taken = times();
    for n in plan.numbers() {
        let (first, count) = seen.get(&n).copied().unwrap_or_default();
        anyhow::ensure!(count >= payload::EACH, "void: {count} observations of record {n}, expected {}", payload::EACH);
        plan.note(&mut taken, n, first);
    }
    Ok(taken)
}

/// Which record it is of, and when the broker had it.
fn one(message: &BorrowedMessage<'_>) -> anyhow::Result<(u64, i64)> {
    let Timestamp::LogAppendTime(millis) = message.timestamp() else { anyhow::bail!("not stamped by the broker") };
    let (_, body) = wire::split(message.payload().unwrap_or_default()).map_err(|why| anyhow::anyhow!("no frame: {why:?}"))?;
    let observation = Observation::decode(body).map_err(|why| anyhow::anyhow!("no observation: {why:?}"))?;
    let n = payload::number(observation.record_id).context("of a record that was not sent")?;
    Ok((n, millis * 1000))
}
