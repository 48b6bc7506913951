//! What became of those who were told yes: each is on the topic, once, with a hint that says what everybody's says.

use std::collections::{BTreeSet, HashMap};

use headwater_schemas::hint::Hint;
use headwater_schemas::topics::Subject as _;
use headwater_schemas::{ids, wire};
use rdkafka::Message as _;
use uuid::Uuid;

use crate::broker::Broker;
use crate::digest::Digest;

/// Of the hints of the first `compared` people from `first` on, who stand in it by their number from there. That everybody accepted is there is
/// made sure of.
pub fn of(broker: &Broker<'_>, topic: &str, first: u64, accepted: &[u64], compared: u64) -> anyhow::Result<Digest> {
    let mut open: HashMap<Uuid, u64> =
        accepted.iter().map(|person| (ids::connection(super::PROVIDER, &person.to_string()), person - first)).collect();
    let all: BTreeSet<Uuid> = open.keys().copied().collect();
    let (mut digest, mut said, mut wrong) = (Digest::default(), BTreeSet::new(), None);
    broker.each(topic, |message| {
        let place = || format!("{topic} [{}] {}", message.partition(), message.offset());
        match hint(message.key().unwrap_or_default(), message.payload().unwrap_or_default()) {
            // Of another run on the same topic, or of somebody who was told to come again.
            Ok((connection, _)) if !all.contains(&connection) => {}
            Ok((connection, says)) => match open.remove(&connection) {
                Some(number) => {
                    if number < compared {
                        digest.add(&format!("{number} {says}"));
                    }
                    said.insert(says);
                }
                None => wrong = Some(anyhow::anyhow!("{}: a second hint of one call, expected one", place())),
            },
            Err(why) => wrong = Some(why.context(place())),
        }
    })?;
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    anyhow::ensure!(open.is_empty(), "{} of {} who were told yes are not on {topic}", open.len(), all.len());
    anyhow::ensure!(said.len() == 1, "{topic} has {} kinds of hints, expected one: all calls are of one kind", said.len());
    Ok(digest)
}

/// Whose it is, and what it says apart from that, from its own id, and from when it was made.
fn hint(key: &[u8], value: &[u8]) -> anyhow::Result<(Uuid, String)> {
    let (_, body) = wire::split(value).map_err(|why| anyhow::anyhow!("no frame: {why:?}"))?;
    let mut hint = Hint::decode(body).map_err(|why| anyhow::anyhow!("no hint: {why:?}"))?;
    let connection = hint.connection_id;
    anyhow::ensure!(key == connection.to_string().as_bytes(), "the key is not the connection");
    (hint.hint_id, hint.connection_id, hint.created_at) = (Uuid::nil(), Uuid::nil(), 0);
    Ok((connection, format!("{hint:?}")))
}

#[cfg(test)]
mod tests {
    use headwater_schemas::hint::{Cause, Change};
    use headwater_schemas::raw::Lane;

    use super::*;

    fn record(person: &str, object: Option<&str>) -> (String, Vec<u8>) {
        let connection_id = ids::connection(super::super::PROVIDER, person);
        let hint = Hint {
            hint_id: Uuid::now_v7(),
            provider: super::super::PROVIDER,
            connection_id,
            cause: Cause::Webhook,
            lane: Lane::Live,
            change: Change::Data,
            streams: vec!["exercises"],
            window_start: None,
            window_end: None,
            created_at: 1,
            not_before: None,
            attempt: 0,
            object,
        };
        let mut value = Vec::new();
        wire::frame(7, &mut value);
        hint.encode(&mut value);
        (connection_id.to_string(), value)
    }

    #[test]
    fn hints_differ_by_what_they_say_and_not_by_whose_they_are() {
        let says = |(key, value): (String, Vec<u8>)| hint(key.as_bytes(), &value).expect("a hint").1;
        assert_eq!(says(record("1", None)), says(record("2", None)));
        assert_ne!(says(record("1", None)), says(record("1", Some("9"))));
    }

    #[test]
    fn a_hint_under_another_key_is_told() {
        let (_, value) = record("1", None);
        assert!(hint(record("2", None).0.as_bytes(), &value).is_err());
    }
}
