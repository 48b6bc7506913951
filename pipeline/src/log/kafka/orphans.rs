//! Partitions of a group that nobody holds.
//!
//! A cooperative group moves a partition in two steps: its holder lets go, then joins again so that it can be given away. A static member that is
//! restarted between the two is handed what it had, from the coordinator's memory and without a rebalance, and the second step never comes: the
//! partition waits until the group moves for another reason. So after each rebalance the members look at the whole group until it is seen whole,
//! and where it stays incomplete one of them makes it move: a member without a name joins, and leaves before it is given anything.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;

use super::{ConsumerSettings, Settings};
use crate::telemetry;

/// Between looks. A group that is at rest at two of them in a row is at rest.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After the group has moved. Whatever keeps it from being seen for longer ends with another move.
const LOOKS: usize = 30;
/// Looks that must have shown the same before, for the first member of the group and for all others: one is enough to act, unless it does not.
const OUR_TURN: usize = 1;
const ANYBODYS_TURN: usize = 3;
const ANSWER: Duration = Duration::from_secs(5);
/// How long the group may take to notice that somebody joined: a heartbeat, and then some.
const NOTICE: Duration = Duration::from_secs(10);
const STABLE: &str = "Stable";

/// Looks after each word of `moved`, until its other end is gone.
pub(super) fn watch(kafka: &Settings, settings: &Arc<ConsumerSettings>, moved: Receiver<()>) -> std::io::Result<()> {
    let (kafka, settings) = (kafka.clone(), settings.clone());
    let name = format!("orphans {}", settings.group);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            while moved.recv().is_ok() {
                until_whole(&kafka, &settings, &moved);
            }
        })
        .map(drop)
}

fn until_whole(kafka: &Settings, settings: &ConsumerSettings, moved: &Receiver<()>) {
    let (mut before, mut same, mut looks) = (None, 0, 0);
    while looks < LOOKS {
        match moved.recv_timeout(LOOK_EVERY) {
            Ok(()) => {
                (before, same, looks) = (None, 0, 0);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => looks += 1,
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = look(kafka, settings).unwrap_or_else(|e| {
            tracing::debug!(group = settings.group, "the group cannot be looked at: {e}");
            Seen::Moving
        });
        same = if before.as_ref() == Some(&now) { same + 1 } else { 0 };
        match &now {
            Seen::Whole if same > 0 => return,
            Seen::Short { orphans, ours } if same >= if *ours { OUR_TURN } else { ANYBODYS_TURN } => {
                tracing::warn!(
                    group = settings.group,
                    partitions = orphans.len(),
                    first = ?orphans[0],
                    "nobody holds these partitions of the group: it is asked to share anew"
                );
                metrics::counter!(telemetry::NUDGES, "group" => settings.group.clone()).increment(1);
                if let Err(e) = nudge(kafka, settings) {
                    tracing::warn!(group = settings.group, "the group could not be asked to share anew: {e}");
                }
                same = 0;
            }
            _ => {}
        }
        before = Some(now);
    }
}

/// The group, as the coordinator knows it.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Or not to be seen.
    Moving,
    Whole,
    /// At rest, and these are nobody's. `ours`: it is for this member to do something about it.
    Short {
        orphans: Vec<(String, i32)>,
        ours: bool,
    },
}

/// A client that joins nothing.
fn outsider(kafka: &Settings, settings: &ConsumerSettings) -> Result<BaseConsumer, KafkaError> {
    kafka.client(&format!("{}-orphans", settings.client_id)).create()
}

fn look(kafka: &Settings, settings: &ConsumerSettings) -> Result<Seen, KafkaError> {
    let client = outsider(kafka, settings)?;
    let groups = client.fetch_group_list(Some(&settings.group), ANSWER)?;
    let Some(group) = groups.groups().iter().find(|group| at_rest(group)) else { return Ok(Seen::Moving) };
    let mut orphans = Vec::new();
    let mut held = HashSet::new();
    for member in group.members() {
        let Some(places) = member.assignment().map_or(Some(vec![]), assigned) else { return Ok(Seen::Moving) };
        held.extend(places);
    }
    // Not every broker tells what it gave to whom: the embedded one does not.
    if held.is_empty() {
        return Ok(Seen::Moving);
    }
    for topic in &settings.topics {
        let metadata = client.fetch_metadata(Some(topic), ANSWER)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        orphans.extend(partitions.map(|partition| (topic.clone(), partition.id())).filter(|place| !held.contains(place)));
    }
    // One of them is enough, and all come to the same.
    let first = group.members().iter().map(rdkafka::groups::GroupMemberInfo::client_id).min();
    Ok(if orphans.is_empty() { Seen::Whole } else { Seen::Short { orphans, ours: first == Some(&settings.client_id) } })
}

fn at_rest(group: &GroupInfo) -> bool {
    group.state() == STABLE && group.protocol_type() == "consumer"
}

/// Joins the group and leaves it as soon as it moves.
fn nudge(kafka: &Settings, settings: &ConsumerSettings) -> Result<(), KafkaError> {
    let client = outsider(kafka, settings)?;
    let passing =
        ConsumerSettings { client_id: format!("{}-nudge", settings.client_id), static_member: None, ..settings.clone() };
    let member: BaseConsumer = passing.config(kafka).create()?;
    member.subscribe(&passing.topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    let until = Instant::now() + NOTICE;
    while Instant::now() < until {
        // Nothing is given to it before the group has moved; what it might be given it does not commit.
        let _ = member.poll(Duration::from_millis(20));
        let groups = client.fetch_group_list(Some(&settings.group), ANSWER)?;
        let moved = |group: &GroupInfo| {
            group.state() != STABLE || group.members().iter().any(|member| member.client_id() == passing.client_id)
        };
        if groups.groups().iter().any(moved) {
            break;
        }
    }
    Ok(())
}

/// What a member was assigned, of Kafka's consumer protocol: a version, then for each topic its name and its partitions, then what only the
/// assignor reads. `None` where it is cut off.
fn assigned(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    let mut rest = bytes;
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at_checked(length)?;
        rest = left;
        Some(taken)
    };
    let mut places = Vec::new();
    if bytes.is_empty() {
        return Some(places);
    }
    take(2)?;
    let topics = i32::from_be_bytes(take(4)?.try_into().ok()?);
    for _ in 0..topics {
        let length = i16::from_be_bytes(take(2)?.try_into().ok()?);
        let topic = std::str::from_utf8(take(usize::try_from(length).ok()?)?).ok()?.to_owned();
        let partitions = i32::from_be_bytes(take(4)?.try_into().ok()?);
        for _ in 0..partitions {
            places.push((topic.clone(), i32::from_be_bytes(take(4)?.try_into().ok()?)));
        }
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_whole_or_not_at_all() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        bytes.extend_from_slice(b"\x00\x01a\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x07");
        bytes.extend_from_slice(b"\x00\x02bc\x00\x00\x00\x01\x00\x00\x01\x00");
        let whole = Some(vec![("a".to_owned(), 0), ("a".to_owned(), 7), ("bc".to_owned(), 256)]);
        assert_eq!(assigned(&bytes), whole);
        for length in 1..bytes.len() {
            assert_eq!(assigned(&bytes[..length]), None, "cut off at {length}");
        }
        bytes.extend_from_slice(b"\xff\xff\xff\xff");
        assert_eq!(assigned(&bytes), whole, "what follows is the assignor's");
        assert_eq!(assigned(&[]), Some(vec![]), "who has just joined has nothing");
    }
}
