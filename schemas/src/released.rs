//! Schemas as they were released, oldest first. A released file is never edited: a change of a record's schema is a new file here when it is
//! released, and every reader and writer of one stays compatible with all of them.

use crate::topics::{self, Topic};

/// Released versions of the topic's schema.
pub fn versions(topic: &Topic) -> &'static [&'static str] {
    if topic == &topics::RAW {
        &[include_str!("../released/raw.1.avsc")]
    } else if topic == &topics::OBSERVATION {
        &[include_str!("../released/observation.1.avsc")]
    } else if topic == &topics::MEDICATION {
        &[include_str!("../released/medication.1.avsc"), include_str!("../released/medication.2.avsc")]
    } else if topic == &topics::DEVICE {
        &[include_str!("../released/device.1.avsc")]
    } else if topic == &topics::COVERAGE {
        &[include_str!("../released/coverage.1.avsc")]
    } else if topic == &topics::CONNECTION {
        &[include_str!("../released/connection.1.avsc"), include_str!("../released/connection.2.avsc")]
    } else if topic == &topics::CONSENT {
        &[include_str!("../released/consent.1.avsc")]
    } else if topic == &topics::AUDIT {
        &[include_str!("../released/audit.1.avsc")]
    } else if [&topics::HINT_LIVE, &topics::HINT_HISTORY, &topics::HINT_LATER].contains(&topic) {
        &[include_str!("../released/hint.1.avsc"), include_str!("../released/hint.2.avsc")]
    } else {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_with_a_schema_has_a_released_one() {
        for topic in topics::ALL {
            assert_eq!(topic.schema.is_some(), !versions(topic).is_empty(), "{}", topic.stage);
        }
    }
}
