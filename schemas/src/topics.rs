//! The topic catalogue: every topic of the product, each in one line. Code outside never spells a topic name.

use crate::avro::{Field, Malformed, Reader};
use crate::{audit, connection, consent, coverage, device, hint, medication, observation, raw};

/// How a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Kept for this many days; `None` keeps them for ever.
    Delete {
        days: Option<u32>,
    },
    Compact,
}

/// One topic, or a family of topics that differ in one word (`raw.<provider>`, `dead.<worker>`).
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// `raw`, `observation`, `hint.live`: between namespace and version.
    pub stage: &'static str,
    /// True where a word follows the stage.
    pub family: bool,
    pub major: u32,
    pub key: &'static str,
    pub partitions: i32,
    pub cleanup: Cleanup,
    /// The schema's text; `None` where the value is another record's, verbatim (dead letters).
    pub schema: Option<&'static str>,
    pub doc: &'static str,
}

const fn topic(stage: &'static str, key: &'static str, cleanup: Cleanup, schema: &'static str, doc: &'static str) -> Topic {
    Topic { stage, family: false, major: 1, key, partitions: 12, cleanup, schema: Some(schema), doc }
}

const WEEK: Cleanup = Cleanup::Delete { days: Some(7) };

pub static HINT_LIVE: Topic =
    topic("hint.live", "connection id", WEEK, include_str!("hint/v1.avsc"), "go and look: fresh data announced or due");
pub static HINT_HISTORY: Topic =
    topic("hint.history", "connection id", WEEK, include_str!("hint/v1.avsc"), "go and look: backfill, after live hints");
pub static HINT_LATER: Topic = topic(
    "hint.later",
    "connection id",
    WEEK,
    include_str!("hint/v1.avsc"),
    "hints that wait because a provider asked for patience; they go back to their lane when due",
);
pub static RAW: Topic = Topic {
    family: true,
    ..topic(
        "raw",
        "connection id",
        Cleanup::Delete { days: None },
        include_str!("raw/v1.avsc"),
        "exactly what the provider sent; replay starts here",
    )
};
pub static OBSERVATION: Topic = topic(
    "observation",
    "subject id",
    Cleanup::Delete { days: Some(30) },
    include_str!("observation/v1.avsc"),
    "normalized observations with their FHIR R4 resource",
);
pub static MEDICATION: Topic = topic(
    "medication",
    "subject id",
    Cleanup::Delete { days: Some(30) },
    include_str!("medication/v1.avsc"),
    "doses of insulin with their FHIR R4 MedicationAdministration",
);
pub static DEVICE: Topic =
    topic("device", "device id", Cleanup::Compact, include_str!("device/v1.avsc"), "devices with their FHIR R4 resource");
pub static COVERAGE: Topic = topic(
    "coverage",
    "connection id, stream, window start",
    Cleanup::Compact,
    include_str!("coverage/v1.avsc"),
    "what became of each fetched window",
);
pub static CONNECTION: Topic = topic(
    "connection",
    "connection id",
    Cleanup::Compact,
    include_str!("connection/v1.avsc"),
    "who joined, broke, left or was erased",
);
pub static CONSENT: Topic = topic(
    "consent",
    "subject id",
    Cleanup::Compact,
    include_str!("consent/v1.avsc"),
    "what each person agreed to; processors and sinks obey the newest",
);
pub static AUDIT: Topic = topic(
    "audit",
    "subject id",
    Cleanup::Delete { days: None },
    include_str!("audit/v1.avsc"),
    "who did what with a person's data or account links",
);
pub static DEAD: Topic = Topic {
    stage: "dead",
    family: true,
    major: 1,
    key: "as the original",
    partitions: 3,
    cleanup: Cleanup::Delete { days: Some(90) },
    schema: None,
    doc: "records a worker can never accept, verbatim, with the reason in the headers; and markers of those that are settled",
};

/// What a candidate mapping makes of raw records, until it is promoted or discarded. Made for one comparison each, so none is in [`ALL`]. Values are
/// those of the topic they stand beside, verbatim with their frame.
const fn shadow(stage: &'static str, key: &'static str) -> Topic {
    let doc = "what a candidate mapping makes of raw records, beside what stands";
    Topic { family: true, schema: None, ..topic(stage, key, Cleanup::Delete { days: Some(30) }, "", doc) }
}

pub static SHADOW_OBSERVATION: Topic = shadow("shadow-observation", "subject id");
pub static SHADOW_MEDICATION: Topic = shadow("shadow-medication", "subject id");
pub static SHADOW_DEVICE: Topic = shadow("shadow-device", "device id");

/// Each topic that a mapping writes, and its shadow.
pub static SHADOWS: &[(&Topic, &Topic)] =
    &[(&OBSERVATION, &SHADOW_OBSERVATION), (&MEDICATION, &SHADOW_MEDICATION), (&DEVICE, &SHADOW_DEVICE)];

pub static ALL: &[&Topic] = &[
    &HINT_LIVE,
    &HINT_HISTORY,
    &HINT_LATER,
    &RAW,
    &OBSERVATION,
    &MEDICATION,
    &DEVICE,
    &COVERAGE,
    &CONNECTION,
    &CONSENT,
    &AUDIT,
    &DEAD,
];

impl Topic {
    /// The full name under `namespace`; `member` is the family's word.
    ///
    /// # Panics
    /// When a family lacks its member or a single topic is given one: that is a fault of the caller's code, not of its input.
    pub fn name(&self, namespace: &str, member: Option<&str>) -> String {
        assert_eq!(self.family, member.is_some(), "topic {} and its member do not fit", self.stage);
        match member {
            Some(member) => format!("{namespace}.{}.{member}.v{}", self.stage, self.major),
            None => format!("{namespace}.{}.v{}", self.stage, self.major),
        }
    }
}

/// A record type and the topic it lives on.
pub trait Subject<'a>: Field<'a> {
    fn topic() -> &'static Topic;

    fn encode(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    /// Decodes a body written with our own schema.
    ///
    /// # Errors
    /// [`Malformed`] when the body is no such record or bytes are left over.
    fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let record = Self::read(&mut reader)?;
        if reader.left() == 0 { Ok(record) } else { Err(Malformed::new("no bytes after the record")) }
    }
}

macro_rules! subject {
    ($($record:path => $topic:ident),* $(,)?) => {
        $(impl<'a> Subject<'a> for $record { fn topic() -> &'static Topic { &$topic } })*
    };
}

subject! {
    hint::Hint<'a> => HINT_LIVE,
    raw::Raw<'a> => RAW,
    observation::Observation<'a> => OBSERVATION,
    medication::Medication<'a> => MEDICATION,
    device::Device<'a> => DEVICE,
    coverage::Coverage<'a> => COVERAGE,
    connection::Connection<'a> => CONNECTION,
    consent::Consent<'a> => CONSENT,
    audit::Audit<'a> => AUDIT,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_namespace_stage_member_and_major() {
        assert_eq!(RAW.name("headwater", Some("acme_band")), "headwater.raw.acme_band.v1");
        assert_eq!(HINT_LIVE.name("clinic", None), "clinic.hint.live.v1");
    }
}
