//! Who holds which partition, as the broker's coordinator has it.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::rig::TIMEOUT;

/// Partition to the client id of its holder.
pub type Holders = BTreeMap<i32, String>;

pub struct Group {
    consumer: BaseConsumer,
    name: String,
}

impl Group {
    pub fn new(client: &ClientConfig, name: String) -> anyhow::Result<Self> {
        Ok(Self { consumer: client.create()?, name })
    }

    /// How many are members and who holds what of a topic; none while the group is on the move.
    pub fn holders(&self, topic: &str) -> anyhow::Result<Option<(usize, Holders)>> {
        let list = self.consumer.fetch_group_list(Some(&self.name), TIMEOUT)?;
        let Some(group) = list.groups().iter().find(|group| group.state() == "Stable") else { return Ok(None) };
        let mut holders = Holders::new();
        for member in group.members() {
            for partition in assigned(member.assignment().unwrap_or_default(), topic).unwrap_or_default() {
                holders.insert(partition, member.client_id().to_owned());
            }
        }
        Ok(Some((group.members().len(), holders)))
    }
}

/// The partitions of a topic in a member's assignment: version, then topics with their partitions, as the consumer protocol has it.
fn assigned(bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    let mut rest = bytes.get(2..)?;
    let number = |rest: &mut &[u8]| -> Option<i32> {
        let (head, tail) = rest.split_at_checked(4)?;
        *rest = tail;
        Some(i32::from_be_bytes(head.try_into().ok()?))
    };
    let mut found = Vec::new();
    for _ in 0..number(&mut rest)? {
        let (length, tail) = rest.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (name, tail) = tail.split_at_checked(length)?;
        rest = tail;
        for _ in 0..number(&mut rest)? {
            let partition = number(&mut rest)?;
            if name == topic.as_bytes() {
                found.push(partition);
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_as_the_protocol_has_it() {
        let bytes = b"\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x02bc\x00\x00\x00\x01\x00\x00\x00\x07\xff\xff\xff\xff";
        assert_eq!(assigned(bytes, "a"), Some(vec![0, 5]));
        assert_eq!(assigned(bytes, "bc"), Some(vec![7]));
        assert_eq!(assigned(&bytes[..9], "a"), None);
    }
}
