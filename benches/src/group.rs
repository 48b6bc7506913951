//! Who holds which partition, as the broker's coordinator has it.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::broker::TIMEOUT;

/// Topic and partition to the client id of the holder.
pub type Holders = BTreeMap<(String, i32), String>;

pub struct Group {
    consumer: BaseConsumer,
    name: String,
}

impl Group {
    pub fn new(client: &ClientConfig, name: String) -> anyhow::Result<Self> {
        Ok(Self { consumer: client.create()?, name })
    }

    /// How many are members and who holds what; none while the group is on the move.
    pub fn holders(&self) -> anyhow::Result<Option<(usize, Holders)>> {
        let list = self.consumer.fetch_group_list(Some(&self.name), TIMEOUT)?;
        let Some(group) = list.groups().iter().find(|group| group.state() == "Stable") else { return Ok(None) };
        let mut holders = Holders::new();
        for member in group.members() {
            for place in assigned(member.assignment().unwrap_or_default()).unwrap_or_default() {
                holders.insert(place, member.client_id().to_owned());
            }
        }
        Ok(Some((group.members().len(), holders)))
    }
}

/// The partitions in a member's assignment: version, then topics with their partitions, as the consumer protocol has it.
fn assigned(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
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
            found.push((String::from_utf8(name.to_vec()).ok()?, number(&mut rest)?));
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
        assert_eq!(assigned(bytes), Some(vec![("a".into(), 0), ("a".into(), 5), ("bc".into(), 7)]));
        assert_eq!(assigned(&bytes[..9]), None);
    }
}
