//! `headwater.consent.v1`: what a person agreed to, and whether that covers a use.

use crate::{avro_enum, avro_record};

avro_enum! {
    pub enum Decision {
        Granted = "granted",
        Withdrawn = "withdrawn",
        /// The person was removed. Nothing of them is processed again, whatever is replayed.
        Erased = "erased",
    }
}

avro_record! {
    /// One decision. Times are microseconds since the epoch.
    pub struct Consent<'a> {
        pub subject_id: &'a str,
        pub version: i64,
        pub decision: Decision,
        pub data_types: Vec<&'a str>,
        pub recipients: Vec<&'a str>,
        pub until: Option<i64>,
        pub actor: &'a str,
        pub at: i64,
    }
}

/// What is in force for one subject, owned. The default is that of somebody who decided nothing here: all, for everybody, without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub version: i64,
    pub decision: Decision,
    pub data_types: Box<[Box<str>]>,
    pub recipients: Box<[Box<str>]>,
    pub until: Option<i64>,
    pub at: i64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { version: 0, decision: Decision::Granted, data_types: [].into(), recipients: [].into(), until: None, at: 0 }
    }
}

impl Terms {
    pub fn of(consent: &Consent<'_>) -> Self {
        let owned = |list: &[&str]| list.iter().map(|word| Box::from(*word)).collect();
        Self {
            version: consent.version,
            decision: consent.decision,
            data_types: owned(&consent.data_types),
            recipients: owned(&consent.recipients),
            until: consent.until,
            at: consent.at,
        }
    }

    /// Whether anything at all may be processed now.
    pub fn stands(&self, now: i64) -> bool {
        self.decision == Decision::Granted && self.until.is_none_or(|until| now < until)
    }

    /// Whether this type may be processed. Says nothing about time and recipients.
    pub fn covers(&self, data_type: &str) -> bool {
        self.data_types.is_empty() || self.data_types.iter().any(|covered| **covered == *data_type)
    }

    /// Whether this sink may receive it. Says nothing about time and types.
    pub fn reaches(&self, recipient: &str) -> bool {
        self.recipients.is_empty() || self.recipients.iter().any(|named| **named == *recipient)
    }

    /// Nothing is withheld, now or later.
    pub fn unrestricted(&self) -> bool {
        self.decision == Decision::Granted && self.data_types.is_empty() && self.recipients.is_empty() && self.until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_who_decided_nothing_is_unrestricted() {
        assert!(Terms::default().unrestricted() && Terms::default().stands(i64::MAX));
    }

    #[test]
    fn an_agreement_covers_what_it_names_until_it_ends() {
        let terms = Terms {
            data_types: ["body-weight".into()].into(),
            recipients: ["scylla".into()].into(),
            until: Some(10),
            ..Terms::default()
        };
        assert!(terms.stands(9) && !terms.stands(10));
        assert!(terms.covers("body-weight") && !terms.covers("steps"));
        assert!(terms.reaches("scylla") && !terms.reaches("eventhubs"));
        assert!(!terms.unrestricted());
    }

    #[test]
    fn nothing_stands_after_a_withdrawal_or_an_erasure() {
        for decision in [Decision::Withdrawn, Decision::Erased] {
            assert!(!Terms { decision, ..Terms::default() }.stands(0));
        }
    }
}
